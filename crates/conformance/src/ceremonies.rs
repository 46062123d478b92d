//! Credentials made and used, and each answer looked at.

use ctap::entities::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity};
use ctap::{Command, Status, get_assertion, make_credential};
use webauthn::authenticator_data::{AuthenticatorData, Flags};
use webauthn::cbor::Value;
use webauthn::cose::{CoseAlgorithm, CoseKey};

use crate::bench::{Bench, is_one_of, parsed, present};
use crate::check::{Outcome, ensure, failed};
use crate::pins::{GA, MC, Token};
use crate::verify::{certificate_aaguid, certificate_key, sha256, verifies, verifies_p256};

/// The relying party of most checks.
pub(crate) const RP: &str = "example.com";

/// A credential that was made.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) id: Vec<u8>,
    pub(crate) key: CoseKey,
    pub(crate) flags: Flags,
    pub(crate) sign_count: u32,
    pub(crate) aaguid: [u8; 16],
    pub(crate) extensions: Option<Value>,
    pub(crate) response: make_credential::Response,
    pub(crate) rp: String,
}

/// An assertion that was given.
#[derive(Debug, Clone)]
pub(crate) struct Asserted {
    pub(crate) flags: Flags,
    pub(crate) sign_count: u32,
    pub(crate) extensions: Option<Value>,
    pub(crate) response: get_assertion::Response,
    signed: Vec<u8>,
}

impl Asserted {
    /// The credential that signed.
    pub(crate) fn id(&self) -> &[u8] {
        self.response.credential.as_ref().map_or(&[], |c| &c.id)
    }

    /// Whether this credential signed it.
    pub(crate) fn is_by(&self, made: &Made) -> bool {
        verifies(&made.key, &self.signed, &self.response.signature)
    }
}

pub(crate) type Make = make_credential::Request;
pub(crate) type Get = get_assertion::Request;

impl Bench<'_> {
    /// A request for a credential of the relying party `example.com`, not discoverable.
    pub(crate) fn mc(&mut self) -> Make {
        Make {
            client_data_hash: self.hash(),
            rp: RpEntity {
                id: RP.to_owned(),
                name: Some("Example".to_owned()),
            },
            user: user(1),
            pub_key_cred_params: vec![CredentialParameters::public_key(self.algorithm())],
            exclude_list: None,
            extensions: None,
            options: None,
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
            enterprise_attestation: None,
            attestation_formats_preference: None,
        }
    }

    /// The same, discoverable, for another account each.
    pub(crate) fn mc_rk(&mut self, account: u8) -> Make {
        Make {
            user: user(account),
            options: Some(make_credential::Options {
                rk: Some(true),
                ..make_credential::Options::default()
            }),
            ..self.mc()
        }
    }

    /// A request for an assertion by any discoverable credential.
    pub(crate) fn ga(&mut self) -> Get {
        Get {
            rp_id: RP.to_owned(),
            client_data_hash: self.hash(),
            allow_list: None,
            extensions: None,
            options: None,
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
        }
    }

    /// A request for an assertion by this credential.
    pub(crate) fn ga_of(&mut self, made: &Made) -> Get {
        Get {
            rp_id: made.rp.clone(),
            allow_list: Some(vec![CredentialDescriptor::public_key(made.id.clone())]),
            ..self.ga()
        }
    }

    /// Whether makeCredential wants a verified user, with the key as it is now.
    fn is_protected(&self) -> bool {
        self.pin.is_some()
            || self.option("uv") == Some(true)
            || self.option("alwaysUv") == Some(true)
    }

    /// Adds what authorises the request: a token by PIN where the key is protected, or wants to be.
    pub(crate) fn authorise_mc(&mut self, request: &mut Make) -> Outcome {
        if !self.is_protected() {
            return Ok(());
        }
        if self.option("clientPin").is_none() {
            let options = request.options.get_or_insert_default();
            options.uv = Some(true);
            return Ok(());
        }
        let token = self.token(MC, Some(&request.rp.id))?;
        self.with_token_mc(request, &token);
        Ok(())
    }

    /// The same for getAssertion; a key without alwaysUv needs nothing.
    pub(crate) fn authorise_ga(&mut self, request: &mut Get) -> Outcome {
        let token = self.token(GA, Some(&request.rp_id.clone()))?;
        self.with_token_ga(request, &token);
        Ok(())
    }

    pub(crate) fn with_token_mc(&mut self, request: &mut Make, token: &Token) {
        request.pin_uv_auth_param = Some(token.sign(&request.client_data_hash));
        request.pin_uv_auth_protocol = Some(token.number());
    }

    pub(crate) fn with_token_ga(&mut self, request: &mut Get, token: &Token) {
        request.pin_uv_auth_param = Some(token.sign(&request.client_data_hash));
        request.pin_uv_auth_protocol = Some(token.number());
    }

    /// Makes a credential, authorised as the key wants it, and looks at the whole answer.
    pub(crate) fn make(&mut self, mut request: Make) -> Outcome<Made> {
        self.authorise_mc(&mut request)?;
        self.make_as_is(&request)
    }

    /// Makes a credential by the request as it is, and looks at the whole answer.
    pub(crate) fn make_as_is(&mut self, request: &Make) -> Outcome<Made> {
        let members = self.call(Command::MakeCredential, &request.encode())?;
        let response = make_credential::Response::decode_response(&members);
        let response = parsed("makeCredential", response)?;
        made(request, response)
    }

    /// The status of a request, authorised as the key wants it.
    pub(crate) fn mc_status(&mut self, mut request: Make) -> Outcome<Status> {
        self.authorise_mc(&mut request)?;
        Ok(self.send(Command::MakeCredential, &request.encode())?.0)
    }

    /// A request, authorised as the key wants it, that must be refused.
    pub(crate) fn refuse_mc(&mut self, request: Make, due: &[Status]) -> Outcome {
        let status = self.mc_status(request)?;
        is_one_of("makeCredential", status, due)
    }

    /// A request for a credential, authorised as the key wants it, in bytes.
    pub(crate) fn mc_bytes(&mut self) -> Outcome<Vec<u8>> {
        let mut request = self.mc();
        self.authorise_mc(&mut request)?;
        Ok(request.encode())
    }

    /// Gets an assertion, authorised only where the key insists, and looks at the answer.
    pub(crate) fn get(&mut self, mut request: Get) -> Outcome<Asserted> {
        if self.option("alwaysUv") == Some(true) {
            self.authorise_ga(&mut request)?;
        }
        self.get_as_is(&request)
    }

    /// The same with a token.
    pub(crate) fn get_uv(&mut self, mut request: Get) -> Outcome<Asserted> {
        self.authorise_ga(&mut request)?;
        self.get_as_is(&request)
    }

    /// Gets an assertion by the request as it is, and looks at the answer.
    pub(crate) fn get_as_is(&mut self, request: &Get) -> Outcome<Asserted> {
        let members = self.call(Command::GetAssertion, &request.encode())?;
        asserted(request, &members)
    }

    /// The next assertion to this request.
    pub(crate) fn get_next(&mut self, request: &Get) -> Outcome<Asserted> {
        let members = self.call(Command::GetNextAssertion, &[])?;
        asserted(request, &members)
    }

    /// The status of a request for an assertion, authorised only where the key insists.
    pub(crate) fn ga_status(&mut self, mut request: Get) -> Outcome<Status> {
        if self.option("alwaysUv") == Some(true) {
            self.authorise_ga(&mut request)?;
        }
        Ok(self.send(Command::GetAssertion, &request.encode())?.0)
    }

    /// A request for an assertion that must be refused.
    pub(crate) fn refuse_ga(&mut self, request: Get, due: &[Status]) -> Outcome {
        let status = self.ga_status(request)?;
        is_one_of("getAssertion", status, due)
    }

    /// A request for an assertion with a credential that exists, authorised, in bytes.
    pub(crate) fn ga_bytes(&mut self) -> Outcome<Vec<u8>> {
        let request = self.mc();
        let made = self.make(request)?;
        let mut request = self.ga_of(&made);
        if self.option("alwaysUv") == Some(true) {
            self.authorise_ga(&mut request)?;
        }
        Ok(request.encode())
    }
}

/// An account by its number.
pub(crate) fn user(account: u8) -> UserEntity {
    UserEntity {
        id: vec![account; 16],
        name: Some(format!("user{account}@example.com")),
        display_name: Some(format!("User {account}")),
    }
}

/// The options of makeCredential.
pub(crate) fn mc_options(
    rk: Option<bool>,
    up: Option<bool>,
    uv: Option<bool>,
) -> Option<make_credential::Options> {
    Some(make_credential::Options { rk, up, uv })
}

/// The options of getAssertion.
pub(crate) fn ga_options(up: Option<bool>, uv: Option<bool>) -> Option<get_assertion::Options> {
    Some(get_assertion::Options { rk: None, up, uv })
}

fn extensions(data: &AuthenticatorData<'_>) -> Option<Value> {
    data.extensions.and_then(|bytes| Value::decode(bytes).ok())
}

fn made(request: &Make, response: make_credential::Response) -> Outcome<Made> {
    let data = AuthenticatorData::parse(&response.auth_data);
    let data = parsed("makeCredential (authData)", data)?;
    let attested = present("attestedCredentialData", data.attested_credential_data)?;
    let key = parsed("makeCredential (public key)", attested.public_key())?;
    ensure(
        *data.rp_id_hash == sha256(request.rp.id.as_bytes()),
        "rpIdHash is not that of the relying party",
    )?;
    let wanted = request
        .pub_key_cred_params
        .iter()
        .any(|p| p.alg == key.algorithm());
    ensure(wanted, "the public key is of an algorithm nobody asked for")?;
    let made = Made {
        id: attested.credential_id.to_vec(),
        key,
        flags: data.flags,
        sign_count: data.sign_count,
        aaguid: attested.aaguid.0,
        extensions: extensions(&data),
        rp: request.rp.id.clone(),
        response: response.clone(),
    };
    attestation(&made, &request.client_data_hash)?;
    Ok(made)
}

/// WebAuthn L3 §8: the statement proves what it says, in the formats that keys use.
pub(crate) fn attestation(made: &Made, client_data_hash: &[u8; 32]) -> Outcome {
    let statement = made
        .response
        .att_stmt
        .as_ref()
        .and_then(|raw| raw.value().ok());
    let member = |name: &str| statement.as_ref().and_then(|s| s.get_text(name)).cloned();
    let sig = member("sig").and_then(|v| v.as_bytes().map(<[u8]>::to_vec));
    let alg = member("alg").and_then(|v| v.as_i64());
    let x5c = member("x5c").and_then(|v| v.as_array()?.first()?.as_bytes().map(<[u8]>::to_vec));
    let signed = [&made.response.auth_data[..], client_data_hash].concat();
    match (made.response.fmt.as_str(), sig, x5c) {
        ("none", None, None) => Ok(()),
        ("packed", Some(sig), None) => {
            ensure(
                alg == Some(made.key.algorithm().0.into()),
                "alg is not the key's own",
            )?;
            ensure(
                verifies(&made.key, &signed, &sig),
                "the self attestation does not verify",
            )
        }
        ("packed", Some(sig), Some(certificate)) => {
            ensure(
                alg == Some(CoseAlgorithm::ES256.0.into()),
                "alg is not ES256",
            )?;
            let key = present("a key in the certificate", certificate_key(&certificate))?;
            ensure(
                verifies_p256(&key, &signed, &sig),
                "the attestation does not verify",
            )?;
            let aaguid = certificate_aaguid(&certificate);
            ensure(
                aaguid.is_none_or(|aaguid| aaguid == made.aaguid),
                "the certificate is of another AAGUID",
            )
        }
        ("fido-u2f", Some(sig), Some(certificate)) => {
            let CoseKey::Ec2 { x, y, .. } = &made.key else {
                return failed("fido-u2f with a key that is not on P-256");
            };
            let hash = sha256(made.rp.as_bytes());
            let point: [u8; 65] = parsed("the point", [&[4], &x[..], y].concat().try_into())?;
            let signed = ctap::u2f::register_signed_data(&hash, client_data_hash, &made.id, &point);
            let key = present("a key in the certificate", certificate_key(&certificate))?;
            ensure(
                verifies_p256(&key, &signed, &sig),
                "the attestation does not verify",
            )
        }
        (format, ..) => failed(format!(
            "an attestation of format {format:?} without its members"
        )),
    }
}

fn asserted(request: &Get, members: &[u8]) -> Outcome<Asserted> {
    let response = parsed("getAssertion", get_assertion::Response::decode(members))?;
    let data = AuthenticatorData::parse(&response.auth_data);
    let data = parsed("getAssertion (authData)", data)?;
    ensure(
        *data.rp_id_hash == sha256(request.rp_id.as_bytes()),
        "rpIdHash is not that of the relying party",
    )?;
    ensure(
        data.attested_credential_data.is_none(),
        "an assertion with attested credential data",
    )?;
    Ok(Asserted {
        flags: data.flags,
        sign_count: data.sign_count,
        extensions: extensions(&data),
        signed: [&response.auth_data[..], &request.client_data_hash].concat(),
        response,
    })
}
