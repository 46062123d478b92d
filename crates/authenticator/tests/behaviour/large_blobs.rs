//! CTAP 2.3 §6.10 authenticatorLargeBlobs and §12.3 largeBlobKey.

use ctap::client_pin::Permissions;
use ctap::large_blobs::{Request, Response, authenticated_message};
use ctap::make_credential::{self, ExtensionsInput};
use ctap::{Command, Status, get_assertion};

use crate::bench::{Bench, ONE, PIN, RP, TWO, mc_options, sha256};

const KEY: &str = "fido-2.3-complete";
const CAPACITY: usize = 4096;
/// maxMsgSize of the profile, less the frame.
const FRAGMENT: usize = 1200 - 64;
const EMPTY: [u8; 17] = [
    0x80, 0x76, 0xbe, 0x8b, 0x52, 0x8d, 0x00, 0x75, 0xf7, 0xaa, 0xe9, 0x8d, 0x6f, 0xa5, 0x7a, 0x6d,
    0x3c,
];

fn request(offset: u64) -> Request {
    Request {
        get: None,
        set: None,
        offset,
        length: None,
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
    }
}

/// An array of this length with its check.
fn array(length: usize, fill: u8) -> Vec<u8> {
    let mut bytes = vec![fill; length - 16];
    let check = sha256(&bytes);
    bytes.extend_from_slice(&check[..16]);
    bytes
}

impl Bench {
    fn blobs(&mut self, request: &Request) -> Result<Vec<u8>, Status> {
        let answer = self.send(Command::LargeBlobs, &request.encode())?;
        Ok(if answer.is_empty() {
            answer
        } else {
            Response::decode(&answer).unwrap().config
        })
    }

    fn read(&mut self, offset: u64, get: u64) -> Result<Vec<u8>, Status> {
        self.blobs(&Request {
            get: Some(get),
            ..request(offset)
        })
    }

    fn read_all(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let part = self.read(all.len() as u64, FRAGMENT as u64).unwrap();
            let last = part.len() < FRAGMENT;
            all.extend(part);
            if last {
                return all;
            }
        }
    }

    pub(crate) fn write(
        &mut self,
        set: &[u8],
        offset: u64,
        length: Option<usize>,
        token: Option<&[u8]>,
    ) -> Result<Vec<u8>, Status> {
        let message = authenticated_message(u32::try_from(offset).unwrap(), &sha256(set));
        self.blobs(&Request {
            set: Some(set.to_vec()),
            length: length.map(|length| length as u64),
            pin_uv_auth_param: token.map(|token| self.protocol.authenticate(token, &message)),
            pin_uv_auth_protocol: token.map(|_| self.protocol.number().into()),
            ..request(offset)
        })
    }

    fn write_all(&mut self, bytes: &[u8], token: Option<&[u8]>) -> Result<(), Status> {
        for (number, part) in bytes.chunks(FRAGMENT).enumerate() {
            let length = (number == 0).then_some(bytes.len());
            self.write(part, (number * FRAGMENT) as u64, length, token)?;
        }
        Ok(())
    }
}

#[test]
fn a_new_key_holds_the_empty_array() {
    let mut bench = Bench::new(KEY);
    let info = bench.info();
    assert_eq!(info.options.unwrap().large_blobs, Some(true));
    assert_eq!(info.max_serialized_large_blob_array, Some(CAPACITY as u64));
    assert_eq!(bench.read_all(), EMPTY);
    assert_eq!(bench.read(1, 3).unwrap(), EMPTY[1..4]);
    assert!(bench.read(17, 3).unwrap().is_empty());
    assert_eq!(bench.read(18, 3), Err(Status::INVALID_PARAMETER));
    assert_eq!(
        bench.read(0, FRAGMENT as u64 + 1),
        Err(Status::INVALID_LENGTH)
    );
}

#[test]
fn an_array_is_written_by_fragments_and_survives_a_restart() {
    let mut bench = Bench::new(KEY);
    let bytes = array(CAPACITY, 7);
    bench.write_all(&bytes, None).unwrap();
    assert_eq!(bench.read_all(), bytes);
    bench.restart();
    assert_eq!(bench.read_all(), bytes);
    bench.write_all(&array(17, 0x80), None).unwrap();
    assert_eq!(bench.read_all().len(), 17);
    bench.write_all(&bytes, None).unwrap();
    bench.power_cycle();
    bench.send(Command::Reset, &[]).unwrap();
    assert_eq!(bench.read_all(), EMPTY);
}

#[test]
fn a_half_written_array_changes_nothing() {
    let mut bench = Bench::new(KEY);
    let bytes = array(2000, 1);
    bench.write(&bytes[..1000], 0, Some(2000), None).unwrap();
    // Reading in between neither shows nor ends it.
    assert_eq!(bench.read_all(), EMPTY);
    let mut wrong = bytes[1000..].to_vec();
    wrong[5] ^= 1;
    assert_eq!(
        bench.write(&wrong, 1000, None, None),
        Err(Status::INTEGRITY_FAILURE)
    );
    assert_eq!(bench.read_all(), EMPTY);
    assert_eq!(
        bench.write(&bytes[1000..], 1000, None, None),
        Err(Status::INVALID_SEQ)
    );
    bench.write(&bytes[..1000], 0, Some(2000), None).unwrap();
    bench.restart();
    assert_eq!(
        bench.write(&bytes[1000..], 1000, None, None),
        Err(Status::INVALID_SEQ)
    );
}

#[test]
fn fragments_follow_each_other_on_one_channel() {
    let mut bench = Bench::new(KEY);
    let bytes = array(2000, 1);
    assert_eq!(
        bench.write(&bytes[1000..], 1000, None, None),
        Err(Status::INVALID_SEQ)
    );
    bench.write(&bytes[..1000], 0, Some(2000), None).unwrap();
    bench.channel = TWO;
    assert_eq!(
        bench.write(&bytes[1000..], 1000, None, None),
        Err(Status::INVALID_SEQ)
    );
    bench.channel = ONE;
    assert_eq!(
        bench.write(&bytes[1001..], 1001, None, None),
        Err(Status::INVALID_SEQ)
    );
    bench.write(&bytes[1000..], 1000, None, None).unwrap();
    assert_eq!(bench.read_all(), bytes);
    // Another command ends what was begun.
    bench.write(&bytes[..1000], 0, Some(2000), None).unwrap();
    bench.info();
    assert_eq!(
        bench.write(&bytes[1000..], 1000, None, None),
        Err(Status::INVALID_SEQ)
    );
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let mut bench = Bench::new(KEY);
    let both = Request {
        get: Some(1),
        set: Some(vec![1]),
        ..request(0)
    };
    let with_length = Request {
        get: Some(1),
        length: Some(17),
        ..request(0)
    };
    let with_param = Request {
        get: Some(1),
        pin_uv_auth_param: Some(vec![1]),
        ..request(0)
    };
    for wrong in [request(0), both, with_length, with_param] {
        assert_eq!(bench.blobs(&wrong), Err(Status::INVALID_PARAMETER));
    }
    // No offset: {1: 1}.
    assert_eq!(
        bench.send(Command::LargeBlobs, &[0xA1, 0x01, 0x01]),
        Err(Status::INVALID_PARAMETER)
    );
    for (length, offset, whole, status) in [
        (17, 0, None, Status::INVALID_PARAMETER),
        (16, 0, Some(16), Status::INVALID_PARAMETER),
        (18, 0, Some(17), Status::INVALID_PARAMETER),
        (17, 0, Some(CAPACITY + 1), Status::LARGE_BLOB_STORAGE_FULL),
        (FRAGMENT + 1, 0, Some(2000), Status::INVALID_LENGTH),
        (17, 17, Some(34), Status::INVALID_PARAMETER),
    ] {
        let answer = bench.write(&vec![1; length], offset, whole, None);
        assert_eq!(answer, Err(status), "{length} {offset} {whole:?}");
    }
    let mut bench = Bench::new("fido-2.1");
    assert_eq!(bench.read(0, 1), Err(Status::INVALID_COMMAND));
}

#[test]
fn a_protected_key_is_written_to_with_a_token_for_that() {
    let mut bench = Bench::with_pin(KEY);
    let bytes = array(17, 0x80);
    assert_eq!(bench.write_all(&bytes, None), Err(Status::PUAT_REQUIRED));
    let wrong = bench.mc_token();
    assert_eq!(
        bench.write_all(&bytes, Some(&wrong)),
        Err(Status::PIN_AUTH_INVALID)
    );
    let scope = Permissions::LARGE_BLOB_WRITE | Permissions::GET_ASSERTION;
    let token = bench.token(PIN, scope, Some(RP)).unwrap();
    // The offset and the bytes are authenticated.
    let message = authenticated_message(1, &sha256(&bytes));
    let moved = Request {
        set: Some(bytes.clone()),
        length: Some(17),
        pin_uv_auth_param: Some(bench.protocol.authenticate(&token, &message)),
        pin_uv_auth_protocol: Some(2),
        ..request(0)
    };
    assert_eq!(bench.blobs(&moved), Err(Status::PIN_AUTH_INVALID));
    assert_eq!(bench.read_all(), EMPTY);
    bench.write_all(&bytes, Some(&token)).unwrap();
    // The permission outlives an assertion (§6.2.2 step 9.4), and anybody may read.
    let id = {
        let token = bench.mc_token();
        bench.make(&bench.mc(Some(&token))).unwrap().id
    };
    let token = bench.token(PIN, scope, Some(RP)).unwrap();
    bench.get(&bench.ga(Some(&token), &[&id])).unwrap();
    bench.write_all(&array(2000, 3), Some(&token)).unwrap();
    assert_eq!(bench.read_all(), array(2000, 3));
}

fn with_key(
    bench: &Bench,
    rk: bool,
    wanted: bool,
    token: Option<&[u8]>,
) -> make_credential::Request {
    make_credential::Request {
        extensions: Some(ExtensionsInput {
            large_blob_key: Some(wanted),
            ..ExtensionsInput::default()
        }),
        options: Some(mc_options(rk)),
        ..bench.mc(token)
    }
}

#[test]
fn a_large_blob_key_is_of_its_credential_and_stays_out_of_what_is_signed() {
    let mut bench = Bench::new(KEY);
    let made = bench.make(&with_key(&bench, true, true, None)).unwrap();
    let key = made.response.large_blob_key.clone().unwrap();
    assert_eq!(key.len(), 32);
    assert!(made.extensions.is_none());
    let get = |bench: &mut Bench, id: &[u8], wanted: Option<bool>| {
        let request = get_assertion::Request {
            extensions: Some(get_assertion::ExtensionsInput {
                large_blob_key: wanted,
                ..Default::default()
            }),
            ..bench.ga(None, &[id])
        };
        bench.get(&request).map(|answer| answer.large_blob_key)
    };
    bench.restart();
    assert_eq!(get(&mut bench, &made.id, Some(true)), Ok(Some(key.clone())));
    assert_eq!(get(&mut bench, &made.id, None), Ok(None));
    assert_eq!(
        get(&mut bench, &made.id, Some(false)),
        Err(Status::INVALID_OPTION)
    );
    let plain = bench.make_simply(true, 2, RP);
    assert_eq!(plain.response.large_blob_key, None);
    assert_eq!(get(&mut bench, &plain.id, Some(true)), Ok(None));
    let again = bench.make(&with_key(&bench, true, true, None)).unwrap();
    assert_ne!(again.response.large_blob_key, Some(key));
}

#[test]
fn a_large_blob_key_wants_true_and_a_discoverable_credential() {
    let mut bench = Bench::new(KEY);
    for (rk, wanted) in [(false, true), (true, false)] {
        let request = with_key(&bench, rk, wanted, None);
        assert_eq!(bench.make(&request).unwrap_err(), Status::INVALID_OPTION);
        assert!(bench.asked.is_empty());
    }
    // A key without the extension passes over it.
    let mut bench = Bench::new("fido-2.1");
    let made = bench.make(&with_key(&bench, false, false, None)).unwrap();
    assert_eq!(made.response.large_blob_key, None);
}
