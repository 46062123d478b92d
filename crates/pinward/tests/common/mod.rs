//! Software keys on Unix sockets, and the program that is run on them.
#![allow(
    dead_code,
    reason = "each test program uses another part of what they share"
)]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use authenticator::Profile;
use ctap::entities::{CredentialParameters, RpEntity, UserEntity};
use ctap::make_credential;
use serde_json::Value;
use softkey::{Options, RunningKey};
use tempfile::TempDir;
use transport::host::{Address, Waiting};
use transport::stream;

/// A running key, which consents to everything.
pub(crate) struct SoftKey {
    pub(crate) key: RunningKey,
    dir: TempDir,
}

impl SoftKey {
    /// A new key of a model that ships.
    pub(crate) fn new(profile: &str) -> Self {
        let profile = authenticator::profile::find(profile).unwrap().unwrap();
        Self::of(profile)
    }

    pub(crate) fn of(profile: Profile) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let key = Options::ephemeral(profile)
            .start(|inbox| stream::listen_unix(&path, inbox))
            .unwrap();
        Self { key, dir }
    }

    /// A key whose person is somebody else than [`softkey::AutoTouch`].
    pub(crate) fn with_prompts(profile: &str, prompts: impl softkey::Prompts + 'static) -> Self {
        let profile = authenticator::profile::find(profile).unwrap().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let key = Options::ephemeral(profile)
            .prompts(prompts)
            .start(|inbox| stream::listen_unix(&path, inbox))
            .unwrap();
        Self { key, dir }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("key")
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:{}", self.path().display())
    }

    /// Runs the program on this key alone.
    pub(crate) fn run(&self, line: &str) -> Ran {
        Pinward::new(line).keys(&[self]).run()
    }

    /// A key with the PIN 1234.
    pub(crate) fn with_pin(profile: &str) -> Self {
        let key = Self::new(profile);
        key.run("pin set --new-pin env:PIN").ok();
        key
    }
}

/// One call of the program.
pub(crate) struct Pinward {
    command: Command,
    input: Vec<u8>,
}

/// What came of it.
pub(crate) struct Ran {
    line: String,
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Pinward {
    /// Words are split at blanks. The environment has PIN=1234 and NEW=567890.
    pub(crate) fn new(line: &str) -> Self {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Self::words(&words)
    }

    pub(crate) fn words(words: &[String]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinward"));
        command
            .args(words)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("PIN", "1234")
            .env("NEW", "567890");
        Self {
            command,
            input: Vec::new(),
        }
    }

    pub(crate) fn keys(mut self, keys: &[&SoftKey]) -> Self {
        let addresses: Vec<_> = keys.iter().map(|key| key.address()).collect();
        self.command.env("PINWARD_KEYS", addresses.join(" "));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn input(mut self, input: &str) -> Self {
        self.input = input.into();
        self
    }

    pub(crate) fn run(mut self) -> Ran {
        let line = format!("{:?}", self.command.get_args().collect::<Vec<_>>());
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Whoever does not read it closes the pipe.
        let _ = child.stdin.take().unwrap().write_all(&self.input);
        let Output {
            status,
            stdout,
            stderr,
        } = child.wait_with_output().unwrap();
        Ran {
            line,
            code: status.code(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }
}

impl Ran {
    /// It went well.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.code(0)
    }

    /// It ended with this exit code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        let Self { line, out, err, .. } = &self;
        assert_eq!(self.code, Some(code), "{line}\n{out}\n{err}");
        self
    }

    /// The messages have this in them.
    #[track_caller]
    pub(crate) fn says(self, what: &str) -> Self {
        assert!(self.err.contains(what), "{}\n{}", self.line, self.err);
        self
    }

    /// The output has this in it.
    #[track_caller]
    pub(crate) fn prints(self, what: &str) -> Self {
        assert!(self.out.contains(what), "{}\n{}", self.line, self.out);
        self
    }

    /// Neither output nor messages have this in them.
    #[track_caller]
    pub(crate) fn hides(self, what: &str) -> Self {
        let both = format!("{}{}", self.out, self.err);
        assert!(!both.contains(what), "{}\n{both}", self.line);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|e| panic!("{}\n{e}\n{}", self.line, self.out))
    }
}

/// Registers a discoverable credential, as a site would.
pub(crate) fn register(key: &SoftKey, rp: &str, user: u8, name: &str) {
    register_with(key, rp, user, name, None);
}

/// The same, with extensions.
pub(crate) fn register_with(
    key: &SoftKey,
    rp: &str,
    user: u8,
    name: &str,
    extensions: Option<make_credential::ExtensionsInput>,
) {
    let request = make_credential::Request {
        client_data_hash: [1; 32],
        rp: RpEntity {
            id: rp.to_owned(),
            name: None,
        },
        user: UserEntity {
            id: vec![user],
            name: Some(name.to_owned()),
            display_name: Some("A Person".to_owned()),
        },
        pub_key_cred_params: vec![CredentialParameters::public_key(
            webauthn::cose::CoseAlgorithm::ES256,
        )],
        exclude_list: None,
        extensions,
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
