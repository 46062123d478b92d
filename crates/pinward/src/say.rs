//! Words for the terminal: wrapped, escaped, and no fuss when the reader has gone.

use std::error::Error;
use std::io::{self, Write};

/// Lines of text are no longer than this.
const WIDTH: usize = 88;

/// Writes all of it to the standard output.
///
/// # Errors
/// What the system says; a closed pipe is one of these, see [`is_closed_pipe`].
pub(crate) fn out(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

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
    for word in escaped(text).split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if column > indent && column + 1 + length > WIDTH {
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

/// Names from keys, files and sites must not move the cursor or turn the text around.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if hidden {
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
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(escaped("a\u{1b}[2Jb\u{202e}c"), "a\\u{1b}[2Jb\\u{202e}c");
        assert_eq!(escaped("Zoë 日本"), "Zoë 日本");
    }
}
