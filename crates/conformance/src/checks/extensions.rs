//! CTAP 2.3 §12: credProtect, credBlob, minPinLength, largeBlobKey, largeBlob, thirdPartyPayment,
//! pinComplexityPolicy.

use ctap::{Command, SecretBytes, Status};
use webauthn::cbor::Value;

use super::config;
use crate::bench::{Bench, PIN, present};
use crate::ceremonies::{Asserted, Made, ga_options};
use crate::check::Need::{self, Config, Extension, NotOn, On, Option as Has, Power};
use crate::check::{Check, Outcome, check, ensure, same};
use crate::edit::{int, text, with_inner};

const PROTECT: &str = "CTAP 2.3 §12.1";
const BLOB: &str = "CTAP 2.3 §12.2";
const KEY: &str = "CTAP 2.3 §12.3";
const LARGE: &str = "CTAP 2.3 §12.4";
const MIN_PIN: &str = "CTAP 2.3 §12.5";
const COMPLEXITY: &str = "CTAP 2.3 §12.6";
const PAYMENT: &str = "CTAP 2.3 §12.9";
const PROTECTS: &[Need] = &[Extension("credProtect")];
const PROTECTS_OPEN: &[Need] = &[Extension("credProtect"), On("rk"), NotOn("alwaysUv")];
const PROTECTS_PIN: &[Need] = &[Extension("credProtect"), On("rk"), Has("clientPin")];
const BLOBS: &[Need] = &[Extension("credBlob"), On("rk")];
const KEYS: &[Need] = &[Extension("largeBlobKey"), On("rk")];
const LARGES: &[Need] = &[Extension("largeBlob"), On("rk")];
const NONE: &[Status] = &[Status::NO_CREDENTIALS];

/// A discoverable credential of a level.
fn protected(b: &mut Bench<'_>, level: u64) -> Outcome<Made> {
    let mut request = b.mc_rk(1);
    request.extensions.get_or_insert_default().cred_protect = Some(level);
    let made = b.make(request)?;
    same(
        output(&made.extensions, "credProtect").and_then(|v| v.as_i64()),
        i64::try_from(level).ok(),
        "credProtect",
    )?;
    Ok(made)
}

fn output(extensions: &Option<Value>, name: &str) -> Option<Value> {
    extensions.as_ref()?.get_text(name).cloned()
}

/// Whether the credential is found: by an allow list or not, by a verified user or not.
fn found(b: &mut Bench<'_>, made: &Made, listed: bool, verified: bool, due: bool) -> Outcome {
    let mut request = if listed { b.ga_of(made) } else { b.ga() };
    if verified {
        b.authorise_ga(&mut request)?;
    }
    let (status, _) = b.send(Command::GetAssertion, &request.encode())?;
    let due = if due {
        Status::OK
    } else {
        Status::NO_CREDENTIALS
    };
    same(status, due, "getAssertion")
}

/// A discoverable credential with a blob.
fn with_blob(b: &mut Bench<'_>, blob: &[u8]) -> Outcome<Made> {
    let mut request = b.mc_rk(1);
    request.extensions.get_or_insert_default().cred_blob = Some(SecretBytes::from(blob.to_vec()));
    b.make(request)
}

fn read_blob(b: &mut Bench<'_>, made: &Made) -> Outcome<Vec<u8>> {
    let mut request = b.ga_of(made);
    request.extensions.get_or_insert_default().cred_blob = Some(true);
    let asserted = b.get(request)?;
    let blob = output(&asserted.extensions, "credBlob");
    let blob = blob.and_then(|v| v.as_bytes().map(<[u8]>::to_vec));
    present("credBlob", blob)
}

/// A discoverable credential with a large-blob key.
fn with_key(b: &mut Bench<'_>) -> Outcome<(Made, Vec<u8>)> {
    let mut request = b.mc_rk(1);
    request.extensions.get_or_insert_default().large_blob_key = Some(true);
    let made = b.make(request)?;
    let key = present("largeBlobKey", made.response.large_blob_key.clone())?.to_vec();
    same(key.len(), 32, "the length of the key")?;
    Ok((made, key))
}

fn key_of(b: &mut Bench<'_>, made: &Made) -> Outcome<Option<Vec<u8>>> {
    let mut request = b.ga_of(made);
    request.extensions.get_or_insert_default().large_blob_key = Some(true);
    Ok(b.get(request)?
        .response
        .large_blob_key
        .map(|key| key.to_vec()))
}

/// A makeCredential with one extension input as it is.
fn mc_input(b: &mut Bench<'_>, rk: bool, name: &str, value: Value, due: &[Status]) -> Outcome {
    let mut request = if rk { b.mc_rk(1) } else { b.mc() };
    b.authorise_mc(&mut request)?;
    let bytes = with_inner(&request.encode(), 6, name, Some(value));
    b.expect_any(Command::MakeCredential, &bytes, due)
}

fn large(members: &[(&str, Value)]) -> Value {
    crate::edit::text_map(members)
}

/// A getAssertion with a largeBlob input; its largeBlob output.
fn large_blob(b: &mut Bench<'_>, made: &Made, input: Value) -> Outcome<Option<Value>> {
    let mut request = b.ga_of(made);
    let raw = ctap::Raw::from(&input);
    request.extensions.get_or_insert_default().large_blob = Some(raw.into());
    let asserted: Asserted = if b.pin.is_some() {
        b.get_uv(request)?
    } else {
        b.get(request)?
    };
    let outputs = asserted.response.unsigned_extension_outputs;
    let outputs = outputs.and_then(|o| o.decode().ok());
    let bytes = outputs.map(|o| o.encode());
    Ok(bytes.and_then(|bytes| Value::decode(&bytes).ok()?.get_text("largeBlob").cloned()))
}

fn large_made(b: &mut Bench<'_>) -> Outcome<Made> {
    let mut request = b.mc_rk(1);
    let raw = ctap::Raw::from(&large(&[("support", text("required"))]));
    request.extensions.get_or_insert_default().large_blob = Some(raw.into());
    b.make(request)
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "protect.1",
        PROTECT,
        "Level 1 is found by everybody",
        PROTECTS_OPEN,
        |b| {
            let made = protected(b, 1)?;
            b.set_pin()?;
            found(b, &made, false, false, true)?;
            found(b, &made, true, false, true)
        },
    ),
    check(
        "protect.2-listed",
        PROTECT,
        "Level 2 is found by an allow list without verification",
        PROTECTS_OPEN,
        |b| {
            let made = protected(b, 2)?;
            found(b, &made, true, false, true)
        },
    ),
    check(
        "protect.2-not-listed",
        PROTECT,
        "Level 2 is not found without an allow list and verification",
        PROTECTS_OPEN,
        |b| {
            let made = protected(b, 2)?;
            found(b, &made, false, false, false)
        },
    ),
    check(
        "protect.2-verified",
        PROTECT,
        "Level 2 is found by a verified user without an allow list",
        PROTECTS_PIN,
        |b| {
            b.set_pin()?;
            let made = protected(b, 2)?;
            found(b, &made, false, true, true)
        },
    ),
    check(
        "protect.3-listed",
        PROTECT,
        "Level 3 is not found without verification, listed or not",
        PROTECTS_OPEN,
        |b| {
            let made = protected(b, 3)?;
            found(b, &made, true, false, false)?;
            found(b, &made, false, false, false)
        },
    ),
    check(
        "protect.3-verified",
        PROTECT,
        "Level 3 is found by a verified user, listed or not",
        PROTECTS_PIN,
        |b| {
            b.set_pin()?;
            let made = protected(b, 3)?;
            found(b, &made, true, true, true)?;
            found(b, &made, false, true, true)
        },
    ),
    check(
        "protect.3-not-discoverable",
        PROTECT,
        "The same for a credential that is not discoverable",
        &[
            Extension("credProtect"),
            NotOn("alwaysUv"),
            Has("clientPin"),
        ],
        |b| {
            b.set_pin()?;
            let mut request = b.mc();
            request.extensions.get_or_insert_default().cred_protect = Some(3);
            let made = b.make(request)?;
            found(b, &made, true, false, false)?;
            found(b, &made, true, true, true)
        },
    ),
    check(
        "protect.3-not-excluding",
        PROTECT,
        "Level 3 does not exclude for a user who is not verified",
        &[Extension("credProtect"), NotOn("alwaysUv"), NotOn("uv")],
        |b| {
            let mut request = b.mc();
            request.extensions.get_or_insert_default().cred_protect = Some(3);
            let made = b.make_as_is(&request)?;
            let mut request = b.mc();
            request.exclude_list = Some(vec![ctap::entities::CredentialDescriptor::public_key(
                made.id,
            )]);
            b.make_as_is(&request).map(drop)
        },
    ),
    check(
        "protect.3-excluding",
        PROTECT,
        "But for a verified one",
        PROTECTS_PIN,
        |b| {
            b.set_pin()?;
            let made = protected(b, 3)?;
            let mut request = b.mc();
            request.exclude_list = Some(vec![ctap::entities::CredentialDescriptor::public_key(
                made.id,
            )]);
            b.refuse_mc(request, &[Status::CREDENTIAL_EXCLUDED])
        },
    ),
    check(
        "protect.3-not-counted",
        PROTECT,
        "Protected credentials are not counted for a user who is not verified",
        PROTECTS_OPEN,
        |b| {
            protected(b, 3)?;
            for account in [2, 3] {
                let request = b.mc_rk(account);
                b.make(request)?;
            }
            let request = b.ga();
            same(
                b.get_as_is(&request)?.response.number_of_credentials,
                Some(2),
                "numberOfCredentials",
            )
        },
    ),
    check(
        "protect.lasts",
        PROTECT,
        "The level stays over a power cycle",
        &[Extension("credProtect"), On("rk"), NotOn("alwaysUv"), Power],
        |b| {
            let made = protected(b, 3)?;
            b.power_cycle()?;
            found(b, &made, true, false, false)
        },
    ),
    check(
        "protect.not-asked",
        PROTECT,
        "Without the input there is no output",
        PROTECTS,
        |b| {
            let request = b.mc();
            ensure(
                output(&b.make(request)?.extensions, "credProtect").is_none(),
                "there is one",
            )
        },
    ),
    check("protect.0", PROTECT, "There is no level 0", PROTECTS, |b| {
        mc_input(
            b,
            false,
            "credProtect",
            int(0),
            &[Status::INVALID_OPTION, Status::INVALID_PARAMETER],
        )
    }),
    check("protect.4", PROTECT, "There is no level 4", PROTECTS, |b| {
        mc_input(
            b,
            false,
            "credProtect",
            int(4),
            &[Status::INVALID_OPTION, Status::INVALID_PARAMETER],
        )
    }),
    check(
        "protect.type",
        PROTECT,
        "The level is an integer",
        PROTECTS,
        |b| {
            mc_input(
                b,
                false,
                "credProtect",
                text("2"),
                &[Status::CBOR_UNEXPECTED_TYPE],
            )
        },
    ),
    check(
        "protect.u2f",
        "CTAP 2.3 §12.1",
        "Level 3 is not for U2F, which verifies nobody",
        &[Extension("credProtect"), Need::U2f, NotOn("uv")],
        |b| {
            let mut request = b.mc();
            request.extensions.get_or_insert_default().cred_protect = Some(3);
            let made = b.make_as_is(&request)?;
            super::u2f::expect_unknown(b, &made.id)
        },
    ),
    check(
        "blob.kept",
        BLOB,
        "A blob is kept with the credential and given back",
        BLOBS,
        |b| {
            let made = with_blob(b, &[0xb1; 32])?;
            same(
                output(&made.extensions, "credBlob"),
                Some(Value::Bool(true)),
                "credBlob",
            )?;
            same(read_blob(b, &made)?, vec![0xb1; 32], "the blob")
        },
    ),
    check(
        "blob.lasts",
        BLOB,
        "The blob stays over a power cycle",
        &[Extension("credBlob"), On("rk"), Power],
        |b| {
            let made = with_blob(b, b"a blob")?;
            b.power_cycle()?;
            same(read_blob(b, &made)?, b"a blob".to_vec(), "the blob")
        },
    ),
    check(
        "blob.longest",
        BLOB,
        "A blob of maxCredBlobLength is kept",
        BLOBS,
        |b| {
            let longest = b.new_info()?.max_cred_blob_length.unwrap_or(32);
            let blob = vec![7; usize::try_from(longest).unwrap_or(32)];
            let made = with_blob(b, &blob)?;
            same(read_blob(b, &made)?, blob, "the blob")
        },
    ),
    check(
        "blob.too-long",
        BLOB,
        "A longer one is not, and the key says so",
        BLOBS,
        |b| {
            let longest = b.new_info()?.max_cred_blob_length.unwrap_or(32);
            let made = with_blob(b, &vec![7; usize::try_from(longest).unwrap_or(32) + 1])?;
            same(
                output(&made.extensions, "credBlob"),
                Some(Value::Bool(false)),
                "credBlob",
            )?;
            same(read_blob(b, &made)?, Vec::new(), "the blob")
        },
    ),
    check(
        "blob.none",
        BLOB,
        "A credential without a blob gives an empty one",
        BLOBS,
        |b| {
            let request = b.mc_rk(1);
            let made = b.make(request)?;
            same(read_blob(b, &made)?, Vec::new(), "the blob")
        },
    ),
    check("blob.type", BLOB, "The blob is a byte string", BLOBS, |b| {
        mc_input(b, true, "credBlob", int(1), &[Status::CBOR_UNEXPECTED_TYPE])
    }),
    check(
        "min-pin.not-listed",
        MIN_PIN,
        "The minimum is not told to a relying party that is not on the list",
        &[Extension("minPinLength")],
        |b| {
            let mut request = b.mc();
            request.extensions.get_or_insert_default().min_pin_length = Some(true);
            ensure(
                output(&b.make(request)?.extensions, "minPinLength").is_none(),
                "it is told",
            )
        },
    ),
    check(
        "min-pin.listed",
        MIN_PIN,
        "It is told to one that is",
        &[Extension("minPinLength"), Config(3)],
        |b| {
            config::set_min_pin_rp_ids(b, &["other.example", "example.com"])?;
            let mut request = b.mc();
            request.extensions.get_or_insert_default().min_pin_length = Some(true);
            let told =
                output(&b.make(request)?.extensions, "minPinLength").and_then(|v| v.as_i64());
            same(
                told,
                b.new_info()?
                    .min_pin_length
                    .and_then(|n| i64::try_from(n).ok()),
                "minPinLength",
            )
        },
    ),
    check(
        "min-pin.replaced",
        MIN_PIN,
        "A new list takes the place of the old one",
        &[Extension("minPinLength"), Config(3)],
        |b| {
            config::set_min_pin_rp_ids(b, &["example.com"])?;
            config::set_min_pin_rp_ids(b, &["other.example"])?;
            let mut request = b.mc();
            request.extensions.get_or_insert_default().min_pin_length = Some(true);
            ensure(
                output(&b.make(request)?.extensions, "minPinLength").is_none(),
                "it is told",
            )
        },
    ),
    check(
        "min-pin.not-asked",
        MIN_PIN,
        "It is not told unless asked for",
        &[Extension("minPinLength"), Config(3)],
        |b| {
            config::set_min_pin_rp_ids(b, &["example.com"])?;
            let request = b.mc();
            ensure(
                output(&b.make(request)?.extensions, "minPinLength").is_none(),
                "it is told",
            )
        },
    ),
    check(
        "min-pin.current",
        MIN_PIN,
        "What is told is the minimum as it is now",
        &[Extension("minPinLength"), Config(3)],
        |b| {
            config::set_min_pin_rp_ids(b, &["example.com"])?;
            config::set_min_pin_length(b, 11)?;
            let mut request = b.mc();
            request.extensions.get_or_insert_default().min_pin_length = Some(true);
            let told =
                output(&b.make(request)?.extensions, "minPinLength").and_then(|v| v.as_i64());
            same(told, Some(11), "minPinLength")
        },
    ),
    check(
        "complexity.listed",
        COMPLEXITY,
        "Whether a policy is enforced is told to a relying party on the list",
        &[Extension("pinComplexityPolicy"), Config(3)],
        |b| {
            config::set_min_pin_rp_ids(b, &["example.com"])?;
            let mut request = b.mc();
            request
                .extensions
                .get_or_insert_default()
                .pin_complexity_policy = Some(true);
            let told = output(&b.make(request)?.extensions, "pinComplexityPolicy")
                .and_then(|v| v.as_bool());
            same(told, b.info()?.pin_complexity_policy, "pinComplexityPolicy")
        },
    ),
    check(
        "complexity.not-listed",
        COMPLEXITY,
        "And to no other",
        &[Extension("pinComplexityPolicy")],
        |b| {
            let mut request = b.mc();
            request
                .extensions
                .get_or_insert_default()
                .pin_complexity_policy = Some(true);
            ensure(
                output(&b.make(request)?.extensions, "pinComplexityPolicy").is_none(),
                "it is told",
            )
        },
    ),
    check(
        "blob-key.given",
        KEY,
        "A credential made with largeBlobKey gives the same key each time",
        KEYS,
        |b| {
            let (made, key) = with_key(b)?;
            same(
                key_of(b, &made)? == Some(key.clone()),
                true,
                "the key is the same",
            )?;
            same(key_of(b, &made)? == Some(key), true, "the key is the same")
        },
    ),
    check(
        "blob-key.differs",
        KEY,
        "Two credentials have two keys",
        KEYS,
        |b| {
            let (_, one) = with_key(b)?;
            let (_, two) = with_key(b)?;
            ensure(one != two, "they are the same")
        },
    ),
    check(
        "blob-key.not-asked",
        KEY,
        "The key is not given unless asked for",
        KEYS,
        |b| {
            let (made, _) = with_key(b)?;
            let request = b.ga_of(&made);
            ensure(
                b.get(request)?.response.large_blob_key.is_none(),
                "it is given",
            )
        },
    ),
    check(
        "blob-key.none",
        KEY,
        "A credential made without one has none",
        KEYS,
        |b| {
            let request = b.mc_rk(1);
            let made = b.make(request)?;
            ensure(made.response.large_blob_key.is_none(), "it is given")?;
            same(key_of(b, &made)?, None, "the key")
        },
    ),
    check(
        "blob-key.needs-rk",
        KEY,
        "largeBlobKey is for discoverable credentials",
        KEYS,
        |b| {
            mc_input(
                b,
                false,
                "largeBlobKey",
                Value::Bool(true),
                &[Status::INVALID_OPTION],
            )
        },
    ),
    check(
        "blob-key.false",
        KEY,
        "largeBlobKey is true or absent",
        KEYS,
        |b| {
            mc_input(
                b,
                true,
                "largeBlobKey",
                Value::Bool(false),
                &[Status::INVALID_OPTION],
            )
        },
    ),
    check(
        "blob-key.ga-false",
        KEY,
        "In getAssertion, too",
        KEYS,
        |b| {
            let (made, _) = with_key(b)?;
            let mut request = b.ga_of(&made);
            request.extensions.get_or_insert_default().large_blob_key = Some(false);
            b.refuse_ga(request, &[Status::INVALID_OPTION])
        },
    ),
    check(
        "large.supported",
        LARGE,
        "A discoverable credential supports blobs",
        LARGES,
        |b| {
            let made = large_made(b)?;
            let outputs = made
                .response
                .unsigned_extension_outputs
                .and_then(|o| o.decode().ok());
            let outputs = present("unsignedExtensionOutputs", outputs)?;
            same(
                outputs.large_blob.and_then(|l| l.supported),
                Some(true),
                "supported",
            )
        },
    ),
    check(
        "large.required-needs-rk",
        LARGE,
        "\"required\" is refused where no blob can be kept",
        LARGES,
        |b| {
            mc_input(
                b,
                false,
                "largeBlob",
                large(&[("support", text("required"))]),
                &[Status::INVALID_OPTION],
            )
        },
    ),
    check(
        "large.unknown-support",
        LARGE,
        "There is no other word than \"required\" and \"preferred\"",
        LARGES,
        |b| {
            mc_input(
                b,
                true,
                "largeBlob",
                large(&[("support", text("whatever"))]),
                &[Status::INVALID_OPTION, Status::INVALID_PARAMETER],
            )
        },
    ),
    check(
        "large.write-read",
        LARGE,
        "A blob that was written is read",
        LARGES,
        |b| {
            b.set_pin()?;
            let made = large_made(b)?;
            let input = large(&[
                ("write", Value::Bytes(vec![9; 300])),
                ("originalSize", int(500)),
            ]);
            let written = large_blob(b, &made, input)?;
            same(
                written
                    .as_ref()
                    .and_then(|v| v.get_text("written")?.as_bool()),
                Some(true),
                "written",
            )?;
            let read = large_blob(b, &made, large(&[("read", Value::Bool(true))]))?;
            let read = present("largeBlob", read)?;
            same(
                read.get_text("blob").cloned(),
                Some(Value::Bytes(vec![9; 300])),
                "blob",
            )?;
            same(
                read.get_text("originalSize").and_then(|v| v.as_i64()),
                Some(500),
                "originalSize",
            )
        },
    ),
    check(
        "large.read-none",
        LARGE,
        "Where none was written, none is read",
        LARGES,
        |b| {
            let made = large_made(b)?;
            let read = large_blob(b, &made, large(&[("read", Value::Bool(true))]))?;
            ensure(
                read.is_none_or(|v| v.get_text("blob").is_none()),
                "there is a blob",
            )
        },
    ),
    check(
        "large.read-and-write",
        LARGE,
        "One request reads or writes, not both",
        LARGES,
        |b| {
            let made = large_made(b)?;
            let mut request = b.ga_of(&made);
            let input = large(&[
                ("read", Value::Bool(true)),
                ("write", Value::Bytes(vec![1])),
                ("originalSize", int(1)),
            ]);
            request.extensions.get_or_insert_default().large_blob =
                Some(ctap::Raw::from(&input).into());
            b.refuse_ga(
                request,
                &[Status::INVALID_OPTION, Status::INVALID_PARAMETER],
            )
        },
    ),
    check(
        "large.no-touch-no-write",
        LARGE,
        "Nothing is written without a touch",
        LARGES,
        |b| {
            b.set_pin()?;
            let made = large_made(b)?;
            let mut request = b.ga_of(&made);
            let input = large(&[("write", Value::Bytes(vec![1])), ("originalSize", int(1))]);
            request.extensions.get_or_insert_default().large_blob =
                Some(ctap::Raw::from(&input).into());
            request.options = ga_options(Some(false), None);
            b.send(Command::GetAssertion, &request.encode())?;
            let read = large_blob(b, &made, large(&[("read", Value::Bool(true))]))?;
            ensure(
                read.is_none_or(|v| v.get_text("blob").is_none()),
                "it was written",
            )
        },
    ),
    check(
        "payment.kept",
        PAYMENT,
        "thirdPartyPayment is kept with the credential",
        &[Extension("thirdPartyPayment")],
        |b| {
            let mut request = b.mc();
            request
                .extensions
                .get_or_insert_default()
                .third_party_payment = Some(true);
            let made = b.make(request)?;
            let mut request = b.ga_of(&made);
            request
                .extensions
                .get_or_insert_default()
                .third_party_payment = Some(true);
            let told = output(&b.get(request)?.extensions, "thirdPartyPayment");
            same(told, Some(Value::Bool(true)), "thirdPartyPayment")
        },
    ),
    check(
        "payment.not-kept",
        PAYMENT,
        "A credential made without it says false",
        &[Extension("thirdPartyPayment")],
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            let mut request = b.ga_of(&made);
            request
                .extensions
                .get_or_insert_default()
                .third_party_payment = Some(true);
            let told = output(&b.get(request)?.extensions, "thirdPartyPayment");
            same(told, Some(Value::Bool(false)), "thirdPartyPayment")
        },
    ),
    check(
        "protect.after-pin",
        PROTECT,
        "A level 3 credential made before there was a PIN is guarded by the later one",
        &[
            Extension("credProtect"),
            On("rk"),
            NotOn("alwaysUv"),
            NotOn("uv"),
        ],
        |b| {
            let made = protected(b, 3)?;
            b.set_pin()?;
            same(b.try_pin(PIN)?, Status::OK, "the PIN")?;
            let request = b.ga_of(&made);
            b.refuse_ga(request, NONE)?;
            found(b, &made, true, true, true)
        },
    ),
];
