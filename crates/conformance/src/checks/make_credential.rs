//! CTAP 2.3 §6.1 authenticatorMakeCredential.

use ctap::entities::{CredentialDescriptor, CredentialParameters};
use ctap::{Command, Status};
use webauthn::cbor::Value;
use webauthn::cose::CoseAlgorithm;

use crate::bench::{Bench, is_one_of};
use crate::ceremonies::{RP, mc_options, user};
use crate::check::Need::{self, Algorithm, Ctap2, Extension, Lacks, Member, On, Option as Has};
use crate::check::{Check, Outcome, check, ensure, failed, same};
use crate::edit::{bytes, int, map, text, text_map, with, with_inner, without};
use crate::pins::MC;

const MC_SECTION: &str = "CTAP 2.3 §6.1.2";
const PARAMS: &str = "CTAP 2.3 §6.1.1";
const DATA: &str = "WebAuthn L3 §6.1";
const NEEDS: &[Need] = &[Ctap2];
const TYPE: &[Status] = &[Status::CBOR_UNEXPECTED_TYPE];
const MISSING: &[Status] = &[Status::MISSING_PARAMETER];

/// A request without a member is refused.
fn missing(b: &mut Bench<'_>, key: i64) -> Outcome {
    let request = without(&b.mc_bytes()?, key);
    b.expect_any(Command::MakeCredential, &request, MISSING)
}

/// A request with something else for a member is refused.
fn wrong(b: &mut Bench<'_>, key: i64, value: Value, due: &[Status]) -> Outcome {
    let request = with(&b.mc_bytes()?, key, value);
    b.expect_any(Command::MakeCredential, &request, due)
}

/// A request with something else inside a member is refused.
fn wrong_inner(
    b: &mut Bench<'_>,
    key: i64,
    inner: &str,
    value: Option<Value>,
    due: &[Status],
) -> Outcome {
    let request = with_inner(&b.mc_bytes()?, key, inner, value);
    b.expect_any(Command::MakeCredential, &request, due)
}

/// A credential of this algorithm can be made, and signs.
fn algorithm(b: &mut Bench<'_>, alg: CoseAlgorithm) -> Outcome {
    let mut request = b.mc();
    request.pub_key_cred_params = vec![CredentialParameters::public_key(alg)];
    let made = b.make(request)?;
    same(made.key.algorithm(), alg, "the algorithm")?;
    let request = b.ga_of(&made);
    let asserted = b.get(request)?;
    ensure(asserted.is_by(&made), "the signature does not verify")
}

/// A list of algorithms in this order.
fn chosen(b: &mut Bench<'_>, list: &[i32]) -> Outcome<CoseAlgorithm> {
    let mut request = b.mc();
    let params = list
        .iter()
        .map(|alg| CredentialParameters::public_key(CoseAlgorithm(*alg)));
    request.pub_key_cred_params = params.collect();
    Ok(b.make(request)?.key.algorithm())
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "mc.no-client-data-hash",
        PARAMS,
        "clientDataHash is mandatory",
        NEEDS,
        |b| missing(b, 1),
    ),
    check("mc.no-rp", PARAMS, "rp is mandatory", NEEDS, |b| {
        missing(b, 2)
    }),
    check("mc.no-user", PARAMS, "user is mandatory", NEEDS, |b| {
        missing(b, 3)
    }),
    check(
        "mc.no-params",
        PARAMS,
        "pubKeyCredParams is mandatory",
        NEEDS,
        |b| missing(b, 4),
    ),
    check(
        "mc.hash-type",
        PARAMS,
        "clientDataHash is a byte string",
        NEEDS,
        |b| wrong(b, 1, text("x"), TYPE),
    ),
    check(
        "mc.hash-length",
        PARAMS,
        "clientDataHash has 32 bytes",
        NEEDS,
        |b| {
            wrong(
                b,
                1,
                bytes(&[1; 31]),
                &[Status::INVALID_LENGTH, Status::INVALID_PARAMETER],
            )
        },
    ),
    check("mc.rp-type", PARAMS, "rp is a map", NEEDS, |b| {
        wrong(b, 2, text("example.com"), TYPE)
    }),
    check("mc.rp-id-missing", PARAMS, "rp has an id", NEEDS, |b| {
        wrong_inner(b, 2, "id", None, MISSING)
    }),
    check("mc.rp-id-type", PARAMS, "The RP ID is text", NEEDS, |b| {
        wrong_inner(b, 2, "id", Some(bytes(b"x")), TYPE)
    }),
    check(
        "mc.rp-name-type",
        PARAMS,
        "The name of a relying party is text",
        NEEDS,
        |b| wrong_inner(b, 2, "name", Some(bytes(b"x")), TYPE),
    ),
    check(
        "mc.rp-icon",
        PARAMS,
        "An icon, which CTAP 2.0 had, is passed over",
        NEEDS,
        |b| {
            let request = with_inner(
                &b.mc_bytes()?,
                2,
                "icon",
                Some(text("https://example.com/icon")),
            );
            b.call(Command::MakeCredential, &request).map(drop)
        },
    ),
    check("mc.user-type", PARAMS, "user is a map", NEEDS, |b| {
        wrong(b, 3, bytes(&[1]), TYPE)
    }),
    check("mc.user-id-missing", PARAMS, "user has an id", NEEDS, |b| {
        wrong_inner(b, 3, "id", None, MISSING)
    }),
    check(
        "mc.user-id-type",
        PARAMS,
        "The user handle is a byte string",
        NEEDS,
        |b| wrong_inner(b, 3, "id", Some(text("x")), TYPE),
    ),
    check(
        "mc.user-id-65",
        "WebAuthn L3 §5.4.3",
        "A user handle has at most 64 bytes",
        NEEDS,
        |b| {
            wrong_inner(
                b,
                3,
                "id",
                Some(bytes(&[1; 65])),
                &[
                    Status::INVALID_LENGTH,
                    Status::INVALID_PARAMETER,
                    Status::LIMIT_EXCEEDED,
                ],
            )
        },
    ),
    check(
        "mc.user-id-64",
        "WebAuthn L3 §5.4.3",
        "A user handle of 64 bytes is taken",
        NEEDS,
        |b| {
            let request = with_inner(&b.mc_bytes()?, 3, "id", Some(bytes(&[1; 64])));
            b.call(Command::MakeCredential, &request).map(drop)
        },
    ),
    check(
        "mc.user-id-empty",
        PARAMS,
        "An empty user handle is taken for a credential that is not discoverable",
        NEEDS,
        |b| {
            let request = with_inner(&b.mc_bytes()?, 3, "id", Some(bytes(&[])));
            b.call(Command::MakeCredential, &request).map(drop)
        },
    ),
    check(
        "mc.user-name-type",
        PARAMS,
        "An account name is text",
        NEEDS,
        |b| wrong_inner(b, 3, "name", Some(int(1)), TYPE),
    ),
    check(
        "mc.display-name-type",
        PARAMS,
        "A display name is text",
        NEEDS,
        |b| wrong_inner(b, 3, "displayName", Some(int(1)), TYPE),
    ),
    check(
        "mc.only-user-id",
        PARAMS,
        "A user needs no names",
        NEEDS,
        |b| {
            let mut request = b.mc();
            request.user.name = None;
            request.user.display_name = None;
            b.make(request).map(drop)
        },
    ),
    check(
        "mc.params-type",
        PARAMS,
        "pubKeyCredParams is an array",
        NEEDS,
        |b| wrong(b, 4, text("x"), TYPE),
    ),
    check(
        "mc.params-element-type",
        PARAMS,
        "Its elements are maps",
        NEEDS,
        |b| wrong(b, 4, Value::Array(vec![int(-7)]), TYPE),
    ),
    check(
        "mc.params-no-alg",
        PARAMS,
        "An element has an alg",
        NEEDS,
        |b| {
            let element = text_map(&[("type", text("public-key"))]);
            wrong(
                b,
                4,
                Value::Array(vec![element]),
                &[Status::MISSING_PARAMETER, Status::INVALID_CBOR],
            )
        },
    ),
    check(
        "mc.params-no-type",
        PARAMS,
        "An element has a type",
        NEEDS,
        |b| {
            let element = text_map(&[("alg", int(-7))]);
            wrong(
                b,
                4,
                Value::Array(vec![element]),
                &[Status::MISSING_PARAMETER, Status::INVALID_CBOR],
            )
        },
    ),
    check(
        "mc.params-alg-type",
        PARAMS,
        "alg is an integer",
        NEEDS,
        |b| {
            let element = text_map(&[("alg", text("-7")), ("type", text("public-key"))]);
            wrong(b, 4, Value::Array(vec![element]), TYPE)
        },
    ),
    check(
        "mc.params-empty",
        MC_SECTION,
        "An empty list has no algorithm that the key has",
        NEEDS,
        |b| {
            wrong(
                b,
                4,
                Value::Array(Vec::new()),
                &[Status::UNSUPPORTED_ALGORITHM, Status::MISSING_PARAMETER],
            )
        },
    ),
    check(
        "mc.params-unknown",
        MC_SECTION,
        "Only unknown algorithms: unsupported",
        NEEDS,
        |b| {
            let element = text_map(&[("alg", int(-65000)), ("type", text("public-key"))]);
            wrong(
                b,
                4,
                Value::Array(vec![element]),
                &[Status::UNSUPPORTED_ALGORITHM],
            )
        },
    ),
    check(
        "mc.params-unknown-type",
        MC_SECTION,
        "An algorithm of another credential type does not count",
        NEEDS,
        |b| {
            let element = text_map(&[("alg", int(-7)), ("type", text("private-key"))]);
            wrong(
                b,
                4,
                Value::Array(vec![element]),
                &[Status::UNSUPPORTED_ALGORITHM],
            )
        },
    ),
    check(
        "mc.params-skips-unknown",
        MC_SECTION,
        "Unknown algorithms are passed over",
        NEEDS,
        |b| {
            let known = b.algorithm();
            same(
                chosen(b, &[-65000, -9999, known.0])?,
                known,
                "the algorithm",
            )
        },
    ),
    check(
        "mc.params-order",
        MC_SECTION,
        "The first algorithm of the list that the key has is taken",
        &[Algorithm(-8), Algorithm(-7)],
        |b| {
            same(chosen(b, &[-8, -7])?.0, -8, "the algorithm")?;
            same(chosen(b, &[-7, -8])?.0, -7, "the algorithm")
        },
    ),
    check(
        "mc.params-many",
        MC_SECTION,
        "Lists of ten algorithms and more, as pages send them, are read",
        NEEDS,
        |b| {
            let known = b.algorithm();
            let list = [
                -50, -49, -48, -36, -39, -38, -37, -259, -258, -47, -65535, known.0,
            ];
            let found = chosen(b, &list)?;
            ensure(list.contains(&found.0), format!("{found:?}"))
        },
    ),
    check(
        "mc.alg-es256",
        "RFC 9053 via WebAuthn L3 §5.8.5",
        "ES256 credentials are made and sign",
        &[Ctap2, Algorithm(-7)],
        |b| algorithm(b, CoseAlgorithm::ES256),
    ),
    check(
        "mc.alg-eddsa",
        "RFC 9053 via WebAuthn L3 §5.8.5",
        "EdDSA credentials are made and sign",
        &[Algorithm(-8)],
        |b| algorithm(b, CoseAlgorithm::EDDSA),
    ),
    check(
        "mc.alg-es384",
        "RFC 9053 via WebAuthn L3 §5.8.5",
        "ES384 credentials are made and sign",
        &[Algorithm(-35)],
        |b| algorithm(b, CoseAlgorithm::ES384),
    ),
    check(
        "mc.alg-rs256",
        "RFC 8812 via WebAuthn L3 §5.8.5",
        "RS256 credentials are made and sign",
        &[Algorithm(-257)],
        |b| algorithm(b, CoseAlgorithm::RS256),
    ),
    check(
        "mc.alg-ml-dsa-44",
        "FIPS 204 via WebAuthn L3 §5.8.5",
        "ML-DSA-44 credentials are made and sign",
        &[Algorithm(-48)],
        |b| algorithm(b, CoseAlgorithm::ML_DSA_44),
    ),
    check(
        "mc.alg-ml-dsa-65",
        "FIPS 204 via WebAuthn L3 §5.8.5",
        "ML-DSA-65 credentials are made and sign",
        &[Algorithm(-49)],
        |b| algorithm(b, CoseAlgorithm::ML_DSA_65),
    ),
    check(
        "mc.exclude-type",
        PARAMS,
        "excludeList is an array",
        NEEDS,
        |b| wrong(b, 5, text("x"), TYPE),
    ),
    check(
        "mc.exclude-element-type",
        PARAMS,
        "Its elements are maps",
        NEEDS,
        |b| wrong(b, 5, Value::Array(vec![bytes(&[1])]), TYPE),
    ),
    check(
        "mc.exclude-no-id",
        PARAMS,
        "A descriptor has an id",
        NEEDS,
        |b| {
            let element = text_map(&[("type", text("public-key"))]);
            wrong(
                b,
                5,
                Value::Array(vec![element]),
                &[Status::MISSING_PARAMETER, Status::INVALID_CBOR],
            )
        },
    ),
    check(
        "mc.exclude",
        MC_SECTION,
        "A credential of the exclude list that is on the key is found",
        NEEDS,
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            let mut request = b.mc();
            request.exclude_list = Some(vec![CredentialDescriptor::public_key(made.id)]);
            b.refuse_mc(request, &[Status::CREDENTIAL_EXCLUDED])
        },
    ),
    check(
        "mc.exclude-discoverable",
        MC_SECTION,
        "The same for a discoverable credential",
        &[On("rk")],
        |b| {
            let request = b.mc_rk(1);
            let made = b.make(request)?;
            let mut request = b.mc_rk(2);
            request.exclude_list = Some(vec![
                CredentialDescriptor::public_key(vec![1; 32]),
                CredentialDescriptor::public_key(made.id),
            ]);
            b.refuse_mc(request, &[Status::CREDENTIAL_EXCLUDED])
        },
    ),
    check(
        "mc.exclude-other-rp",
        MC_SECTION,
        "A credential of another relying party does not exclude",
        NEEDS,
        |b| {
            let mut request = b.mc();
            request.rp.id = "example.org".to_owned();
            let made = b.make(request)?;
            let mut request = b.mc();
            request.exclude_list = Some(vec![CredentialDescriptor::public_key(made.id)]);
            b.make(request).map(drop)
        },
    ),
    check(
        "mc.exclude-other-type",
        MC_SECTION,
        "A descriptor of another type does not exclude",
        NEEDS,
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            let mut request = b.mc();
            let mut descriptor = CredentialDescriptor::public_key(made.id);
            descriptor.type_ = "private-key".to_owned();
            request.exclude_list = Some(vec![descriptor]);
            b.make(request).map(drop)
        },
    ),
    check(
        "mc.exclude-unknown",
        MC_SECTION,
        "An unknown credential does not exclude",
        NEEDS,
        |b| {
            let mut request = b.mc();
            request.exclude_list = Some(vec![CredentialDescriptor::public_key(vec![7; 64])]);
            b.make(request).map(drop)
        },
    ),
    check(
        "mc.exclude-empty",
        MC_SECTION,
        "An empty exclude list excludes nothing",
        NEEDS,
        |b| {
            let mut request = b.mc();
            request.exclude_list = Some(Vec::new());
            b.make(request).map(drop)
        },
    ),
    check(
        "mc.exclude-too-many",
        MC_SECTION,
        "More descriptors than maxCredentialCountInList are refused",
        &[Member(7)],
        |b| {
            let most = b.new_info()?.max_credential_count_in_list.unwrap_or(0);
            let one = CredentialDescriptor::public_key(vec![7; 16]);
            let mut request = b.mc();
            request.exclude_list = Some(vec![one; usize::try_from(most).unwrap_or(0) + 1]);
            b.refuse_mc(
                request,
                &[Status::LIMIT_EXCEEDED, Status::REQUEST_TOO_LARGE],
            )
        },
    ),
    check("mc.options-type", PARAMS, "options is a map", NEEDS, |b| {
        wrong(b, 7, Value::Array(Vec::new()), TYPE)
    }),
    check("mc.rk-type", PARAMS, "rk is a boolean", NEEDS, |b| {
        wrong_inner(b, 7, "rk", Some(int(1)), TYPE)
    }),
    check("mc.up-type", PARAMS, "up is a boolean", NEEDS, |b| {
        wrong_inner(b, 7, "up", Some(text("true")), TYPE)
    }),
    check("mc.uv-type", PARAMS, "uv is a boolean", NEEDS, |b| {
        wrong_inner(b, 7, "uv", Some(Value::Null), TYPE)
    }),
    check(
        "mc.option-unknown",
        PARAMS,
        "Options that are not known are passed over",
        NEEDS,
        |b| {
            let request = with_inner(&b.mc_bytes()?, 7, "zz", Some(Value::Bool(true)));
            b.call(Command::MakeCredential, &request).map(drop)
        },
    ),
    check("mc.up-true", MC_SECTION, "up may be true", NEEDS, |b| {
        let mut request = b.mc();
        request.options = mc_options(None, Some(true), None);
        b.make(request).map(drop)
    }),
    check(
        "mc.up-false",
        MC_SECTION,
        "A credential is not made without a touch",
        NEEDS,
        |b| {
            let mut request = b.mc();
            request.options = mc_options(None, Some(false), None);
            b.refuse_mc(request, &[Status::INVALID_OPTION])
        },
    ),
    check(
        "mc.rk-unsupported",
        MC_SECTION,
        "rk on a key that has none is unsupported",
        &[Lacks("rk")],
        |b| {
            let request = b.mc_rk(1);
            b.refuse_mc(request, &[Status::UNSUPPORTED_OPTION])
        },
    ),
    check(
        "mc.uv-without-sensor",
        MC_SECTION,
        "uv on a key without a sensor is an invalid option",
        &[Lacks("uv"), Need::NotOn("alwaysUv")],
        |b| {
            let mut request = b.mc();
            request.options = mc_options(None, None, Some(true));
            let status = b.send(Command::MakeCredential, &request.encode())?.0;
            is_one_of("makeCredential", status, &[Status::INVALID_OPTION])
        },
    ),
    check("mc.uv-false", MC_SECTION, "uv may be false", NEEDS, |b| {
        let mut request = b.mc();
        request.options = mc_options(None, None, Some(false));
        b.make(request).map(drop)
    }),
    check(
        "mc.uv-beside-param",
        MC_SECTION,
        "Beside pinUvAuthParam, uv counts as false",
        &[On("pinUvAuthToken"), Has("clientPin")],
        |b| {
            let mut request = b.mc();
            request.options = mc_options(None, None, Some(true));
            let token = b.token(MC, Some(RP))?;
            b.with_token_mc(&mut request, &token);
            let made = b.make_as_is(&request)?;
            ensure(made.flags.user_verified(), "UV is not set")
        },
    ),
    check(
        "mc.extensions-type",
        PARAMS,
        "extensions is a map",
        NEEDS,
        |b| wrong(b, 6, text("x"), TYPE),
    ),
    check(
        "mc.extension-unknown",
        "CTAP 2.3 §6.1.2",
        "Extensions that the key does not have are passed over",
        NEEDS,
        |b| {
            let request = with_inner(
                &b.mc_bytes()?,
                6,
                "example.unknown",
                Some(map(&[(1, int(2))])),
            );
            let members = b.call(Command::MakeCredential, &request)?;
            ensure(
                members.windows(15).all(|w| w != b"example.unknown"),
                "there is an output for it",
            )
        },
    ),
    check(
        "mc.discoverable",
        MC_SECTION,
        "A discoverable credential is found without an allow list",
        &[On("rk")],
        |b| {
            let request = b.mc_rk(1);
            let made = b.make(request)?;
            let request = b.ga();
            let asserted = b.get(request)?;
            same(asserted.id(), &made.id[..], "the credential")?;
            ensure(asserted.is_by(&made), "the signature does not verify")
        },
    ),
    check(
        "mc.not-discoverable",
        MC_SECTION,
        "A credential made without rk is not found without an allow list",
        NEEDS,
        |b| {
            let request = b.mc();
            b.make(request)?;
            let request = b.ga();
            b.refuse_ga(request, &[Status::NO_CREDENTIALS])
        },
    ),
    check(
        "mc.same-account-replaces",
        MC_SECTION,
        "A discoverable credential for the same account takes the place of the older one",
        &[On("rk")],
        |b| {
            let request = b.mc_rk(1);
            let old = b.make(request)?;
            let request = b.mc_rk(1);
            let new = b.make(request)?;
            let request = b.ga();
            let asserted = b.get(request)?;
            same(asserted.id(), &new.id[..], "the credential")?;
            ensure(
                asserted
                    .response
                    .number_of_credentials
                    .is_none_or(|n| n == 1),
                "both are there",
            )?;
            let request = b.ga_of(&old);
            b.refuse_ga(request, &[Status::NO_CREDENTIALS])
        },
    ),
    check(
        "mc.other-account-stays",
        MC_SECTION,
        "A credential for another account leaves the older one alone",
        &[On("rk")],
        |b| {
            let request = b.mc_rk(1);
            let one = b.make(request)?;
            let request = b.mc_rk(2);
            b.make(request)?;
            let request = b.ga_of(&one);
            ensure(b.get(request)?.is_by(&one), "the signature does not verify")
        },
    ),
    check(
        "mc.full",
        MC_SECTION,
        "A full key says so, and still works",
        &[On("rk"), Member(20)],
        |b| {
            let room = b
                .new_info()?
                .remaining_discoverable_credentials
                .unwrap_or(0);
            if room > 10 {
                return crate::check::not_applicable("filling it would take long");
            }
            for account in 0..u8::try_from(room).unwrap_or(0) {
                let request = b.mc_rk(account);
                b.make(request)?;
            }
            let request = b.mc_rk(200);
            b.refuse_mc(request, &[Status::KEY_STORE_FULL])?;
            let request = b.mc_rk(0);
            b.make(request)?;
            let request = b.mc();
            b.make(request).map(drop)
        },
    ),
    check(
        "mc.flags",
        DATA,
        "UP and AT are set, BE and BS are not, ED goes with extensions",
        NEEDS,
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            ensure(made.flags.user_present(), "UP is not set")?;
            ensure(made.flags.attested_credential_data(), "AT is not set")?;
            ensure(
                !made.flags.backup_eligible() && !made.flags.backup_state(),
                "BE or BS is set",
            )?;
            same(made.flags.extension_data(), made.extensions.is_some(), "ED")
        },
    ),
    check(
        "mc.reserved-flags",
        DATA,
        "The reserved flags are not set",
        NEEDS,
        |b| {
            let request = b.mc();
            same(b.make(request)?.flags.0 & 0x22, 0, "bits 1 and 5")
        },
    ),
    check(
        "mc.no-uv-flag",
        DATA,
        "UV is not set when nobody was verified",
        &[Need::NotOn("uv"), Need::NotOn("alwaysUv")],
        |b| {
            let request = b.mc();
            ensure(!b.make_as_is(&request)?.flags.user_verified(), "UV is set")
        },
    ),
    check(
        "mc.uv-flag",
        DATA,
        "UV is set when a token was shown",
        &[Has("clientPin")],
        |b| {
            b.set_pin()?;
            let request = b.mc();
            ensure(b.make(request)?.flags.user_verified(), "UV is not set")
        },
    ),
    check(
        "mc.aaguid",
        DATA,
        "The AAGUID is that of getInfo",
        NEEDS,
        |b| {
            let request = b.mc();
            same(b.make(request)?.aaguid, b.new_info()?.aaguid, "the AAGUID")
        },
    ),
    check(
        "mc.ids-differ",
        DATA,
        "Two credentials have different IDs and keys",
        NEEDS,
        |b| {
            let request = b.mc();
            let one = b.make(request)?;
            let request = b.mc();
            let two = b.make(request)?;
            ensure(one.id != two.id && one.key != two.key, "they are the same")
        },
    ),
    check(
        "mc.id-length",
        DATA,
        "A credential ID has 16 bytes at least",
        NEEDS,
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            ensure(made.id.len() >= 16, format!("{} bytes", made.id.len()))
        },
    ),
    check(
        "mc.attestation",
        "WebAuthn L3 §8.2",
        "The attestation verifies, and is of a known format",
        NEEDS,
        |b| {
            let request = b.mc();
            let made = b.make(request)?;
            let known = ["none", "packed", "fido-u2f"].contains(&made.response.fmt.as_str());
            ensure(known, format!("the format {:?}", made.response.fmt))
        },
    ),
    check(
        "mc.formats-none",
        MC_SECTION,
        "attestationFormatsPreference \"none\" gives no statement",
        &[Member(22)],
        |b| {
            let mut request = b.mc();
            request.attestation_formats_preference = Some(vec!["none".to_owned()]);
            same(b.make(request)?.response.fmt.as_str(), "none", "the format")
        },
    ),
    check(
        "mc.formats-each",
        MC_SECTION,
        "Each of attestationFormats can be had by preferring it",
        &[Member(22), Algorithm(-7)],
        |b| {
            for format in b
                .new_info()?
                .attestation_formats
                .clone()
                .unwrap_or_default()
            {
                let mut request = b.mc();
                request.attestation_formats_preference = Some(vec![format.clone()]);
                same(b.make(request)?.response.fmt, format, "the format")?;
            }
            Ok(())
        },
    ),
    check(
        "mc.formats-unknown",
        MC_SECTION,
        "Unknown formats of the preference are passed over",
        &[Member(22)],
        |b| {
            let mut request = b.mc();
            request.attestation_formats_preference =
                Some(vec!["tpm".to_owned(), "none".to_owned()]);
            same(b.make(request)?.response.fmt.as_str(), "none", "the format")
        },
    ),
    check(
        "mc.enterprise-off",
        "CTAP 2.3 §6.1.2",
        "Enterprise attestation is refused until it is enabled",
        &[Ctap2],
        |b| {
            if b.option("ep") == Some(true) {
                return crate::check::not_applicable("it is enabled as delivered");
            }
            let mut request = b.mc();
            request.enterprise_attestation = Some(2);
            b.refuse_mc(request, &[Status::INVALID_PARAMETER])
        },
    ),
    check(
        "mc.enterprise-type",
        PARAMS,
        "enterpriseAttestation is an integer",
        NEEDS,
        |b| wrong(b, 10, text("2"), TYPE),
    ),
    check(
        "mc.param-type",
        PARAMS,
        "pinUvAuthParam is a byte string",
        NEEDS,
        |b| wrong(b, 8, text("x"), TYPE),
    ),
    check(
        "mc.protocol-type",
        PARAMS,
        "pinUvAuthProtocol is an integer",
        NEEDS,
        |b| wrong(b, 9, text("1"), TYPE),
    ),
    check(
        "mc.no-cred-blob-output",
        "CTAP 2.3 §12.2",
        "Without extensions asked for there is no extension data",
        &[Extension("credProtect")],
        |b| {
            let request = b.mc();
            match b.make(request)?.extensions {
                None => Ok(()),
                Some(output) => failed(format!("{output:?}")),
            }
        },
    ),
    check(
        "mc.long-rp-id",
        PARAMS,
        "An RP ID of 253 characters is taken",
        NEEDS,
        |b| {
            let mut request = b.mc();
            request.rp.id = format!("{}example.com", "a.".repeat(121));
            let made = b.make(request)?;
            let request = b.ga_of(&made);
            ensure(
                b.get(request)?.is_by(&made),
                "the signature does not verify",
            )
        },
    ),
    check(
        "mc.long-names",
        PARAMS,
        "Names of 64 bytes and more are taken",
        &[On("rk")],
        |b| {
            let mut request = b.mc_rk(1);
            request.user.display_name = Some("ä".repeat(40));
            request.user.name = Some("n".repeat(70));
            b.make(request).map(drop)
        },
    ),
    check(
        "mc.user-forgotten",
        "WebAuthn L3 §6.3.2",
        "Making credentials uses up nothing that another account needs",
        NEEDS,
        |b| {
            let mut request = b.mc();
            request.user = user(3);
            let one = b.make(request)?;
            let request = b.mc();
            b.make(request)?;
            let request = b.ga_of(&one);
            ensure(b.get(request)?.is_by(&one), "the signature does not verify")
        },
    ),
];
