//! Every check of both ceremonies has a case that passes but for one thing, and is refused for
//! exactly that.
#![allow(clippy::unwrap_used, clippy::panic, clippy::too_many_lines)] // a table is long

mod common;

use common::certificate::{self, AAGUID_EXTENSION, tlv};
use common::made::{self, Authentication, Registration, Signer, packed, packed_self};
use rp::metadata::ModelId;
use rp::policy::{
    AttestationTrustPolicy, BackupEligibilityChange, BackupPolicy, UserVerificationPolicy,
};
use rp::{CredentialRecord, Embedding, Refusal, TrustAnchors};
use webauthn::authenticator_data::{Aaguid, Flags};
use webauthn::cbor::Value;
use webauthn::cose::{CoseAlgorithm, CoseKey};
use webauthn::options::{
    AuthenticationExtensionsClientInputsJson, CredentialPropertiesOutput,
    CredentialProtectionPolicy, LargeBlobInputsJson, LargeBlobSupport, PrfInputsJson,
    PrfOutputsJson, ResidentKeyRequirement,
};

type Case<M> = (&'static str, &'static str, fn(&mut M));

const fn registrations() -> &'static [Case<Registration>] {
    &[
        ("expired", "at the very second", |m| m.seconds = 300),
        ("expired", "much later", |m| m.seconds = u64::MAX / 2),
        ("credential-type", "another type", |m| {
            m.type_ = "password".into()
        }),
        ("credential-type", "no type", |m| m.type_ = String::new()),
        ("credential-id-text", "id of another", |m| {
            m.id = Some("AAAA".into())
        }),
        ("credential-id-text", "id with padding", |m| {
            m.id = Some(webauthn::base64url::encode([3; 32]) + "=");
        }),
        ("client-data", "not JSON", |m| {
            m.client_data.raw = Some(b"x".to_vec())
        }),
        ("client-data", "no origin", |m| {
            m.client_data.raw = Some(b"{\"type\":\"webauthn.create\"}".to_vec())
        }),
        ("client-data", "two byte order marks", |m| {
            m.client_data.prefix = "\u{feff}\u{feff}".as_bytes().to_vec();
        }),
        ("client-data-type", "of an authentication", |m| {
            m.client_data.type_ = "webauthn.get".into()
        }),
        ("client-data-type", "in capitals", |m| {
            m.client_data.type_ = "WEBAUTHN.CREATE".into()
        }),
        ("challenge", "another", |m| {
            m.client_data.challenge = Some(vec![9; 32])
        }),
        ("challenge", "only its beginning", |m| {
            m.client_data.challenge = Some((0..31).collect())
        }),
        ("challenge", "with more", |m| {
            m.client_data.challenge = Some((0..33).collect())
        }),
        ("challenge", "empty", |m| {
            m.client_data.challenge = Some(vec![])
        }),
        ("origin", "another port", |m| {
            m.client_data.origin = "https://example.org:8443".into()
        }),
        ("origin", "another scheme", |m| {
            m.client_data.origin = "http://example.org".into()
        }),
        ("origin", "below", |m| {
            m.client_data.origin = "https://evil.example.org".into()
        }),
        ("origin", "with a path", |m| {
            m.client_data.origin = "https://example.org/x".into()
        }),
        ("origin", "with a longer name", |m| {
            m.client_data.origin = "https://example.org.evil.example".into()
        }),
        ("origin", "null", |m| m.client_data.origin = "null".into()),
        ("cross-origin", "in a frame", |m| {
            m.client_data.cross_origin = true
        }),
        ("cross-origin", "in a frame, by top origin alone", |m| {
            m.client_data.top_origin = Some("https://example.org".into());
        }),
        ("top-origin", "of another site", |m| {
            embed(&mut m.rp);
            m.client_data.cross_origin = true;
            m.client_data.top_origin = Some("https://evil.example".into());
        }),
        ("attestation-object", "bytes after it", |m| {
            m.object_tail = vec![0]
        }),
        ("attestation-object", "nothing", |m| m.object = Some(vec![])),
        ("attestation-object", "members out of order", |m| {
            m.object = Some(common::hex(
                "a3686175746844617461406766617474 5374 6d74a063666d74646e6f6e65"
                    .replace(' ', "")
                    .as_str(),
            ));
        }),
        ("attestation-object", "a member twice", |m| {
            m.object = Some(common::hex(
                "a363666d74646e6f6e6563666d74646e6f6e656761747453746d74a0",
            ));
        }),
        ("authenticator-data", "bytes after it", |m| {
            m.auth_data_tail = vec![0]
        }),
        ("authenticator-data", "extensions out of order", |m| {
            m.extensions = Some(common::hex("a2616200616100"));
        }),
        ("authenticator-data", "an extension twice", |m| {
            m.extensions = Some(common::hex("a2616100616100"));
        }),
        ("authenticator-data", "a key out of order", |m| {
            m.public_key = common::hex("a203260101");
        }),
        ("no-credential", "no credential", |m| {
            m.with_credential = false
        }),
        ("credential-id", "another", |m| {
            m.reported_id = Some(vec![4; 32])
        }),
        ("rp-id-hash", "of another RP ID", |m| {
            m.rp_id = "example.com".into()
        }),
        ("rp-id-hash", "of the origin", |m| {
            m.rp_id = "https://example.org".into()
        }),
        ("user-presence", "UP = 0", |m| m.flags = Flags::UV),
        ("user-verification", "UV = 0 under `always`", |m| {
            m.policy.user_verification = UserVerificationPolicy::Always;
        }),
        ("backup-state", "BS without BE", |m| m.flags |= Flags::BS),
        (
            "backup-eligibility",
            "synced where device-bound is wanted",
            |m| {
                m.policy.backup = BackupPolicy::DeviceBound;
                m.flags |= Flags::BE;
            },
        ),
        (
            "backup-eligibility",
            "device-bound where synced is wanted",
            |m| {
                m.policy.backup = BackupPolicy::Eligible;
            },
        ),
        ("public-key", "a length that is not of the curve", |m| {
            m.public_key = CoseKey::Okp {
                alg: CoseAlgorithm::EDDSA,
                crv: 6,
                x: vec![1; 31],
            }
            .encode();
        }),
        ("public-key", "no COSE key", |m| m.public_key = vec![0xa0]),
        ("public-key", "an optional member", |m| {
            m.public_key = common::hex("a4010202410103262001");
        }),
        ("algorithm", "not offered", |m| {
            m.policy.algorithms = vec![CoseAlgorithm::ES256]
        }),
        (
            "invalid-public-key",
            "a point that is not on its curve",
            |m| {
                m.public_key = CoseKey::Ec2 {
                    alg: CoseAlgorithm::ES256,
                    crv: 1,
                    x: vec![1; 32],
                    y: vec![2; 32],
                }
                .encode();
            },
        ),
        ("invalid-public-key", "the point at zero", |m| {
            m.public_key = CoseKey::Ec2 {
                alg: CoseAlgorithm::ES256,
                crv: 1,
                x: vec![0; 32],
                y: vec![0; 32],
            }
            .encode();
        }),
        ("invalid-public-key", "an RSA key of 1,024 bits", |m| {
            m.public_key = CoseKey::Rsa {
                alg: CoseAlgorithm::RS256,
                n: vec![0xff; 128],
                e: vec![1, 0, 1],
            }
            .encode();
        }),
        ("invalid-public-key", "an RSA key with exponent 1", |m| {
            m.public_key = CoseKey::Rsa {
                alg: CoseAlgorithm::RS256,
                n: vec![0xff; 256],
                e: vec![1],
            }
            .encode();
        }),
        ("attestation-format-retired", "retired", |m| {
            m.fmt = "android-safetynet".into()
        }),
        ("attestation-format", "in capitals", |m| {
            m.fmt = "None".into()
        }),
        ("attestation", "none with a statement", |m| {
            m.attest = Box::new(|_, _, _| common::hex("a163616c6726"));
        }),
        ("model", "one that is refused", |m| {
            m.policy.models.refused = vec![ModelId::Aaguid(made::AAGUID)];
        }),
        ("model", "one of the allowed, but not proven", |m| {
            m.policy.models.allowed = vec![ModelId::Aaguid(made::AAGUID)];
        }),
        ("attestation-trust", "none where trust is demanded", |m| {
            m.policy.attestation_trust = AttestationTrustPolicy::Trusted;
        }),
        ("attestation-trust", "self where trust is demanded", |m| {
            m.policy.attestation_trust = AttestationTrustPolicy::Trusted;
            (m.fmt, m.attest) = ("packed".into(), packed_self());
        }),
        ("credential-id-too-long", "of 1,024 bytes", |m| {
            m.credential_id = vec![3; 1024]
        }),
        ("credential-id-taken", "registered already", |m| {
            m.id_is_taken = true
        }),
        ("unsolicited-extension", "credProps unasked", |m| {
            m.outputs.cred_props = Some(CredentialPropertiesOutput { rk: Some(true) });
        }),
        ("unsolicited-extension", "one that is not known", |m| {
            m.outputs.other.insert("payment".into(), true.into());
        }),
        ("extension-output", "credProtect as text", |m| {
            m.extensions = Some(extension("credProtect", "high".into()))
        }),
        ("extension-output", "credProtect of level 4", |m| {
            m.extensions = Some(extension("credProtect", 4.into()))
        }),
        ("extension-output", "a negative PIN length", |m| {
            m.extensions = Some(extension("minPinLength", (-1).into()))
        }),
        ("credential-protection", "not told", demand_protection),
        ("credential-protection", "less", |m| {
            demand_protection(m);
            m.extensions = Some(extension("credProtect", 2.into()));
        }),
        ("extension-mismatch", "not discoverable", |m| {
            m.policy.resident_key = ResidentKeyRequirement::Required;
            m.policy.extensions = Some(AuthenticationExtensionsClientInputsJson {
                cred_props: Some(true),
                ..Default::default()
            });
            m.outputs.cred_props = Some(CredentialPropertiesOutput { rk: Some(false) });
        }),
        ("extension-mismatch", "no large blob", |m| {
            m.policy.extensions = Some(AuthenticationExtensionsClientInputsJson {
                large_blob: Some(LargeBlobInputsJson {
                    support: Some(LargeBlobSupport::Required),
                    ..Default::default()
                }),
                ..Default::default()
            });
        }),
        ("extension-mismatch", "secrets that are none", |m| {
            m.policy.extensions = Some(AuthenticationExtensionsClientInputsJson {
                prf: Some(PrfInputsJson::default()),
                ..Default::default()
            });
            m.outputs.prf = Some(PrfOutputsJson {
                enabled: Some(true),
                results: None,
            });
            m.extensions =
                Some(Value::Map(vec![("hmac-secret".into(), Value::Bool(false))]).encode());
        }),
        ("min-pin-length", "not told", |m| {
            m.policy.min_pin_length = Some(6)
        }),
        ("min-pin-length", "less", |m| {
            m.policy.min_pin_length = Some(6);
            m.extensions = Some(extension("minPinLength", 4.into()));
        }),
    ]
}

fn extension(name: &str, value: Value) -> Vec<u8> {
    Value::Map(vec![(name.into(), value)]).encode()
}

fn demand_protection(m: &mut Registration) {
    m.policy.extensions = Some(AuthenticationExtensionsClientInputsJson {
        credential_protection_policy: Some(CredentialProtectionPolicy::UserVerificationRequired),
        enforce_credential_protection_policy: Some(true),
        ..Default::default()
    });
}

fn embed(rp: &mut rp::RelyingParty) {
    let embedding = Embedding::Within(vec!["https://portal.example".parse().unwrap()]);
    *rp = rp.clone().with_embedding(embedding);
}

const fn authentications() -> &'static [Case<Authentication>] {
    &[
        ("expired", "at the very second", |m| m.seconds = 300),
        ("credential-type", "another type", |m| {
            m.type_ = "password".into()
        }),
        ("credential-id-text", "id of another", |m| {
            m.id = Some("AAAA".into())
        }),
        ("credential-not-allowed", "of nobody", |m| {
            m.credential_id = vec![9; 32]
        }),
        ("unknown-credential", "no record", |m| m.record = None),
        ("unknown-credential", "nobody named, no record", |m| {
            (m.user, m.record) = (None, None)
        }),
        (
            "record-of-other-credential",
            "the store gave another",
            |m| record(m).id = vec![9; 32].into(),
        ),
        (
            "record-of-other-user",
            "moved to another user meanwhile",
            |m| {
                record(m).user_handle = vec![2; 16].into();
            },
        ),
        ("record-of-other-rp", "made for another RP ID", |m| {
            record(m).rp_id = "example.com".into()
        }),
        ("user-handle-missing", "nobody named, no user handle", |m| {
            (m.user, m.user_handle) = (None, None)
        }),
        ("user-handle", "of another user", |m| {
            m.user_handle = Some(vec![2; 16].into())
        }),
        ("user-handle", "nobody named, of another user", |m| {
            (m.user, m.user_handle) = (None, Some(vec![2; 16].into()));
        }),
        ("user-handle", "empty", |m| {
            m.user_handle = Some(vec![].into())
        }),
        ("client-data", "not JSON", |m| {
            m.client_data.raw = Some(b"[]".to_vec())
        }),
        ("client-data-type", "of a registration", |m| {
            m.client_data.type_ = "webauthn.create".into()
        }),
        ("challenge", "another", |m| {
            m.client_data.challenge = Some(vec![9; 32])
        }),
        ("origin", "another port", |m| {
            m.client_data.origin = "https://example.org:8443".into()
        }),
        ("origin", "another site", |m| {
            m.client_data.origin = "https://example.com".into()
        }),
        ("cross-origin", "in a frame", |m| {
            m.client_data.cross_origin = true
        }),
        ("cross-origin", "in a frame, by top origin alone", |m| {
            m.client_data.top_origin = Some("https://example.org".into());
        }),
        ("top-origin", "of another site", |m| {
            embed(&mut m.rp);
            m.client_data.cross_origin = true;
            m.client_data.top_origin = Some("https://evil.example".into());
        }),
        ("authenticator-data", "bytes after it", |m| {
            m.auth_data_tail = vec![0]
        }),
        ("authenticator-data", "too short", |m| {
            m.auth_data = Some(vec![0; 36])
        }),
        ("authenticator-data", "an extension twice", |m| {
            m.extensions = Some(common::hex("a2616100616100"))
        }),
        ("rp-id-hash", "of another RP ID", |m| {
            m.rp_id = "example.com".into()
        }),
        ("rp-id-hash", "of an AppID that was not offered", |m| {
            m.rp_id = "https://example.org/app.json".into();
            m.outputs.appid = Some(true);
        }),
        (
            "rp-id-hash",
            "of an AppID that the client did not use",
            |m| {
                offer_appid(m);
                m.rp_id = "https://example.org/app.json".into();
                m.outputs.appid = Some(false);
            },
        ),
        ("user-presence", "UP = 0", |m| m.flags = Flags::UV),
        ("user-verification", "UV = 0 under `always`", |m| {
            m.policy.user_verification = UserVerificationPolicy::Always;
        }),
        ("user-verification", "UV = 0 once set", |m| {
            m.policy.user_verification = UserVerificationPolicy::OnceSetAlways;
            record(m).uv_initialized = true;
        }),
        ("backup-state", "BS without BE", |m| m.flags |= Flags::BS),
        ("backup-eligibility", "synced, where it must not be", |m| {
            m.policy.backup = BackupPolicy::DeviceBound;
            m.policy.backup_eligibility = BackupEligibilityChange::Allow;
            m.flags = Flags::UP.with(Flags::BE, true);
        }),
        (
            "backup-eligibility",
            "device-bound, where it must not be",
            |m| {
                m.policy.backup = BackupPolicy::Eligible;
            },
        ),
        ("backup-eligibility-changed", "became eligible", |m| {
            m.flags |= Flags::BE
        }),
        ("backup-eligibility-changed", "no longer eligible", |m| {
            record(m).backup_eligible = true
        }),
        (
            "backup-eligibility-changed",
            "no longer eligible, where only becoming so is allowed",
            |m| {
                m.policy.backup_eligibility = BackupEligibilityChange::AllowBecomingEligible;
                record(m).backup_eligible = true;
            },
        ),
        ("public-key", "what was stored is no key", |m| {
            record(m).public_key = vec![0xa0].into()
        }),
        (
            "invalid-public-key",
            "what was stored is not on its curve",
            |m| {
                record(m).public_key = CoseKey::Ec2 {
                    alg: CoseAlgorithm::ES256,
                    crv: 1,
                    x: vec![1; 32],
                    y: vec![2; 32],
                }
                .encode()
                .into();
            },
        ),
        ("signature", "by another key", |m| {
            m.signer = Signer::new(CoseAlgorithm::ES256)
        }),
        ("signature", "empty", |m| m.signature = Some(vec![])),
        ("signature", "zero", |m| m.signature = Some(vec![0; 64])),
        ("sign-count", "the same", |m| m.sign_count = 5),
        ("sign-count", "less", |m| m.sign_count = 4),
        ("sign-count", "fallen to zero", |m| m.sign_count = 0),
        ("unsolicited-extension", "appid unasked", |m| {
            m.outputs.appid = Some(false)
        }),
    ]
}

fn record(m: &mut Authentication) -> &mut CredentialRecord {
    m.record.as_mut().unwrap()
}

fn offer_appid(m: &mut Authentication) {
    m.policy.extensions = Some(AuthenticationExtensionsClientInputsJson {
        appid: Some("https://example.org/app.json".into()),
        ..Default::default()
    });
}

#[test]
fn each_registration_is_refused_for_one_thing() {
    for (code, what, change) in registrations() {
        let mut made = made::registration(UserVerificationPolicy::IfSet);
        made.run().unwrap();
        change(&mut made);
        match made.run() {
            Err(refusal) => assert_eq!(refusal.code(), *code, "{what}: {refusal}"),
            Ok(_) => panic!("{code}, {what}: accepted"),
        }
    }
}

#[test]
fn each_authentication_is_refused_for_one_thing() {
    for (code, what, change) in authentications() {
        let mut made = made::authentication(UserVerificationPolicy::IfSet);
        made.run().unwrap();
        change(&mut made);
        match made.run() {
            Err(refusal) => assert_eq!(refusal.code(), *code, "{what}: {refusal}"),
            Ok(_) => panic!("{code}, {what}: accepted"),
        }
    }
}

#[test]
fn every_refusal_has_a_case() {
    let tested: Vec<&str> = registrations()
        .iter()
        .map(|c| c.0)
        .chain(authentications().iter().map(|c| c.0))
        .collect();
    for code in Refusal::CODES {
        assert!(tested.contains(code), "{code} is never tested");
    }
}

#[test]
fn refusals_tell_what_was_expected_and_found_and_what_to_do() {
    let mut made = made::authentication(UserVerificationPolicy::Always);
    let refusal = made.run().unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "user verification was expected (policy `always`), but the flags are UP"
    );
    assert!(refusal.help().contains("PIN"));
    made.client_data.origin = "https://evil.example".into();
    assert_eq!(
        made.run().unwrap_err().to_string(),
        "origin `https://evil.example` is not expected; accepted: https://example.org"
    );
}

/// A packed statement with a certificate, after a change to both.
fn certified(
    change: fn(certificate::Certificate) -> certificate::Certificate,
    trust: AttestationTrustPolicy,
) -> Result<rp::registration::Verdict, Refusal> {
    let (root_key, leaf_key) = (
        Signer::new(CoseAlgorithm::ES256),
        Signer::new(CoseAlgorithm::ES256),
    );
    let root = certificate::root(&root_key).sign(&root_key);
    let leaf = change(certificate::packed_leaf(&leaf_key)).sign(&root_key);
    let mut made = made::registration(UserVerificationPolicy::IfSet);
    made.policy.attestation_trust = trust;
    made.anchors = TrustAnchors::from_der([root]).unwrap();
    made.fmt = "packed".into();
    made.attest = Box::new(move |auth_data, hash, _| {
        let sig = leaf_key.sign(&[auth_data, hash].concat());
        packed(CoseAlgorithm::ES256, sig, std::slice::from_ref(&leaf))
    });
    made.run()
}

fn aaguid_value(aaguid: Aaguid) -> Vec<u8> {
    tlv(0x04, &aaguid.0)
}

#[test]
fn each_certificate_requirement_is_checked() {
    use AttestationTrustPolicy::{Any, Trusted};
    let passes = certified(
        |c| c.with_extension(AAGUID_EXTENSION, false, aaguid_value(made::AAGUID)),
        Trusted,
    );
    let verdict = passes.unwrap();
    assert_eq!(verdict.attestation.model, Some(made::AAGUID));
    assert!(verdict.record.attested);

    type Change = fn(certificate::Certificate) -> certificate::Certificate;
    let cases: &[(&str, Change)] = &[
        ("is not of version 3", |mut c| {
            c.version = 0;
            c
        }),
        ("has no ISO 3166 country", |mut c| {
            c.subject.remove(0);
            c
        }),
        ("has no organization in", |mut c| {
            c.subject.remove(1);
            c
        }),
        ("has no organizational unit", |mut c| {
            c.subject[2].1 = "Authenticator attestation";
            c
        }),
        ("has no common name", |mut c| {
            c.subject.remove(3);
            c
        }),
        ("does not say that it is not a CA's", |mut c| {
            c.ca = Some(true);
            c
        }),
        ("does not say that it is not a CA's", |mut c| {
            c.ca = None;
            c
        }),
        ("is of model", |c| {
            c.with_extension(AAGUID_EXTENSION, false, aaguid_value(Aaguid([1; 16])))
        }),
        ("malformed or critical model extension", |c| {
            c.with_extension(AAGUID_EXTENSION, true, aaguid_value(made::AAGUID))
        }),
        ("malformed or critical model extension", |c| {
            c.with_extension(AAGUID_EXTENSION, false, made::AAGUID.0.to_vec())
        }),
    ];
    for (words, change) in cases {
        let refusal = certified(*change, Any).unwrap_err();
        assert_eq!(refusal.code(), "attestation");
        assert!(refusal.to_string().contains(words), "{words}: {refusal}");
    }
}

#[test]
fn a_certificate_is_trusted_only_by_its_path() {
    use AttestationTrustPolicy::{Any, Trusted, TrustedIfPresent};
    let changes: [fn(certificate::Certificate) -> certificate::Certificate; 2] = [
        |mut c| {
            c.issuer = "Another Root".into();
            c
        },
        |mut c| {
            c.not_after = "20250101000000Z";
            c
        },
    ];
    for change in changes {
        let verdict = certified(change, Any).unwrap();
        assert!(matches!(
            verdict.attestation.trust,
            rp::attestation::Trust::Untrusted(_)
        ));
        assert!(!verdict.record.attested && verdict.attestation.model.is_none());
        assert_eq!(verdict.record.aaguid, made::AAGUID);
        for trust in [TrustedIfPresent, Trusted] {
            assert_eq!(
                certified(change, trust).unwrap_err().code(),
                "attestation-trust"
            );
        }
    }
}

/// A chain that brings its own root proves nothing; the same root as an anchor does; so does the
/// attestation certificate itself as an anchor.
#[test]
fn a_chain_with_its_own_root_is_not_trusted() {
    let (root_key, leaf_key) = (
        Signer::new(CoseAlgorithm::ES256),
        Signer::new(CoseAlgorithm::ES256),
    );
    let root = certificate::root(&root_key).sign(&root_key);
    let leaf = certificate::packed_leaf(&leaf_key).sign(&root_key);
    let other_key = Signer::new(CoseAlgorithm::ES256);
    let other = certificate::root(&other_key).sign(&other_key);
    let x5c = [leaf.clone(), root.clone()];
    let mut made = made::registration(UserVerificationPolicy::IfSet);
    made.policy.attestation_trust = AttestationTrustPolicy::Trusted;
    made.fmt = "packed".into();
    made.attest = Box::new(move |auth_data, hash, _| {
        packed(
            CoseAlgorithm::ES256,
            leaf_key.sign(&[auth_data, hash].concat()),
            &x5c,
        )
    });
    for (anchors, trusted) in [
        (vec![], false),
        (vec![other], false),
        (vec![root], true),
        (vec![leaf], true),
    ] {
        made.anchors = TrustAnchors::from_der(anchors).unwrap();
        assert_eq!(made.run().is_ok(), trusted);
    }
}

#[test]
fn each_packed_statement_must_be_correct() {
    type Make = fn(CoseAlgorithm, Vec<u8>) -> Vec<u8>;
    let cases: &[(&str, Make)] = &[
        ("algorithm EdDSA (-8) was expected", |_, sig| {
            packed(CoseAlgorithm::ES256, sig, &[])
        }),
        ("the signature is not valid", |alg, mut sig| {
            sig[0] ^= 1;
            packed(alg, sig, &[])
        }),
        ("`x5c` is not an array of certificates", |alg, sig| {
            let alg = Value::from(i64::from(alg.0));
            let members = [
                ("alg", alg),
                ("sig", Value::Bytes(sig)),
                ("x5c", Value::Array(vec![])),
            ];
            Value::Map(members.map(|(k, v)| (k.into(), v)).to_vec()).encode()
        }),
        ("cannot be read", |alg, sig| {
            packed(alg, sig, &[vec![0x30, 0]])
        }),
        ("does not define", |alg, sig| {
            let alg = Value::from(i64::from(alg.0));
            let members = [
                ("alg", alg),
                ("sig", Value::Bytes(sig)),
                ("ecdaaKeyId", Value::Bytes(vec![1])),
            ];
            Value::Map(members.map(|(k, v)| (k.into(), v)).to_vec()).encode()
        }),
        ("`sig` is missing", |alg, _| {
            Value::Map(vec![("alg".into(), i64::from(alg.0).into())]).encode()
        }),
        ("`alg` is missing", |_, sig| {
            Value::Map(vec![("sig".into(), Value::Bytes(sig))]).encode()
        }),
    ];
    for (words, make) in cases {
        let mut made = made::registration(UserVerificationPolicy::IfSet);
        made.fmt = "packed".into();
        let make = *make;
        made.attest = Box::new(move |auth_data, hash, signer| {
            make(
                signer.cose().algorithm(),
                signer.sign(&[auth_data, hash].concat()),
            )
        });
        let refusal = made.run().unwrap_err();
        assert_eq!(refusal.code(), "attestation");
        assert!(refusal.to_string().contains(words), "{words}: {refusal}");
    }
}
