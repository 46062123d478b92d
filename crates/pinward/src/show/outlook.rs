//! What each platform will do with this very key at never, if set and always.

use std::fmt::Write as _;

use client::manage::{Outlook, outlook};
use client::report::Ended;
use client::uv::{Ceremony, KeyFacts};
use serde_json::{Value, json};

use crate::say;

/// The settings of a site, as the demo page names them.
const SETTINGS: [&str; 3] = ["never", "if set", "always"];

/// `platforms` of `pinward.show/1`.
pub(super) fn json(key: KeyFacts) -> Value {
    let rows: Vec<_> = client::profile::all()
        .iter()
        .map(|platform| {
            let cells = outlook(key, platform);
            let of = |ceremony| -> Value {
                let named = [("never", 0), ("ifSet", 1), ("always", 2)].into_iter();
                named
                    .filter_map(|(name, n)| {
                        let cell = cells.iter().filter(|c| c.ceremony == ceremony).nth(n)?;
                        Some((name.to_owned(), cell_json(cell)))
                    })
                    .collect()
            };
            json!({
                "platform": platform.id,
                "name": platform.name,
                "create": of(Ceremony::Create),
                "get": of(Ceremony::Get),
            })
        })
        .collect();
    json!(rows)
}

fn cell_json(cell: &Outlook) -> Value {
    json!({
        "action": cell.disposition.action.text(),
        "steps": cell.expected.steps,
        "uv": cell.expected.uv,
        "ended": cell.expected.ended,
        "error": cell.expected.error.map(|name| name.name()),
        "reasons": cell.disposition.reasons,
    })
}

/// Both ceremonies, platforms that do the same put together.
pub(super) fn text(key: KeyFacts) -> String {
    let mut text = String::from("\n");
    text.push_str(&say::wrapped(
        "",
        0,
        "What platforms do with this key, by what the site sets as \"PIN\" (userVerification: discouraged, \
         preferred, required)",
    ));
    let ceremonies = [
        (Ceremony::Get, "Signing in"),
        (Ceremony::Create, "Registering"),
    ];
    for (ceremony, title) in ceremonies {
        let _ = writeln!(text, "\n{title}");
        for (cells, platforms) in groups(key, ceremony) {
            for (setting, cell) in SETTINGS.iter().zip(&cells) {
                text.push_str(&say::wrapped(&format!("  {setting:8}"), 10, cell));
            }
            text.push_str(&say::wrapped("      ", 6, &platforms.join(", ")));
        }
    }
    text.push('\n');
    let why = "Why: pinward explain --device, or the member `platforms` of --json.";
    text.push_str(&say::wrapped("", 0, why));
    text
}

/// Rows that are alike, in the order of their first platform.
fn groups(key: KeyFacts, ceremony: Ceremony) -> Vec<(Vec<String>, Vec<String>)> {
    let mut groups: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for platform in client::profile::all() {
        let cells: Vec<_> = outlook(key, &platform)
            .iter()
            .filter(|cell| cell.ceremony == ceremony)
            .map(words)
            .collect();
        match groups.iter_mut().find(|(others, _)| *others == cells) {
            Some((_, platforms)) => platforms.push(platform.id.clone()),
            None => groups.push((cells, vec![platform.id.clone()])),
        }
    }
    groups
}

/// One cell in words.
fn words(cell: &Outlook) -> String {
    let expected = &cell.expected;
    let steps: Vec<_> = expected.steps.iter().map(|step| step.name()).collect();
    let steps = steps.join(", ");
    let verified = match expected.uv {
        Some(true) => " (user verified)",
        _ => "",
    };
    match expected.ended {
        Ended::Ok => format!("{steps}{verified}"),
        Ended::Error if steps.is_empty() => "fails".to_owned(),
        Ended::Error => format!("{steps}, then fails"),
        Ended::Loop => format!("{steps}, and so on for ever"),
        Ended::Hang if steps.is_empty() => "never ends".to_owned(),
        Ended::Hang => format!("{steps}, then never ends"),
        Ended::Unknown => "not known".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_is_in_exactly_one_group() {
        let key = KeyFacts {
            ctap2: true,
            client_pin: Some(false),
            pin_uv_auth_token: true,
            rk: true,
            ..KeyFacts::u2f_only()
        };
        for ceremony in [Ceremony::Create, Ceremony::Get] {
            let mut named: Vec<_> = groups(key, ceremony)
                .into_iter()
                .flat_map(|(_, platforms)| platforms)
                .collect();
            named.sort();
            let mut all: Vec<_> = client::profile::all()
                .iter()
                .map(|p| p.id.clone())
                .collect();
            all.sort();
            assert_eq!(named, all);
        }
        let said = text(key);
        let after = said.find("windows-11-after-kb5068861").unwrap_or_default();
        assert!(
            said[..after].contains("if set  create-pin, touch (user verified)"),
            "{said}"
        );
        assert!(
            said.lines().all(|line| line.chars().count() <= 88),
            "{said}"
        );
    }
}
