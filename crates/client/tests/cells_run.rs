//! Every cell of every platform is run: ceremony against a fake key, and must end as the pure
//! function says.
#![allow(clippy::unwrap_used, clippy::panic)]

mod fake;

use std::sync::Arc;

use client::profile::PlatformProfile;
use client::report::Ended;
use client::uv::{Ceremony as Kind, CredentialList, Facts, disposition, domain};
use client::{Ceremony, Outcome};
use fake::{FakeKey, Person, caller, platform, run};
use webauthn::base64url;

/// The key of a cell, with the credentials that its list speaks of.
fn key_of(facts: &Facts) -> FakeKey {
    let key = FakeKey::new(facts.key);
    match (facts.ceremony, facts.list) {
        (_, CredentialList::Match) => key.with_cred(b"known", false, 1),
        (_, CredentialList::Hidden) => key.with_cred(b"known", false, 3),
        (Kind::Get, CredentialList::Empty) => key.with_cred(b"found", true, 1),
        _ => key,
    }
}

fn list_of(facts: &Facts) -> String {
    let name: &[u8] = match facts.list {
        CredentialList::Empty => return "[]".to_owned(),
        CredentialList::Match | CredentialList::Hidden => b"known",
        CredentialList::NoMatch => b"stranger",
    };
    format!(
        r#"[{{"type":"public-key","id":"{}"}}]"#,
        base64url::encode(name)
    )
}

fn ceremony_of(facts: &Facts, platform: &Arc<PlatformProfile>) -> Ceremony {
    let uv = facts.user_verification.as_str();
    let list = list_of(facts);
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
            Ceremony::create(options, caller(), platform.clone(), facts.policy)
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
            Ceremony::get(options, caller(), platform.clone(), facts.policy)
        }
    }
}

fn check_platform(id: &str) -> usize {
    let profile = platform(id);
    let mut wrong = Vec::new();
    let mut count = 0;
    for facts in domain() {
        let decided = disposition(&facts, &profile);
        let expected = decided.expected(&facts, &profile);
        let mut key = key_of(&facts);
        let Outcome { result, report } = run(
            ceremony_of(&facts, &profile),
            &mut key,
            &mut Person::default(),
        );
        count += 1;
        let error = result.as_ref().err().map(|failure| failure.name);
        let same = report.steps == expected.steps
            && report.ended == expected.ended
            && report.uv == expected.uv
            && (report.ended != Ended::Error || error == expected.error);
        if !same {
            wrong.push(format!(
                "{}\n  expected {expected:?}\n  got {:?} uv {:?} {:?} {error:?}",
                facts.columns(),
                report.steps,
                report.uv,
                report.ended
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{id}: {} cells differ:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(12)].join("\n")
    );
    count
}

macro_rules! platforms {
    ($($name:ident: $id:literal,)*) => {
        $( #[test] fn $name() { assert_eq!(check_platform($id), domain().len()); } )*

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
