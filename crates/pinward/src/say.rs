//! Words for the terminal: wrapped, escaped, and no fuss when the reader has gone.

use std::error::Error;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::person;

/// Lines of text are no longer than this, if no screen is narrower.
const WIDTH: usize = 88;

static NARROWED: AtomicUsize = AtomicUsize::new(WIDTH);

/// From now on lines have at most this many characters.
pub(crate) fn narrow(width: usize) {
    NARROWED.store(width.clamp(20, WIDTH), Ordering::Relaxed);
}

/// Writes all of it to the standard output.
///
/// # Errors
/// What the system says; a closed pipe is one of these, see [`is_closed_pipe`].
pub(crate) fn out(text: &str) -> io::Result<()> {
    if let Some(person) = person::current() {
        person.print(text);
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Prints JSON. Within its strings, what would act on a terminal or is not seen is escaped.
pub(crate) fn json(value: &serde_json::Value) -> io::Result<()> {
    out(&json_text(value))
}

fn json_text(value: &serde_json::Value) -> String {
    let text = format!("{value:#}\n");
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        // Ends of lines are between the members; those in strings are escaped already.
        if c == '\n' || !is_hidden(c) {
            safe.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            safe.push_str(&format!("\\u{unit:04x}"));
        }
    }
    safe
}

/// Says something to the person, beside what the command prints: on the standard error output, or on
/// the screen that takes its place. The line ends are the text's own.
pub(crate) fn note(text: &str) {
    match person::current() {
        Some(person) => person.note(text),
        None => eprint!("{text}"),
    }
}

/// [`note`], formatted, with an end of line.
macro_rules! noteln {
    ($($arg:tt)*) => {
        $crate::say::note(&(format!($($arg)*) + "\n"))
    };
}
pub(crate) use noteln;

/// Whether the reader of our output has seen enough, as `head` does: no failure of ours.
pub(crate) fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The text in lines of at most [`WIDTH`], each after `indent` spaces; the first after `first`.
pub(crate) fn wrapped(first: &str, indent: usize, text: &str) -> String {
    let mut lines = String::from(first);
    let mut column = first.chars().count();
    let width = NARROWED.load(Ordering::Relaxed);
    for word in escaped(text).split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if column > indent && column + 1 + length > width {
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if column > indent {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines.push('\n');
    lines
}

/// Characters that move the cursor, turn the text around, end a line, or are not seen at all: with them
/// one name can look like another, or a cell like the next one.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Names from keys, files and sites must not move the cursor or turn the text around.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            safe.extend(c.escape_unicode())
        } else {
            safe.push(c)
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_to_the_width_and_the_indent() {
        let text = wrapped("- ", 2, &"word ".repeat(60));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(text.lines().skip(1).all(|line| line.starts_with("  word")));
        assert_eq!(text.matches("word").count(), 60);
    }

    #[test]
    fn json_says_the_same_without_acting_on_a_terminal() {
        let value = serde_json::json!({ "a": "x\u{9b}2J\u{202e}\u{e0041}\n\u{1b}ö" });
        let text = json_text(&value);
        assert!(
            text.contains("x\\u009b2J\\u202e\\udb40\\udc41\\n\\u001bö"),
            "{text}"
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).ok(),
            Some(value)
        );
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(escaped("a\u{1b}[2Jb\u{202e}c"), "a\\u{1b}[2Jb\\u{202e}c");
        assert_eq!(escaped("Zoë 日本"), "Zoë 日本");
        // Families of emoji are joined by U+200D, Persian words parted by U+200C: these stay.
        assert_eq!(
            escaped("👩\u{200d}🚀 می\u{200c}خواهم"),
            "👩\u{200d}🚀 می\u{200c}خواهم"
        );
        for hidden in [
            "\u{200b}",
            "\u{2028}",
            "\u{feff}",
            "\u{61c}",
            "\u{e0041}",
            "\u{9b}",
        ] {
            assert!(escaped(hidden).starts_with("\\u{"), "{hidden:?}");
        }
    }
}
