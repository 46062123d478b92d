//! "Do you mean it?", answered with a whole word or not at all.

use std::io::{self, BufRead, IsTerminal};

use crate::exit::Fault;

/// Goes on only when the person types exactly `word`, or said `--yes` before.
pub(crate) fn word(yes: bool, word: &str) -> Result<(), Fault> {
    if yes {
        return Ok(());
    }
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Fault::usage(
            "there is nobody to ask whether this is meant; say --yes",
        ));
    }
    eprint!("Type {word} to go on: ");
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    if line.trim_end_matches(['\r', '\n']) == word {
        Ok(())
    } else {
        Err(Fault::refused("not confirmed; nothing was changed"))
    }
}
