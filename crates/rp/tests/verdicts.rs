//! What is accepted, and what the verdict then says.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::made::{self, Signer, USER, packed, packed_self};
use common::{Fixed, NOW, certificate};
use rp::attestation::{AttestationType, Trust};
use rp::authentication::{self, SignCount, UvInitialization, Who};
use rp::policy::{
    AuthenticationPolicy, BackupEligibilityChange, RegistrationPolicy, SignCountPolicy,
    UnsolicitedOutputs, UserVerificationPolicy,
};
use rp::{BeginError, Embedding, TrustAnchors, registration};
use webauthn::authenticator_data::Flags;
use webauthn::cbor::Value;
use webauthn::cose::CoseAlgorithm;
use webauthn::options::{
    AuthenticationExtensionsClientInputsJson, CredentialPropertiesOutput,
    CredentialProtectionPolicy, PublicKeyCredentialUserEntity, UserVerificationRequirement,
};

#[test]
fn a_byte_order_mark_and_the_default_port_make_no_difference() {
    let mut made = made::registration(UserVerificationPolicy::Never);
    made.client_data.prefix = "\u{feff}".as_bytes().to_vec();
    made.client_data.origin = "https://example.org:443".into();
    made.run().unwrap();
    let mut made = made::authentication(UserVerificationPolicy::Never);
    made.client_data.prefix = "\u{feff}".as_bytes().to_vec();
    made.client_data.origin = "https://EXAMPLE.org".into();
    made.run().unwrap();
}

#[test]
fn every_algorithm_registers_and_signs_in() {
    for alg in [
        CoseAlgorithm::EDDSA,
        CoseAlgorithm::ES256,
        CoseAlgorithm::ES384,
        CoseAlgorithm::ES512,
        CoseAlgorithm::RS256,
        CoseAlgorithm::PS256,
        CoseAlgorithm::ML_DSA_44,
        CoseAlgorithm::ML_DSA_65,
        CoseAlgorithm::ML_DSA_87,
    ] {
        let mut made = made::registration(UserVerificationPolicy::Never).with_key(alg);
        made.policy.algorithms = vec![alg];
        (made.fmt, made.attest) = ("packed".into(), packed_self());
        let verdict = made.run().unwrap();
        assert_eq!(
            verdict.attestation.attestation_type,
            AttestationType::SelfAttestation,
            "{alg}"
        );
        let mut sign_in = made::authentication(UserVerificationPolicy::Never);
        sign_in.user = Some((USER.to_vec(), vec![verdict.record.clone()]));
        sign_in.record = Some(verdict.record);
        sign_in.signer = made.signer;
        sign_in.run().unwrap();
        // Another signature by the same key does not do.
        let other = sign_in.signer.sign(b"something else");
        sign_in.signature = Some(other);
        assert_eq!(sign_in.run().unwrap_err().code(), "signature", "{alg}");
    }
}

#[test]
fn unasked_authenticator_outputs_are_tolerated_and_told() {
    let mut made = made::registration(UserVerificationPolicy::Never);
    let outputs = vec![
        ("credProtect".into(), 3.into()),
        ("minPinLength".into(), 8.into()),
        ("thirdPartyPayment".into(), Value::Bool(true)),
    ];
    made.extensions = Some(Value::Map(outputs).encode());
    let told = made.run().unwrap().extensions;
    assert_eq!(
        told.credential_protection,
        Some(CredentialProtectionPolicy::UserVerificationRequired)
    );
    assert_eq!(told.min_pin_length, Some(8));
}

#[test]
fn asked_or_ignored_client_outputs_pass() {
    let mut made = made::registration(UserVerificationPolicy::Never);
    made.outputs.cred_props = Some(CredentialPropertiesOutput { rk: Some(true) });
    made.policy.extensions = Some(AuthenticationExtensionsClientInputsJson {
        cred_props: Some(true),
        ..Default::default()
    });
    assert_eq!(made.run().unwrap().record.discoverable, Some(true));
    made.policy.extensions = None;
    made.policy.unsolicited_outputs = UnsolicitedOutputs::Ignore;
    made.run().unwrap();
}

#[test]
fn the_limits_themselves_are_inside() {
    let mut made = made::registration(UserVerificationPolicy::Never);
    made.credential_id = vec![3; 1023];
    made.seconds = 299;
    made.run().unwrap();
}

#[test]
fn a_conditional_registration_needs_no_presence() {
    let mut made = made::registration(UserVerificationPolicy::Never);
    made.flags = Flags::default();
    assert_eq!(made.run().unwrap_err().code(), "user-presence");
    made.policy.conditional = true;
    assert!(!made.run().unwrap().user_present);
}

#[test]
fn frames_of_expected_sites_pass() {
    let portal = || vec!["https://portal.example".parse().unwrap()];
    for (embedding, top, accepted) in [
        (
            Embedding::Within(portal()),
            Some("https://portal.example"),
            true,
        ),
        (
            Embedding::Within(portal()),
            Some("https://portal.example:8443"),
            false,
        ),
        (Embedding::Within(portal()), None, true),
        (Embedding::Anywhere, Some("https://elsewhere.example"), true),
        (Embedding::Never, None, false),
    ] {
        let mut made = made::authentication(UserVerificationPolicy::Never);
        made.rp = made.rp.with_embedding(embedding);
        made.client_data.cross_origin = true;
        made.client_data.top_origin = top.map(str::to_owned);
        assert_eq!(made.run().is_ok(), accepted, "{top:?}");
    }
}

#[test]
fn related_and_app_origins_pass_where_they_are_listed() {
    for origin in ["https://example.co.uk", "android:apk-key-hash:AAAA"] {
        let mut made = made::authentication(UserVerificationPolicy::Never);
        made.client_data.origin = origin.into();
        assert_eq!(made.run().unwrap_err().code(), "origin");
        made.rp = made.rp.with_related_origins([origin.parse().unwrap()]);
        made.run().unwrap();
    }
}

/// The whole of it: policy, UV flag, `uvInitialized` of the record, against whether it is accepted,
/// counts as two factors, needs a step up.
#[test]
fn user_verification_follows_the_policy_and_nothing_else() {
    use UserVerificationPolicy as P;
    for policy in P::ALL {
        for (flag, initialized) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut made = made::authentication(policy);
            made.flags = made.flags.with(Flags::UV, flag);
            made.record.as_mut().unwrap().uv_initialized = initialized;
            let demanded = policy == P::Always || policy == P::OnceSetAlways && initialized;
            match made.run() {
                Err(refusal) => {
                    assert!(
                        demanded && !flag,
                        "{policy} {flag} {initialized}: {refusal}"
                    );
                    assert_eq!(refusal.code(), "user-verification");
                }
                Ok(verdict) => {
                    assert!(!demanded || flag, "{policy} {flag} {initialized}");
                    assert_eq!(verdict.user_verified, flag);
                    assert_eq!(verdict.uv_initialized, initialized);
                    assert_eq!(verdict.multi_factor, flag && initialized);
                    assert_eq!(
                        verdict.step_up_needed,
                        policy == P::StepUp && !verdict.multi_factor
                    );
                    assert_eq!(verdict.help.contains("two factors"), verdict.multi_factor);
                }
            }
        }
        for flag in [false, true] {
            let mut made = made::registration(policy);
            made.flags = made.flags.with(Flags::UV, flag);
            match made.run() {
                Err(refusal) => assert!(policy == P::Always && !flag, "{policy}: {refusal}"),
                Ok(verdict) => {
                    assert!(policy != P::Always || flag);
                    assert_eq!(verdict.user_verified, flag);
                    assert_eq!(verdict.record.uv_initialized, flag);
                }
            }
        }
    }
}

#[test]
fn uv_becomes_reliable_only_when_another_factor_stood_for_it() {
    let mut made = made::authentication(UserVerificationPolicy::IfSet);
    made.flags |= Flags::UV;
    let verdict = made.run().unwrap();
    let mut record = made.record.unwrap();
    assert!(verdict.apply_to(&mut record, UvInitialization::Keep));
    assert!(!record.uv_initialized);
    assert!(verdict.apply_to(&mut record, UvInitialization::AuthorizedByOtherFactor));
    assert!(record.uv_initialized);
    assert_eq!(record.sign_count, 6);

    // Without the flag there is nothing to authorize, and what was true stays true.
    let made = made::authentication(UserVerificationPolicy::IfSet);
    let verdict = made.run().unwrap();
    let mut record = made.record.unwrap();
    verdict.apply_to(&mut record, UvInitialization::AuthorizedByOtherFactor);
    assert!(!record.uv_initialized);
    record.uv_initialized = true;
    verdict.apply_to(&mut record, UvInitialization::Keep);
    assert!(record.uv_initialized);
    record.id = vec![9; 32].into();
    record.sign_count = 0;
    assert!(!verdict.apply_to(&mut record, UvInitialization::Keep));
    assert_eq!(record.sign_count, 0);
}

#[test]
fn options_ask_for_what_the_policy_says() {
    let record = made::registration(UserVerificationPolicy::Never)
        .run()
        .unwrap()
        .record;
    let initialized = rp::CredentialRecord {
        uv_initialized: true,
        ..record.clone()
    };
    let ask = |policy, credentials: &[rp::CredentialRecord]| {
        let who = Who::User {
            handle: &USER,
            credentials,
        };
        let policy = AuthenticationPolicy::new(policy);
        let mut rng = Fixed(vec![1]);
        authentication::begin(&made::rp(), policy, who, NOW, &mut rng)
            .unwrap()
            .0
            .user_verification
    };
    use UserVerificationPolicy as P;
    use UserVerificationRequirement as R;
    let (one, both) = ([record.clone()], [record.clone(), initialized.clone()]);
    assert_eq!(ask(P::Never, &one), Some(R::Discouraged));
    assert_eq!(ask(P::IfSet, &one), Some(R::Preferred));
    assert_eq!(ask(P::Always, &one), Some(R::Required));
    assert_eq!(ask(P::OnceSetAlways, &one), Some(R::Preferred));
    assert_eq!(ask(P::OnceSetAlways, &both), Some(R::Preferred));
    assert_eq!(ask(P::OnceSetAlways, &[initialized]), Some(R::Required));
    assert_eq!(ask(P::StepUp, &one), Some(R::Discouraged));
}

#[test]
fn the_policy_of_the_challenge_counts_not_the_one_of_today() {
    let mut made = made::authentication(UserVerificationPolicy::Always);
    let state = serde_json::to_string(&made.begin()).unwrap();
    made.policy.user_verification = UserVerificationPolicy::Never;
    let state: authentication::ChallengeState = serde_json::from_str(&state).unwrap();
    let response = made.answer(state.challenge());
    let result = authentication::finish(state, &response, made.record.as_ref(), NOW);
    assert_eq!(result.unwrap_err().code(), "user-verification");
}

#[test]
fn a_state_of_the_other_ceremony_or_without_policy_is_unreadable() {
    let registration = made::registration(UserVerificationPolicy::Never).begin();
    let authentication = made::authentication(UserVerificationPolicy::Never).begin();
    let registration = serde_json::to_value(&registration).unwrap();
    let mut authentication = serde_json::to_value(&authentication).unwrap();
    serde_json::from_value::<authentication::ChallengeState>(registration.clone()).unwrap_err();
    serde_json::from_value::<registration::ChallengeState>(authentication.clone()).unwrap_err();
    serde_json::from_value::<authentication::ChallengeState>(authentication.clone()).unwrap();
    authentication["policy"]
        .as_object_mut()
        .unwrap()
        .remove("userVerification");
    serde_json::from_value::<authentication::ChallengeState>(authentication).unwrap_err();
}

/// YSA-2026-02: an empty list would ask for anybody's credential.
#[test]
fn a_named_user_without_credentials_cannot_begin() {
    let who = Who::User {
        handle: &USER,
        credentials: &[],
    };
    let policy = AuthenticationPolicy::new(UserVerificationPolicy::Never);
    let result = authentication::begin(&made::rp(), policy, who, NOW, &mut Fixed(vec![1]));
    assert_eq!(result.unwrap_err(), BeginError::NoCredentials);
}

#[test]
fn credentials_of_another_user_cannot_be_asked_for() {
    let record = made::registration(UserVerificationPolicy::Never)
        .run()
        .unwrap()
        .record;
    let who = Who::User {
        handle: &[2; 16],
        credentials: std::slice::from_ref(&record),
    };
    let policy = AuthenticationPolicy::new(UserVerificationPolicy::Never);
    let result = authentication::begin(&made::rp(), policy, who, NOW, &mut Fixed(vec![1]));
    assert_eq!(
        result.unwrap_err(),
        BeginError::CredentialOfOtherUser(record.id)
    );
}

#[test]
fn mistakes_of_the_caller_are_found_before_anybody_is_asked() {
    let begin = |handle: Vec<u8>, change: fn(&mut RegistrationPolicy)| {
        let mut policy = RegistrationPolicy::new(UserVerificationPolicy::Never);
        change(&mut policy);
        let user = PublicKeyCredentialUserEntity {
            id: handle.into(),
            name: "kim".into(),
            display_name: String::new(),
        };
        registration::begin(&made::rp(), policy, user, &[], NOW, &mut Fixed(vec![1])).map(drop)
    };
    assert_eq!(begin(vec![], |_| ()), Err(BeginError::UserHandle(0)));
    assert_eq!(begin(vec![1; 65], |_| ()), Err(BeginError::UserHandle(65)));
    assert_eq!(begin(vec![1; 64], |_| ()), Ok(()));
    assert_eq!(
        begin(vec![1], |policy| policy.algorithms.clear()),
        Err(BeginError::NoAlgorithm)
    );
    assert_eq!(
        begin(vec![1], |policy| policy
            .algorithms
            .push(CoseAlgorithm::ED448)),
        Err(BeginError::UnsupportedAlgorithm(CoseAlgorithm::ED448))
    );
}

#[test]
fn a_discoverable_credential_names_its_user() {
    let mut made = made::authentication(UserVerificationPolicy::Never);
    made.user = None;
    assert_eq!(made.run().unwrap().user_handle, USER.into());
    // A named user may be answered without one, as U2F keys do.
    let mut made = made::authentication(UserVerificationPolicy::Never);
    made.user_handle = None;
    made.run().unwrap();
}

#[test]
fn counters_that_do_not_rise_are_reported_where_allowed() {
    for (stored, found, result, new) in [
        (0, 0, SignCount::Unsupported, 0),
        (0, 1, SignCount::Increased, 1),
        (5, 6, SignCount::Increased, 6),
        (5, 5, SignCount::NotIncreased, 5),
        (5, 4, SignCount::NotIncreased, 5),
        (5, 0, SignCount::NotIncreased, 5),
        (u32::MAX, 0, SignCount::NotIncreased, u32::MAX),
    ] {
        let mut made = made::authentication(UserVerificationPolicy::Never);
        made.record.as_mut().unwrap().sign_count = stored;
        made.sign_count = found;
        assert_eq!(
            made.run().is_ok(),
            result != SignCount::NotIncreased,
            "{stored} {found}"
        );
        made.policy.sign_count = SignCountPolicy::Report;
        let verdict = made.run().unwrap();
        assert_eq!(
            (verdict.sign_count, verdict.new_sign_count),
            (result, new),
            "{stored} {found}"
        );
        assert_eq!(
            verdict.help.contains("copy"),
            result == SignCount::NotIncreased
        );
    }
}

#[test]
fn backup_eligibility_may_change_where_allowed() {
    use BackupEligibilityChange as B;
    for (rule, becoming, ceasing) in [
        (B::Refuse, false, false),
        (B::AllowBecomingEligible, true, false),
        (B::Allow, true, true),
    ] {
        for (was, is, accepted) in [
            (false, false, true),
            (true, true, true),
            (false, true, becoming),
            (true, false, ceasing),
        ] {
            let mut made = made::authentication(UserVerificationPolicy::Never);
            made.policy.backup_eligibility = rule;
            made.record.as_mut().unwrap().backup_eligible = was;
            made.flags = made.flags.with(Flags::BE | Flags::BS, is);
            let result = made.run();
            assert_eq!(result.is_ok(), accepted, "{rule:?} {was} {is}");
            if let Ok(verdict) = result {
                assert_eq!((verdict.backup_eligible, verdict.backup_state), (is, is));
                assert_eq!(verdict.backup_state_changed, is);
            }
        }
    }
}

#[test]
fn an_app_id_counts_only_where_offered_and_used() {
    let mut made = made::authentication(UserVerificationPolicy::Never);
    made.policy.extensions = Some(AuthenticationExtensionsClientInputsJson {
        appid: Some("https://example.org/app.json".into()),
        ..Default::default()
    });
    made.run().unwrap();
    made.rp_id = "https://example.org/app.json".into();
    made.outputs.appid = Some(true);
    made.run().unwrap();
}

#[test]
fn an_enterprise_serial_number_is_told_only_if_trusted() {
    let (root_key, leaf_key) = (
        Signer::new(CoseAlgorithm::ES256),
        Signer::new(CoseAlgorithm::ES256),
    );
    let root = certificate::root(&root_key).sign(&root_key);
    let serial = certificate::tlv(0x04, b"SN-1234");
    let leaf = certificate::packed_leaf(&leaf_key)
        .with_extension(certificate::SERNUM_EXTENSION, false, serial)
        .sign(&root_key);
    let mut made = made::registration(UserVerificationPolicy::Never);
    made.fmt = "packed".into();
    made.attest = Box::new(move |auth_data, hash, _| {
        let sig = leaf_key.sign(&[auth_data, hash].concat());
        packed(CoseAlgorithm::ES256, sig, std::slice::from_ref(&leaf))
    });
    assert_eq!(made.run().unwrap().attestation.serial_number, None);
    made.anchors = TrustAnchors::from_der([root]).unwrap();
    let attestation = made.run().unwrap().attestation;
    assert_eq!(attestation.serial_number, Some(b"SN-1234"[..].into()));
    assert_eq!(attestation.trust, Trust::Trusted);
}

/// Makes the statements inside from the self attestation and a way to write one.
type Inside = fn(&[u8], &dyn Fn(&str, &[u8]) -> Value) -> Vec<Value>;

/// `compound`: all statements must be correct, the strongest counts.
#[test]
fn a_compound_statement_is_as_strong_as_its_strongest() {
    let statement = |fmt: &str, stmt: &[u8]| {
        let stmt = Value::decode(stmt).unwrap();
        Value::Map(vec![("fmt".into(), fmt.into()), ("attStmt".into(), stmt)])
    };
    let run = |make: Inside| {
        let mut made = made::registration(UserVerificationPolicy::Never);
        made.fmt = "compound".into();
        made.attest = Box::new(move |auth_data, hash, signer| {
            let own = packed_self()(auth_data, hash, signer);
            Value::Array(make(&own, &statement)).encode()
        });
        made.run()
    };
    let verdict = run(|own, one| vec![one("none", &[0xa0]), one("packed", own)]).unwrap();
    assert_eq!(verdict.attestation.trust, Trust::SelfAttestation);
    for (words, make) in [
        (
            "two or more",
            (|own, one| vec![one("packed", own)]) as Inside,
        ),
        ("empty statement was expected", |own, one| {
            vec![one("packed", own), one("none", own)]
        }),
        ("`compound`, which is not supported", |own, one| {
            vec![one("packed", own), one("compound", &[0x80])]
        }),
        ("not `fmt` and `attStmt`", |own, one| {
            vec![one("packed", own), Value::Null]
        }),
    ] {
        let refusal = run(make).unwrap_err();
        assert!(refusal.to_string().contains(words), "{words}: {refusal}");
    }
}
