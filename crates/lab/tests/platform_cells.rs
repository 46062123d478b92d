//! Every cell of every platform with the real key: client and authenticator together must end as the
//! pure function says.
//!
//! The facts of the decision are read from the key's own getInfo, so the two crates check each other.
#![allow(clippy::unwrap_used, clippy::panic)]

mod platform_pair;

use std::collections::HashMap;
use std::sync::Arc;

use authenticator::{Profile, State};
use client::profile::PlatformProfile;
use client::report::Ended;
use client::uv::{Ceremony as Kind, CredentialList, Facts, KeyFacts, disposition, domain};
use client::{Caller, Ceremony, Credential};
use platform_pair::{Key, run};
use webauthn::base64url;

/// The profile of a key of the domain.
fn profile_of(key: &KeyFacts) -> Profile {
    let mut options = Vec::new();
    let mut extensions = vec!["\"hmac-secret\""];
    let level_2_1 = key.pin_uv_auth_token;
    let mut on = |name: &str, value: bool| {
        if value {
            options.push(format!("{name} = true"));
        }
    };
    on("rk", key.rk);
    on("clientPin", key.client_pin.is_some());
    on("uv", key.uv.is_some());
    on("pinUvAuthToken", level_2_1);
    on("credMgmt", level_2_1);
    on("authnrCfg", level_2_1);
    on("setMinPINLength", level_2_1 && key.client_pin.is_some());
    on("alwaysUv", key.always_uv);
    on("makeCredUvNotRqd", key.make_cred_uv_not_rqd);
    // Also on the 2.0 keys here, so that level 3 credentials exist on every key.
    extensions.push("\"credProtect\"");
    if level_2_1 && key.client_pin.is_some() {
        extensions.push("\"minPinLength\"");
    }
    if !key.ctap2 {
        extensions.clear();
    }
    let text = format!(
        "id = \"cell\"\nname = \"cell\"\nabout = \"a key of the domain\"\n\
         aaguid = \"00000000-0000-0000-0000-000000000001\"\n\
         ctap1 = {}\nctap2 = {}\nmembers = \"{}\"\ntransports = [\"usb\"]\nextensions = [{}]\n\
         [options]\n{}\n[pin]\nprotocols = [{}]\n[built_in_uv]\nenrolled = {}\n\
         [credentials]\nalgorithms = [-7]\n[attestation]\nkind = \"self\"\n",
        key.u2f_v2,
        key.ctap2,
        if level_2_1 { "2.1" } else { "2.0" },
        extensions.join(", "),
        options.join("\n"),
        if level_2_1 { "2, 1" } else { "1" },
        key.uv == Some(true),
    );
    Profile::from_toml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Keys in their states, made once for each kind of key and list.
#[derive(Default)]
struct Keys {
    made: HashMap<(KeyFacts, Kind, CredentialList), Made>,
}

/// A key, the credential that a list speaks of, and what getInfo says.
type Made = (Profile, State, Option<Vec<u8>>, KeyFacts);

impl Keys {
    /// The key of a cell, the credential that its list speaks of, and what getInfo says.
    fn of(&mut self, facts: &Facts) -> (Key, Option<Vec<u8>>, KeyFacts) {
        let (profile, state, listed, read) = self
            .made
            .entry((facts.key, facts.ceremony, facts.list))
            .or_insert_with(|| prepare(facts));
        (Key::new(profile, state.clone()), listed.clone(), *read)
    }
}

fn prepare(facts: &Facts) -> (Profile, State, Option<Vec<u8>>, KeyFacts) {
    let profile = profile_of(&facts.key);
    let mut key = Key::fresh(&profile);
    // An alwaysUv key without any method makes no credential, so the PIN comes first.
    let with_pin = facts.key.client_pin == Some(true);
    if with_pin {
        key.set_pin();
    }
    let can_make =
        facts.key.ctap2 && (!facts.key.always_uv || with_pin || facts.key.uv == Some(true));
    let listed = match (facts.ceremony, facts.list) {
        (Kind::Create, CredentialList::Empty) | (_, CredentialList::NoMatch) => None,
        _ if !can_make => None,
        (_, CredentialList::Empty) => Some(key.make(true, None)),
        (_, CredentialList::Match) => Some(key.make(false, None)),
        (_, CredentialList::Hidden) => Some(key.make(false, Some(3))),
    };
    if facts.key.force_pin_change {
        key.force_pin_change();
    }
    if facts.key.pin_blocked {
        key.block_pin();
    }
    key.power_cycle();
    let read = key.facts();
    let state = key.key.state().clone();
    (profile, state, listed, read)
}

fn ceremony_of(facts: &Facts, listed: Option<&[u8]>, platform: &Arc<PlatformProfile>) -> Ceremony {
    let uv = facts.user_verification.as_str();
    let list = match facts.list {
        CredentialList::Empty => "[]".to_owned(),
        _ => {
            let id = base64url::encode(listed.unwrap_or(b"a stranger to this key"));
            format!(r#"[{{"type":"public-key","id":"{id}"}}]"#)
        }
    };
    let caller = Caller::top_level("https://example.org".parse().unwrap());
    let challenge = "AAECAwQFBgcICQoLDA0ODw";
    match facts.ceremony {
        Kind::Create => {
            let extensions = if facts.prf { r#"{"prf":{}}"# } else { "{}" };
            let rk = facts.resident_key.as_str();
            let options = format!(
                r#"{{"rp":{{"name":"Example"}},"user":{{"id":"AQ","name":"kim","displayName":""}},
                "challenge":"{challenge}","pubKeyCredParams":[{{"type":"public-key","alg":-7}}],
                "excludeCredentials":{list},"extensions":{extensions},
                "authenticatorSelection":{{"residentKey":"{rk}","userVerification":"{uv}"}}}}"#
            );
            let options = serde_json::from_str(&options).unwrap();
            Ceremony::create(options, caller, platform.clone(), facts.policy)
        }
        Kind::Get => {
            let extensions = if facts.prf {
                r#"{"prf":{"eval":{"first":"AQ"}}}"#
            } else {
                "{}"
            };
            let options = format!(
                r#"{{"challenge":"{challenge}","allowCredentials":{list},
                "userVerification":"{uv}","extensions":{extensions}}}"#
            );
            let options = serde_json::from_str(&options).unwrap();
            Ceremony::get(options, caller, platform.clone(), facts.policy)
        }
    }
}

/// What a cell of the domain becomes with this key: an alwaysUv key without a PIN cannot hold the
/// credential that the list would speak of, and this key enrols no fingers.
fn as_it_is(facts: &Facts, listed: Option<&[u8]>, read: KeyFacts) -> Option<Facts> {
    let list = match (facts.ceremony, facts.list) {
        (Kind::Get, CredentialList::Empty) if listed.is_none() && facts.key.ctap2 => return None,
        (_, CredentialList::Match | CredentialList::Hidden) if listed.is_none() => {
            CredentialList::NoMatch
        }
        (_, list) => list,
    };
    Some(Facts {
        key: read,
        list,
        ..*facts
    })
}

fn check(id: &str) {
    let platform = client::profile::find(id).unwrap();
    let mut keys = Keys::default();
    let mut wrong = Vec::new();
    let mut run_cells = 0;
    for facts in domain() {
        let (mut key, listed, read) = keys.of(&facts);
        assert_eq!(
            KeyFacts {
                bio_enroll: facts.key.bio_enroll,
                ..read
            },
            facts.key,
            "the key says about itself what the cell is about"
        );
        let Some(facts) = as_it_is(&facts, listed.as_deref(), read) else {
            continue;
        };
        let decided = disposition(&facts, &platform);
        let expected = decided.expected(&facts, &platform);
        let outcome = run(ceremony_of(&facts, listed.as_deref(), &platform), &mut key);
        run_cells += 1;
        let error = outcome.result.as_ref().err().map(|failure| failure.name);
        let same = outcome.report.steps == expected.steps
            && outcome.report.ended == expected.ended
            && outcome.report.uv == expected.uv
            && (expected.ended != Ended::Error || error == expected.error);
        if let (Ok(Credential::Authentication(made)), Some(listed)) = (&outcome.result, &listed) {
            assert_eq!(made.raw_id.0, *listed);
        }
        if !same {
            wrong.push(format!(
                "{}\n  {:?}\n  expected {expected:?}\n  got {:?} uv {:?} {:?} {:?}",
                facts.columns(),
                decided.action,
                outcome.report.steps,
                outcome.report.uv,
                outcome.report.ended,
                outcome.result.err(),
            ));
        }
    }
    assert!(run_cells > 3000, "{run_cells}");
    assert!(
        wrong.is_empty(),
        "{id}: {} of {run_cells} cells differ:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(10)].join("\n")
    );
}

macro_rules! platforms {
    ($($name:ident: $id:literal,)*) => {
        $( #[test] fn $name() { check($id); } )*

        #[test]
        fn no_platform_is_left_out() {
            let run = [$($id),*];
            for (id, _) in client::profile::shipped() {
                assert!(run.contains(id), "{id} is not run");
            }
        }
    };
}

platforms! {
    the_text: "webauthn-l3",
    our_own: "pinward",
    windows_11_before: "windows-11-before-kb5065789",
    windows_11_between: "windows-11-between-updates",
    windows_11_after: "windows-11-after-kb5068861",
    windows_10_22h2: "windows-10-22h2",
    windows_11_21h2: "windows-11-21h2",
    windows_11_22h2_home: "windows-11-22h2-home",
    windows_11_22h2_enterprise: "windows-11-22h2-enterprise",
    windows_11_23h2: "windows-11-23h2",
    chromium: "chromium-linux",
    firefox: "firefox-linux",
    webkit: "webkit",
    android_before_26_03: "android-before-26-03",
    android_after_26_03: "android-after-26-03",
    python_fido2: "python-fido2",
    libwebauthn: "libwebauthn",
}
