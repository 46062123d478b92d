//! Commands of the terminal: shown before they run, with an end, their output passed on as it comes.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// How a command ended and what it printed.
pub(crate) struct Ended {
    /// Whether it ended by itself with exit code 0.
    pub(crate) ok: bool,
    /// Standard output and standard error, in the order in which the lines came.
    pub(crate) said: String,
}

/// Runs a command of at most `minutes`, passing its output on line by line.
pub(crate) fn run(command: &mut Command, minutes: u64) -> Result<Ended, String> {
    println!("$ {}", shown(command));
    let mut child = command
        .current_dir(crate::files::root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{}: {e}", shown(command)))?;
    let (sender, lines) = mpsc::channel();
    if let Some(out) = child.stdout.take() {
        forward(out, false, sender.clone());
    }
    if let Some(err) = child.stderr.take() {
        forward(err, true, sender);
    }
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let mut said = String::new();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(line) => said.push_str(&line),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                stop(&mut child);
                return Err(format!(
                    "{} did not end within {minutes} minutes",
                    shown(command)
                ));
            }
        }
    }
    let status = child
        .wait()
        .map_err(|e| format!("{}: {e}", shown(command)))?;
    Ok(Ended {
        ok: status.success(),
        said,
    })
}

/// Runs a command quietly and gives its standard output if it succeeds.
pub(crate) fn quiet(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(crate::files::root())
        .stdin(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn forward(from: impl Read + Send + 'static, to_stderr: bool, lines: Sender<String>) {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            // A closed terminal is no reason to stop.
            let _ = if to_stderr {
                std::io::stderr().write_all(&line)
            } else {
                std::io::stdout().write_all(&line)
            };
            if lines
                .send(String::from_utf8_lossy(&line).into_owned())
                .is_err()
            {
                return;
            }
            line.clear();
        }
    });
}

fn stop(child: &mut Child) {
    // It may have ended in between; either way it is gone afterwards.
    let _ = child.kill();
    let _ = child.wait();
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|a| a.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_streams_are_kept_and_the_exit_code_counts() {
        let ended = run(
            Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]),
            1,
        )
        .unwrap();
        assert!(!ended.ok);
        assert!(ended.said.contains("out\n") && ended.said.contains("err\n"));
    }

    #[test]
    fn a_command_that_never_ends_is_ended() {
        let why = run(Command::new("sleep").arg("30"), 0).err().unwrap();
        assert!(why.contains("did not end"), "{why}");
    }

    #[test]
    fn a_missing_program_is_an_error_not_a_pass() {
        assert!(run(&mut Command::new("no-such-program-here"), 1).is_err());
        assert!(quiet("false", &[]).is_none());
    }
}
