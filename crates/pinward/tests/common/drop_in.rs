//! Keys in states, and the program under the names of fido2-manage, without a terminal.
#![allow(
    dead_code,
    reason = "each test program uses another part of what they share"
)]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use ctap::entities::{CredentialParameters, RpEntity, UserEntity};
use ctap::make_credential;
use transport::host::{Address, Waiting};

use crate::common::{Pinward, SoftKey};

/// Registers a discoverable credential, as a site would.
pub(crate) fn register(key: &SoftKey, rp: &str, user: u8, name: &str, display_name: Option<&str>) {
    let request = make_credential::Request {
        client_data_hash: [1; 32],
        rp: RpEntity {
            id: rp.to_owned(),
            name: None,
        },
        user: UserEntity {
            id: vec![user],
            name: Some(name.to_owned()),
            display_name: display_name.map(str::to_owned),
        },
        pub_key_cred_params: vec![CredentialParameters::public_key(
            webauthn::cose::CoseAlgorithm::ES256,
        )],
        exclude_list: None,
        extensions: None,
        options: Some(make_credential::Options {
            rk: Some(true),
            up: None,
            uv: None,
        }),
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
        enterprise_attestation: None,
        attestation_formats_preference: None,
    };
    let request = ctap::request_bytes(ctap::Command::MakeCredential, &request.encode());
    let address: Address = key.address().parse().unwrap();
    let mut open = address.connect([9; 8]).unwrap();
    let answer = open.ctap2(&request, &mut |_| Waiting::GoOn).unwrap();
    assert_eq!(answer[0], 0);
}

/// A key of a model, in a state: `fido-2.1 pin`.
pub(crate) fn key(what: &str) -> SoftKey {
    let (profile, state) = what.split_once(' ').unwrap_or((what, "new"));
    let key = SoftKey::new(profile);
    let set = |pin: &str| {
        let set = Pinward::new("pin set --new-pin env:TYPED").keys(&[&key]);
        set.env("TYPED", pin).run().ok();
    };
    match state {
        "new" => {}
        "pin" => set("1234"),
        "pin7" => set("1234567"),
        "passkeys" | "passkeys-without-pin" => {
            register(&key, "github.com", 1, "anna", Some("Anna"));
            let long = Some("Christian von der Heide");
            register(&key, "login.example", 2, "chris", long);
            register(&key, "login.example", 3, "dora", None);
            if state == "passkeys" {
                set("1234");
            }
        }
        "hostile" => {
            register(
                &key,
                "a$(touch pwned);b",
                1,
                "x\u{1b}[2J",
                Some("\u{202e}evil"),
            );
            set("1234");
        }
        "must-change" => {
            set("1234");
            key.run("pin force-change --pin env:PIN").ok();
        }
        "always-uv" => {
            set("1234");
            key.run("always-uv on --pin env:PIN").ok();
        }
        "three-wrong" | "blocked" => {
            set("1234");
            let rounds = if state == "blocked" { 3 } else { 1 };
            for _ in 0..rounds {
                key.key.power_cycle();
                for _ in 0..3 {
                    key.run("pin verify --pin env:NEW");
                }
            }
            if state == "blocked" {
                key.key.power_cycle();
            }
        }
        other => panic!("{other}"),
    }
    key
}

/// One call under a name that is a link to the program.
pub(crate) fn command(links: &Path, program: &str, words: &[&str]) -> Command {
    let link = links.join(program);
    if !link.exists() {
        symlink(env!("CARGO_BIN_EXE_pinward"), &link).unwrap();
    }
    // Without a terminal, which whoever runs the tests may have: PINs come from the standard input.
    let mut command = Command::new("setsid");
    command
        .arg("--wait")
        .arg(link)
        .args(words)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("PIN", "1234")
        .env("NEW", "567890")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs it: exit code, standard output, standard error.
pub(crate) fn run(mut command: Command, input: &str) -> (i32, String, String) {
    let mut child = command.spawn().unwrap();
    // Whoever does not read it closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let ended = child.wait_with_output().unwrap();
    (
        ended.status.code().unwrap(),
        String::from_utf8(ended.stdout).unwrap(),
        String::from_utf8(ended.stderr).unwrap(),
    )
}
