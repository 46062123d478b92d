//! FIDO U2F Raw Message Formats 1.2 (CTAP1), as carried by CTAPHID_MSG and over ISO 7816
//!
//! Requests are APDUs of class 00; answers end in a status word. Both directions are here, for the
//! authenticator (decode a request, encode a response) and for the platform (the reverse).

use crate::iso7816::{CommandApdu, ResponseApdu, StatusWord};

/// INS of a registration.
pub const INS_REGISTER: u8 = 0x01;
/// INS of an authentication.
pub const INS_AUTHENTICATE: u8 = 0x02;
/// INS of the version question.
pub const INS_VERSION: u8 = 0x03;
/// The answer to the version question, without its status word.
pub const VERSION: &[u8] = b"U2F_V2";
/// First byte of a registration response (the "reserved byte").
const REGISTER_RESERVED: u8 = 0x05;
/// Key handles carry one length byte.
const KEY_HANDLE_MAX: usize = 255;

/// The control byte of an authentication request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Control {
    /// 0x07: say only whether the key handle is known; never sign.
    CheckOnly,
    /// 0x03: sign after a touch.
    EnforceUserPresence,
    /// 0x08: sign, touched or not.
    DontEnforceUserPresence,
}

impl Control {
    /// P1 on the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::CheckOnly => 0x07,
            Self::EnforceUserPresence => 0x03,
            Self::DontEnforceUserPresence => 0x08,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [
            Self::CheckOnly,
            Self::EnforceUserPresence,
            Self::DontEnforceUserPresence,
        ]
        .into_iter()
        .find(|c| c.code() == code)
    }
}

/// One U2F request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Make a key pair for an application.
    Register {
        /// SHA-256 of the client data.
        challenge: [u8; 32],
        /// SHA-256 of the application identity (for WebAuthn: of the RP ID).
        application: [u8; 32],
    },
    /// Sign with the key of a handle.
    Authenticate {
        /// What is asked: check, or sign with or without a touch.
        control: Control,
        /// SHA-256 of the client data.
        challenge: [u8; 32],
        /// SHA-256 of the application identity.
        application: [u8; 32],
        /// The handle that registration gave out.
        key_handle: Vec<u8>,
    },
    /// Which version is spoken here?
    Version,
}

impl Request {
    /// Reads a request APDU, short or extended.
    ///
    /// # Errors
    ///
    /// The status word the authenticator answers: wrong class, unknown instruction, wrong length, or
    /// [`StatusWord::WRONG_DATA`] for an unknown control byte. P1 of a registration is ignored
    /// (clients in the field set it).
    pub fn decode(apdu: &[u8]) -> Result<Self, StatusWord> {
        let apdu = CommandApdu::decode(apdu)?;
        if apdu.cla != 0 {
            return Err(StatusWord::CLA_NOT_SUPPORTED);
        }
        match apdu.ins {
            INS_REGISTER => {
                let (challenge, application, rest) = two_hashes(&apdu.data)?;
                if !rest.is_empty() {
                    return Err(StatusWord::WRONG_LENGTH);
                }
                Ok(Self::Register {
                    challenge,
                    application,
                })
            }
            INS_AUTHENTICATE => {
                let control = Control::from_code(apdu.p1).ok_or(StatusWord::WRONG_DATA)?;
                let (challenge, application, rest) = two_hashes(&apdu.data)?;
                let (&length, key_handle) = rest.split_first().ok_or(StatusWord::WRONG_LENGTH)?;
                if key_handle.len() != usize::from(length) {
                    return Err(StatusWord::WRONG_LENGTH);
                }
                Ok(Self::Authenticate {
                    control,
                    challenge,
                    application,
                    key_handle: key_handle.to_vec(),
                })
            }
            INS_VERSION if apdu.data.is_empty() => Ok(Self::Version),
            INS_VERSION => Err(StatusWord::WRONG_LENGTH),
            _ => Err(StatusWord::INS_NOT_SUPPORTED),
        }
    }

    /// The request APDU, extended form, as CTAPHID_MSG carries it.
    ///
    /// A key handle longer than 255 bytes cannot be written; `None` then.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut apdu = match self {
            Self::Register {
                challenge,
                application,
            } => CommandApdu::new(0, INS_REGISTER, 0, 0)
                .with_data([&challenge[..], application].concat()),
            Self::Authenticate {
                control,
                challenge,
                application,
                key_handle,
            } => {
                let length = u8::try_from(key_handle.len()).ok()?;
                let data = [&challenge[..], application, &[length], key_handle].concat();
                CommandApdu::new(0, INS_AUTHENTICATE, control.code(), 0).with_data(data)
            }
            Self::Version => CommandApdu::new(0, INS_VERSION, 0, 0),
        };
        apdu.extended = true;
        apdu.ne = 65_536;
        Some(apdu.encode())
    }
}

type Hash = [u8; 32];

/// Challenge, application, and what follows them.
fn two_hashes(data: &[u8]) -> Result<(Hash, Hash, &[u8]), StatusWord> {
    let (challenge, rest) = data.split_first_chunk().ok_or(StatusWord::WRONG_LENGTH)?;
    let (application, rest) = rest.split_first_chunk().ok_or(StatusWord::WRONG_LENGTH)?;
    Ok((*challenge, *application, rest))
}

/// A response that is not what the U2F document describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed U2F response: {0}")]
pub struct ResponseError(&'static str);

/// A successful registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterResponse {
    /// The new public key, an uncompressed P-256 point.
    pub public_key: [u8; 65],
    /// The handle of the new key, at most 255 bytes.
    pub key_handle: Vec<u8>,
    /// The attestation certificate, X.509 in DER.
    pub attestation_certificate: Vec<u8>,
    /// ECDSA signature over [`register_signed_data`], in DER.
    pub signature: Vec<u8>,
}

impl RegisterResponse {
    /// The response data, without status word; `None` when the key handle is too long.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let length = u8::try_from(self.key_handle.len()).ok()?;
        let mut out =
            Vec::with_capacity(67 + KEY_HANDLE_MAX + self.attestation_certificate.len() + 72);
        out.push(REGISTER_RESERVED);
        out.extend_from_slice(&self.public_key);
        out.push(length);
        out.extend_from_slice(&self.key_handle);
        out.extend_from_slice(&self.attestation_certificate);
        out.extend_from_slice(&self.signature);
        Some(out)
    }

    /// Reads response data (without status word).
    ///
    /// # Errors
    ///
    /// When a part is missing or the certificate is not one DER SEQUENCE.
    pub fn decode(data: &[u8]) -> Result<Self, ResponseError> {
        let rest = data
            .strip_prefix(&[REGISTER_RESERVED])
            .ok_or(ResponseError("the first byte is not 05"))?;
        let (public_key, rest) = rest
            .split_first_chunk()
            .ok_or(ResponseError("the public key is cut"))?;
        let (&length, rest) = rest.split_first().ok_or(ResponseError("no key handle"))?;
        let (key_handle, rest) = rest
            .split_at_checked(usize::from(length))
            .ok_or(ResponseError("the key handle is cut"))?;
        let length =
            der_sequence_length(rest).ok_or(ResponseError("the certificate is not DER"))?;
        let (certificate, signature) = rest
            .split_at_checked(length)
            .ok_or(ResponseError("the certificate is cut"))?;
        if signature.is_empty() {
            return Err(ResponseError("no signature"));
        }
        Ok(Self {
            public_key: *public_key,
            key_handle: key_handle.to_vec(),
            attestation_certificate: certificate.to_vec(),
            signature: signature.to_vec(),
        })
    }
}

/// Length of the DER SEQUENCE at the head of `bytes`, header included.
fn der_sequence_length(bytes: &[u8]) -> Option<usize> {
    match *bytes {
        [0x30, n @ 0..=0x7F, ..] => Some(2 + usize::from(n)),
        [0x30, 0x81, n @ 0x80..=0xFF, ..] => Some(3 + usize::from(n)),
        [0x30, 0x82, high @ 1..=0xFF, low, ..] => {
            Some(4 + usize::from(u16::from_be_bytes([high, low])))
        }
        _ => None,
    }
}

/// A successful authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticateResponse {
    /// Bit 0 says that the user was present.
    pub user_presence: u8,
    /// The signature counter.
    pub counter: u32,
    /// ECDSA signature over [`authenticate_signed_data`], in DER.
    pub signature: Vec<u8>,
}

impl AuthenticateResponse {
    /// The response data, without status word.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.user_presence];
        out.extend_from_slice(&self.counter.to_be_bytes());
        out.extend_from_slice(&self.signature);
        out
    }

    /// Reads response data (without status word).
    ///
    /// # Errors
    ///
    /// When a part is missing.
    pub fn decode(data: &[u8]) -> Result<Self, ResponseError> {
        let (&user_presence, rest) = data.split_first().ok_or(ResponseError("empty"))?;
        let (&counter, signature) = rest
            .split_first_chunk()
            .ok_or(ResponseError("the counter is cut"))?;
        if signature.is_empty() {
            return Err(ResponseError("no signature"));
        }
        Ok(Self {
            user_presence,
            counter: u32::from_be_bytes(counter),
            signature: signature.to_vec(),
        })
    }
}

/// What the attestation key signs in a registration.
#[must_use]
pub fn register_signed_data(
    application: &[u8; 32],
    challenge: &[u8; 32],
    key_handle: &[u8],
    public_key: &[u8; 65],
) -> Vec<u8> {
    [&[0], &application[..], challenge, key_handle, public_key].concat()
}

/// What the key of a handle signs in an authentication.
#[must_use]
pub fn authenticate_signed_data(
    application: &[u8; 32],
    user_presence: u8,
    counter: u32,
    challenge: &[u8; 32],
) -> Vec<u8> {
    [
        &application[..],
        &[user_presence],
        &counter.to_be_bytes(),
        challenge,
    ]
    .concat()
}

/// Response data and the success status word.
#[must_use]
pub fn success(data: Vec<u8>) -> Vec<u8> {
    ResponseApdu {
        data,
        status: StatusWord::NO_ERROR,
    }
    .encode()
}

/// A response that is only a status word.
#[must_use]
pub fn failure(status: StatusWord) -> Vec<u8> {
    ResponseApdu::status(status).encode()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn authenticate(control: Control) -> Request {
        Request::Authenticate {
            control,
            challenge: [1; 32],
            application: [2; 32],
            key_handle: vec![3; 64],
        }
    }

    #[test]
    fn requests_are_read_as_written() {
        for request in [
            Request::Register {
                challenge: [1; 32],
                application: [2; 32],
            },
            authenticate(Control::CheckOnly),
            authenticate(Control::EnforceUserPresence),
            authenticate(Control::DontEnforceUserPresence),
            Request::Version,
        ] {
            assert_eq!(Request::decode(&request.encode().unwrap()), Ok(request));
        }
    }

    #[test]
    fn a_version_question_is_read_in_all_known_spellings() {
        for apdu in [
            &[0, 3, 0, 0][..],
            &[0, 3, 0, 0, 0],
            &[0, 3, 0, 0, 0, 0, 0],
            &[0, 3, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(Request::decode(apdu), Ok(Request::Version), "{apdu:?}");
        }
    }

    #[test]
    fn bad_requests_get_their_status_word() {
        let short = CommandApdu::new(0, INS_REGISTER, 0, 0)
            .with_data(vec![0; 63])
            .encode();
        assert_eq!(Request::decode(&short), Err(StatusWord::WRONG_LENGTH));
        let long = CommandApdu::new(0, INS_REGISTER, 0, 0)
            .with_data(vec![0; 65])
            .encode();
        assert_eq!(Request::decode(&long), Err(StatusWord::WRONG_LENGTH));
        let mut class = Request::Version.encode().unwrap();
        class[0] = 0x80;
        assert_eq!(Request::decode(&class), Err(StatusWord::CLA_NOT_SUPPORTED));
        assert_eq!(
            Request::decode(&[0, 9, 0, 0]),
            Err(StatusWord::INS_NOT_SUPPORTED)
        );
        assert_eq!(
            Request::decode(&[0, 3, 0, 0, 1, 1]),
            Err(StatusWord::WRONG_LENGTH)
        );
        let mut control = authenticate(Control::CheckOnly).encode().unwrap();
        control[2] = 0x05;
        assert_eq!(Request::decode(&control), Err(StatusWord::WRONG_DATA));
        let mut handle = CommandApdu::new(0, INS_AUTHENTICATE, 7, 0).with_data(vec![0; 64]);
        assert_eq!(
            Request::decode(&handle.encode()),
            Err(StatusWord::WRONG_LENGTH),
            "no key handle length"
        );
        handle.data.extend([5, 0, 0]);
        assert_eq!(
            Request::decode(&handle.encode()),
            Err(StatusWord::WRONG_LENGTH),
            "key handle is cut"
        );
    }

    #[test]
    fn a_key_handle_of_256_bytes_is_not_written() {
        let request = Request::Authenticate {
            control: Control::CheckOnly,
            challenge: [0; 32],
            application: [0; 32],
            key_handle: vec![0; 256],
        };
        assert_eq!(request.encode(), None);
    }

    #[test]
    fn responses_are_read_as_written() {
        for length in [0x10_usize, 0x90, 0x200] {
            let header = match length {
                0x10 => vec![0x30, 0x10],
                0x90 => vec![0x30, 0x81, 0x90],
                _ => vec![0x30, 0x82, 2, 0],
            };
            let response = RegisterResponse {
                public_key: [4; 65],
                key_handle: vec![5; 64],
                attestation_certificate: [header, vec![6; length]].concat(),
                signature: vec![7; 70],
            };
            assert_eq!(
                RegisterResponse::decode(&response.encode().unwrap()),
                Ok(response)
            );
        }
        let response = AuthenticateResponse {
            user_presence: 1,
            counter: 0x0102_0304,
            signature: vec![9; 70],
        };
        assert_eq!(response.encode()[..5], [1, 1, 2, 3, 4]);
        assert_eq!(
            AuthenticateResponse::decode(&response.encode()),
            Ok(response)
        );
    }

    #[test]
    fn every_cut_of_a_response_is_an_error_or_a_shorter_signature() {
        let response = RegisterResponse {
            public_key: [4; 65],
            key_handle: vec![5; 3],
            attestation_certificate: vec![0x30, 2, 1, 1],
            signature: vec![7; 2],
        };
        let bytes = response.encode().unwrap();
        for cut in 0..bytes.len() - 1 {
            assert!(RegisterResponse::decode(&bytes[..cut]).is_err(), "{cut}");
        }
        for cut in 0..6 {
            assert!(
                AuthenticateResponse::decode(&[1, 0, 0, 0, 1, 9][..cut.min(5)]).is_err(),
                "{cut}"
            );
        }
    }

    #[test]
    fn signed_data_follows_the_document() {
        let data = register_signed_data(&[1; 32], &[2; 32], &[3; 2], &[4; 65]);
        assert_eq!(
            data,
            [&[0][..], &[1; 32], &[2; 32], &[3; 2], &[4; 65]].concat()
        );
        let data = authenticate_signed_data(&[1; 32], 1, 2, &[3; 32]);
        assert_eq!(data, [&[1; 32][..], &[1, 0, 0, 0, 2], &[3; 32]].concat());
        assert_eq!(success(vec![1]), [1, 0x90, 0]);
        assert_eq!(failure(StatusWord::CONDITIONS_NOT_SATISFIED), [0x69, 0x85]);
    }
}
