//! What real browsers were seen to do (`vectors/witness/`), against what the lab predicts for them.
//!
//! `cargo xtask witness` measures anew.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;

use authenticator::Profile;
use client::policy::HostPolicy;
use lab::{Ceremony, KeyState, Request, Run, Scenario, UserAction};
use rp::policy::UserVerificationPolicy;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Witness {
    schema: String,
    platform: String,
    version: String,
    date: String,
    cells: Vec<Cell>,
}

#[derive(Deserialize)]
struct Cell {
    key: String,
    key_state: KeyState,
    request: Asked,
    user: UserAction,
    steps: Value,
    uv: Option<bool>,
    outcome: String,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    ceremony: Ceremony,
    user_verification: String,
    discoverable: bool,
}

impl Cell {
    fn run(&self, platform: &str) -> Run {
        let profile: Profile = authenticator::profile::find(&self.key).unwrap().unwrap();
        let user_verification = match self.request.user_verification.as_str() {
            "discouraged" => UserVerificationPolicy::Never,
            "preferred" => UserVerificationPolicy::IfSet,
            "required" => UserVerificationPolicy::Always,
            other => panic!("{other}"),
        };
        Scenario {
            platform: client::profile::find(platform).unwrap(),
            host: HostPolicy::default(),
            key: &profile,
            key_state: self.key_state,
            request: Request {
                ceremony: self.request.ceremony,
                user_verification,
                discoverable: self.request.discoverable,
            },
            user: self.user,
        }
        .run()
        .unwrap()
    }

    fn seen(&self) -> Value {
        json!([self.steps, self.uv, self.outcome, self.error])
    }

    fn name(&self) -> String {
        let asked = &self.request;
        format!(
            "{} {} {:?} {} discoverable: {} {:?}",
            self.key,
            self.key_state.id(),
            asked.ceremony,
            asked.user_verification,
            asked.discoverable,
            self.user
        )
    }

    fn is_usual(&self) -> bool {
        self.key == "fido-2.1" && self.user == UserAction::Accepts
    }

    /// Firefox's authenticator-rs asks a CTAP 2.0 key with a sensor for verification with the options
    /// `uv` before `up`: not the canonical order of CTAP 2.3 §8, and the software key checks it. Keys
    /// that do not check it verify their user, so the profile says that.
    fn refused_for_its_order(&self, platform: &str) -> bool {
        platform == "firefox-linux"
            && self.key == "fido-2.0-bio"
            && self.request.ceremony == Ceremony::Get
            && self.request.user_verification != "discouraged"
    }
}

fn predicted(run: &Run) -> Value {
    let report = serde_json::to_value(&run.report).unwrap();
    let error = run
        .failure
        .as_ref()
        .map(|failure| serde_json::to_value(failure.name).unwrap());
    json!([report["steps"], report["uv"], report["ended"], error])
}

/// The cells of a browser that this platform does not predict.
fn missed(witness: &Witness, platform: &str) -> Vec<String> {
    let differs = |cell: &&Cell| {
        let agrees = predicted(&cell.run(platform)) == cell.seen();
        agrees == cell.refused_for_its_order(platform)
    };
    let told = |cell: &Cell| {
        let predicted = predicted(&cell.run(platform));
        format!(
            "{}: seen {}, predicted {predicted}",
            cell.name(),
            cell.seen()
        )
    };
    witness.cells.iter().filter(differs).map(told).collect()
}

fn witnesses() -> Vec<Witness> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/witness");
    let files = std::fs::read_dir(folder).unwrap();
    files
        .map(|file| serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap())
        .collect()
}

#[test]
fn what_browsers_do_is_what_their_profiles_predict() {
    let witnesses = witnesses();
    assert!(witnesses.len() >= 2);
    for witness in &witnesses {
        assert_eq!(witness.schema, "pinward.witness/1");
        assert!(!witness.version.is_empty() && witness.date.len() == 10);
        let missed = missed(witness, &witness.platform);
        assert!(
            missed.is_empty(),
            "{}:\n{}",
            witness.platform,
            missed.join("\n")
        );
    }
}

/// Every state of the model whose states are all within reach, both ceremonies, all settings.
#[test]
fn no_cell_of_the_usual_key_is_left_out() {
    for witness in witnesses() {
        let cells: BTreeSet<_> = witness
            .cells
            .iter()
            .filter(|cell| cell.is_usual())
            .map(Cell::name)
            .collect();
        assert_eq!(
            cells.len(),
            KeyState::ALL.len() * 2 * 2 * 3,
            "{}",
            witness.platform
        );
    }
}

/// The comparison can fail: no browser is predicted by the other one's profile.
#[test]
fn the_profile_of_another_platform_does_not_predict_them() {
    for mut witness in witnesses() {
        witness.cells.retain(Cell::is_usual);
        for other in ["chromium-linux", "firefox-linux"] {
            if other != witness.platform {
                let missed = missed(&witness, other).len();
                assert!(missed >= 30, "{} as {other}: {missed}", witness.platform);
            }
        }
    }
}
