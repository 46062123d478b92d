//! What `sk_enroll`, `sk_sign` and `sk_load_resident_keys` do, on one key.
//!
//! OpenSSH's PROTOCOL.u2f: the application is the RP ID, and what is signed is the SHA-256 of
//! OpenSSH's data in the place of the client data hash of CTAP 2.3 §6.1 and §6.2.

mod assertion;
mod attested;
mod resident;

use aws_lc_rs::digest::{SHA256, digest};
use client::manage::{ManageError, Manager, Token, pin_policy};
use client::pin::Pin;
use ctap::client_pin::Permissions;
use ctap::entities::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity};
use ctap::{Status, get_assertion, make_credential};
use webauthn::cose::CoseAlgorithm;

pub use assertion::Signature;
pub use attested::Enrolled;
pub use resident::{Resident, load_resident_keys};

use crate::api::{Algorithm, Fault, LONGEST_USER, flag};
use crate::new_pin::Choice;

/// What `sk_enroll` is asked.
#[derive(Debug)]
pub struct Enroll<'a> {
    /// The type of key.
    pub algorithm: Algorithm,
    /// What the attestation signs besides.
    pub challenge: &'a [u8],
    /// `ssh:` and whatever the person added.
    pub application: &'a str,
    /// See [`flag`].
    pub flags: u8,
    /// `-O user=`; empty without it.
    pub user: &'a str,
}

/// What `sk_sign` is asked.
#[derive(Debug)]
pub struct Sign<'a> {
    /// The type of key.
    pub algorithm: Algorithm,
    /// What is signed.
    pub data: &'a [u8],
    /// The application that the key was made for.
    pub application: &'a str,
    /// The credential ID.
    pub key_handle: &'a [u8],
    /// The flags that the key was made with.
    pub flags: u8,
}

/// A person who may be asked to make up a PIN for a key that has none.
pub trait AskNewPin {
    /// Asks, twice. `needed`: the request fails without a PIN.
    fn new_pin(&mut self, policy: &client::pin::PinPolicy, needed: bool) -> Choice;
}

fn sha256(data: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, data).as_ref());
    hash
}

/// How the key is to verify its user in one request.
enum Verified {
    /// Not at all.
    No,
    /// By a token.
    Token(Token),
    /// By itself inside the request (CTAP 2.0 keys with a sensor).
    Itself,
}

impl Verified {
    fn token(&self) -> Option<&Token> {
        match self {
            Self::Token(token) => Some(token),
            _ => None,
        }
    }

    fn uv_option(&self) -> Option<bool> {
        matches!(self, Self::Itself).then_some(true)
    }
}

/// Makes a credential.
///
/// # Errors
/// [`Fault`]
pub fn enroll(
    manager: &mut Manager<'_>,
    request: &Enroll<'_>,
    pin: Option<&str>,
    person: &mut dyn AskNewPin,
) -> Result<Enrolled, Fault> {
    if request.user.len() > LONGEST_USER {
        return Err(Fault::General(format!(
            "the user name is too long: at most {LONGEST_USER} bytes"
        )));
    }
    let cred_protect = protection(manager, request.flags)?;
    let verified = verify_for_enroll(manager, request, pin, person)?;
    if request.flags & flag::RESIDENT != 0
        && request.flags & flag::FORCE == 0
        && is_there(manager, request, &verified)?
    {
        return Err(Fault::Exists);
    }
    let message = make_credential::Request {
        client_data_hash: sha256(request.challenge),
        rp: RpEntity {
            id: request.application.to_owned(),
            name: None,
        },
        user: UserEntity {
            id: user_handle(request.user),
            name: Some("openssh".to_owned()),
            display_name: Some("openssh".to_owned()),
        },
        pub_key_cred_params: vec![CredentialParameters::public_key(cose(request.algorithm))],
        exclude_list: None,
        extensions: cred_protect.map(|level| make_credential::ExtensionsInput {
            cred_protect: Some(level),
            ..make_credential::ExtensionsInput::default()
        }),
        options: options(request.flags, &verified),
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
        enterprise_attestation: None,
        attestation_formats_preference: None,
    };
    let response = manager.make_credential(message, verified.token())?;
    attested::read(request, &response)
}

fn options(flags: u8, verified: &Verified) -> Option<make_credential::Options> {
    let options = make_credential::Options {
        rk: (flags & flag::RESIDENT != 0).then_some(true),
        up: None,
        uv: verified.uv_option(),
    };
    (options != make_credential::Options::default()).then_some(options)
}

/// The user handle is 32 bytes, as OpenSSH's own middleware makes it, so that either finds the
/// other's resident keys.
fn user_handle(user: &str) -> Vec<u8> {
    let mut handle = user.as_bytes().to_vec();
    handle.resize(LONGEST_USER + 1, 0);
    handle
}

fn cose(algorithm: Algorithm) -> CoseAlgorithm {
    match algorithm {
        Algorithm::Ecdsa => CoseAlgorithm::ES256,
        Algorithm::Ed25519 => CoseAlgorithm::EDDSA,
    }
}

/// CTAP 2.3 §12.1: level 3 for keys that sign only for a verified user, 2 for resident ones. A key
/// without this extension would let anybody use or list them, so none is made.
fn protection(manager: &Manager<'_>, flags: u8) -> Result<Option<u64>, Fault> {
    let level = match flags {
        flags if flags & flag::USER_VERIFICATION != 0 => 3,
        flags if flags & flag::RESIDENT != 0 => 2,
        _ => return Ok(None),
    };
    if manager.info().has_extension("credProtect") {
        Ok(Some(level))
    } else {
        Err(Fault::Unsupported(
            "protect a verify-required or resident key (it has no credProtect)",
        ))
    }
}

/// CTAP 2.3 §6.1.2: a protected key wants its user verified in registrations, unless it says
/// makeCredUvNotRqd and the credential is not resident.
fn verify_for_enroll(
    manager: &mut Manager<'_>,
    request: &Enroll<'_>,
    pin: Option<&str>,
    person: &mut dyn AskNewPin,
) -> Result<Verified, Fault> {
    let resident = request.flags & flag::RESIDENT != 0;
    let wanted = request.flags & flag::USER_VERIFICATION != 0;
    let options = manager.options();
    let always = options.always_uv == Some(true);
    if !manager.is_protected() {
        let needed = wanted || always;
        if !needed && !resident {
            return Ok(Verified::No);
        }
        return match new_pin(manager, person, needed)? {
            Some(pin) => by_pin(manager, request.application, &pin),
            None => Ok(Verified::No),
        };
    }
    let free = options.make_cred_uv_not_rqd == Some(true) && !resident && !always;
    if free && !wanted && pin.is_none() {
        return Ok(Verified::No);
    }
    verify(manager, request.application, pin)
}

/// By the PIN that OpenSSH brought, or by the key's own method, or else OpenSSH shall ask.
fn verify(
    manager: &mut Manager<'_>,
    application: &str,
    pin: Option<&str>,
) -> Result<Verified, Fault> {
    let options = manager.options();
    match pin {
        Some(typed) if options.client_pin == Some(true) => {
            by_pin(manager, application, &Pin::existing(typed)?)
        }
        _ if options.uv == Some(true) => by_itself(manager, application),
        _ => Err(Fault::PinRequired),
    }
}

const USING: Permissions =
    Permissions(Permissions::MAKE_CREDENTIAL.0 | Permissions::GET_ASSERTION.0);

fn by_pin(manager: &mut Manager<'_>, application: &str, pin: &Pin) -> Result<Verified, Fault> {
    match manager.token_for(application, Some(pin), USING) {
        Ok(token) => Ok(Verified::Token(token)),
        Err(error) => Err(wrong_pin(manager, error)),
    }
}

fn by_itself(manager: &mut Manager<'_>, application: &str) -> Result<Verified, Fault> {
    if manager.options().pin_uv_auth_token != Some(true) {
        return Ok(Verified::Itself);
    }
    match manager.token_for(application, None, USING) {
        Ok(token) => Ok(Verified::Token(token)),
        // The finger is not known or the sensor is blocked: the PIN is the other way (§6.5.5.7.3).
        Err(error)
            if matches!(
                error.status(),
                Some(Status::UV_INVALID | Status::UV_BLOCKED)
            ) && manager.options().client_pin == Some(true) =>
        {
            Err(Fault::PinRequired)
        }
        Err(error) => Err(error.into()),
    }
}

/// A wrong PIN is told with the tries that are left.
pub(crate) fn wrong_pin(manager: &mut Manager<'_>, error: ManageError) -> Fault {
    if error.status() != Some(Status::PIN_INVALID) {
        return error.into();
    }
    let left = match manager.pin_retries() {
        Ok(Some(retries)) => format!("; tries left: {}", retries.left),
        _ => String::new(),
    };
    Fault::WrongPin(left)
}

/// A key without a PIN, where one is needed or of use: its person makes one up on the spot.
fn new_pin(
    manager: &mut Manager<'_>,
    person: &mut dyn AskNewPin,
    needed: bool,
) -> Result<Option<Pin>, Fault> {
    if manager.options().client_pin.is_none() {
        return if needed {
            Err(Fault::Unsupported("verify its user: it takes no PIN"))
        } else {
            Ok(None)
        };
    }
    let policy = pin_policy(manager.info());
    match person.new_pin(&policy, needed) {
        Choice::Pin(typed) => {
            let pin = Pin::new(&typed, &policy, None)
                .map_err(|error| Fault::General(error.to_string()))?;
            manager.set_pin(&pin)?;
            Ok(Some(pin))
        }
        Choice::NotNow if !needed => Ok(None),
        Choice::NotNow => Err(Fault::General(
            "the security key has no PIN, and this SSH key needs one: `pinward pin set`".to_owned(),
        )),
        Choice::Differ => Err(Fault::General(
            "the two entries differ; the security key has no PIN yet".to_owned(),
        )),
    }
}

/// Whether a resident credential of this application and user exists: it would be overwritten
/// (CTAP 2.3 §6.1.2, "credentials with the same rp.id and account ID").
fn is_there(
    manager: &mut Manager<'_>,
    request: &Enroll<'_>,
    verified: &Verified,
) -> Result<bool, Fault> {
    let message = get_assertion::Request {
        options: silent(),
        ..assertion_request(request.application, sha256(&[]))
    };
    let first = match manager.get_assertion(message, verified.token()) {
        Ok(first) => first,
        Err(error) if error.status() == Some(Status::NO_CREDENTIALS) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let user = user_handle(request.user);
    let same = |assertion: &get_assertion::Response| {
        assertion.user.as_ref().is_some_and(|its| its.id == user)
    };
    let mut found = same(&first);
    for _ in 1..first.number_of_credentials.unwrap_or(1) {
        found |= same(&manager.next_assertion()?);
    }
    Ok(found)
}

fn assertion_request(application: &str, client_data_hash: [u8; 32]) -> get_assertion::Request {
    get_assertion::Request {
        rp_id: application.to_owned(),
        client_data_hash,
        allow_list: None,
        extensions: None,
        options: None,
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
    }
}

fn silent() -> Option<get_assertion::Options> {
    Some(get_assertion::Options {
        up: Some(false),
        ..get_assertion::Options::default()
    })
}

/// Whether the key has this credential, as far as it tells without its user: credentials of
/// credProtect level 3 stay hidden.
pub fn has_credential(manager: &mut Manager<'_>, application: &str, key_handle: &[u8]) -> bool {
    let message = get_assertion::Request {
        allow_list: Some(vec![CredentialDescriptor::public_key(key_handle)]),
        options: silent(),
        ..assertion_request(application, sha256(&[]))
    };
    manager.get_assertion(message, None).is_ok()
}

/// Signs.
///
/// # Errors
/// [`Fault`]
pub fn sign(
    manager: &mut Manager<'_>,
    request: &Sign<'_>,
    pin: Option<&str>,
) -> Result<Signature, Fault> {
    let wanted = request.flags & flag::USER_VERIFICATION != 0;
    let always = manager.options().always_uv == Some(true);
    let verified = if !manager.is_protected() {
        if wanted {
            // It was made when the key had a PIN: the key has been reset since.
            return Err(Fault::NoKey(
                "this SSH key needs its user verified, and the security key has no PIN: it is \
                 another one, or has been reset"
                    .to_owned(),
            ));
        }
        Verified::No
    } else if wanted || always || pin.is_some() {
        verify(manager, request.application, pin)?
    } else {
        Verified::No
    };
    let up = request.flags & flag::USER_PRESENCE != 0;
    let options = get_assertion::Options {
        up: (!up).then_some(false),
        uv: verified.uv_option(),
        ..get_assertion::Options::default()
    };
    let message = get_assertion::Request {
        allow_list: Some(vec![CredentialDescriptor::public_key(request.key_handle)]),
        options: (options != get_assertion::Options::default()).then_some(options),
        ..assertion_request(request.application, sha256(request.data))
    };
    let response = manager.get_assertion(message, verified.token())?;
    assertion::read(request, &response)
}
