//! The statements of `fido-u2f`, `tpm`, `android-key` and `apple`, made here: each is accepted, and
//! refused when one thing of it is wrong, for exactly that.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::certificate::{self, Certificate, oid, tlv};
use common::made::{self, Registration, Signer, USER, sha256};
use rp::attestation::{AttestationType, Trust};
use rp::policy::{AttestationTrustPolicy, UserVerificationPolicy};
use rp::{Refusal, TrustAnchors};
use webauthn::authenticator_data::AuthenticatorData;
use webauthn::cbor::Value;
use webauthn::cose::{CoseAlgorithm, CoseKey};

/// Everything that goes into a statement and may be wrong.
struct Parts {
    /// The certificate before it is signed.
    leaf: Certificate,
    /// How often the certificate is in `x5c`.
    copies: usize,
    challenge: Option<[u8; 32]>,
    alg: CoseAlgorithm,
    break_signature: bool,
    extra_member: bool,
    ver: &'static str,
    magic: [u8; 4],
    kind: [u8; 2],
    name: Option<Vec<u8>>,
    other_key: bool,
    cert_info_tail: Vec<u8>,
    origin: Option<u8>,
    purposes: Option<Vec<u8>>,
    all_applications: bool,
    nonce_extension: bool,
}

impl Parts {
    fn new(leaf: Certificate) -> Self {
        Self {
            leaf,
            copies: 1,
            challenge: None,
            alg: CoseAlgorithm::ES256,
            break_signature: false,
            extra_member: false,
            ver: "2.0",
            magic: *b"\xffTCG",
            kind: [0x80, 0x17],
            name: None,
            other_key: false,
            cert_info_tail: vec![],
            origin: Some(0),
            purposes: Some(vec![2]),
            all_applications: false,
            nonce_extension: true,
        }
    }

    fn statement(&self, members: Vec<(&str, Value)>, x5c: &[u8]) -> Vec<u8> {
        let x5c = vec![Value::Bytes(x5c.to_vec()); self.copies];
        let mut members: Vec<(Value, Value)> = members
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect();
        members.push(("x5c".into(), Value::Array(x5c)));
        if self.extra_member {
            members.push(("more".into(), Value::Null));
        }
        Value::Map(members).encode()
    }

    fn sig(&self, signer: &Signer, message: &[u8]) -> Value {
        let mut signature = signer.sign(message);
        if self.break_signature {
            signature = signer.sign(&[message, &[0]].concat());
        }
        Value::Bytes(signature)
    }

    fn alg(&self) -> Value {
        Value::from(i64::from(self.alg.0))
    }
}

fn point(key: &CoseKey) -> (&[u8], &[u8]) {
    let CoseKey::Ec2 { x, y, .. } = key else {
        panic!()
    };
    (x, y)
}

/// Registers with a statement that `make` builds from the parts, after a change to them.
fn run(fmt: &'static str, change: fn(&mut Parts)) -> Result<rp::registration::Verdict, Refusal> {
    let root_key = Signer::new(CoseAlgorithm::ES256);
    let root = certificate::root(&root_key).sign(&root_key);
    let mut made: Registration =
        made::registration(UserVerificationPolicy::IfSet).with_key(CoseAlgorithm::ES256);
    made.policy.attestation_trust = AttestationTrustPolicy::Trusted;
    made.anchors = TrustAnchors::from_der([root]).unwrap();
    made.fmt = fmt.into();
    made.attest = Box::new(move |auth_data, hash, credential| {
        let input = (auth_data, hash, credential, &root_key);
        match fmt {
            "fido-u2f" => fido_u2f(input, change),
            "tpm" => tpm(input, change),
            "android-key" => android_key(input, change),
            "apple" => apple(input, change),
            _ => panic!("{fmt}"),
        }
    });
    made.run()
}

type Input<'a> = (&'a [u8], &'a [u8; 32], &'a Signer, &'a Signer);

fn fido_u2f((auth_data, hash, credential, root): Input<'_>, change: fn(&mut Parts)) -> Vec<u8> {
    let key = Signer::new(CoseAlgorithm::ES256);
    let mut parts = Parts::new(certificate::packed_leaf(&key));
    change(&mut parts);
    let data = AuthenticatorData::parse(auth_data).unwrap();
    let cose = credential.cose();
    let (x, y) = point(&cose);
    let id = data.attested_credential_data.unwrap().credential_id;
    let message = [&[0], &data.rp_id_hash[..], hash, id, &[4], x, y].concat();
    let sig = parts.sig(&key, &message);
    parts.statement(vec![("sig", sig)], &parts.leaf.sign(root))
}

fn tpm_leaf(key: &Signer) -> Certificate {
    let attribute = |id: &str, value: &str| {
        tlv(
            0x31,
            &tlv(0x30, &[oid(id), tlv(0x0c, value.as_bytes())].concat()),
        )
    };
    let name = [
        attribute("2.23.133.2.1", "id:00000000"),
        attribute("2.23.133.2.2", "Test"),
        attribute("2.23.133.2.3", "id:00000001"),
    ];
    let san = tlv(0x30, &tlv(0xa4, &tlv(0x30, &name.concat())));
    Certificate {
        subject: vec![],
        ..certificate::packed_leaf(key)
    }
    .with_extension("2.5.29.17", true, san)
    .with_extension("2.5.29.37", false, tlv(0x30, &oid("2.23.133.8.3")))
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

fn tpm((auth_data, hash, credential, root): Input<'_>, change: fn(&mut Parts)) -> Vec<u8> {
    let key = Signer::new(CoseAlgorithm::ES256);
    let mut parts = Parts::new(tpm_leaf(&key));
    change(&mut parts);
    let other = Signer::new(CoseAlgorithm::ES256);
    let cose = if parts.other_key { &other } else { credential }.cose();
    let (x, y) = point(&cose);
    // ECC, SHA-256, attributes, no policy, no symmetric, no scheme, P-256, no key derivation.
    let head = common::hex("0023000b0004000000000010001000030010");
    let pub_area = [head, sized(x), sized(y)].concat();
    let attested = sha256(&[auth_data, hash].concat());
    let extra_data = parts.challenge.unwrap_or(attested);
    let name = [&[0, 0x0b], &sha256(&pub_area)[..]].concat();
    let cert_info = [
        parts.magic.to_vec(),
        parts.kind.to_vec(),
        sized(b"signer"),
        sized(&extra_data),
        vec![0; 17 + 8],
        sized(parts.name.as_ref().unwrap_or(&name)),
        sized(&[]),
        parts.cert_info_tail.clone(),
    ]
    .concat();
    let sig = parts.sig(&key, &cert_info);
    let members = vec![
        ("ver", parts.ver.into()),
        ("alg", parts.alg()),
        ("sig", sig),
        ("certInfo", Value::Bytes(cert_info)),
        ("pubArea", Value::Bytes(pub_area)),
    ];
    parts.statement(members, &parts.leaf.sign(root))
}

fn android_key((auth_data, hash, credential, root): Input<'_>, change: fn(&mut Parts)) -> Vec<u8> {
    let mut parts = Parts::new(certificate::packed_leaf(credential));
    change(&mut parts);
    let other = Signer::new(CoseAlgorithm::ES256);
    let signer = if parts.other_key { &other } else { credential };
    parts.leaf.key = signer.cose();
    let mut list = vec![];
    if let Some(purposes) = &parts.purposes {
        let set: Vec<u8> = purposes
            .iter()
            .flat_map(|purpose| tlv(0x02, &[*purpose]))
            .collect();
        list.extend(tlv(0xa1, &tlv(0x31, &set)));
    }
    let high_tag = |number: u16, content: &[u8]| {
        let tag = [0xbf, 0x80 | (number >> 7) as u8, (number & 0x7f) as u8];
        [&tag[..], &tlv(0, content)[1..]].concat()
    };
    if parts.all_applications {
        list.extend(high_tag(600, &tlv(0x05, &[])));
    }
    if let Some(origin) = parts.origin {
        list.extend(high_tag(702, &tlv(0x02, &[origin])));
    }
    let description = [
        tlv(0x02, &[3]),
        tlv(0x0a, &[1]),
        tlv(0x02, &[4]),
        tlv(0x0a, &[1]),
        tlv(0x04, &parts.challenge.unwrap_or(*hash)),
        tlv(0x04, &[]),
        tlv(0x30, &[]),
        tlv(0x30, &list),
    ];
    if parts.nonce_extension {
        let value = tlv(0x30, &description.concat());
        parts.leaf = parts
            .leaf
            .with_extension("1.3.6.1.4.1.11129.2.1.17", false, value);
    }
    let sig = parts.sig(signer, &[auth_data, hash].concat());
    parts.statement(
        vec![("alg", parts.alg()), ("sig", sig)],
        &parts.leaf.sign(root),
    )
}

fn apple((auth_data, hash, credential, root): Input<'_>, change: fn(&mut Parts)) -> Vec<u8> {
    let mut parts = Parts::new(certificate::packed_leaf(credential));
    change(&mut parts);
    let nonce = parts
        .challenge
        .unwrap_or(sha256(&[auth_data, hash].concat()));
    if parts.nonce_extension {
        let value = tlv(0x30, &tlv(0xa1, &tlv(0x04, &nonce)));
        parts.leaf = parts
            .leaf
            .with_extension("1.2.840.113635.100.8.2", false, value);
    }
    parts.statement(vec![], &parts.leaf.sign(root))
}

#[test]
fn correct_statements_are_accepted_and_trusted() {
    for (fmt, attestation_type, proves_model) in [
        ("fido-u2f", AttestationType::Basic, false),
        ("tpm", AttestationType::AttestationCa, true),
        ("android-key", AttestationType::Basic, true),
        ("apple", AttestationType::AnonymizationCa, true),
    ] {
        let verdict = run(fmt, |_| ()).unwrap();
        assert_eq!(verdict.attestation.trust, Trust::Trusted, "{fmt}");
        assert_eq!(
            verdict.attestation.attestation_type, attestation_type,
            "{fmt}"
        );
        assert_eq!(
            verdict.attestation.model,
            proves_model.then_some(made::AAGUID),
            "{fmt}"
        );
        assert_eq!(verdict.record.attested, proves_model, "{fmt}");
        assert_eq!(verdict.record.user_handle, USER.into());
    }
    // As the specification's own vector has it: nothing is said of origin and purpose.
    run("android-key", |parts| {
        (parts.origin, parts.purposes) = (None, None)
    })
    .unwrap();
}

#[test]
fn each_statement_is_refused_for_one_thing() {
    type Case = (&'static str, &'static str, fn(&mut Parts));
    let cases: &[Case] = &[
        ("fido-u2f", "the signature is not valid", |p| {
            p.break_signature = true
        }),
        ("fido-u2f", "one certificate was expected, not 2", |p| {
            p.copies = 2
        }),
        ("fido-u2f", "`x5c` is not an array", |p| p.copies = 0),
        ("fido-u2f", "does not define", |p| p.extra_member = true),
        ("fido-u2f", "key of another kind", |p| {
            p.leaf.key = Signer::new(CoseAlgorithm::ES384).cose();
        }),
        ("fido-u2f", "key of another kind", |p| {
            p.leaf.key = Signer::new(CoseAlgorithm::EDDSA).cose();
        }),
        ("tpm", "the signature is not valid", |p| {
            p.break_signature = true
        }),
        ("tpm", "`ver` is not", |p| p.ver = "1.2"),
        ("tpm", "does not define", |p| p.extra_member = true),
        ("tpm", "algorithm -999 is not supported", |p| {
            p.alg = CoseAlgorithm(-999)
        }),
        ("tpm", "(magic)", |p| p.magic = *b"\xffTCH"),
        ("tpm", "(type)", |p| p.kind = [0x80, 0x18]),
        ("tpm", "`extraData` is another", |p| {
            p.challenge = Some([9; 32])
        }),
        ("tpm", "(name)", |p| p.name = Some(vec![0, 0x0b, 1])),
        ("tpm", "`certInfo` is malformed", |p| {
            p.cert_info_tail = vec![0]
        }),
        ("tpm", "not the credential public key", |p| {
            p.other_key = true
        }),
        ("tpm", "has a subject", |p| {
            p.leaf.subject = vec![("2.5.4.3", "TPM")]
        }),
        ("tpm", "is not of version 3", |p| p.leaf.version = 0),
        ("tpm", "does not say that it is not a CA's", |p| {
            p.leaf.ca = Some(true)
        }),
        ("tpm", "does not name manufacturer", |p| {
            drop(p.leaf.extensions.remove(0))
        }),
        ("tpm", "not for an attestation identity key", |p| {
            drop(p.leaf.extensions.remove(1))
        }),
        ("android-key", "the signature is not valid", |p| {
            p.break_signature = true
        }),
        ("android-key", "not the credential public key", |p| {
            p.other_key = true;
        }),
        ("android-key", "the attested challenge is another", |p| {
            p.challenge = Some([9; 32])
        }),
        ("android-key", "no key description", |p| {
            p.nonce_extension = false
        }),
        ("android-key", "all applications", |p| {
            p.all_applications = true
        }),
        ("android-key", "was not generated", |p| p.origin = Some(2)),
        ("android-key", "not for signing alone", |p| {
            p.purposes = Some(vec![2, 3])
        }),
        ("android-key", "not for signing alone", |p| {
            p.purposes = Some(vec![])
        }),
        ("android-key", "does not define", |p| p.extra_member = true),
        ("apple", "the certified nonce is another", |p| {
            p.challenge = Some([9; 32])
        }),
        ("apple", "has no nonce", |p| p.nonce_extension = false),
        ("apple", "not the credential public key", |p| {
            p.leaf.key = Signer::new(CoseAlgorithm::ES256).cose();
        }),
        ("apple", "does not define", |p| p.extra_member = true),
    ];
    for (fmt, words, change) in cases {
        match run(fmt, *change) {
            Err(refusal @ Refusal::Attestation { .. }) => {
                assert!(
                    refusal.to_string().contains(words),
                    "{fmt}, {words}: {refusal}"
                );
            }
            other => panic!("{fmt}, {words}: {other:?}"),
        }
    }
}
