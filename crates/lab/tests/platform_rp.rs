//! Key, platform and relying party: what a platform hands to the page must satisfy the checks of the
//! relying party, on every key profile and under every policy.
#![allow(clippy::unwrap_used, clippy::panic)]

mod platform_pair;

use authenticator::Profile;
use client::policy::HostPolicy;
use client::report::Ended;
use client::{Caller, Ceremony, Credential};
use platform_pair::{Key, run};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rp::authentication::{self, Who};
use rp::policy::{AuthenticationPolicy, RegistrationPolicy, UserVerificationPolicy};
use rp::{CredentialRecord, Refusal, RelyingParty, TrustAnchors, registration};
use webauthn::options::{
    AttestationConveyancePreference, PublicKeyCredentialUserEntity, ResidentKeyRequirement,
};

const NOW: u64 = 1_800_000_000;

fn party() -> RelyingParty {
    RelyingParty::new(
        "example.org",
        "Example",
        ["https://example.org".parse().unwrap()],
    )
    .unwrap()
}

fn caller() -> Caller {
    Caller::top_level("https://example.org".parse().unwrap())
}

/// Registers; none if the platform or the relying party refused, with a check that refusing was right.
fn register(
    key: &mut Key,
    platform: &std::sync::Arc<client::profile::PlatformProfile>,
    policy: RegistrationPolicy,
    rng: &mut ChaCha20Rng,
) -> Option<CredentialRecord> {
    let user = PublicKeyCredentialUserEntity {
        id: vec![1, 2, 3].into(),
        name: "kim@example.org".into(),
        display_name: "Kim".into(),
    };
    let wanted = policy.user_verification;
    let (options, state) = registration::begin(&party(), policy, user, &[], NOW, rng).unwrap();
    let ceremony = Ceremony::create(options, caller(), platform.clone(), HostPolicy::default());
    let outcome = run(ceremony, key);
    let Ok(Credential::Registration(made)) = &outcome.result else {
        assert_ne!(outcome.report.ended, Ended::Ok);
        return None;
    };
    let anchors = TrustAnchors::default();
    match registration::finish(state, made, false, &anchors, NOW) {
        Ok(verdict) => {
            assert_eq!(Some(verdict.user_verified), outcome.report.uv);
            Some(verdict.record)
        }
        Err(refusal) => {
            refused_rightly(&refusal, outcome.report.uv, wanted, &platform.id);
            None
        }
    }
}

/// The one thing that a relying party may find wrong: a platform that does not honour `required`.
fn refused_rightly(
    refusal: &Refusal,
    uv: Option<bool>,
    wanted: UserVerificationPolicy,
    platform: &str,
) {
    let ignored = matches!(refusal, Refusal::UserVerification { .. })
        && uv == Some(false)
        && wanted == UserVerificationPolicy::Always;
    assert!(
        ignored && platform == "firefox-linux",
        "{platform}: {refusal}"
    );
}

fn sign_in(
    key: &mut Key,
    platform: &std::sync::Arc<client::profile::PlatformProfile>,
    wanted: UserVerificationPolicy,
    record: &CredentialRecord,
    named: bool,
    rng: &mut ChaCha20Rng,
) -> Ended {
    let records = std::slice::from_ref(record);
    let who = if named {
        Who::User {
            handle: &record.user_handle.0,
            credentials: records,
        }
    } else {
        Who::Anyone
    };
    let policy = AuthenticationPolicy::new(wanted);
    let (options, state) = authentication::begin(&party(), policy, who, NOW, rng).unwrap();
    let ceremony = Ceremony::get(options, caller(), platform.clone(), HostPolicy::default());
    let outcome = run(ceremony, key);
    if let Ok(Credential::Authentication(made)) = &outcome.result {
        match authentication::finish(state, made, Some(record), NOW) {
            Ok(verdict) => assert_eq!(Some(verdict.user_verified), outcome.report.uv),
            Err(refusal) => refused_rightly(&refusal, outcome.report.uv, wanted, &platform.id),
        }
    }
    outcome.report.ended
}

#[test]
fn what_a_platform_returns_satisfies_the_relying_party() {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let (mut registered, mut signed_in) = (0, 0);
    for platform in client::profile::all() {
        for (id, text) in authenticator::profile::shipped() {
            let profile = Profile::from_toml(text).unwrap_or_else(|error| panic!("{id}: {error}"));
            for wanted in [
                UserVerificationPolicy::Never,
                UserVerificationPolicy::IfSet,
                UserVerificationPolicy::Always,
            ] {
                for (attestation, resident_key) in [
                    (
                        AttestationConveyancePreference::None,
                        ResidentKeyRequirement::Preferred,
                    ),
                    (
                        AttestationConveyancePreference::Direct,
                        ResidentKeyRequirement::Discouraged,
                    ),
                ] {
                    let mut policy = RegistrationPolicy::new(wanted);
                    policy.attestation = attestation;
                    policy.resident_key = resident_key;
                    let mut key = Key::fresh(&profile);
                    let Some(record) = register(&mut key, &platform, policy, &mut rng) else {
                        continue;
                    };
                    registered += 1;
                    for named in [true, false] {
                        let ended = sign_in(&mut key, &platform, wanted, &record, named, &mut rng);
                        signed_in += u32::from(ended == Ended::Ok);
                    }
                }
            }
        }
    }
    // Most of 15 x 8 x 6 registrations end well, and most sign-ins by name.
    assert!(registered > 350, "{registered}");
    assert!(signed_in > 350, "{signed_in}");
}

/// The story of the updates, with all three parties: "if set" on a key without a PIN.
#[test]
fn signing_in_with_if_set_changes_with_the_updates_of_windows() {
    let mut rng = ChaCha20Rng::seed_from_u64(12);
    let profile = authenticator::profile::find("fido-2.1").unwrap().unwrap();
    let steps = |id: &str, rng: &mut ChaCha20Rng| {
        let platform = client::profile::find(id).unwrap();
        let mut key = Key::fresh(&profile);
        let mut policy = RegistrationPolicy::new(UserVerificationPolicy::Never);
        policy.resident_key = ResidentKeyRequirement::Discouraged;
        let record = register(&mut key, &platform, policy, rng).unwrap();
        assert_eq!(key.facts().client_pin, Some(false));
        let ended = sign_in(
            &mut key,
            &platform,
            UserVerificationPolicy::IfSet,
            &record,
            true,
            rng,
        );
        assert_eq!(ended, Ended::Ok, "{id}");
        key.facts().client_pin
    };
    assert_eq!(
        steps("windows-11-before-kb5065789", &mut rng),
        Some(false),
        "no PIN afterwards"
    );
    assert_eq!(
        steps("windows-11-after-kb5068861", &mut rng),
        Some(true),
        "a PIN was created"
    );
}
