//! CTAP 2.2's persistent token for reading (permission pcmr), and what it opens in getInfo.

use aws_lc_rs::cipher::{AES_128, DecryptingKey, DecryptionContext, UnboundCipherKey};
use ctap::{Command, Status};

use super::credential_management::{metadata, metadata_status, rps};
use crate::bench::{Bench, PIN, is_one_of, parsed, present};
use crate::check::Need::{self, On, Power};
use crate::check::{Check, Outcome, check, ensure, same};
use crate::pins::{MC, PCMR, Token};
use crate::verify::hmac;

const PCMR_SECTION: &str = "CTAP 2.3 §6.5.5.7";
const INFO: &str = "CTAP 2.3 §6.4";
const NEEDS: &[Need] = &[On("perCredMgmtRO")];
const CYCLES: &[Need] = &[On("perCredMgmtRO"), Power];

fn token(b: &mut Bench<'_>) -> Outcome<Token> {
    b.token(PCMR, None)
}

/// The plain text of a member: IV, then AES-128-CBC under HKDF-SHA-256 of the token.
fn opened(token: &Token, info: &str, member: &[u8]) -> Outcome<Vec<u8>> {
    ensure(member.len() == 32, format!("{} bytes", member.len()))?;
    let extracted = hmac(&[0; 32], &token.value);
    let key = hmac(&extracted, &[info.as_bytes(), &[1]].concat());
    // One block of CBC is one block of ECB and the IV.
    let key = parsed("the key", UnboundCipherKey::new(&AES_128, &key[..16]))?;
    let key = parsed("the key", DecryptingKey::ecb(key))?;
    let mut block = member[16..].to_vec();
    let plain = key.decrypt(&mut block, DecryptionContext::None);
    let plain = parsed("the member", plain)?.to_vec();
    Ok(plain.iter().zip(member).map(|(a, b)| a ^ b).collect())
}

fn identifier(b: &mut Bench<'_>) -> Outcome<Vec<u8>> {
    let member = b.info()?.enc_identifier;
    Ok(present("encIdentifier", member)?.to_vec())
}

fn store_state(b: &mut Bench<'_>) -> Outcome<Vec<u8>> {
    let member = b.info()?.enc_cred_store_state;
    Ok(present("encCredStoreState", member)?.to_vec())
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "pcmr.reads",
        PCMR_SECTION,
        "A token with pcmr reads the credentials",
        NEEDS,
        |b| {
            b.set_pin()?;
            let request = b.mc_rk(1);
            b.make(request)?;
            let token = token(b)?;
            same(metadata(b, &token)?.0, 1, "the count")?;
            same(
                rps(b, &token)?,
                vec!["example.com".to_owned()],
                "the relying parties",
            )
        },
    ),
    check(
        "pcmr.lasts",
        PCMR_SECTION,
        "It lasts over a power cycle",
        CYCLES,
        |b| {
            let token = token(b)?;
            b.power_cycle()?;
            metadata(b, &token).map(drop)
        },
    ),
    check(
        "pcmr.same-again",
        PCMR_SECTION,
        "Asked for again, it is the same",
        NEEDS,
        |b| {
            let one = token(b)?;
            let two = token(b)?;
            same(one == two, true, "the token is the same")
        },
    ),
    check(
        "pcmr.alone",
        PCMR_SECTION,
        "pcmr is not given with other permissions",
        NEEDS,
        |b| {
            let status = b.try_token((PCMR | MC).0.into(), Some("example.com"))?;
            is_one_of(
                "clientPIN",
                status,
                &[Status::UNAUTHORIZED_PERMISSION, Status::INVALID_PARAMETER],
            )
        },
    ),
    check(
        "pcmr.leaves-token",
        PCMR_SECTION,
        "It leaves the ordinary token alone",
        NEEDS,
        |b| {
            let ordinary = b.token(MC, Some("example.com"))?;
            token(b)?;
            let mut request = b.mc();
            b.with_token_mc(&mut request, &ordinary);
            b.make_as_is(&request).map(drop)
        },
    ),
    check(
        "pcmr.does-not-write",
        PCMR_SECTION,
        "It deletes nothing",
        NEEDS,
        |b| {
            let request = b.mc_rk(1);
            let made = b.make(request)?;
            let token = token(b)?;
            let params = crate::edit::map(&[(
                2,
                crate::edit::text_map(&[
                    ("id", crate::edit::bytes(&made.id)),
                    ("type", crate::edit::text("public-key")),
                ]),
            )]);
            let raw = ctap::Raw::from(&params);
            let message = ctap::credential_management::authenticated_message(6, Some(&raw));
            let request = ctap::credential_management::Request {
                sub_command: 6,
                sub_command_params: Some(raw),
                pin_uv_auth_protocol: Some(token.number()),
                pin_uv_auth_param: Some(token.sign(&message)),
            };
            b.expect(
                Command::CredentialManagement,
                &request.encode(),
                Status::PIN_AUTH_INVALID,
            )
        },
    ),
    check(
        "pcmr.does-not-make",
        PCMR_SECTION,
        "It makes no credential",
        NEEDS,
        |b| {
            let token = token(b)?;
            let mut request = b.mc();
            b.with_token_mc(&mut request, &token);
            b.expect(
                Command::MakeCredential,
                &request.encode(),
                Status::PIN_AUTH_INVALID,
            )
        },
    ),
    check(
        "pcmr.ends-with-pin",
        "CTAP 2.3 §6.5.5.6",
        "Changing the PIN ends it",
        NEEDS,
        |b| {
            let token = token(b)?;
            same(
                b.try_change_pin(PIN, "another-4711")?,
                Status::OK,
                "changePIN",
            )?;
            same(
                metadata_status(b, &token)?,
                Status::PIN_AUTH_INVALID,
                "getCredsMetadata",
            )
        },
    ),
    check(
        "pcmr.ends-with-reset",
        "CTAP 2.3 §6.6",
        "A reset ends it",
        CYCLES,
        |b| {
            let old = token(b)?;
            b.power_cycle()?;
            b.expect(Command::Reset, &[], Status::OK)?;
            b.pin = None;
            b.set_pin()?;
            same(
                metadata_status(b, &old)?,
                Status::PIN_AUTH_INVALID,
                "getCredsMetadata",
            )
        },
    ),
    check(
        "pcmr.identifier",
        INFO,
        "encIdentifier opens to the same each time, under a fresh IV",
        NEEDS,
        |b| {
            let token = token(b)?;
            let (one, two) = (identifier(b)?, identifier(b)?);
            ensure(one[..16] != two[..16], "the IV is the same")?;
            let (one, two) = (
                opened(&token, "encIdentifier", &one)?,
                opened(&token, "encIdentifier", &two)?,
            );
            same(one, two, "the identifier")
        },
    ),
    check(
        "pcmr.identifier-lasts",
        INFO,
        "The identifier stays over a power cycle",
        CYCLES,
        |b| {
            let token = token(b)?;
            let before = opened(&token, "encIdentifier", &identifier(b)?)?;
            b.power_cycle()?;
            let after = opened(&token, "encIdentifier", &identifier(b)?)?;
            same(before, after, "the identifier")
        },
    ),
    check(
        "pcmr.store-state-iv",
        INFO,
        "encCredStoreState comes under a fresh IV each time",
        NEEDS,
        |b| {
            token(b)?;
            let (one, two) = (store_state(b)?, store_state(b)?);
            ensure(one[..16] != two[..16], "the IV is the same")
        },
    ),
    check(
        "pcmr.store-state",
        INFO,
        "encCredStoreState changes with the credentials, and only then",
        NEEDS,
        |b| {
            let token = token(b)?;
            let one = opened(&token, "encCredStoreState", &store_state(b)?)?;
            let two = opened(&token, "encCredStoreState", &store_state(b)?)?;
            same(&one, &two, "the state")?;
            let request = b.mc_rk(1);
            b.make(request)?;
            let three = opened(&token, "encCredStoreState", &store_state(b)?)?;
            ensure(three != two, "it is the same after a new credential")
        },
    ),
];
