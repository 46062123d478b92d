//! How the screen looks. All text of keys and sites is escaped.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};
use serde_json::Value;

use super::app::{App, Dialog, Tab};
use crate::say;

/// The list of keys.
const LEFT: u16 = 26;

/// How wide the text on the right can be.
pub(super) fn right_width(area: Rect) -> u16 {
    area.width.saturating_sub(LEFT + 2)
}

pub(super) fn draw(app: &App, frame: &mut Frame<'_>) {
    let rows = [Constraint::Min(3), Constraint::Length(1)];
    let [main, foot] = Layout::vertical(rows).areas(frame.area());
    let columns = [Constraint::Length(LEFT), Constraint::Min(10)];
    let [left, right] = Layout::horizontal(columns).areas(main);
    keys(app, frame, left);
    shown(app, frame, right);
    let help = if app.is_busy() {
        " Esc calls it off"
    } else {
        " n next  1 facts  2 passkeys  3 fingers  Enter actions  r renew  ? help  q quit"
    };
    frame.render_widget(Paragraph::new(help).style(reversed()), foot);
    dialog(app, frame);
}

fn reversed() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// A colour, where colours are wanted.
fn tinted(app: &App, color: Color) -> Style {
    if app.color {
        Style::new().fg(color)
    } else {
        Style::new()
    }
}

fn keys(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let mut lines = Vec::new();
    for (n, key) in app.keys.iter().enumerate() {
        let style = if n == app.chosen {
            reversed()
        } else {
            Style::new()
        };
        let head = format!("{} {} {}", key.number, key.id, key.transport());
        lines.push(Line::styled(head, style));
        lines.push(Line::styled(
            format!("  {}", key.name()),
            tinted(app, Color::Cyan),
        ));
    }
    if lines.is_empty() {
        lines.push(Line::raw("No security key is"));
        lines.push(Line::raw("plugged in."));
    }
    let block = Block::bordered().title(" Keys ");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn shown(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let tabs = [
        (Tab::Facts, "1 Facts"),
        (Tab::Passkeys, "2 Passkeys"),
        (Tab::Fingers, "3 Fingers"),
    ];
    let title: Vec<_> = tabs
        .into_iter()
        .flat_map(|(tab, name)| {
            let style = if tab == app.tab {
                reversed()
            } else {
                Style::new()
            };
            [Span::raw(" "), Span::styled(name, style)]
        })
        .chain([Span::raw(" ")])
        .collect();
    let block = Block::bordered().title(Line::from(title));
    let height = usize::from(area.height.saturating_sub(2));
    let lines = match (app.tab, app.rows()) {
        (Tab::Facts, _) => facts(app, height),
        (_, Some([])) => vec![Line::raw("There are none.")],
        (tab, Some(rows)) => list(app, tab, rows, height),
        (_, None) => vec![Line::raw("Not listed. r reads the key again.")],
    };
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn facts(app: &App, height: usize) -> Vec<Line<'_>> {
    let count = app.facts.lines().count();
    let from = app.line.min(count.saturating_sub(height));
    app.facts
        .lines()
        .skip(from)
        .take(height)
        .map(Line::raw)
        .collect()
}

fn list<'a>(app: &App, tab: Tab, rows: &'a [Value], height: usize) -> Vec<Line<'a>> {
    let cell = |row: &Value, name: &str| say::escaped(row[name].as_str().unwrap_or_default());
    let text = |row: &Value| match tab {
        Tab::Passkeys => {
            let name = cell(row, "name");
            let name = if name.is_empty() {
                cell(row, "displayName")
            } else {
                name
            };
            format!("{:8} {:22} {name}", cell(row, "id"), cell(row, "site"))
        }
        _ => format!("{:8} {}", cell(row, "id"), cell(row, "name")),
    };
    let from = (app.line + 1).saturating_sub(height);
    rows.iter()
        .enumerate()
        .skip(from)
        .take(height)
        .map(|(n, row)| {
            let style = if n == app.line {
                reversed()
            } else {
                Style::new()
            };
            Line::styled(text(row), style)
        })
        .collect()
}

fn dialog(app: &App, frame: &mut Frame<'_>) {
    let notes = || {
        app.notes
            .lines()
            .map(|line| Line::raw(line.to_owned()))
            .collect::<Vec<_>>()
    };
    let typing = |prompt: &str, typed: String| {
        let mut lines = notes();
        lines.push(Line::styled(prompt.to_owned(), bold()));
        lines.push(Line::raw(format!("> {typed}_")));
        lines.push(Line::raw("Enter goes on, Esc changes nothing."));
        lines
    };
    let title = app.running.unwrap_or("Done");
    let (title, lines) = match &app.dialog {
        None if app.is_busy() => {
            let mut lines = notes();
            lines.push(Line::styled("Please wait.", tinted(app, Color::Yellow)));
            (title, lines)
        }
        None => return,
        Some(Dialog::Menu(line)) => ("Actions", menu(app, *line, frame.area().height)),
        Some(Dialog::Input(action, typed)) => {
            let prompt = action.asks.unwrap_or_default();
            (action.title, typing(prompt, say::escaped(typed)))
        }
        Some(Dialog::Secret(prompt, secret, _)) => {
            (title, typing(prompt, "*".repeat(secret.chars().count())))
        }
        Some(Dialog::Word(prompt, typed, _)) => (title, typing(prompt, say::escaped(typed))),
        Some(Dialog::Result) => {
            let mut lines = notes();
            lines.push(Line::styled("Enter goes on.", bold()));
            ("Done", lines)
        }
        Some(Dialog::Help) => ("Help", help()),
    };
    over(app, frame, title, lines);
}

fn menu(app: &App, chosen: usize, height: u16) -> Vec<Line<'static>> {
    let height = usize::from(height.saturating_sub(6)).max(1);
    let from = (chosen + 1).saturating_sub(height);
    let actions = app.actions();
    let lines = actions.iter().enumerate().skip(from).take(height);
    lines
        .map(|(n, action)| {
            let style = if n == chosen {
                reversed()
            } else {
                Style::new()
            };
            Line::styled(format!(" {} ", action.title), style)
        })
        .collect()
}

fn help() -> Vec<Line<'static>> {
    [
        "n, N        next key, key before",
        "1 2 3, Tab  facts, passkeys, fingers",
        "arrows j k  up and down; PgUp, PgDn, Home",
        "Enter, a    what can be done with the key, or with the line",
        "r           read the key again",
        "Esc         call off; nothing is changed",
        "q, Ctrl-C   quit",
        "",
        "A key that has to be touched says so. A reset wants the key",
        "taken out and plugged in again, and the word reset.",
    ]
    .map(Line::raw)
    .to_vec()
}

/// A box in the middle, as high as it has to be; the last lines are seen if there are too many.
fn over(app: &App, frame: &mut Frame<'_>, title: &str, lines: Vec<Line<'_>>) {
    let screen = frame.area();
    let width = screen.width.saturating_sub(8).min(72);
    let inner = usize::from(width.saturating_sub(2)).max(1);
    let wrapped: usize = lines
        .iter()
        .map(|line| line.width().div_ceil(inner).max(1))
        .sum();
    let height = u16::try_from(wrapped + 2)
        .unwrap_or(u16::MAX)
        .min(screen.height.saturating_sub(2));
    let area = Rect {
        x: screen.x + (screen.width - width) / 2,
        y: screen.y + (screen.height - height) / 2,
        width,
        height,
    };
    let hidden = wrapped.saturating_sub(usize::from(height.saturating_sub(2)));
    let block = Block::bordered()
        .title(format!(" {title} "))
        .border_style(tinted(app, Color::Yellow));
    let text = Paragraph::new(lines)
        .wrap(Wrap { trim: false })
        .scroll((u16::try_from(hidden).unwrap_or(u16::MAX), 0))
        .block(block);
    frame.render_widget(Clear, area);
    frame.render_widget(text, area);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc::{Receiver, channel};

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    use serde_json::json;
    use transport::host::{Address, Found};

    use super::super::work::{Done, For, Job, Said};
    use super::*;
    use crate::device;

    fn app() -> (App, Receiver<Job>) {
        let (orders, jobs) = channel();
        let mut app = App::new(orders, false);
        app.keys(vec![device::listed(Found {
            address: Address::Unix("/tmp/key".into()),
            name: "\u{1b}[2JKey\u{202e}".to_owned(),
            usb: None,
            serial: None,
            position: None,
        })]);
        (app, jobs)
    }

    fn done(app: &mut App, reason: For, printed: &str, failure: Option<&str>) {
        app.said(Said::Done(Done {
            reason,
            printed: printed.to_owned(),
            failure: failure.map(str::to_owned),
        }));
    }

    fn press(app: &mut App, code: KeyCode) {
        app.pressed(KeyEvent::new(code, KeyModifiers::NONE));
    }

    fn screen(app: &App) -> String {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| draw(app, frame)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let cells = buffer.content.chunks(80);
        let lines = cells.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>());
        let lines: Vec<_> = lines.collect();
        assert!(
            buffer.content.iter().all(|cell| cell.fg == Color::Reset),
            "no colour is wanted"
        );
        lines.join("\n")
    }

    #[test]
    fn names_of_keys_and_sites_are_shown_and_harmless() {
        let (mut app, jobs) = app();
        assert_eq!(jobs.recv().unwrap().words[0], "show");
        done(&mut app, For::Facts, "PIN  set\n", None);
        assert!(screen(&app).contains("PIN  set"));
        press(&mut app, KeyCode::Char('2'));
        assert_eq!(
            jobs.recv().unwrap().words[..3],
            ["passkeys", "list", "--json"]
        );
        let list = json!({ "passkeys": [
            { "id": "abcdef", "site": "a.example", "name": "\u{1b}[31mred" },
            { "id": "123456", "site": "b.example", "name": "Zoë 日本" },
        ]});
        done(&mut app, For::Passkeys, &list.to_string(), None);
        let seen = screen(&app);
        assert!(
            seen.contains("\\u{1b}[31mred") && seen.contains("b.example"),
            "{seen}"
        );
        assert!(!seen.contains(['\u{1b}', '\u{202e}']));
    }

    #[test]
    fn an_action_is_for_the_chosen_key_and_line() {
        let (mut app, jobs) = app();
        jobs.recv().unwrap();
        done(&mut app, For::Facts, "", None);
        press(&mut app, KeyCode::Char('2'));
        jobs.recv().unwrap();
        let list = json!({ "passkeys": [{ "id": "abcdef" }, { "id": "123456" }] });
        done(&mut app, For::Passkeys, &list.to_string(), None);
        for code in [
            KeyCode::Down,
            KeyCode::Enter,
            KeyCode::Down,
            KeyCode::Down,
            KeyCode::Enter,
        ] {
            press(&mut app, code);
        }
        let job = jobs.recv().unwrap();
        let id = app.key().unwrap().id.clone();
        assert_eq!(job.words, ["passkeys", "delete", "123456", "--device", &id]);
        // What the command asks is asked here, with what it said before.
        app.said(Said::Note("- Nobody can bring it back.\n".to_owned()));
        let (reply, answer) = channel();
        app.said(Said::Word("Type yes to go on: ".to_owned(), reply));
        let seen = screen(&app);
        assert!(
            seen.contains("Nobody can bring it back") && seen.contains("Type yes"),
            "{seen}"
        );
        "yes"
            .chars()
            .for_each(|c| press(&mut app, KeyCode::Char(c)));
        press(&mut app, KeyCode::Enter);
        assert_eq!(answer.recv().unwrap().as_deref(), Some("yes"));
        done(&mut app, For::Action, "", Some("the key refused"));
        assert!(screen(&app).contains("the key refused"));
    }

    #[test]
    fn a_secret_is_not_on_the_screen_and_esc_gives_none() {
        let (mut app, jobs) = app();
        jobs.recv().unwrap();
        let (reply, answer) = channel();
        app.said(Said::Secret(
            "PIN of the key (8 tries left): ".to_owned(),
            reply,
        ));
        "739154"
            .chars()
            .for_each(|c| press(&mut app, KeyCode::Char(c)));
        let seen = screen(&app);
        assert!(
            seen.contains("> ******_") && seen.contains("8 tries left"),
            "{seen}"
        );
        assert!(!seen.contains("739154"));
        press(&mut app, KeyCode::Enter);
        assert_eq!(answer.recv().unwrap().unwrap().as_str(), "739154");
        let (reply, answer) = channel();
        app.said(Said::Secret("PIN: ".to_owned(), reply));
        press(&mut app, KeyCode::Esc);
        assert!(answer.recv().unwrap().is_none());
    }
}
