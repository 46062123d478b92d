//! CTAP1/U2F beside CTAP2.

use core::time::Duration;

use authenticator::{Interaction, Progress, Purpose, UserEvent};
use ctap::iso7816::StatusWord;
use ctap::u2f::{
    AuthenticateResponse, Control, RegisterResponse, Request, authenticate_signed_data,
    register_signed_data,
};
use webauthn::cose::{CoseAlgorithm, CoseKey};

use crate::bench::{Bench, HASH, ONE, PIN, RP, TWO, sha256, verifies};

impl Bench {
    fn u2f(&mut self, request: &Request) -> Result<Vec<u8>, StatusWord> {
        let apdu = request.encode().unwrap();
        self.apdu(&apdu)
    }

    fn apdu(&mut self, apdu: &[u8]) -> Result<Vec<u8>, StatusWord> {
        let channel = self.channel;
        let mut answer = self.env(|key, env| key.handle_u2f(channel, apdu, env));
        let [high, low] = answer.split_off(answer.len() - 2).try_into().unwrap();
        match StatusWord(u16::from_be_bytes([high, low])) {
            StatusWord::NO_ERROR => Ok(answer),
            status => Err(status),
        }
    }

    fn u2f_touched(&mut self, request: &Request) -> Result<Vec<u8>, StatusWord> {
        assert_eq!(self.u2f(request), Err(StatusWord::CONDITIONS_NOT_SATISFIED));
        assert_eq!(self.user(UserEvent::Touch), Progress::Idle);
        self.u2f(request)
    }

    fn register(&mut self) -> RegisterResponse {
        RegisterResponse::decode(&self.u2f_touched(&register()).unwrap()).unwrap()
    }
}

fn register() -> Request {
    Request::Register {
        challenge: HASH,
        application: sha256(RP.as_bytes()),
    }
}

fn authenticate(control: Control, key_handle: &[u8]) -> Request {
    let application = sha256(RP.as_bytes());
    Request::Authenticate {
        control,
        challenge: HASH,
        application,
        key_handle: key_handle.to_vec(),
    }
}

fn cose(point: &[u8; 65]) -> CoseKey {
    CoseKey::Ec2 {
        alg: CoseAlgorithm::ES256,
        crv: 1,
        x: point[1..33].to_vec(),
        y: point[33..].to_vec(),
    }
}

#[test]
fn the_version_is_u2f_v2() {
    for id in ["u2f-only", "fido-2.0", "fido-2.3"] {
        assert_eq!(
            Bench::new(id).u2f(&Request::Version),
            Ok(b"U2F_V2".to_vec())
        );
    }
}

#[test]
fn registration_and_authentication_need_touches_and_verify() {
    let mut bench = Bench::new("u2f-only");
    let made = bench.register();
    let application = sha256(RP.as_bytes());
    let signed = register_signed_data(&application, &HASH, &made.key_handle, &made.public_key);
    let certificate = &made.attestation_certificate;
    let marker = [0x03, 0x42, 0x00, 0x04];
    let at = certificate
        .windows(4)
        .position(|window| window == marker)
        .unwrap()
        + 3;
    let attestation_key = cose(certificate[at..at + 65].try_into().unwrap());
    assert!(verifies(&attestation_key, &signed, &made.signature));

    for expected in 1..3 {
        let request = authenticate(Control::EnforceUserPresence, &made.key_handle);
        let answer = AuthenticateResponse::decode(&bench.u2f_touched(&request).unwrap()).unwrap();
        assert_eq!((answer.user_presence, answer.counter), (1, expected));
        let signed = authenticate_signed_data(&application, 1, expected, &HASH);
        assert!(verifies(
            &cose(&made.public_key),
            &signed,
            &answer.signature
        ));
    }
}

#[test]
fn check_only_and_no_presence() {
    let mut bench = Bench::new("fido-2.1");
    let made = bench.register();
    let check = |handle: &[u8]| authenticate(Control::CheckOnly, handle);
    assert_eq!(
        bench.u2f(&check(&made.key_handle)),
        Err(StatusWord::CONDITIONS_NOT_SATISFIED)
    );
    assert_eq!(bench.u2f(&check(&[1; 64])), Err(StatusWord::WRONG_DATA));
    assert!(bench.key.waiting().is_none(), "nobody is asked");
    let request = authenticate(Control::DontEnforceUserPresence, &made.key_handle);
    let answer = AuthenticateResponse::decode(&bench.u2f(&request).unwrap()).unwrap();
    assert_eq!(answer.user_presence, 0);
}

#[test]
fn a_handle_of_another_relying_party_is_wrong_data() {
    let mut bench = Bench::new("fido-2.1");
    let made = bench.register();
    let request = Request::Authenticate {
        control: Control::EnforceUserPresence,
        challenge: HASH,
        application: sha256(b"other.example"),
        key_handle: made.key_handle,
    };
    assert_eq!(bench.u2f(&request), Err(StatusWord::WRONG_DATA));
}

#[test]
fn a_touch_is_used_up_belongs_to_its_channel_and_ends() {
    let mut bench = Bench::new("fido-2.1");
    assert_eq!(
        bench.u2f(&register()),
        Err(StatusWord::CONDITIONS_NOT_SATISFIED)
    );
    let waiting = bench.key.waiting().cloned();
    assert!(matches!(
        waiting,
        Some(Interaction::Touch {
            purpose: Purpose::U2fRegister,
            ..
        })
    ));
    bench.user(UserEvent::Touch);
    bench.channel = TWO;
    assert_eq!(
        bench.u2f(&register()),
        Err(StatusWord::CONDITIONS_NOT_SATISFIED)
    );
    bench.channel = ONE;
    bench.u2f(&register()).unwrap();
    assert_eq!(
        bench.u2f(&register()),
        Err(StatusWord::CONDITIONS_NOT_SATISFIED),
        "used up"
    );
    bench.user(UserEvent::Touch);
    bench.now += Duration::from_secs(10);
    assert_eq!(
        bench.u2f(&register()),
        Err(StatusWord::CONDITIONS_NOT_SATISFIED),
        "over"
    );
    // A touch that nobody asked for is none.
    let mut bench = Bench::new("fido-2.1");
    bench.user(UserEvent::Touch);
    assert_eq!(
        bench.u2f(&register()),
        Err(StatusWord::CONDITIONS_NOT_SATISFIED)
    );
}

#[test]
fn u2f_is_off_while_always_uv_is_on() {
    let mut bench = Bench::new("fido-2.1-always-uv");
    assert_eq!(bench.u2f(&register()), Err(StatusWord(0x6986)));
    let request = authenticate(Control::DontEnforceUserPresence, &[1; 64]);
    assert_eq!(bench.u2f(&request), Err(StatusWord(0x6986)));
}

#[test]
fn credentials_serve_both_protocols_unless_they_need_verification() {
    let mut bench = Bench::with_pin("fido-2.1");
    let made = bench.register();
    let assertion = bench.get(&bench.ga(None, &[&made.key_handle])).unwrap();
    let message = [&assertion.auth_data[..], &HASH].concat();
    assert!(verifies(
        &cose(&made.public_key),
        &message,
        &assertion.signature
    ));
    for (level, known) in [(1, true), (2, true), (3, false)] {
        let token = bench.mc_token();
        let extensions = ctap::make_credential::ExtensionsInput {
            cred_protect: Some(level),
            ..ctap::make_credential::ExtensionsInput::default()
        };
        let request = ctap::make_credential::Request {
            extensions: Some(extensions),
            ..bench.mc(Some(&token))
        };
        let made = bench.make(&request).unwrap();
        let answer = bench
            .u2f(&authenticate(Control::CheckOnly, &made.id))
            .unwrap_err();
        assert_eq!(
            answer == StatusWord::CONDITIONS_NOT_SATISFIED,
            known,
            "{level}"
        );
    }
    assert!(bench.plain_token(PIN).is_ok());
}

#[test]
fn broken_apdus_get_a_status_word() {
    let mut bench = Bench::new("fido-2.1");
    for apdu in [
        &[][..],
        &[0],
        &[0, 1, 0],
        &[0, 1, 0, 0],
        &[0x80, 3, 0, 0],
        &[0, 9, 0, 0],
        &[0, 2, 3, 0, 0, 0, 1, 0],
    ] {
        assert!(bench.apdu(apdu).is_err(), "{apdu:02x?}");
    }
    let mut ctap2_only = crate::bench::profile("fido-2.1");
    ctap2_only.ctap1 = false;
    assert_eq!(
        Bench::of(ctap2_only).u2f(&Request::Version),
        Err(StatusWord::INS_NOT_SUPPORTED)
    );
}
