//! The public key of a passkey

use client::manage::Passkey;
use serde_json::json;
use webauthn::base64url;

use super::{OneArgs, Open, account, short_id};
use crate::exit::{Exit, Fault};
use crate::fido2_manage::base64;
use crate::say;

/// Characters in a line of PEM (RFC 7468 §2).
const LINE: usize = 64;

pub(super) fn run(open: &mut Open<'_, '_>, args: &OneArgs) -> Result<(), Fault> {
    let passkey = open.find(&args.id)?;
    let cose = passkey.public_key.as_ref().ok_or_else(|| {
        Fault::new(
            Exit::NotSupported,
            "this key does not tell the public keys of its passkeys",
        )
    })?;
    let pem = passkey.public_key_der().map(|der| pem(&der));
    if args.json {
        let json = json!({
            "schema": "pinward.public-key/1",
            "key": open.listed.id,
            "id": short_id(&passkey, &open.all),
            "site": passkey.rp_id,
            "name": passkey.user.name,
            "userHandle": base64url::encode(&passkey.user.id),
            "credentialId": base64url::encode(&passkey.credential_id),
            "algorithm": cose.algorithm().0,
            "cose": base64url::encode(cose.encode()),
            "pem": pem,
        });
        return Ok(say::json(&json)?);
    }
    let pem = pem.ok_or_else(|| {
        Fault::new(
            Exit::NotSupported,
            "there is no usual PEM form for this algorithm; --json gives the COSE key",
        )
    })?;
    say::note(&format!(
        "{} as {}\n",
        say::escaped(&passkey.rp_id),
        words(&passkey)
    ));
    Ok(say::out(&pem)?)
}

fn words(passkey: &Passkey) -> String {
    say::escaped(&account(passkey))
}

fn pem(der: &[u8]) -> String {
    let text = base64::encode(der);
    let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem + "-----END PUBLIC KEY-----\n"
}
