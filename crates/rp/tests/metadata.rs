//! FIDO MDS 3: BLOBs that are made and signed here, each wrong in one thing, and the real one of the
//! shared test data.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::certificate::{self, tlv};
use common::made::{self, AAGUID, Registration, Signer, packed};
use common::{Dice, NOW, data};
use rp::metadata::{
    AuthenticatorStatus, Certification, FIDO_ALLIANCE, Metadata, MetadataError, ModelId,
    ModelPolicy, ModelRefusal, StatusRule, fido_alliance_root,
};
use rp::policy::{AttestationTrustPolicy, UserVerificationPolicy};
use rp::{Refusal, TrustAnchors};
use serde_json::{Value, json};
use webauthn::authenticator_data::Aaguid;
use webauthn::base64url;
use webauthn::cose::CoseAlgorithm;

const HOST: &str = "mds.example.org";

/// Who signs, and what.
struct Blob {
    root: Signer,
    signer: Signer,
    host: &'static str,
    not_after: &'static str,
    header: Value,
    payload: Value,
    break_signature: bool,
}

fn blob(entries: Value) -> Blob {
    Blob {
        root: Signer::new(CoseAlgorithm::ES256),
        signer: Signer::new(CoseAlgorithm::ES256),
        host: HOST,
        not_after: "20491231235959Z",
        header: json!({"alg": "ES256", "typ": "JWT"}),
        payload: json!({
            "legalHeader": "Terms apply.",
            "no": 7,
            "nextUpdate": "2026-12-01",
            "entries": entries,
        }),
        break_signature: false,
    }
}

/// An ECDSA signature of two DER numbers, as RFC 7518 has it.
fn fixed(der: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    let mut rest = &der[2..];
    for _ in 0..2 {
        let (number, tail) = rest[2..].split_at(rest[1] as usize);
        let number = &number[number.len().saturating_sub(32)..];
        out.extend(std::iter::repeat_n(0, 32 - number.len()));
        out.extend_from_slice(number);
        rest = tail;
    }
    out
}

impl Blob {
    fn root_der(&self) -> Vec<u8> {
        certificate::root(&self.root).sign(&self.root)
    }

    fn anchors(&self) -> TrustAnchors {
        TrustAnchors::from_der([self.root_der()]).unwrap()
    }

    fn certificate(&self) -> Vec<u8> {
        let name = tlv(0x30, &tlv(0x82, self.host.as_bytes()));
        let mut leaf =
            certificate::packed_leaf(&self.signer).with_extension("2.5.29.17", false, name);
        leaf.not_after = self.not_after;
        leaf.sign(&self.root)
    }

    fn text(&self) -> String {
        let mut header = self.header.clone();
        if header.get("x5c").is_none() {
            header["x5c"] = json!([STANDARD.encode(self.certificate())]);
        }
        self.sign(&header.to_string(), self.payload.to_string().as_bytes())
    }

    fn sign(&self, header: &str, payload: &[u8]) -> String {
        let signed = format!(
            "{}.{}",
            base64url::encode(header),
            base64url::encode(payload)
        );
        let mut sig = fixed(&self.signer.sign(signed.as_bytes()));
        if self.break_signature {
            sig[5] ^= 1;
        }
        format!("{signed}.{}", base64url::encode(sig))
    }

    fn read(&self) -> Result<Metadata, MetadataError> {
        Metadata::read(self.text().as_bytes(), &self.anchors(), HOST, NOW)
    }
}

/// A model with a root, and an authenticator of it.
struct Model {
    root: Signer,
    leaf: Signer,
}

impl Model {
    fn new() -> Self {
        Self {
            root: Signer::new(CoseAlgorithm::ES256),
            leaf: Signer::new(CoseAlgorithm::ES256),
        }
    }

    fn entry(&self, reports: Value) -> Value {
        json!({
            "aaguid": AAGUID.to_string(),
            "statusReports": reports,
            "timeOfLastStatusChange": "2025-01-01",
            "metadataStatement": {
                "description": "Test Key 3000",
                "authenticatorVersion": 2,
                "protocolFamily": "fido2",
                "attestationTypes": ["basic_full"],
                "attestationRootCertificates": [
                    STANDARD.encode(certificate::root(&self.root).sign(&self.root)),
                ],
                "icon": "data:image/png;base64,AA==",
            },
        })
    }

    fn leaf_der(&self) -> Vec<u8> {
        certificate::packed_leaf(&self.leaf).sign(&self.root)
    }

    /// A registration with an attestation of this model, and these facts known.
    fn registration(self, reports: Value, policy: ModelPolicy) -> Registration {
        let metadata = blob(json!([self.entry(reports)])).read().unwrap();
        self.registration_with(metadata, policy)
    }

    fn registration_with(self, metadata: Metadata, policy: ModelPolicy) -> Registration {
        let mut made = made::registration(UserVerificationPolicy::Never);
        made.anchors = TrustAnchors::none().with_metadata(Arc::new(metadata));
        made.policy.attestation_trust = AttestationTrustPolicy::Trusted;
        made.policy.models = policy;
        made.fmt = "packed".into();
        made.attest = Box::new(move |auth_data, hash, _| {
            let sig = self.leaf.sign(&[auth_data, &hash[..]].concat());
            packed(CoseAlgorithm::ES256, sig, &[self.leaf_der()])
        });
        made
    }
}

fn policy(change: impl FnOnce(&mut ModelPolicy)) -> ModelPolicy {
    let mut policy = ModelPolicy::default();
    change(&mut policy);
    policy
}

fn refused(made: &Registration) -> ModelRefusal {
    match made.run().unwrap_err() {
        Refusal::Model { reason, found } => {
            assert_eq!(found, AAGUID);
            reason
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_blob_is_read() {
    let metadata = blob(json!([Model::new().entry(json!([]))])).read().unwrap();
    assert_eq!(metadata.number(), 7);
    assert_eq!(metadata.legal_header(), "Terms apply.");
    assert_eq!(metadata.next_update().to_string(), "2026-12-01");
    assert!(metadata.faults().is_empty(), "{:?}", metadata.faults());
    let entry = metadata.by_aaguid(AAGUID).unwrap();
    assert_eq!(entry.name(), "Test Key 3000");
    assert_eq!(entry.anchors().len(), 1);
    let last_second = metadata.next_update().plus_days(1).unix() - 1;
    assert!(!metadata.is_outdated(last_second, 0));
    assert!(metadata.is_outdated(last_second + 1, 0));
    assert!(!metadata.is_outdated(last_second + 1, 1));
}

#[test]
fn what_is_wrong_with_a_blob_is_said() {
    type Case = (&'static str, fn(&mut Blob), fn(&MetadataError) -> bool);
    let cases: &[Case] = &[
        (
            "signature",
            |b| b.break_signature = true,
            |e| *e == MetadataError::Signature,
        ),
        (
            "another's key",
            |b| {
                b.header["x5c"] = json!([STANDARD.encode(b.certificate())]);
                b.signer = Signer::new(CoseAlgorithm::ES256);
            },
            |e| *e == MetadataError::Signature,
        ),
        (
            "another host",
            |b| b.host = "mds.example.com",
            |e| matches!(e, MetadataError::Signer(_)),
        ),
        (
            "expired signer",
            |b| b.not_after = "20250101000000Z",
            |e| matches!(e, MetadataError::Signer(_)),
        ),
        (
            "own root in the header",
            |b| {
                let (other, name) = (
                    Signer::new(CoseAlgorithm::ES256),
                    tlv(0x30, &tlv(0x82, HOST.as_bytes())),
                );
                let leaf =
                    certificate::packed_leaf(&b.signer).with_extension("2.5.29.17", false, name);
                let chain = [leaf.sign(&other), certificate::root(&other).sign(&other)];
                b.header["x5c"] = json!(chain.map(|der| STANDARD.encode(der)));
            },
            |e| matches!(e, MetadataError::Signer(_)),
        ),
        (
            "no algorithm",
            |b| b.header["alg"] = json!("none"),
            |e| matches!(e, MetadataError::Algorithm(_)),
        ),
        (
            "a symmetric algorithm",
            |b| b.header["alg"] = json!("HS256"),
            |e| matches!(e, MetadataError::Algorithm(_)),
        ),
        (
            "the algorithm of another key",
            |b| b.header["alg"] = json!("RS256"),
            |e| *e == MetadataError::Signature,
        ),
        (
            "no certificate",
            |b| b.header["x5c"] = json!([]),
            |e| matches!(e, MetadataError::Syntax(_)),
        ),
        (
            "certificates elsewhere",
            |b| {
                b.header["x5c"] = json!([]);
                b.header["x5u"] = json!("https://mds.example.org/chain");
            },
            |e| matches!(e, MetadataError::Syntax(_)),
        ),
        (
            "critical extensions",
            |b| b.header["crit"] = json!(["b64"]),
            |e| matches!(e, MetadataError::Syntax(_)),
        ),
        (
            "no number",
            |b| b.payload["no"] = Value::Null,
            |e| matches!(e, MetadataError::Payload(_)),
        ),
        (
            "no such day",
            |b| b.payload["nextUpdate"] = json!("2026-02-30"),
            |e| matches!(e, MetadataError::Payload(_)),
        ),
    ];
    for (what, change, is_expected) in cases {
        let mut blob = blob(json!([]));
        assert!(blob.read().is_ok());
        change(&mut blob);
        let error = blob.read().unwrap_err();
        assert!(is_expected(&error), "{what}: {error:?}");
    }
    for text in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "e30.e30.e30"] {
        let result = Metadata::read(text.as_bytes(), &TrustAnchors::none(), HOST, NOW);
        assert!(matches!(result, Err(MetadataError::Syntax(_))), "{text}");
    }
}

#[test]
fn an_older_blob_does_not_replace_a_newer() {
    let mut made = blob(json!([]));
    let known = made.read().unwrap();
    let renew = |made: &Blob| {
        known
            .renew(made.text().as_bytes(), &made.anchors(), HOST, NOW)
            .map(|m| m.number())
    };
    assert_eq!(renew(&made), Ok(7));
    made.payload["no"] = json!(8);
    assert_eq!(renew(&made), Ok(8));
    made.payload["no"] = json!(6);
    assert_eq!(
        renew(&made),
        Err(MetadataError::Older { known: 7, found: 6 })
    );
}

#[test]
fn an_entry_that_cannot_be_read_does_not_hide_the_others() {
    let mut bad_root = Model::new().entry(json!([]));
    bad_root["aaguid"] = json!("00000000-0000-0000-0000-000000000001");
    bad_root["metadataStatement"]["attestationRootCertificates"] = json!(["AAAA", "?"]);
    let metadata = blob(json!([
        {"aaguid": "not one", "statusReports": []},
        bad_root,
        Model::new().entry(json!([])),
        {"attestationCertificateKeyIdentifiers": ["zz"], "statusReports": []},
    ]))
    .read()
    .unwrap();
    assert!(metadata.by_aaguid(AAGUID).is_some());
    let faulty: Vec<usize> = metadata.faults().iter().map(|fault| fault.entry).collect();
    assert_eq!(faulty, [0, 1, 1, 3]);
    assert!(
        metadata
            .by_aaguid(Aaguid(1_u128.to_be_bytes()))
            .unwrap()
            .anchors()
            .is_empty()
    );
}

#[test]
fn a_certificate_is_trusted_for_its_own_model_only() {
    let reports = json!([{"status": "FIDO_CERTIFIED_L1", "effectiveDate": "2024-05-01"}]);
    let verdict = Model::new()
        .registration(reports.clone(), ModelPolicy::default())
        .run()
        .unwrap();
    assert_eq!(verdict.attestation.model, Some(AAGUID));
    let facts = verdict.attestation.facts.unwrap();
    assert_eq!(facts.name, "Test Key 3000");
    assert_eq!(facts.certification, Some(Certification::L1));
    assert_eq!(facts.status, Some(AuthenticatorStatus::FidoCertifiedL1));
    assert!(
        verdict.help.contains("proven to be a Test Key 3000"),
        "{}",
        verdict.help
    );

    // The same vendor's root does not speak for a model that another entry, or none, has.
    let other = Aaguid([0xbb; 16]);
    let mut made = Model::new().registration(reports.clone(), ModelPolicy::default());
    made.aaguid = other;
    assert_eq!(made.run().unwrap_err().code(), "attestation-trust");
    let (mine, theirs) = (Model::new(), Model::new());
    let mut entry = theirs.entry(reports);
    entry["aaguid"] = json!(other.to_string());
    let metadata = blob(json!([mine.entry(json!([])), entry])).read().unwrap();
    let mut made = mine.registration_with(metadata, ModelPolicy::default());
    assert!(made.run().is_ok());
    made.aaguid = other;
    assert_eq!(made.run().unwrap_err().code(), "attestation-trust");
}

#[test]
fn a_bad_status_counts_from_its_day_on() {
    let run = |reports: Value, rule: StatusRule| {
        Model::new()
            .registration(reports, policy(|p| p.status_rule = rule))
            .run()
            .err()
            .map(|refusal| refusal.to_string())
    };
    let certified = json!({"status": "FIDO_CERTIFIED_L2", "effectiveDate": "2026-06-01"});
    for status in AuthenticatorStatus::COMPROMISED {
        let bad = |date: &str| json!({"status": status.as_str(), "effectiveDate": date});
        let before = bad("2026-05-01");
        let text = run(json!([before]), StatusRule::Ever).unwrap();
        assert!(
            text.contains(&format!("{status} since 2026-05-01")),
            "{text}"
        );
        // The day decides, not the place in the list.
        for list in [json!([before, certified]), json!([certified, before])] {
            assert!(run(list.clone(), StatusRule::Ever).is_some());
            assert_eq!(run(list, StatusRule::Newest), None);
        }
        for list in [
            json!([certified, bad("2026-11-18")]),
            json!([bad("2026-11-18"), certified]),
        ] {
            assert!(run(list, StatusRule::Newest).is_some());
        }
        assert_eq!(
            run(json!([certified, bad("2026-11-19")]), StatusRule::Ever),
            None
        );
        assert!(run(json!([{"status": status.as_str()}]), StatusRule::Newest).is_some());
    }
    assert_eq!(
        run(json!([{"status": "A_NEW_ONE"}]), StatusRule::Ever),
        None
    );
}

#[test]
fn a_compromised_certificate_is_not_the_whole_model() {
    for (is_own, is_taken) in [(true, false), (false, true)] {
        let model = Model::new();
        // Signing is not deterministic, so the certificate must be made once.
        let leaf = model.leaf_der();
        let named = if is_own {
            leaf.clone()
        } else {
            model.leaf_der()
        };
        let reports = json!([{
            "status": "ATTESTATION_KEY_COMPROMISE",
            "effectiveDate": "2026-01-01",
            "certificate": STANDARD.encode(named),
        }]);
        let metadata = blob(json!([model.entry(reports)])).read().unwrap();
        let mut made = model.registration_with(metadata, ModelPolicy::default());
        let old = std::mem::replace(&mut made.attest, Box::new(|_, _, _| vec![]));
        made.attest = Box::new(move |auth_data, hash, key| {
            replace_certificate(&old(auth_data, hash, key), &leaf)
        });
        assert_eq!(made.run().is_ok(), is_taken, "{:?}", made.run().err());
    }
}

/// The statement with another certificate for the same key.
fn replace_certificate(statement: &[u8], leaf: &[u8]) -> Vec<u8> {
    use webauthn::cbor::Value;
    let value = Value::decode(statement).unwrap();
    let bytes = |name: &str| match value.get_text(name).unwrap() {
        Value::Bytes(bytes) => bytes.clone(),
        other => panic!("{other:?}"),
    };
    packed(CoseAlgorithm::ES256, bytes("sig"), &[leaf.to_vec()])
}

#[test]
fn lists_certification_and_age_are_enforced() {
    let certified = json!([{"status": "FIDO_CERTIFIED_L1plus"}]);
    let run =
        |change: fn(&mut ModelPolicy)| Model::new().registration(certified.clone(), policy(change));
    let other = ModelId::Aaguid(Aaguid([0xbb; 16]));
    assert!(
        run(|p| p.allowed = vec![ModelId::Aaguid(AAGUID)])
            .run()
            .is_ok()
    );
    assert_eq!(
        Model::new()
            .registration(certified.clone(), policy(|p| p.allowed = vec![other]))
            .run()
            .unwrap_err()
            .code(),
        "model"
    );
    assert_eq!(
        refused(&run(|p| p.refused = vec![ModelId::Aaguid(AAGUID)])),
        ModelRefusal::Refused
    );
    assert!(
        run(|p| p.certification = Some(Certification::L1Plus))
            .run()
            .is_ok()
    );
    assert_eq!(
        refused(&run(|p| p.certification = Some(Certification::L2))),
        ModelRefusal::Certification {
            expected: Certification::L2,
            found: Some(Certification::L1Plus)
        }
    );
    // NOW is 2026-11-18, the metadata is good until 2026-12-01.
    let late = |days: u64, grace: Option<u32>| {
        let mut made = run(|_| {});
        made.policy.models.outdated_after_days = grace;
        made.policy.timeout = u32::MAX;
        made.seconds = days * 86_400;
        made
    };
    assert!(late(13, Some(0)).run().is_ok());
    assert!(late(14, Some(1)).run().is_ok());
    assert!(late(14, None).run().is_ok());
    assert!(matches!(
        refused(&late(14, Some(0))),
        ModelRefusal::Outdated { .. }
    ));
}

/// Anybody can write an AAGUID into authenticator data.
#[test]
fn a_claimed_model_is_not_a_proven_one() {
    let mut made = made::registration(UserVerificationPolicy::Never);
    made.policy.models = policy(|p| p.allowed = vec![ModelId::Aaguid(AAGUID)]);
    assert_eq!(refused(&made), ModelRefusal::NotAllowed);
    made.fmt = "packed".into();
    made.attest = made::packed_self();
    assert_eq!(refused(&made), ModelRefusal::NotAllowed);
    made.policy.models = policy(|p| p.refused = vec![ModelId::Aaguid(AAGUID)]);
    assert_eq!(refused(&made), ModelRefusal::Refused);
    made.policy.models = policy(|p| p.certification = Some(Certification::Certified));
    assert!(matches!(
        refused(&made),
        ModelRefusal::Certification { found: None, .. }
    ));
}

/// U2F authenticators have no AAGUID that counts: the key of their certificate names the model.
#[test]
fn a_model_is_known_by_the_key_of_its_certificate() {
    let model = Model::new();
    let point = match model.leaf.cose() {
        webauthn::cose::CoseKey::Ec2 { x, y, .. } => [&[4], &x[..], &y].concat(),
        other => panic!("{other:?}"),
    };
    let sha1 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &point);
    let id = ModelId::KeyIdentifier(sha1.as_ref().try_into().unwrap());
    let mut entry = model.entry(json!([{"status": "FIDO_CERTIFIED"}]));
    entry.as_object_mut().unwrap().remove("aaguid");
    entry["attestationCertificateKeyIdentifiers"] = json!([id.to_string()]);
    let metadata = blob(json!([entry])).read().unwrap();
    let mut made = model.registration_with(metadata, policy(|p| p.allowed = vec![id]));
    made.aaguid = Aaguid::ZERO;
    let attestation = made.run().unwrap().attestation;
    assert_eq!(attestation.model, None);
    assert_eq!(
        attestation.facts.unwrap().certification,
        Some(Certification::Certified)
    );
    made.policy.models = policy(|p| p.refused = vec![id]);
    assert_eq!(made.run().unwrap_err().code(), "model");
    // With an AAGUID that is not in the metadata, the key does not make up for it.
    made.policy.models = ModelPolicy::default();
    made.aaguid = AAGUID;
    assert_eq!(made.run().unwrap_err().code(), "attestation-trust");
}

#[test]
fn what_is_registered_is_looked_at_again() {
    use rp::attestation::review;
    let model = Model::new();
    let good = json!([{"status": "FIDO_CERTIFIED_L1", "effectiveDate": "2025-01-01"}]);
    let revoked = json!([
        {"status": "FIDO_CERTIFIED_L1", "effectiveDate": "2025-01-01"},
        {"status": "REVOKED", "effectiveDate": "2026-11-01"},
    ]);
    let [before, after] = [good, revoked].map(|reports| {
        let metadata = blob(json!([model.entry(reports)])).read().unwrap();
        TrustAnchors::none().with_metadata(Arc::new(metadata))
    });
    let mut made = model.registration(json!([]), ModelPolicy::default());
    made.anchors = before.clone();
    let record = made.run().unwrap().record;
    assert!(record.attested);
    let policy = ModelPolicy::default();
    let facts = review(&record, &policy, &before, NOW).unwrap().unwrap();
    assert_eq!(facts.name, "Test Key 3000");
    let refusal = review(&record, &policy, &after, NOW).unwrap_err();
    assert!(matches!(refusal, ModelRefusal::Status { .. }), "{refusal}");
    // Nothing is known of a credential without attestation, and nothing is said.
    let plain = made::registration(UserVerificationPolicy::Never)
        .run()
        .unwrap()
        .record;
    let mut other = plain.clone();
    other.aaguid = Aaguid::ZERO;
    assert_eq!(review(&other, &policy, &after, NOW), Ok(None));
    // But one that says that it is of a revoked model is refused.
    assert!(review(&plain, &policy, &after, NOW).is_err());
}

#[test]
fn a_certification_that_was_taken_back_does_not_count() {
    let reports = json!([
        {"status": "NOT_FIDO_CERTIFIED", "effectiveDate": "2026-03-01"},
        {"status": "FIDO_CERTIFIED_L3", "effectiveDate": "2024-01-01"},
        {"status": "FIDO_CERTIFIED_L1", "effectiveDate": "2026-04-01"},
        {"status": "FIDO_CERTIFIED_L3", "effectiveDate": "2027-01-01"},
    ]);
    let facts = Model::new()
        .registration(reports, ModelPolicy::default())
        .run()
        .unwrap()
        .attestation
        .facts
        .unwrap();
    assert_eq!(facts.certification, Some(Certification::L1));
}

#[test]
fn a_policy_on_models_must_be_spelt_right() {
    for text in [
        r#"{"alowed": []}"#,
        r#"{"allowed": ["x"]}"#,
        r#"{"certification": "l9"}"#,
    ] {
        assert!(serde_json::from_str::<ModelPolicy>(text).is_err(), "{text}");
    }
    let policy = policy(|p| {
        p.allowed = vec![ModelId::KeyIdentifier([0xab; 20]), ModelId::Aaguid(AAGUID)];
        p.refused_statuses = vec![AuthenticatorStatus::Other("NEW".into())];
    });
    let text = serde_json::to_string(&policy).unwrap();
    assert!(text.contains(&"ab".repeat(20)), "{text}");
    assert_eq!(serde_json::from_str::<ModelPolicy>(&text).unwrap(), policy);
}

/// Mutated payloads that are signed all the same, and mutated BLOBs: `PINWARD_MUTATIONS` of each.
#[test]
fn no_mutation_of_a_blob_panics_or_passes_unsigned() {
    let count = std::env::var("PINWARD_MUTATIONS").map_or(300, |count| count.parse().unwrap());
    let model = Model::new();
    let blob = blob(json!([model.entry(
        json!([{"status": "FIDO_CERTIFIED_L1", "effectiveDate": "2024-02-29"}])
    )]));
    let anchors = blob.anchors();
    let read = |text: &[u8]| Metadata::read(text, &anchors, HOST, NOW);
    let header = json!({"alg": "ES256", "x5c": [STANDARD.encode(blob.certificate())]}).to_string();
    let payload = blob.payload.to_string().into_bytes();
    let genuine = blob.sign(&header, &payload).into_bytes();
    assert!(read(&genuine).is_ok());
    let mut dice = Dice(6);
    let mut accepted = 0;
    for _ in 0..count {
        let mut bytes = payload.clone();
        for _ in 0..=dice.below(2) {
            let at = dice.below(bytes.len());
            match dice.below(4) {
                0 => bytes[at] = b"0129-\"{}[],:\\\xff"[dice.below(14)],
                1 => bytes.insert(at, b"019\"[]{},"[dice.below(9)]),
                2 => drop(bytes.remove(at)),
                _ => bytes[at] ^= 1 << dice.below(8),
            }
        }
        if let Ok(metadata) = read(blob.sign(&header, &bytes).as_bytes()) {
            accepted += 1;
            let _ = (metadata.is_outdated(NOW, 30), metadata.faults());
            for entry in metadata.entries() {
                let _ = (entry.name(), entry.status_in_force(NOW));
            }
        }
        let mut bytes = genuine.clone();
        let at = dice.below(bytes.len());
        bytes[at] = dice.below(256) as u8;
        assert!(read(&bytes).is_err() || bytes == genuine, "{at}");
    }
    assert!(accepted > 0);
}

#[test]
fn the_root_of_the_fido_alliance_can_be_read() {
    assert_eq!(fido_alliance_root().unwrap().len(), 1);
}

/// 2023-09-25, when the real BLOB was in force.
const THEN: u64 = 1_695_600_000;

fn real() -> Option<(String, Metadata)> {
    let text = data("fido-mds3-blob-31.jwt")?;
    let root = fido_alliance_root().unwrap();
    let metadata = Metadata::read(text.as_bytes(), &root, FIDO_ALLIANCE, THEN).unwrap();
    Some((text, metadata))
}

#[test]
fn the_real_blob_is_read() {
    let Some((text, metadata)) = real() else {
        return;
    };
    assert_eq!((metadata.number(), metadata.entries().len()), (31, 174));
    assert_eq!(metadata.next_update().to_string(), "2023-10-01");
    assert!(metadata.legal_header().contains("fidoalliance.org"));
    assert!(metadata.faults().is_empty(), "{:?}", metadata.faults());
    assert!(!metadata.is_outdated(THEN, 0) && metadata.is_outdated(NOW, 30));
    let rootless = metadata
        .entries()
        .iter()
        .filter(|entry| entry.anchors().is_empty())
        .count();
    assert_eq!(
        metadata
            .entries()
            .iter()
            .filter(|entry| entry.aaguid.is_some())
            .count(),
        108
    );
    println!("{rootless} of 174 models have no root certificate");

    let root = fido_alliance_root().unwrap();
    let read = |text: &str, host: &str, at| Metadata::read(text.as_bytes(), &root, host, at);
    // The certificate of the signer has expired since.
    assert!(matches!(
        read(&text, FIDO_ALLIANCE, NOW),
        Err(MetadataError::Signer(_))
    ));
    assert!(matches!(
        read(&text, "example.org", THEN),
        Err(MetadataError::Signer(_))
    ));
    let none = TrustAnchors::none();
    let result = Metadata::read(text.as_bytes(), &none, FIDO_ALLIANCE, THEN);
    assert!(matches!(result, Err(MetadataError::Signer(_))));
    for at in [text.len() / 3, text.len() / 2, text.len() - 20] {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let result = Metadata::read(&changed, &root, FIDO_ALLIANCE, THEN);
        assert_eq!(result.unwrap_err(), MetadataError::Signature);
    }
}

#[test]
fn a_real_model_is_known() {
    let Some((_, metadata)) = real() else { return };
    let id: Aaguid = "fcb1bcb4-f370-078c-6993-bc24d0ae3fbe".parse().unwrap();
    let entry = metadata.by_aaguid(id).unwrap();
    assert_eq!(entry.name(), "Ledger Nano X FIDO2 Authenticator");
    assert!(!entry.status_in_force(THEN).is_empty());
    // U2F models are found by the keys of their certificates.
    let u2f = metadata
        .entries()
        .iter()
        .find(|entry| !entry.key_identifiers.is_empty());
    let u2f = u2f.unwrap();
    assert_eq!(
        metadata
            .by_key_identifier(&u2f.key_identifiers[0])
            .unwrap()
            .name(),
        u2f.name()
    );
}
