//! CTAP 2.3 §6.4 authenticatorGetInfo, and §9 what a version obliges to.

use std::collections::HashSet;
use std::hash::Hash;

use ctap::entities::PUBLIC_KEY;

use crate::bench::{Bench, PIN};
use crate::check::Need::{self, Ctap2, Extension, Lacks, Member, On, Option as Has, Version};
use crate::check::{Check, Outcome, check, ensure, failed, same};

const INFO: &str = "CTAP 2.3 §6.4";
const MANDATORY: &str = "CTAP 2.3 §9";
const NEEDS: &[Need] = &[Ctap2];

fn unique<T: Eq + Hash>(what: &str, all: impl IntoIterator<Item = T>) -> Outcome {
    let mut seen = HashSet::new();
    let twice = all.into_iter().any(|item| !seen.insert(item));
    ensure(!twice, format!("{what} has something twice"))
}

fn at_least(b: &Bench<'_>, key: i64, least: i64) -> Outcome {
    match b.member(key).and_then(|value| value.as_i64()) {
        Some(value) if value >= least => Ok(()),
        Some(value) => failed(format!("member 0x{key:02x} is {value}, less than {least}")),
        None => failed(format!("member 0x{key:02x} is missing or no integer")),
    }
}

fn implies_extension(b: &Bench<'_>, name: &str) -> Outcome {
    let listed = b.new_info()?.has_extension(name);
    ensure(listed, format!("the extension {name} is missing"))
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "getinfo.versions",
        INFO,
        "versions lists known versions, and at least one",
        NEEDS,
        |b| {
            const KNOWN: [&str; 5] = ["U2F_V2", "FIDO_2_0", "FIDO_2_1_PRE", "FIDO_2_1", "FIDO_2_3"];
            let versions = &b.new_info()?.versions;
            ensure(!versions.is_empty(), "versions is empty")?;
            let odd = versions.iter().find(|v| !KNOWN.contains(&v.as_str()));
            ensure(odd.is_none(), format!("{odd:?} is no version"))
        },
    ),
    check(
        "getinfo.versions-unique",
        INFO,
        "No version is listed twice",
        NEEDS,
        |b| unique("versions", &b.new_info()?.versions),
    ),
    check(
        "getinfo.no-fido-2-2",
        INFO,
        "There is no version string for CTAP 2.2",
        NEEDS,
        |b| ensure(!b.new_info()?.has_version("FIDO_2_2"), "FIDO_2_2 is listed"),
    ),
    check(
        "getinfo.newer-includes-2-1",
        MANDATORY,
        "A key of CTAP 2.3 is one of 2.1 too",
        &[Version("FIDO_2_3")],
        |b| {
            ensure(
                b.new_info()?.has_version("FIDO_2_1"),
                "FIDO_2_1 is not listed",
            )
        },
    ),
    check(
        "getinfo.extensions-unique",
        INFO,
        "No extension is listed twice",
        &[Member(2)],
        |b| unique("extensions", b.new_info()?.extensions.iter().flatten()),
    ),
    check(
        "getinfo.aaguid-stays",
        INFO,
        "The AAGUID is the same after a power cycle",
        &[Ctap2, Need::Power],
        |b| {
            b.power_cycle()?;
            let now = b.info()?.aaguid;
            same(now, b.new_info()?.aaguid, "the AAGUID")
        },
    ),
    check(
        "getinfo.stable",
        INFO,
        "Two answers differ at most in the encrypted members",
        NEEDS,
        |b| {
            let (mut one, mut two) = (b.info()?, b.info()?);
            for info in [&mut one, &mut two] {
                info.enc_identifier = None;
                info.enc_cred_store_state = None;
            }
            ensure(one == two, "two answers in a row differ")
        },
    ),
    check(
        "getinfo.known-members",
        INFO,
        "All members are ones that CTAP 2.3 defines",
        NEEDS,
        |b| {
            let raw = b.facts.raw.as_ref().and_then(|raw| raw.entries());
            let odd = raw
                .into_iter()
                .flatten()
                .find(|(key, _)| !key.as_i64().is_some_and(|key| (1..=0x1f).contains(&key)));
            ensure(odd.is_none(), format!("{odd:?} is no member"))
        },
    ),
    check(
        "getinfo.up",
        INFO,
        "User presence is not denied",
        NEEDS,
        |b| ensure(b.option("up") != Some(false), "up is false"),
    ),
    check(
        "getinfo.not-platform",
        INFO,
        "A roaming key does not say that it is part of a platform",
        NEEDS,
        |b| ensure(b.option("plat") != Some(true), "plat is true"),
    ),
    check(
        "getinfo.max-msg-size",
        INFO,
        "maxMsgSize is at least 1024",
        &[Member(5)],
        |b| at_least(b, 5, 1024),
    ),
    check(
        "getinfo.protocols-known",
        INFO,
        "PIN/UV auth protocols are known and listed once",
        &[Member(6)],
        |b| {
            let protocols = b
                .new_info()?
                .pin_uv_auth_protocols
                .clone()
                .unwrap_or_default();
            ensure(!protocols.is_empty(), "the list is empty")?;
            ensure(
                protocols.iter().all(|p| matches!(p, 1 | 2)),
                format!("{protocols:?}"),
            )?;
            unique("pinUvAuthProtocols", protocols)
        },
    ),
    check(
        "getinfo.protocols-present",
        INFO,
        "A key with a PIN lists its PIN/UV auth protocols",
        &[Has("clientPin")],
        |b| ensure(b.member(6).is_some(), "pinUvAuthProtocols is missing"),
    ),
    check(
        "getinfo.max-count-in-list",
        INFO,
        "maxCredentialCountInList is more than zero",
        &[Member(7)],
        |b| at_least(b, 7, 1),
    ),
    check(
        "getinfo.max-id-length",
        INFO,
        "maxCredentialIdLength is more than zero",
        &[Member(8)],
        |b| at_least(b, 8, 1),
    ),
    check(
        "getinfo.id-within-limit",
        INFO,
        "A credential ID is no longer than maxCredentialIdLength",
        &[Member(8)],
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            let longest = b.new_info()?.max_credential_id_length.unwrap_or(u64::MAX);
            ensure(
                made.id.len() as u64 <= longest,
                format!("{} bytes", made.id.len()),
            )
        },
    ),
    check(
        "getinfo.transports",
        INFO,
        "Transports are WebAuthn's words, each once",
        &[Member(9)],
        |b| {
            const KNOWN: [&str; 6] = ["usb", "nfc", "ble", "smart-card", "hybrid", "internal"];
            let transports = b.new_info()?.transports.clone().unwrap_or_default();
            ensure(!transports.is_empty(), "the list is empty")?;
            let odd = transports.iter().find(|t| !KNOWN.contains(&t.as_str()));
            ensure(odd.is_none(), format!("{odd:?} is no transport"))?;
            unique("transports", transports)
        },
    ),
    check(
        "getinfo.algorithms",
        INFO,
        "Algorithms are of the type public-key, each once",
        &[Member(10)],
        |b| {
            let listed = b.new_info()?.algorithms.clone().unwrap_or_default();
            ensure(!listed.is_empty(), "the list is empty")?;
            ensure(listed.iter().all(|p| p.type_ == PUBLIC_KEY), "another type")?;
            unique("algorithms", listed.iter().map(|p| p.alg.0))
        },
    ),
    check(
        "getinfo.min-pin-length",
        INFO,
        "minPINLength is at least 4 and not more than a PIN can have",
        &[Member(13)],
        |b| {
            at_least(b, 13, 4)?;
            let length = b.new_info()?.min_pin_length;
            ensure(length <= Some(63), "minPINLength is more than 63")
        },
    ),
    check(
        "getinfo.force-pin-change",
        INFO,
        "A key as new demands no change of its PIN",
        &[Member(12)],
        |b| {
            same(
                b.new_info()?.force_pin_change,
                Some(false),
                "forcePINChange",
            )
        },
    ),
    check(
        "getinfo.client-pin",
        INFO,
        "clientPin is false as new and true once a PIN is set",
        &[Has("clientPin")],
        |b| {
            same(b.option("clientPin"), Some(false), "clientPin as new")?;
            b.set_pin()?;
            same(
                b.option_now("clientPin")?,
                Some(true),
                "clientPin with a PIN",
            )
        },
    ),
    check(
        "getinfo.client-pin-lasts",
        INFO,
        "clientPin stays true over a power cycle",
        &[Has("clientPin"), Need::Power],
        |b| {
            b.set_pin()?;
            b.power_cycle()?;
            same(b.option_now("clientPin")?, Some(true), "clientPin")?;
            same(
                b.try_pin(PIN)?,
                ctap::Status::OK,
                "the PIN after a power cycle",
            )
        },
    ),
    check(
        "getinfo.2-1-hmac-secret",
        MANDATORY,
        "CTAP 2.1 obliges to hmac-secret",
        &[Version("FIDO_2_1")],
        |b| implies_extension(b, "hmac-secret"),
    ),
    check(
        "getinfo.2-1-rk-verifies",
        MANDATORY,
        "CTAP 2.1 with rk obliges to a PIN or built-in user verification",
        &[Version("FIDO_2_1"), On("rk")],
        |b| {
            let verifies = b.option("clientPin").is_some() || b.option("uv").is_some();
            ensure(verifies, "neither clientPin nor uv")
        },
    ),
    check(
        "getinfo.2-1-rk-management",
        MANDATORY,
        "CTAP 2.1 with rk obliges to credentialManagement",
        &[Version("FIDO_2_1"), On("rk")],
        |b| same(b.option("credMgmt"), Some(true), "credMgmt"),
    ),
    check(
        "getinfo.2-1-cred-protect",
        MANDATORY,
        "CTAP 2.1 with user verification obliges to credProtect",
        &[Version("FIDO_2_1"), Has("clientPin")],
        |b| implies_extension(b, "credProtect"),
    ),
    check(
        "getinfo.2-1-token",
        MANDATORY,
        "CTAP 2.1 with user verification obliges to pinUvAuthToken",
        &[Version("FIDO_2_1"), Has("clientPin")],
        |b| same(b.option("pinUvAuthToken"), Some(true), "pinUvAuthToken"),
    ),
    check(
        "getinfo.2-1-protocol-two",
        MANDATORY,
        "CTAP 2.1 with user verification obliges to protocol two",
        &[Version("FIDO_2_1"), Has("clientPin")],
        |b| ensure(b.meets(Need::Protocol(2)), "protocol two is missing"),
    ),
    check(
        "getinfo.pre-management",
        MANDATORY,
        "2.1-PRE obliges to the prototype of credentialManagement",
        &[Version("FIDO_2_1_PRE")],
        |b| {
            same(
                b.option("credentialMgmtPreview"),
                Some(true),
                "credentialMgmtPreview",
            )
        },
    ),
    check(
        "getinfo.min-pin-extension",
        MANDATORY,
        "The extension minPinLength and setMinPINLength come together",
        NEEDS,
        |b| {
            let extension = b.new_info()?.has_extension("minPinLength");
            same(
                extension,
                b.option("setMinPINLength") == Some(true),
                "minPinLength",
            )
        },
    ),
    check(
        "getinfo.max-rp-ids",
        INFO,
        "maxRPIDsForSetMinPINLength comes with setMinPINLength only",
        NEEDS,
        |b| {
            let listed = b.member(16).is_some();
            same(
                listed,
                b.option("setMinPINLength") == Some(true),
                "maxRPIDsForSetMinPINLength",
            )
        },
    ),
    check(
        "getinfo.large-blob-option",
        MANDATORY,
        "largeBlobKey and the command largeBlobs come together",
        NEEDS,
        |b| {
            let extension = b.new_info()?.has_extension("largeBlobKey");
            same(
                extension,
                b.option("largeBlobs") == Some(true),
                "largeBlobKey",
            )
        },
    ),
    check(
        "getinfo.large-blob-excludes",
        "CTAP 2.3 §12.4",
        "The extension largeBlob excludes largeBlobKey",
        &[Extension("largeBlob")],
        |b| {
            ensure(
                !b.new_info()?.has_extension("largeBlobKey"),
                "both are listed",
            )
        },
    ),
    check(
        "getinfo.large-blob-array",
        INFO,
        "maxSerializedLargeBlobArray is at least 1024",
        &[On("largeBlobs")],
        |b| at_least(b, 11, 1024),
    ),
    check(
        "getinfo.cred-blob-length",
        INFO,
        "maxCredBlobLength is at least 32",
        &[Extension("credBlob")],
        |b| at_least(b, 15, 32),
    ),
    check(
        "getinfo.cred-blob-needs-protect",
        "CTAP 2.3 §12.2",
        "credBlob obliges to credProtect",
        &[Extension("credBlob")],
        |b| implies_extension(b, "credProtect"),
    ),
    check(
        "getinfo.mc-needs-hmac-secret",
        "CTAP 2.3 §12.8",
        "hmac-secret-mc obliges to hmac-secret",
        &[Extension("hmac-secret-mc")],
        |b| implies_extension(b, "hmac-secret"),
    ),
    check(
        "getinfo.bio-needs-uv",
        INFO,
        "bioEnroll comes with built-in user verification and agrees with it",
        &[Has("bioEnroll")],
        |b| {
            ensure(b.option("uv").is_some(), "uv is missing")?;
            same(b.option("bioEnroll"), b.option("uv"), "bioEnroll")
        },
    ),
    check(
        "getinfo.no-uv-no-uv-members",
        INFO,
        "A key without a sensor leaves uv and what goes with it out",
        &[Lacks("uv")],
        |b| {
            for name in [
                "bioEnroll",
                "uvBioEnroll",
                "uvAcfg",
                "userVerificationMgmtPreview",
            ] {
                ensure(b.option(name).is_none(), format!("{name} is there"))?;
            }
            ensure(
                b.member(17).is_none() && b.member(18).is_none(),
                "members of built-in UV are there",
            )
        },
    ),
    check(
        "getinfo.always-uv-not-rqd",
        "CTAP 2.3 §6.4",
        "While alwaysUv is on, makeCredUvNotRqd is not true",
        &[On("alwaysUv")],
        |b| {
            ensure(
                b.option("makeCredUvNotRqd") != Some(true),
                "makeCredUvNotRqd is true",
            )
        },
    ),
    check(
        "getinfo.always-uv-no-u2f",
        "CTAP 2.3 §7.2.4",
        "While alwaysUv is on, U2F_V2 is not listed",
        &[On("alwaysUv")],
        |b| ensure(!b.new_info()?.has_version("U2F_V2"), "U2F_V2 is listed"),
    ),
];
