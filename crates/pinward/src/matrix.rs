//! `pinward matrix`: every platform with every key, state and request, each cell run.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Instant;

use clap::Args;
use client::profile::PlatformProfile;
use lab::matrix::{Row, Selection};
use lab::{KeyState, UserAction};

use crate::names::{self, CeremonyArg, PersonArg, UvArg};
use crate::{policy, say, table};

/// Runs every platform with every key, state of the key and site setting, and prints what the person
/// does, how it ends and how sure that is.
///
/// Every cell is run: a software key in virtual time, a client with the rules of the platform, and the
/// checks of the relying party. An option that selects can be given several times, and several values
/// can be joined by commas; without it, all are taken (of people: the one who accepts).
#[derive(Debug, Args)]
#[command(
    after_help = "Example: what changed for a key without a PIN between two versions of Windows?\n  \
                        pinward matrix --state no-pin --diff windows-11-before-kb5065789 windows-11-after-kb5068861"
)]
pub(crate) struct MatrixArgs {
    /// Platforms; `pinward platforms` lists them.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    platform: Vec<String>,
    /// Keys: models from `pinward key profiles`, or files with a profile.
    #[arg(long, value_name = "ID|FILE", value_delimiter = ',')]
    key: Vec<String>,
    /// States of the key; `pinward key profiles` lists the states of each.
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    state: Vec<String>,
    /// What the site calls.
    #[arg(long, value_enum, value_delimiter = ',')]
    ceremony: Vec<CeremonyArg>,
    /// When the site wants its user verified.
    #[arg(long, value_enum, value_name = "WHEN", value_delimiter = ',')]
    uv: Vec<UvArg>,
    /// Only discoverable credentials (true), or only others (false).
    #[arg(long, value_name = "BOOL")]
    discoverable: Option<bool>,
    /// What the person does.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "accepts")]
    person: Vec<PersonArg>,
    /// The policy of the host, for platforms that have one, asked about the site example.org; `pinward
    /// policy check` explains the file.
    #[arg(long, value_name = "FILE")]
    policy: Option<std::path::PathBuf>,
    /// Only the cells in which these two platforms differ.
    #[arg(long, num_args = 2, value_names = ["ID", "ID"], conflicts_with = "platform")]
    diff: Option<Vec<String>>,
    /// How many threads; as many as there are processors by default.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print JSON: an array of rows with the reasons of each.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV (RFC 4180).
    #[arg(long)]
    csv: bool,
}

impl MatrixArgs {
    fn selection(&self) -> Result<Selection, crate::Failure> {
        let platforms = self.diff.as_ref().unwrap_or(&self.platform);
        let host = match &self.policy {
            Some(file) => policy::read(file)?.for_rp(lab::RP_ID),
            None => client::policy::HostPolicy::default(),
        };
        Ok(Selection {
            keys: keys(&self.key)?,
            states: if self.state.is_empty() {
                KeyState::ALL.to_vec()
            } else {
                let states = self.state.iter().map(|id| names::key_state(id));
                states.collect::<Result<_, _>>()?
            },
            ceremonies: or_all(&self.ceremony).map(CeremonyArg::ceremony).collect(),
            discoverable: self
                .discoverable
                .map_or(vec![false, true], |only| vec![only]),
            user_verification: or_all(&self.uv).map(UvArg::policy).collect(),
            people: self.person.iter().map(|person| person.action()).collect(),
            platforms: platforms_or_all(platforms)?,
            host,
        })
    }
}

fn or_all<T: clap::ValueEnum + Copy>(given: &[T]) -> impl Iterator<Item = T> {
    let all = if given.is_empty() {
        T::value_variants()
    } else {
        given
    };
    all.iter().copied()
}

fn keys(given: &[String]) -> Result<Vec<authenticator::Profile>, crate::Failure> {
    let shipped = authenticator::profile::shipped().iter().map(|(id, _)| *id);
    if given.is_empty() {
        shipped.map(names::key).collect()
    } else {
        given.iter().map(|name| names::key(name)).collect()
    }
}

fn platforms_or_all(given: &[String]) -> Result<Vec<Arc<PlatformProfile>>, crate::Failure> {
    if given.is_empty() {
        return Ok(client::profile::all());
    }
    let platforms = given.iter().map(|id| names::platform(id));
    Ok(platforms.collect::<Result<_, _>>()?)
}

pub(crate) fn run(args: &MatrixArgs) -> Result<(), crate::Failure> {
    let selection = args.selection()?;
    let rows = run_with_progress(args, &selection)?;
    let rows = match &args.diff {
        Some(_) => differences(rows),
        None => rows,
    };
    if args.json {
        return Ok(say::out(&(serde_json::to_string(&rows)? + "\n"))?);
    }
    let cells: Vec<_> = rows.iter().map(cells).collect();
    Ok(say::out(&if args.csv {
        csv(&cells)
    } else {
        text(&cells)
    })?)
}

fn run_with_progress(args: &MatrixArgs, selection: &Selection) -> Result<Vec<Row>, crate::Failure> {
    let threads = args
        .threads
        .or_else(|| available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN);
    let (total, begun) = (selection.cells(), Instant::now());
    let shows = std::io::stderr().is_terminal();
    let progress = |done: usize| {
        if shows {
            let width = 40 * done / total.max(1);
            let bar = "#".repeat(width);
            // Nothing depends on the bar: that it cannot be written is no failure.
            let _ = write!(std::io::stderr(), "\r[{bar:40}] {done}/{total}");
        }
    };
    let rows = selection.run(threads, &progress)?;
    if shows {
        let seconds = begun.elapsed().as_secs_f64();
        let _ = writeln!(
            std::io::stderr(),
            "\r{total} cells run in {seconds:.1} s{:30}",
            ""
        );
    }
    Ok(rows)
}

/// The rows in which not all platforms do the same, each beside its counterpart.
fn differences(rows: Vec<Row>) -> Vec<Row> {
    let mut cells: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
    for (place, row) in rows.iter().enumerate() {
        let mut cell = self::cells(row);
        cell.truncate(SAME_CELL);
        cells.entry(cell).or_default().push(place);
    }
    let mut differ: Vec<Vec<usize>> = cells
        .into_values()
        .filter(|places| {
            let mut rows = places.iter().filter_map(|place| rows.get(*place));
            let first = rows.next();
            rows.any(|row| first.is_some_and(|first| !first.agrees_with(row)))
        })
        .collect();
    differ.sort();
    let mut rows: Vec<_> = rows.into_iter().map(Some).collect();
    differ
        .concat()
        .into_iter()
        .filter_map(|place| rows.get_mut(place).and_then(Option::take))
        .collect()
}

/// The columns: for programs, and for people.
const HEAD: [(&str, &str); 14] = [
    ("key", "KEY"),
    ("key_state", "STATE"),
    ("ceremony", "CEREMONY"),
    ("user_verification", "SITE"),
    ("discoverable", "DISCOVERABLE"),
    ("user", "PERSON"),
    ("platform", "PLATFORM"),
    ("steps", "STEPS"),
    ("uv", "UV"),
    ("outcome", "END"),
    ("error", "ERROR"),
    ("accepted", "ACCEPTED"),
    ("evidence", "EVIDENCE"),
    ("source", "SOURCE"),
];
/// The columns before the platform: what two platforms are compared in.
const SAME_CELL: usize = 6;
/// Columns that only programs get.
const MACHINE_ONLY: [&str; 1] = ["source"];

fn cells(row: &Row) -> Vec<String> {
    let yes = |flag: Option<bool>| flag.map_or("-".to_owned(), |flag| flag.to_string());
    vec![
        row.key.clone(),
        row.key_state.id().to_owned(),
        match row.request.ceremony {
            lab::Ceremony::Create => "create".to_owned(),
            lab::Ceremony::Get => "get".to_owned(),
        },
        row.request.user_verification.as_str().to_owned(),
        row.request.discoverable.to_string(),
        match row.user {
            UserAction::Accepts => "accepts".to_owned(),
            UserAction::Cancels => "cancels".to_owned(),
            UserAction::WrongPin => "wrong-pin".to_owned(),
        },
        row.platform.clone(),
        row.steps_text(),
        yes(row.uv),
        row.outcome.name().to_owned(),
        row.error
            .map_or("-".to_owned(), |error| error.name().to_owned()),
        yes(row.accepted),
        row.evidence.name().to_owned(),
        row.source.to_string(),
    ]
}

/// For programs: what there is not is empty.
fn csv(rows: &[Vec<String>]) -> String {
    let nothing = |cell: &String| {
        if cell == "-" {
            String::new()
        } else {
            cell.clone()
        }
    };
    let rows: Vec<Vec<_>> = rows
        .iter()
        .map(|row| row.iter().map(nothing).collect())
        .collect();
    table::csv(&HEAD.map(|(head, _)| head), &rows)
}

/// For people: what is the same in every row is said once, above.
fn text(rows: &[Vec<String>]) -> String {
    let Some(first) = rows.first() else {
        return "No cells.\n".to_owned();
    };
    let mut above = String::new();
    let mut shown = Vec::new();
    for (column, (name, head)) in HEAD.into_iter().enumerate() {
        let value = first.get(column);
        let same = rows.len() > 1 && rows.iter().all(|row| row.get(column) == value);
        if MACHINE_ONLY.contains(&name) {
            continue;
        }
        match value {
            Some(value) if same && column <= SAME_CELL => {
                above.push_str(&format!("{head}: {}\n", say::escaped(value)));
            }
            _ => shown.push((column, head)),
        }
    }
    let heads: Vec<_> = shown.iter().map(|(_, head)| *head).collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            shown
                .iter()
                .filter_map(|(column, _)| row.get(*column).cloned())
                .collect()
        })
        .collect();
    if !above.is_empty() {
        above.push('\n');
    }
    format!("{above}{}", table::text(&heads, &rows))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: MatrixArgs,
    }

    fn rows(line: &str) -> Vec<Row> {
        let args = Line::parse_from(line.split(' ')).args;
        let selection = args.selection().unwrap();
        let rows = selection.run(NonZeroUsize::MIN, &|_| {}).unwrap();
        assert_eq!(rows.len(), selection.cells());
        if args.diff.is_some() {
            differences(rows)
        } else {
            rows
        }
    }

    #[test]
    fn filters_select_and_the_rest_is_everything() {
        let all = Line::parse_from(["matrix"]).args.selection().unwrap();
        assert_eq!(all.platforms.len(), client::profile::shipped().len());
        assert_eq!(all.keys.len(), authenticator::profile::shipped().len());
        assert_eq!((all.ceremonies.len(), all.user_verification.len()), (2, 3));
        assert_eq!((all.discoverable.len(), all.people.len()), (2, 1));
        let few = rows(
            "matrix --platform webkit,pinward --key u2f-only --ceremony get --uv preferred --discoverable false",
        );
        let platforms: Vec<_> = few.iter().map(|row| row.platform.as_str()).collect();
        assert_eq!(platforms, ["webkit", "pinward"]);
    }

    #[test]
    fn a_wrong_name_is_told() {
        let args = Line::parse_from(["matrix", "--platform", "windows-95"]).args;
        assert!(
            args.selection()
                .unwrap_err()
                .to_string()
                .contains("windows-95")
        );
    }

    #[test]
    fn the_difference_of_the_two_updates_is_signing_in_without_a_pin() {
        let differ = rows(
            "matrix --key fido-2.1 --state no-pin --ceremony get --uv preferred \
             --diff windows-11-before-kb5065789 windows-11-after-kb5068861"
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .as_str(),
        );
        let steps: Vec<_> = differ.iter().map(Row::steps_text).collect();
        assert_eq!(steps[..2], ["touch", "create-pin+touch"]);
        let same = rows(
            "matrix --key fido-2.1 --diff windows-11-22h2-enterprise windows-11-23h2 --state pin-set",
        );
        assert!(same.is_empty());
    }

    #[test]
    fn text_says_once_what_is_the_same_and_csv_says_all() {
        let rows = rows(
            "matrix --key fido-2.1 --state no-pin --ceremony get --uv required --discoverable false --platform firefox-linux,chromium-linux",
        );
        let cells: Vec<_> = rows.iter().map(super::cells).collect();
        let text = text(&cells);
        assert!(text.starts_with("KEY: fido-2.1\nSTATE: no-pin\n"), "{text}");
        assert!(
            text.contains("\nPLATFORM        STEPS  UV     END    ERROR"),
            "{text}"
        );
        assert!(
            text.contains("\nfirefox-linux   touch  false  ok     -"),
            "{text}"
        );
        assert!(
            text.contains("\nchromium-linux  touch  -      error  NotAllowedError"),
            "{text}"
        );
        let csv = csv(&cells);
        let line = csv.lines().nth(1).unwrap();
        assert!(
            line.starts_with("fido-2.1,no-pin,get,required,false,accepts,firefox-linux,touch,false,ok,,false,measured,"),
            "{line}"
        );
    }
}
