//! The file of `pinward key run`: its passphrase in the desktop's keyring, and old copies of it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use ctap::Status;
use transport::host::{HidKey, StreamPort};

const PIN_RETRIES: [u8; 6] = [0x06, 0xA2, 0x01, 0x02, 0x02, 0x01];

/// A keyring that is a folder: `secret-tool` as far as we call it.
const SECRET_TOOL: &str = r#"#!/bin/sh
[ -e "$FOLDER/locked" ] && { echo "the collection is locked" >&2; exit 1; }
echo "$@" >> "$FOLDER/calls"
verb=$1
while [ "$1" != service ]; do shift; done
[ "$2 $3" = "pinward key-file" ] || exit 2
file="$FOLDER/$(echo "$4" | tr / _)"
case $verb in
    lookup) [ -e "$file" ] && cat "$file" ;;
    store) [ -e "$FOLDER/forgets" ] || cat > "$file" ;;
esac
"#;

/// A folder with a keyring, a key's file and the state of a user.
struct Home {
    folder: tempfile::TempDir,
}

/// How a run of the key went.
struct Ran {
    code: Option<i32>,
    said: String,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Self { folder };
        fs::create_dir_all(home.at("bin")).unwrap();
        fs::create_dir_all(home.at("keyring")).unwrap();
        fs::write(home.at("bin/secret-tool"), SECRET_TOOL).unwrap();
        fs::set_permissions(
            home.at("bin/secret-tool"),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        home
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the key until it ends by itself (it could not start), or `use_it` is done.
    fn run(
        &self,
        more: &str,
        use_it: impl FnOnce(&mut HidKey<StreamPort<std::os::unix::net::UnixStream>>),
    ) -> Ran {
        let path = format!("{}:/usr/bin:/bin", self.at("bin").display());
        let mut child = Command::new(env!("CARGO_BIN_EXE_pinward"))
            .args(["key", "run", "--auto-touch", "--unix"])
            .arg(self.at("key.sock"))
            .arg("--store")
            .arg(self.at("key.db"))
            .args(more.split_whitespace())
            .env_clear()
            .env("PATH", path)
            .env("FOLDER", self.at("keyring"))
            .env("XDG_STATE_HOME", self.at("state"))
            .env("PASSPHRASE", "correct horse")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("pinward key ready") {
            if errors.read_line(&mut said).unwrap() == 0 {
                let code = child.wait().unwrap().code();
                return Ran { code, said };
            }
        }
        let port = StreamPort::unix(&self.at("key.sock")).unwrap();
        use_it(&mut HidKey::open(port, [5; 8]).unwrap());
        Command::new("kill")
            .arg(child.id().to_string())
            .status()
            .unwrap();
        errors.read_to_string(&mut said).unwrap();
        let code = child.wait().unwrap().code();
        Ran { code, said }
    }

    /// Runs it for a request that changes nothing.
    fn look(&self, more: &str) -> Ran {
        self.run(more, |key| {
            assert_eq!(key.cbor(&PIN_RETRIES).unwrap()[0], Status::PIN_NOT_SET.0)
        })
    }
}

#[test]
fn the_keyring_makes_and_keeps_the_passphrase() {
    let home = Home::new();
    for _ in 0..2 {
        let ran = home.look("--passphrase keyring");
        assert_eq!(ran.code, Some(0), "{}", ran.said);
    }
    let calls = fs::read_to_string(home.at("keyring/calls")).unwrap();
    let verbs: Vec<_> = calls
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(verbs, ["lookup", "store", "lookup", "lookup"]);
    let name = home.at("key.db").canonicalize().unwrap();
    let entry = name.display().to_string().replace('/', "_");
    let passphrase = fs::read_to_string(home.at("keyring").join(entry.clone())).unwrap();
    assert_eq!(passphrase.len(), 64);
    assert!(!calls.contains(&passphrase), "no secret in arguments");
    // Another passphrase is another one's, and no passphrase is no reason to make a new one.
    fs::write(home.at("keyring").join(&entry), "another").unwrap();
    let ran = home.look("--passphrase keyring");
    assert_eq!(ran.code, Some(2), "{}", ran.said);
    assert!(ran.said.contains("passphrase is wrong"), "{}", ran.said);
    fs::remove_file(home.at("keyring").join(&entry)).unwrap();
    let ran = home.look("--passphrase keyring");
    assert_eq!(ran.code, Some(2), "{}", ran.said);
    assert!(
        ran.said.contains("the keyring has no passphrase"),
        "{}",
        ran.said
    );
    assert!(!home.at("keyring").join(&entry).exists());
}

#[test]
fn a_keyring_that_does_not_serve_makes_no_file() {
    for (mark, words) in [
        ("locked", "the collection is locked"),
        ("forgets", "did not keep"),
    ] {
        let home = Home::new();
        fs::write(home.at("keyring").join(mark), "").unwrap();
        let ran = home.look("--passphrase keyring");
        assert_eq!(ran.code, Some(1), "{}", ran.said);
        assert!(ran.said.contains(words), "{}", ran.said);
        assert!(!home.at("key.db").exists());
    }
    let home = Home::new();
    fs::remove_file(home.at("bin/secret-tool")).unwrap();
    if !PathBuf::from("/usr/bin/secret-tool").exists() {
        let ran = home.look("--passphrase keyring");
        assert!(ran.said.contains("libsecret-tools"), "{}", ran.said);
    }
}

#[test]
fn the_passphrase_can_be_anywhere_but_on_the_command_line() {
    let home = Home::new();
    assert_eq!(home.look("--passphrase env:PASSPHRASE").code, Some(0));
    assert_eq!(home.look("--passphrase-env PASSPHRASE").code, Some(0));
    let file = home.at("passphrase");
    fs::write(&file, "correct horse\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let more = format!("--passphrase file:{}", file.display());
    assert_eq!(home.look(&more).code, Some(0));
    let ran = home.look("--passphrase tr0ub4dor");
    assert_eq!(ran.code, Some(2));
    assert!(!ran.said.contains("tr0ub4dor"), "{}", ran.said);
}

#[test]
fn an_old_copy_is_refused_until_it_is_accepted() {
    let home = Home::new();
    let options = "--passphrase env:PASSPHRASE";
    assert_eq!(home.look(options).code, Some(0));
    fs::copy(home.at("key.db"), home.at("copy")).unwrap();
    // A reset is a change.
    let ran = home.run(options, |key| assert_eq!(key.cbor(&[0x07]).unwrap(), [0]));
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    fs::copy(home.at("copy"), home.at("key.db")).unwrap();
    let ran = home.look(options);
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert!(ran.said.contains("is an old copy"), "{}", ran.said);
    assert!(ran.said.contains("--accept-rollback"), "{}", ran.said);
    assert_eq!(
        home.look(&format!("{options} --accept-rollback")).code,
        Some(0)
    );
    assert_eq!(home.look(options).code, Some(0));
}
