//! "Do you mean it?", answered with a whole word or not at all.

use std::io::{self, BufRead, IsTerminal};

use crate::exit::Fault;
use crate::person;

/// Goes on only when the person types exactly `word`, or said `--yes` before.
pub(crate) fn word(yes: bool, word: &str) -> Result<(), Fault> {
    if yes {
        return Ok(());
    }
    let prompt = format!("Type {word} to go on: ");
    if let Some(person) = person::current() {
        return match person.word(&prompt) {
            Some(typed) if typed == word => Ok(()),
            _ => Err(not_confirmed()),
        };
    }
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Fault::usage(
            "there is nobody to ask whether this is meant; say --yes",
        ));
    }
    eprint!("{prompt}");
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    if line.trim_end_matches(['\r', '\n']) == word {
        Ok(())
    } else {
        Err(not_confirmed())
    }
}

fn not_confirmed() -> Fault {
    Fault::refused("not confirmed; nothing was changed")
}
