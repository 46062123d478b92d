//! Flows, sealed states, extension inputs, signals and related origins: what each begins with, and
//! that it is enforced on the answer.
#![allow(clippy::unwrap_used, clippy::panic, clippy::too_many_lines)] // tables are long

mod common;

use common::made::{self, USER};
use common::{Dice, Fixed, NOW};
use rp::authentication::{self, Who};
use rp::policy::{AuthenticationPolicy, Flow, RegistrationPolicy, UserVerificationPolicy};
use rp::seal::{SealError, SealingKeys};
use rp::{
    BeginError, CredentialRecord, Refusal, RelatedOrigins, RelyingParty, registration, signal,
};
use webauthn::authenticator_data::Flags;
use webauthn::options::{
    AuthenticationExtensionsClientInputsJson as Inputs, CredentialPropertiesOutput,
    CredentialProtectionPolicy, LargeBlobInputsJson, LargeBlobOutputsJson, LargeBlobSupport,
    PrfInputsJson, PrfOutputsJson, PrfValuesJson, PublicKeyCredentialUserEntity,
    ResidentKeyRequirement, UserVerificationRequirement,
};

fn record() -> CredentialRecord {
    made::registration(UserVerificationPolicy::Never)
        .run()
        .unwrap()
        .record
}

fn begin_registration(
    policy: RegistrationPolicy,
) -> Result<(serde_json::Value, registration::ChallengeState), BeginError> {
    let user = PublicKeyCredentialUserEntity {
        id: USER.into(),
        name: "kim".into(),
        display_name: "Kim".into(),
    };
    let mut rng = Fixed((0..32).collect());
    let (options, state) = registration::begin(&made::rp(), policy, user, &[], NOW, &mut rng)?;
    Ok((serde_json::to_value(options).unwrap(), state))
}

fn begin_authentication(
    policy: AuthenticationPolicy,
    credentials: &[CredentialRecord],
) -> Result<(serde_json::Value, authentication::ChallengeState), BeginError> {
    let who = match credentials {
        [] => Who::Anyone,
        credentials => Who::User {
            handle: &USER,
            credentials,
        },
    };
    let mut rng = Fixed((100..132).collect());
    let (options, state) = authentication::begin(&made::rp(), policy, who, NOW, &mut rng)?;
    Ok((serde_json::to_value(options).unwrap(), state))
}

/// The table of the documentation: what each flow sends.
#[test]
fn each_flow_sends_what_the_documentation_says() {
    use ResidentKeyRequirement as Rk;
    use UserVerificationRequirement as Uv;
    let table = [
        (
            Flow::SecondFactor,
            Uv::Discouraged,
            Rk::Discouraged,
            &["security-key"][..],
            true,
        ),
        (Flow::Passwordless, Uv::Required, Rk::Required, &[], false),
        (
            Flow::ReAuthentication,
            Uv::Required,
            Rk::Preferred,
            &[],
            true,
        ),
        (
            Flow::Kiosk,
            Uv::Discouraged,
            Rk::Discouraged,
            &["security-key"],
            true,
        ),
    ];
    assert_eq!(table.map(|row| row.0), Flow::ALL);
    let hints = |options: &serde_json::Value| match &options["hints"] {
        serde_json::Value::Null => vec![],
        hints => serde_json::from_value::<Vec<String>>(hints.clone()).unwrap(),
    };
    for (flow, uv, rk, expected_hints, named) in table {
        let (options, state) = begin_registration(flow.registration()).unwrap();
        let selection = &options["authenticatorSelection"];
        assert_eq!(selection["userVerification"], uv.as_str(), "{flow}");
        assert_eq!(selection["residentKey"], rk.as_str(), "{flow}");
        assert_eq!(hints(&options), expected_hints, "{flow}");
        assert_eq!(options["timeout"], 300_000, "{flow}");
        assert_eq!(options["extensions"]["credProps"], true, "{flow}");
        assert_eq!(state.policy().flow, Some(flow));
        let attachment = &selection["authenticatorAttachment"];
        assert_eq!(
            attachment == "cross-platform",
            flow == Flow::Kiosk,
            "{flow}"
        );

        let (options, state) = begin_authentication(flow.authentication(), &[record()]).unwrap();
        assert_eq!(options["userVerification"], uv.as_str(), "{flow}");
        assert_eq!(hints(&options), expected_hints, "{flow}");
        assert_eq!(state.policy().flow, Some(flow));
        let anybody = begin_authentication(flow.authentication(), &[]).map(drop);
        let expected = if named {
            Err(BeginError::NobodyNamed)
        } else {
            Ok(())
        };
        assert_eq!(anybody, expected, "{flow}");
    }
}

/// And what each enforces on the answer: the flags that pass at sign-in.
#[test]
fn each_flow_enforces_what_the_documentation_says() {
    let synced = Flags::UP.with(Flags::BE, true).with(Flags::BS, true);
    let verified = Flags::UP.with(Flags::UV, true);
    let table = [
        (Flow::SecondFactor, [true, true, true]),
        (Flow::Passwordless, [false, true, false]),
        (Flow::ReAuthentication, [false, true, false]),
        (Flow::Kiosk, [true, true, false]),
    ];
    for (flow, expected) in table {
        for (flags, passes) in [Flags::UP, verified, synced].into_iter().zip(expected) {
            let mut made = made::authentication(UserVerificationPolicy::Never);
            made.policy = flow.authentication();
            made.record.as_mut().unwrap().backup_eligible = flags.backup_eligible();
            made.flags = flags;
            assert_eq!(made.run().is_ok(), passes, "{flow} {flags}");
            let mut made = made::registration(UserVerificationPolicy::Never);
            made.policy = flow.registration();
            made.flags = flags;
            assert_eq!(made.run().is_ok(), passes, "registration, {flow} {flags}");
        }
    }
}

#[test]
fn a_conditional_call_has_no_timeout_and_a_longer_challenge() {
    let policy = Flow::Passwordless.authentication().conditional();
    assert_eq!(policy.mediation(), Some("conditional"));
    let (options, state) = begin_authentication(policy, &[]).unwrap();
    assert!(options.get("timeout").is_none() && options.get("allowCredentials").is_none());
    assert_eq!(state.expires_at(), NOW + 600);
    let mut made = made::authentication(UserVerificationPolicy::Never);
    made.policy = Flow::Passwordless.authentication().conditional();
    (made.user, made.seconds) = (None, 599);
    made.flags = Flags::UP.with(Flags::UV, true);
    made.run().unwrap();
    made.seconds = 600;
    assert_eq!(made.run().unwrap_err().code(), "expired");

    // A conditional creation needs no touch; any other does.
    let mut made = made::registration(UserVerificationPolicy::IfSet);
    made.flags = Flags(0);
    assert_eq!(made.policy.mediation(), None);
    assert_eq!(made.run().unwrap_err().code(), "user-presence");
    made.policy.conditional = true;
    assert_eq!(made.policy.mediation(), Some("conditional"));
    made.run().unwrap();
}

#[test]
fn advice_is_given_where_a_policy_may_not_work_as_meant() {
    let advice = |change: fn(&mut RegistrationPolicy), uv| {
        let mut policy = RegistrationPolicy::new(uv);
        change(&mut policy);
        policy.advice().len()
    };
    use UserVerificationPolicy::{Always, IfSet, Never};
    assert_eq!(advice(|_| {}, Never), 0);
    assert_eq!(advice(|_| {}, IfSet), 1);
    assert_eq!(advice(|p| p.timeout = 60_000, Never), 1);
    assert_eq!(advice(|p| p.conditional = true, Always), 1);
    assert_eq!(
        advice(
            |p| p.attestation_trust = rp::policy::AttestationTrustPolicy::Trusted,
            Never
        ),
        1
    );
    assert_eq!(AuthenticationPolicy::new(Never).advice().len(), 1);
    assert_eq!(AuthenticationPolicy::new(Always).advice().len(), 0);
}

#[test]
fn a_sealed_state_opens_only_where_and_for_what_it_was_sealed() {
    let (old, new) = (SealingKeys::new(&[1; 32]), SealingKeys::new(&[2; 32]));
    let both = SealingKeys::new(&[2; 32]).with_previous(&[1; 32]);
    let mut rng = Fixed((0..24).collect());
    let made = made::authentication(UserVerificationPolicy::Always);
    let state = made.begin();
    let text = state.seal(&old, b"session 1", &mut rng).unwrap();
    let open = authentication::ChallengeState::unseal;
    assert_eq!(open(&text, &old, b"session 1").unwrap(), state);
    assert_eq!(open(&text, &both, b"session 1").unwrap(), state);
    for (keys, context) in [(&new, "session 1"), (&old, "session 2"), (&old, "")] {
        let result = open(&text, keys, context.as_bytes());
        assert_eq!(result, Err(SealError::NotSealedHere), "{context}");
    }
    // Not as the state of the other ceremony.
    let result = registration::ChallengeState::unseal(&text, &old, b"session 1");
    assert_eq!(result, Err(SealError::NotSealedHere));
    // Nothing of it can be read.
    let bytes = webauthn::base64url::decode(&text).unwrap();
    assert!(!bytes.windows(11).any(|window| window == b"example.org"));
    // It is new each time, and secrets do not show.
    let again = state.seal(&old, b"session 1", &mut Fixed(vec![9])).unwrap();
    assert_ne!(text, again);
    assert!(!format!("{old:?}").contains('1'));
}

#[test]
fn a_changed_bit_of_a_sealed_state_is_refused() {
    let keys = SealingKeys::new(&[1; 32]);
    let state = made::registration(UserVerificationPolicy::Never).begin();
    let text = state.seal(&keys, b"", &mut Fixed(vec![3])).unwrap();
    let bytes = webauthn::base64url::decode(&text).unwrap();
    let open = |bytes: &[u8]| {
        let text = webauthn::base64url::encode(bytes);
        registration::ChallengeState::unseal(&text, &keys, b"")
    };
    assert_eq!(open(&bytes).unwrap(), state);
    let mut dice = Dice(5);
    for _ in 0..2000 {
        let mut changed = bytes.clone();
        changed[dice.below(bytes.len())] ^= 1 << dice.below(8);
        assert!(open(&changed).is_err());
    }
    for length in 0..bytes.len() {
        assert!(open(&bytes[..length]).is_err());
    }
    for text in ["", "?", "AAAA=", "AQ"] {
        let result = registration::ChallengeState::unseal(text, &keys, b"");
        assert_eq!(result, Err(SealError::Syntax), "{text}");
    }
}

#[test]
fn a_sealed_state_still_enforces_its_policy() {
    let keys = SealingKeys::new(&[1; 32]);
    let made = made::authentication(UserVerificationPolicy::Always);
    let text = made.begin().seal(&keys, b"s", &mut Fixed(vec![3])).unwrap();
    let state = authentication::ChallengeState::unseal(&text, &keys, b"s").unwrap();
    let response = made.answer(state.challenge());
    let refusal = authentication::finish(state, &response, made.record.as_ref(), NOW);
    assert_eq!(refusal.unwrap_err().code(), "user-verification");
}

#[test]
fn extensions_that_are_asked_for_wrongly_do_not_begin() {
    let values = || PrfValuesJson {
        first: vec![1].into(),
        second: None,
    };
    let blob = |change: fn(&mut LargeBlobInputsJson)| {
        let mut blob = LargeBlobInputsJson::default();
        change(&mut blob);
        Some(blob)
    };
    let by_credential = |id: &str| {
        Some(PrfInputsJson {
            eval: None,
            eval_by_credential: Some([(id.to_owned(), values())].into()),
        })
    };
    let with = |change: &dyn Fn(&mut Inputs)| {
        let mut inputs = Inputs::default();
        change(&mut inputs);
        Some(inputs)
    };
    let id = webauthn::base64url::encode([3; 32]);
    let registrations = [
        (
            "appid",
            with(&|i| i.appid = Some("https://example.org".into())),
        ),
        ("getCredBlob", with(&|i| i.get_cred_blob = Some(true))),
        ("prf", with(&|i| i.prf = by_credential(&id))),
        (
            "largeBlob",
            with(&|i| i.large_blob = blob(|b| b.read = Some(true))),
        ),
        (
            "credProtect",
            with(&|i| i.enforce_credential_protection_policy = Some(true)),
        ),
        (
            "credBlob",
            with(&|i| i.cred_blob = Some(vec![0; 33].into())),
        ),
    ];
    for (name, inputs) in registrations {
        let mut policy = RegistrationPolicy::new(UserVerificationPolicy::Never);
        policy.extensions = inputs;
        let error = begin_registration(policy).unwrap_err();
        assert!(
            matches!(error, BeginError::Extension { extension, .. } if extension == name),
            "{name}: {error}"
        );
    }
    let protection = CredentialProtectionPolicy::UserVerificationRequired;
    let authentications = [
        (
            "appidExclude",
            with(&|i| i.appid_exclude = Some("https://example.org".into())),
        ),
        ("credProps", with(&|i| i.cred_props = Some(true))),
        ("credBlob", with(&|i| i.cred_blob = Some(vec![1].into()))),
        ("minPinLength", with(&|i| i.min_pin_length = Some(true))),
        (
            "credProtect",
            with(&|i| i.credential_protection_policy = Some(protection)),
        ),
        (
            "largeBlob",
            with(&|i| i.large_blob = blob(|b| b.support = Some(LargeBlobSupport::Preferred))),
        ),
        (
            "largeBlob",
            with(&|i| {
                i.large_blob = blob(|b| (b.read, b.write) = (Some(true), Some(vec![1].into())))
            }),
        ),
        ("prf", with(&|i| i.prf = by_credential("AAAA"))),
    ];
    for (name, inputs) in authentications {
        let mut policy = AuthenticationPolicy::new(UserVerificationPolicy::Never);
        policy.extensions = inputs;
        let error = begin_authentication(policy, &[record()])
            .map(drop)
            .unwrap_err();
        assert!(
            matches!(error, BeginError::Extension { extension, .. } if extension == name),
            "{name}: {error}"
        );
    }
    // What is right begins.
    let right = [
        with(&|i| i.prf = by_credential(&id)),
        with(&|i| i.large_blob = blob(|b| b.write = Some(vec![1].into()))),
        with(&|i| i.large_blob = blob(|b| b.read = Some(true))),
    ];
    for inputs in right {
        let mut policy = AuthenticationPolicy::new(UserVerificationPolicy::Never);
        policy.extensions = inputs.clone();
        begin_authentication(policy.clone(), &[record()]).unwrap();
        let writes = inputs
            .unwrap()
            .large_blob
            .is_some_and(|blob| blob.write.is_some());
        if writes {
            assert!(begin_authentication(policy, &[record(), record()]).is_err());
        }
    }
}

#[test]
fn the_verdict_tells_what_the_client_says_but_no_secrets() {
    let mut made = made::registration(UserVerificationPolicy::Never);
    made.policy.extensions = Some(Inputs {
        cred_props: Some(true),
        prf: Some(PrfInputsJson::default()),
        large_blob: Some(LargeBlobInputsJson::default()),
        ..Default::default()
    });
    made.outputs.cred_props = Some(CredentialPropertiesOutput { rk: Some(true) });
    made.outputs.prf = Some(PrfOutputsJson {
        enabled: Some(true),
        results: Some(PrfValuesJson {
            first: vec![0xee; 32].into(),
            second: None,
        }),
    });
    made.outputs.large_blob = Some(LargeBlobOutputsJson {
        supported: Some(true),
        ..Default::default()
    });
    let verdict = made.run().unwrap();
    let told = verdict.client_extensions;
    assert_eq!(
        (
            told.discoverable,
            told.prf_enabled,
            told.large_blob_supported
        ),
        (Some(true), Some(true), Some(true))
    );
    let text = serde_json::to_string(&verdict).unwrap();
    assert!(
        !text.contains(&webauthn::base64url::encode([0xee; 32])),
        "{text}"
    );

    let mut made = made::authentication(UserVerificationPolicy::Never);
    made.policy.extensions = Some(Inputs {
        large_blob: Some(LargeBlobInputsJson {
            write: Some(vec![1].into()),
            ..Default::default()
        }),
        ..Default::default()
    });
    made.outputs.large_blob = Some(LargeBlobOutputsJson {
        written: Some(true),
        ..Default::default()
    });
    assert_eq!(
        made.run().unwrap().client_extensions.large_blob_written,
        Some(true)
    );
}

#[test]
fn only_an_unknown_credential_is_signalled_as_unknown() {
    let rp = made::rp();
    let mut made = made::authentication(UserVerificationPolicy::Never);
    (made.record, made.user) = (None, None);
    let refusal = made.run().unwrap_err();
    let signal = signal::unknown_credential(&rp, &refusal).unwrap();
    assert_eq!(
        (&*signal.rp_id, &*signal.credential_id),
        ("example.org", &[3; 32][..])
    );
    let other = Refusal::UserHandleMissing;
    assert_eq!(signal::unknown_credential(&rp, &other), None);
}

#[test]
fn accepted_credentials_are_those_of_one_user_and_rp() {
    let rp = made::rp();
    let mine = record();
    let all = signal::all_accepted_credentials(&rp, &USER, std::slice::from_ref(&mine)).unwrap();
    assert_eq!(
        all.all_accepted_credential_ids,
        std::slice::from_ref(&mine.id)
    );
    let error = signal::all_accepted_credentials(&rp, &[2; 16], std::slice::from_ref(&mine));
    assert_eq!(
        error,
        Err(BeginError::CredentialOfOtherUser(mine.id.clone()))
    );
    let mut elsewhere = mine.clone();
    elsewhere.rp_id = "example.com".into();
    let error = signal::all_accepted_credentials(&rp, &USER, std::slice::from_ref(&elsewhere));
    assert_eq!(error, Err(BeginError::CredentialOfOtherRp(mine.id.clone())));
    let policy = AuthenticationPolicy::new(UserVerificationPolicy::Never);
    let error = begin_authentication(policy, &[elsewhere]).map(drop);
    assert_eq!(error, Err(BeginError::CredentialOfOtherRp(mine.id)));
    let details = signal::current_user_details(&rp, &USER, "kim", "Kim");
    assert_eq!((&*details.name, &*details.user_id), ("kim", &USER[..]));
}

#[test]
fn related_origins_are_those_outside_of_the_rp_id() {
    let origin = |text: &str| text.parse().unwrap();
    let own = [
        origin("https://login.example.org"),
        origin("android:apk-key-hash:AAAA"),
    ];
    let rp = RelyingParty::new("example.org", "Example", own)
        .unwrap()
        .with_related_origins([origin("https://example.de")]);
    let related: Vec<String> = rp.related_origins().map(ToString::to_string).collect();
    assert_eq!(related, ["https://example.de"]);
    let document = RelatedOrigins::document(rp.related_origins());
    let document = RelatedOrigins::parse(document.as_bytes()).unwrap();
    assert!(rp.unlisted_origins(&document).is_empty());
    // An answer from there is accepted, from elsewhere not.
    let mut made = made::authentication(UserVerificationPolicy::Never);
    made.rp = made::rp().with_related_origins([origin("https://example.de")]);
    made.client_data.origin = "https://example.de".into();
    made.run().unwrap();
    made.client_data.origin = "https://example.fr".into();
    assert_eq!(made.run().unwrap_err().code(), "origin");
}
