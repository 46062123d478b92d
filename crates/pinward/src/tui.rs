//! `pinward tui`: the keys on a screen of the terminal
//!
//! The screen runs the same commands as the command line does, on a thread of their own, and stands
//! where they speak to the person: so every action states the same consequences and ends with the same
//! truth.

mod app;
mod draw;
mod work;

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use self::app::App;
use self::work::Screen;
use crate::exit::Fault;
use crate::{device, person, say};

/// How long the screen waits for a key press before it looks for news.
const GLANCE: Duration = Duration::from_millis(50);
/// How often it looks for keys that come and go, while nothing else is done.
const LOOK: Duration = Duration::from_secs(1);

/// Manages keys on a screen: keys on the left; facts, passkeys and fingers of one on the right; every
/// action with its consequences. By keyboard only; 80x24 is enough; NO_COLOR is honoured.
#[derive(Debug, Args)]
pub(crate) struct TuiArgs {}

pub(crate) fn run(_: &TuiArgs) -> Result<(), Fault> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Fault::usage(
            "there is no terminal to draw on; `pinward list` and `pinward show` need none",
        ));
    }
    let (said, news) = channel();
    let (orders, jobs) = channel();
    person::set(Some(Arc::new(Screen::new(said.clone()))));
    std::thread::spawn(move || work::work(&jobs, &said));
    let color = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut app = App::new(orders, color);
    let mut terminal = ratatui::try_init()?;
    let result = turn(&mut terminal, &mut app, &news);
    ratatui::restore();
    person::set(None);
    Ok(result?)
}

fn turn(
    terminal: &mut ratatui::DefaultTerminal,
    app: &mut App,
    news: &std::sync::mpsc::Receiver<work::Said>,
) -> io::Result<()> {
    let mut looked: Option<Instant> = None;
    while !app.is_over() {
        let stale = looked.is_none_or(|at| at.elapsed() > LOOK);
        if stale && !app.is_busy() {
            app.keys(device::all());
            looked = Some(Instant::now());
        }
        while let Ok(said) = news.try_recv() {
            app.said(said);
        }
        terminal.draw(|frame| {
            say::narrow(draw::right_width(frame.area()).into());
            draw::draw(app, frame);
        })?;
        if event::poll(GLANCE)?
            && let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
        {
            app.pressed(key);
        }
    }
    Ok(())
}
