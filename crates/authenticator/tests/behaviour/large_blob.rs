//! CTAP 2.3 §12.4 largeBlob: the key keeps one blob with each discoverable credential.

use ctap::client_pin::Permissions;
use ctap::large_blob::{Input, Output, Support};
use ctap::make_credential::{self, ExtensionsInput};
use ctap::{Command, Raw, RawOf, SecretBytes, Status, get_assertion};

use crate::bench::{Bench, Made, PIN, RP, mc_options, user};

const KEY: &str = "large-blob";
const LONGEST: usize = 2048;

fn make(bench: &mut Bench, rk: bool, account: u8, support: &str) -> Result<Made, Status> {
    let token = bench.key.state().pin().is_some().then(|| bench.mc_token());
    let support = Support {
        support: Some(support.to_owned()),
    };
    let request = make_credential::Request {
        user: user(account),
        extensions: Some(ExtensionsInput {
            large_blob: Some((&support).into()),
            ..ExtensionsInput::default()
        }),
        options: Some(mc_options(rk)),
        ..bench.mc(token.as_deref())
    };
    bench.make(&request)
}

fn supported(made: &Made) -> Option<bool> {
    let outputs = made.response.unsigned_extension_outputs.as_ref()?;
    outputs.decode().unwrap().large_blob?.supported
}

fn write(bytes: &[u8]) -> Input {
    Input {
        read: None,
        write: Some(SecretBytes::from(bytes.to_vec())),
        original_size: Some(bytes.len() as u64 * 3),
    }
}

fn read() -> Input {
    Input {
        read: Some(true),
        ..Input::default()
    }
}

/// getAssertion with this input, verified if asked for.
fn request(
    bench: &mut Bench,
    input: RawOf<Input>,
    allow: &[&[u8]],
    verified: bool,
) -> get_assertion::Request {
    let token = verified.then(|| bench.ga_token());
    get_assertion::Request {
        extensions: Some(get_assertion::ExtensionsInput {
            large_blob: Some(input),
            ..get_assertion::ExtensionsInput::default()
        }),
        ..bench.ga(token.as_deref(), allow)
    }
}

fn output(response: &get_assertion::Response) -> Option<Output> {
    let outputs = response.unsigned_extension_outputs.as_ref()?;
    outputs.decode().unwrap().large_blob
}

fn ask(bench: &mut Bench, input: &Input, allow: &[&[u8]], verified: bool) -> Option<Output> {
    let request = request(bench, input.into(), allow, verified);
    output(&bench.get(&request).unwrap())
}

fn written(bench: &mut Bench, bytes: &[u8], allow: &[&[u8]], verified: bool) -> bool {
    let output = ask(bench, &write(bytes), allow, verified).unwrap();
    assert_eq!((&output.blob, output.original_size), (&None, None));
    output.written.unwrap()
}

fn blob(bench: &mut Bench, id: &[u8]) -> Option<(Vec<u8>, u64)> {
    let output = ask(bench, &read(), &[id], false)?;
    assert_eq!(output.written, None);
    Some((output.blob.unwrap().to_vec(), output.original_size.unwrap()))
}

#[test]
fn a_blob_is_written_read_and_replaced_and_survives_a_restart() {
    let mut bench = Bench::with_pin(KEY);
    let made = make(&mut bench, true, 1, "required").unwrap();
    assert_eq!(supported(&made), Some(true));
    assert!(made.extensions.is_none(), "nothing is signed");
    assert_eq!(blob(&mut bench, &made.id), None);
    assert!(written(&mut bench, b"first", &[&made.id], true));
    assert_eq!(blob(&mut bench, &made.id), Some((b"first".to_vec(), 15)));
    assert!(written(&mut bench, &[7; LONGEST], &[&made.id], true));
    bench.restart();
    let kept = blob(&mut bench, &made.id).unwrap();
    assert_eq!(kept, (vec![7; LONGEST], 3 * LONGEST as u64));
    assert!(!written(&mut bench, &[8; LONGEST + 1], &[&made.id], true));
    assert_eq!(blob(&mut bench, &made.id), Some(kept), "the old one stays");
    assert!(written(&mut bench, b"", &[&made.id], true));
    assert_eq!(blob(&mut bench, &made.id), Some((Vec::new(), 0)));
}

#[test]
fn only_discoverable_credentials_can_have_one() {
    let mut bench = Bench::new(KEY);
    assert_eq!(
        make(&mut bench, false, 1, "required").unwrap_err(),
        Status::INVALID_OPTION
    );
    let made = make(&mut bench, false, 1, "preferred").unwrap();
    assert_eq!(supported(&made), Some(false));
    assert!(!written(&mut bench, b"x", &[&made.id], false));
    assert_eq!(blob(&mut bench, &made.id), None);
}

#[test]
fn a_protected_key_writes_for_a_verified_user_with_a_touch_only() {
    let mut bench = Bench::new(KEY);
    let made = make(&mut bench, true, 1, "preferred").unwrap();
    assert!(written(&mut bench, b"before the PIN", &[&made.id], false));
    bench.set_pin(PIN).unwrap();
    assert!(!written(&mut bench, b"x", &[&made.id], false));
    let mut silent = request(&mut bench, (&write(b"x")).into(), &[&made.id], true);
    silent.options = Some(get_assertion::Options {
        up: Some(false),
        ..get_assertion::Options::default()
    });
    let answer = output(&bench.get(&silent).unwrap()).unwrap();
    assert_eq!(answer.written, Some(false));
    assert_eq!(blob(&mut bench, &made.id).unwrap().0, b"before the PIN");
    assert!(written(&mut bench, b"y", &[&made.id], true));
}

#[test]
fn nothing_is_written_where_another_credential_could_have_been_meant() {
    let mut bench = Bench::new(KEY);
    let one = make(&mut bench, true, 1, "preferred").unwrap();
    assert!(written(&mut bench, b"alone", &[], false));
    let two = make(&mut bench, true, 2, "preferred").unwrap();
    assert!(!written(&mut bench, b"x", &[], false));
    assert!(!written(&mut bench, b"x", &[&one.id, &two.id], false));
    // Reading goes on with getNextAssertion; writing does not.
    let reading = request(&mut bench, (&read()).into(), &[], false);
    assert_eq!(output(&bench.get(&reading).unwrap()), None);
    let next = output(&bench.next().unwrap()).unwrap();
    assert_eq!(next.blob.unwrap()[..], *b"alone");
    let writing = request(&mut bench, (&write(b"x")).into(), &[], false);
    bench.get(&writing).unwrap();
    let next = output(&bench.next().unwrap()).unwrap();
    assert_eq!(next.written, Some(false));
    assert_eq!(blob(&mut bench, &one.id).unwrap().0, b"alone");
}

#[test]
fn it_goes_with_its_credential() {
    // Replaced by another one of the same account, deleted, reset.
    let mut bench = Bench::with_pin(KEY);
    let old = make(&mut bench, true, 1, "preferred").unwrap();
    assert!(written(&mut bench, b"x", &[&old.id], true));
    let new = make(&mut bench, true, 1, "preferred").unwrap();
    assert_eq!(bench.key.state().large_blob(&old.id), None);
    assert_eq!(blob(&mut bench, &new.id), None);
    assert!(written(&mut bench, b"x", &[&new.id], true));
    let token = bench
        .token(PIN, Permissions::CREDENTIAL_MANAGEMENT, Some(RP))
        .unwrap();
    bench.delete(&token, &new.id).unwrap();
    assert_eq!(bench.key.state().large_blob(&new.id), None);
    let made = make(&mut bench, true, 1, "preferred").unwrap();
    assert!(written(&mut bench, b"x", &[&made.id], true));
    bench.restart();
    bench.power_cycle();
    bench.send(Command::Reset, &[]).unwrap();
    assert_eq!(bench.key.state().large_blob(&made.id), None);
    bench.restart();
    assert_eq!(bench.key.state().large_blob(&made.id), None);
}

#[test]
fn odd_inputs_are_refused_by_the_key_that_has_it_and_passed_over_by_others() {
    let raw = |bytes: &[u8]| RawOf::from(Raw::new(bytes.to_vec()).unwrap());
    let mut bench = Bench::new(KEY);
    let made = make(&mut bench, true, 1, "preferred").unwrap();
    assert_eq!(
        make(&mut bench, true, 1, "wanted").unwrap_err(),
        Status::INVALID_OPTION
    );
    let both = Input {
        read: Some(true),
        ..write(b"x")
    };
    let without_size = Input {
        original_size: None,
        ..write(b"x")
    };
    let only_size = Input {
        original_size: Some(1),
        ..Input::default()
    };
    for (input, status) in [
        ((&both).into(), Status::INVALID_OPTION),
        ((&without_size).into(), Status::INVALID_OPTION),
        ((&only_size).into(), Status::INVALID_OPTION),
        ((&Input::default()).into(), Status::INVALID_OPTION),
        (raw(&[0xF5]), Status::CBOR_UNEXPECTED_TYPE),
    ] {
        let odd = request(&mut bench, input, &[&made.id], false);
        assert_eq!(bench.get(&odd).unwrap_err(), status, "{odd:?}");
    }
    let no_read = Input {
        read: Some(false),
        ..Input::default()
    };
    assert_eq!(ask(&mut bench, &no_read, &[&made.id], false), None);
    let mut other = Bench::new("fido-2.3");
    let made = make(&mut other, true, 1, "wanted").unwrap();
    assert_eq!(supported(&made), None);
    let odd = request(&mut other, raw(&[0xF5]), &[&made.id], false);
    assert_eq!(output(&other.get(&odd).unwrap()), None);
}

#[test]
fn the_key_says_which_of_the_two_ways_it_has() {
    for (id, extension, other) in [
        (KEY, "largeBlob", "largeBlobKey"),
        ("fido-2.3-complete", "largeBlobKey", "largeBlob"),
    ] {
        let info = Bench::new(id).info();
        let extensions = info.extensions.unwrap();
        let has = |name: &str| extensions.iter().any(|known| known == name);
        assert!(has(extension) && !has(other), "{id}");
        assert_eq!(
            info.options.unwrap().large_blobs,
            (id != KEY).then_some(true)
        );
    }
}
