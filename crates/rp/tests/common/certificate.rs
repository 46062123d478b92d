//! Certificates of which every part can be changed, written in DER by hand.

use webauthn::cose::{CoseAlgorithm, CoseKey};

use super::made::Signer;

/// One DER element.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        length @ 0..=127 => out.push(length as u8),
        length @ 128..=255 => out.extend([0x81, length as u8]),
        length => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend_from_slice(content);
    out
}

/// An object identifier, from its dotted form.
pub fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u64> = dotted.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut content = vec![(arcs[0] * 40 + arcs[1]) as u8];
    for arc in &arcs[2..] {
        let groups: Vec<u8> = (0..10)
            .rev()
            .map(|i| (arc >> (7 * i)) as u8 & 0x7f)
            .collect();
        let start = groups.iter().position(|group| *group != 0).unwrap_or(9);
        content.extend(groups[start..9].iter().map(|group| group | 0x80));
        content.push(groups[9]);
    }
    tlv(0x06, &content)
}

const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";

/// A certificate to be.
pub struct Certificate {
    /// 0 is version 1, 2 is version 3.
    pub version: u8,
    pub issuer: String,
    /// Attribute and value, as printable strings or UTF-8.
    pub subject: Vec<(&'static str, &'static str)>,
    pub key: CoseKey,
    /// `None`: no basic constraints.
    pub ca: Option<bool>,
    pub not_after: &'static str,
    /// Further extensions: identifier, critical, value.
    pub extensions: Vec<(&'static str, bool, Vec<u8>)>,
}

pub const AAGUID_EXTENSION: &str = "1.3.6.1.4.1.45724.1.1.4";
pub const SERNUM_EXTENSION: &str = "1.3.6.1.4.1.45724.1.1.2";

/// As §8.2.1 wants it.
pub fn packed_leaf(key: &Signer) -> Certificate {
    Certificate {
        version: 2,
        issuer: "Test Root".into(),
        subject: vec![
            ("2.5.4.6", "AA"),
            ("2.5.4.10", "Pinward"),
            ("2.5.4.11", "Authenticator Attestation"),
            ("2.5.4.3", "Test Key"),
        ],
        key: key.cose(),
        ca: Some(false),
        not_after: "20491231235959Z",
        extensions: vec![],
    }
}

/// A root named "Test Root".
pub fn root(key: &Signer) -> Certificate {
    Certificate {
        subject: vec![("2.5.4.3", "Test Root")],
        ca: Some(true),
        ..packed_leaf(key)
    }
}

impl Certificate {
    pub fn with_extension(mut self, id: &'static str, critical: bool, value: Vec<u8>) -> Self {
        self.extensions.push((id, critical, value));
        self
    }

    /// Signs it, with a P-256 key.
    pub fn sign(&self, issuer: &Signer) -> Vec<u8> {
        let algorithm = tlv(0x30, &oid(ECDSA_SHA256));
        let name = |attributes: &[(&str, &str)]| {
            let set = |(id, value): &(&str, &str)| {
                let tag = if value.len() == 2 { 0x13 } else { 0x0c };
                tlv(
                    0x31,
                    &tlv(0x30, &[oid(id), tlv(tag, value.as_bytes())].concat()),
                )
            };
            tlv(
                0x30,
                &attributes.iter().map(set).collect::<Vec<_>>().concat(),
            )
        };
        let validity = [
            tlv(0x17, b"240101000000Z"),
            tlv(0x18, self.not_after.as_bytes()),
        ]
        .concat();
        let mut parts = vec![
            tlv(0x02, &[1]),
            algorithm.clone(),
            name(&[("2.5.4.3", &self.issuer)]),
            tlv(0x30, &validity),
            name(&self.subject),
            self.key_info(),
        ];
        if self.version == 2 {
            parts.insert(0, tlv(0xa0, &tlv(0x02, &[2])));
            parts.push(tlv(0xa3, &tlv(0x30, &self.extension_list())));
        }
        let tbs = tlv(0x30, &parts.concat());
        let signature = [&[0], &issuer.sign(&tbs)[..]].concat();
        tlv(0x30, &[tbs, algorithm, tlv(0x03, &signature)].concat())
    }

    fn key_info(&self) -> Vec<u8> {
        let (algorithm, bits) = match &self.key {
            CoseKey::Ec2 { alg, x, y, .. } => {
                let named = match *alg {
                    CoseAlgorithm::ES384 => "1.3.132.0.34",
                    CoseAlgorithm::ES512 => "1.3.132.0.35",
                    _ => "1.2.840.10045.3.1.7",
                };
                (
                    [oid("1.2.840.10045.2.1"), oid(named)].concat(),
                    [&[4], &x[..], y].concat(),
                )
            }
            CoseKey::Okp { x, .. } => (oid("1.3.101.112"), x.clone()),
            other => panic!("no certificate for {other:?}"),
        };
        tlv(
            0x30,
            &[
                tlv(0x30, &algorithm),
                tlv(0x03, &[&[0], &bits[..]].concat()),
            ]
            .concat(),
        )
    }

    fn extension_list(&self) -> Vec<u8> {
        let one = |id: &str, critical: bool, value: &[u8]| {
            let critical = if critical { tlv(0x01, &[0xff]) } else { vec![] };
            tlv(0x30, &[oid(id), critical, tlv(0x04, value)].concat())
        };
        let mut list = vec![];
        if let Some(ca) = self.ca {
            let content = if ca { tlv(0x01, &[0xff]) } else { vec![] };
            list.push(one("2.5.29.19", true, &tlv(0x30, &content)));
        }
        list.extend(
            self.extensions
                .iter()
                .map(|(id, critical, value)| one(id, *critical, value)),
        );
        list.concat()
    }
}
