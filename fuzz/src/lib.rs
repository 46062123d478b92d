//! What each fuzz target does with its bytes, and what must hold whatever they are.
//!
//! A target never says what the answer should be, only what no answer may be: a panic, a round trip
//! that changes something, or an endless loop.

use std::hint::black_box;
use std::time::Duration;

use ctap::hid::{self, Report};
use ctap::iso7816::{self, CommandApdu, ResponseApdu};
use ctap::{Command, Status, u2f};
use webauthn::attestation_object::AttestationObject;
use webauthn::authenticator_data::AuthenticatorData;
use webauthn::client_data::CollectedClientData;
use webauthn::cose::CoseKey;
use webauthn::options::{
    PublicKeyCredentialCreationOptionsJson, PublicKeyCredentialRequestOptionsJson,
};
use webauthn::origin::Origin;
use webauthn::response::{AuthenticationResponseJson, RegistrationResponseJson};

mod key;

pub use key::{authenticator, control};

/// CTAP 2.3 §8: what passes as canonical is one item, has a tree, and the tree writes the same bytes.
pub fn cbor(data: &[u8]) {
    if let Ok((item, rest)) = webauthn::cbor::split(data) {
        assert_eq!(item.len() + rest.len(), data.len());
        assert!(webauthn::cbor::check(item).is_ok());
    }
    let Ok(value) = webauthn::cbor::Value::decode(data) else {
        return;
    };
    // Values, not bytes: undefined is read as null, and floats are widened.
    let bytes = value.encode();
    let again = webauthn::cbor::Value::decode(&bytes).map(|value| value.encode());
    assert_eq!(again, Ok(bytes), "a value does not survive");
}

/// Every message of CTAP: what decodes encodes to something that decodes to the same.
pub fn messages(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else {
        return;
    };
    macro_rules! round_trip {
        ($($n:literal $message:ty,)*) => {
            match which % 16 {
                $($n => {
                    if let Ok(message) = <$message>::decode(rest) {
                        let bytes = message.encode();
                        let again = <$message>::decode(&bytes);
                        assert!(again.is_ok_and(|again| again.encode() == bytes), "{}", stringify!($message));
                    }
                })*
                _ => {}
            }
        };
    }
    round_trip! {
        0 ctap::make_credential::Request,
        1 ctap::make_credential::Response,
        2 ctap::get_assertion::Request,
        3 ctap::get_assertion::Response,
        4 ctap::get_info::Response,
        5 ctap::client_pin::Request,
        6 ctap::client_pin::Response,
        7 ctap::config::Request,
        8 ctap::credential_management::Request,
        9 ctap::credential_management::Response,
        10 ctap::bio_enrollment::Request,
        11 ctap::large_blobs::Request,
        12 ctap::make_credential::ExtensionsOutput,
        13 ctap::get_assertion::ExtensionsOutput,
    }
}

/// The trace printer takes anything: it is shown what went wrong.
pub fn trace(data: &[u8]) {
    black_box(ctap::trace::request(data));
    if let Some((code, rest)) = data.split_first()
        && let Some(command) = Command::from_code(*code)
    {
        black_box(ctap::trace::response(command, rest));
    }
}

/// Cuts the input into reports; a report's first byte says how much time passes before it.
fn reports(data: &[u8]) -> impl Iterator<Item = (Duration, Report)> {
    data.chunks(65).map(|chunk| {
        let mut report = [0; 64];
        report[..chunk.len() - 1].copy_from_slice(&chunk[1..]);
        (Duration::from_millis(u64::from(chunk[0]) * 20), report)
    })
}

/// CTAP 2.3 §11.2: the device's end, with reports from any number of hosts.
pub fn hid_device(data: &[u8]) {
    let mut device = hid::Device::new(hid::Settings::default());
    let mut now = Duration::ZERO;
    for (passed, report) in reports(data) {
        now += passed;
        black_box(device.tick(now));
        for event in device.receive(&report, now) {
            match event {
                hid::Event::Message {
                    channel,
                    command,
                    payload,
                } => {
                    assert!(
                        !payload.is_empty() && payload.len() <= 7609,
                        "a message of {} bytes",
                        payload.len()
                    );
                    if report[63] & 1 == 0 {
                        black_box(device.reply(channel, command, &payload));
                    }
                }
                hid::Event::Cancel { channel } => {
                    black_box(device.reply(
                        channel,
                        hid::Command::CBOR,
                        &[Status::KEEPALIVE_CANCEL.0],
                    ));
                }
                _ => {}
            }
        }
    }
}

/// The host's end, with reports from a device that means no good.
pub fn hid_host(data: &[u8]) {
    let mut host = hid::Host::new();
    black_box(host.open([0; 8]));
    for (passed, report) in reports(data) {
        if passed > Duration::from_secs(2) {
            black_box(host.request(hid::Command::CBOR, &report[..usize::from(report[0] % 64)]))
                .ok();
        }
        black_box(host.receive(&report)).ok();
    }
}

/// The input as a row of byte strings, each behind one byte with its length.
fn strings(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first()?;
        let (string, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        data = rest;
        Some(string)
    })
}

/// CTAP 2.3 §11.3: the card's end. One command APDU gives at most one response APDU.
pub fn iso7816_card(data: &[u8]) {
    let mut card = iso7816::Card::new(iso7816::CardSettings::default());
    for apdu in strings(data) {
        let mut responses = 0;
        for event in card.receive(apdu) {
            match event {
                iso7816::Event::Respond(_) => responses += 1,
                iso7816::Event::Message(m) | iso7816::Event::U2f(m) => {
                    assert!(m.len() <= 7609, "a message of {} bytes", m.len());
                    let answered = if m.len() % 3 == 0 {
                        card.keepalive(1)
                    } else {
                        card.reply(&m)
                    };
                    responses += usize::from(answered.is_some());
                }
                iso7816::Event::Poll | iso7816::Event::Cancel => {
                    responses += usize::from(card.reply(&[0; 300]).is_some());
                }
                iso7816::Event::Abort => {}
            }
        }
        assert!(responses <= 1, "{responses} responses to one command");
    }
}

/// The reader's end: an exchange with a card that means no good.
pub fn iso7816_host(data: &[u8]) {
    let mut exchange = iso7816::Exchange::message(&[4], iso7816::Form::Short);
    black_box(exchange.start());
    for response in strings(data) {
        if exchange.receive(response).is_err() {
            return;
        }
    }
}

/// APDUs and U2F messages: what decodes encodes to something that decodes to the same.
pub fn u2f(data: &[u8]) {
    if let Ok(apdu) = CommandApdu::decode(data) {
        assert!(CommandApdu::decode(&apdu.encode()).is_ok_and(|again| again == apdu));
    }
    if let Some(response) = ResponseApdu::decode(data) {
        assert_eq!(response.encode(), data);
    }
    if let Ok(request) = u2f::Request::decode(data)
        && let Some(bytes) = request.encode()
    {
        assert!(u2f::Request::decode(&bytes).is_ok_and(|again| again == request));
    }
    if let Ok(response) = u2f::RegisterResponse::decode(data) {
        black_box(response.encode());
    }
    if let Ok(response) = u2f::AuthenticateResponse::decode(data) {
        assert_eq!(response.encode(), data);
    }
}

/// Client data, origins and RP IDs.
pub fn client_data(data: &[u8]) {
    if let Ok(client_data) = CollectedClientData::parse(data) {
        let origin = Origin::parse(&client_data.origin);
        if let (Ok(origin), Some(top)) = (origin, &client_data.top_origin) {
            black_box(webauthn::rp_id::validate(top, &origin)).ok();
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        black_box(webauthn::rp_id::check(text)).ok();
        if let Ok(origin) = Origin::parse(text) {
            black_box((
                origin.effective_domain(),
                origin.is_potentially_trustworthy(),
            ));
        }
        if let Ok(bytes) = webauthn::base64url::decode(text) {
            assert_eq!(webauthn::base64url::encode(bytes), text);
        }
    }
}

/// Attestation objects, authenticator data and COSE keys.
pub fn attestation_object(data: &[u8]) {
    if let Ok(object) = AttestationObject::parse(data) {
        let bytes = object.encode();
        assert!(AttestationObject::parse(&bytes).is_ok());
    }
    if let Ok(parsed) = AuthenticatorData::parse(data)
        && let Some(attested) = parsed.attested_credential_data.as_ref()
    {
        black_box(attested.public_key()).ok();
    }
    if let Ok(key) = CoseKey::parse(data) {
        assert!(CoseKey::parse(&key.encode()).is_ok_and(|again| again == key));
    }
}

/// Options and responses as JSON: what is read can be written and read again.
pub fn options_json(data: &[u8]) {
    macro_rules! round_trip {
        ($($type:ty),*) => {$(
            if let Ok(value) = serde_json::from_slice::<$type>(data) {
                let text = serde_json::to_vec(&value).expect("what was read can be written");
                serde_json::from_slice::<$type>(&text).expect("what was written can be read");
            }
        )*};
    }
    round_trip!(
        PublicKeyCredentialCreationOptionsJson,
        PublicKeyCredentialRequestOptionsJson,
        RegistrationResponseJson,
        AuthenticationResponseJson
    );
}

/// A profile that loads is a key that answers getInfo with the versions that it says.
fn profile_runs(profile: ::authenticator::Profile) {
    use ::authenticator::{Authenticator, Channel, Env, MemoryStore, Progress, State};
    use rand_core::SeedableRng;

    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
    let state = State::fresh(&mut rng);
    let mut store = MemoryStore::new(&state);
    let ctap2 = profile.ctap2;
    // A batch name that makes no certificate is an error, not a panic.
    let Ok(mut key) = Authenticator::new(profile, state, Duration::ZERO, &mut rng) else {
        return;
    };
    let mut env = Env {
        now: Duration::ZERO,
        rng: &mut rng,
        store: &mut store,
    };
    let Progress::Reply(answer) = key.handle(Channel(1), &[0x04], &mut env) else {
        panic!("getInfo waits");
    };
    assert_eq!(answer[0] == 0, ctap2, "getInfo");
    if ctap2 {
        assert!(ctap::get_info::Response::decode(&answer[1..]).is_ok());
    }
}

/// Platform and key profiles as TOML.
pub fn profiles(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        black_box(client::profile::PlatformProfile::from_toml(text)).ok();
        if let Ok(profile) = ::authenticator::profile::Profile::from_toml(text) {
            profile_runs(profile);
        }
    }
}
