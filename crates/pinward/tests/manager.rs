//! `pinward fingerprints`, `blobs`, `enterprise-attestation`, `label`, `pair`, `doctor`, and what is
//! remembered of a key, on software keys behind sockets.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use common::{Pinward, Ran, SoftKey, register, register_with};
use ctap::make_credential::ExtensionsInput;
use serde_json::json;
use softkey::{AutoTouch, Manual, Script, Scripted};
use tempfile::TempDir;

const PIN: &str = "--pin env:PIN";

fn with_large_blob() -> Option<ExtensionsInput> {
    Some(ExtensionsInput {
        large_blob_key: Some(true),
        ..ExtensionsInput::default()
    })
}

#[test]
fn fingers_are_enrolled_sample_by_sample_named_and_taken_away() {
    let script: Script = "finger good\nfinger poor\nfinger wrong\nfinger good\n"
        .parse()
        .unwrap();
    let key = SoftKey::with_prompts("fido-2.1-bio", Scripted::new(script, AutoTouch));
    key.run("pin set --new-pin env:PIN").ok();
    let list = key
        .run(&format!("fingerprints list --json {PIN}"))
        .ok()
        .json();
    assert_eq!(list["schema"], "pinward.fingerprints/1");
    assert_eq!(
        list["fingerprints"].as_array().unwrap().len(),
        1,
        "it is delivered with one"
    );
    let added = key
        .run(&format!("fingerprints add --name thumb --json {PIN}"))
        .ok();
    let added = added
        .says("Sample good (1 of")
        .says("Sample poor quality (1 of")
        .says("is enrolled");
    let fingers = added.json()["fingerprints"].clone();
    assert_eq!(fingers[1]["name"], "thumb");
    let id = fingers[1]["id"].as_str().unwrap().to_owned();
    let rename = format!("fingerprints rename {id} --name index {PIN}");
    key.run(&rename).ok().says("is renamed");
    key.run(&rename).ok().says("already");
    let long = "x".repeat(300);
    key.run(&format!("fingerprints rename {id} --name {long} {PIN}"))
        .code(7)
        .says("at most");
    key.run(&format!("fingerprints list --csv {PIN}"))
        .ok()
        .prints(&format!("{id},index"));
    key.run(&format!("fingerprints delete {id} {PIN}"))
        .code(2)
        .says("--yes");
    key.run(&format!("fingerprints delete {id} {PIN} --yes"))
        .ok()
        .says("is deleted");
    key.run(&format!("fingerprints delete {id} {PIN} --yes"))
        .code(3);
    let first = fingers[0]["id"].as_str().unwrap();
    key.run(&format!("fingerprints delete {first} {PIN} --yes"))
        .ok()
        .says("It is the last one");
    SoftKey::with_pin("fido-2.1")
        .run(&format!("fingerprints list {PIN}"))
        .code(8);
}

#[test]
fn blobs_are_put_read_and_deleted_and_others_stay() {
    let key = SoftKey::new("fido-2.3-complete");
    register_with(&key, "a.example", 1, "ann", with_large_blob());
    register_with(&key, "b.example", 2, "bob", with_large_blob());
    register(&key, "c.example", 3, "none");
    let run = |line: &str| Pinward::new(line).keys(&[&key]).env("PIN", "739154").run();
    run("pin set --new-pin env:PIN").ok();
    let list = run(&format!("passkeys list --json {PIN}")).ok().json();
    let ids: Vec<_> = (0..3)
        .map(|n| list["passkeys"][n]["id"].as_str().unwrap().to_owned())
        .collect();
    let (ann, bob, none) = (&ids[0], &ids[1], &ids[2]);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let content = "a certificate, several times over. ".repeat(60);
    let first = file("first", content.as_bytes());
    run(&format!("blobs put {ann} {first} {PIN}"))
        .ok()
        .says("is written");
    run(&format!("blobs put {ann} {first} {PIN}"))
        .ok()
        .says("already");
    run(&format!("blobs put {bob} {} {PIN}", file("second", b"x"))).ok();
    run(&format!("blobs put {none} {first} {PIN}"))
        .code(7)
        .says("largeBlobKey");
    let read = run(&format!("blobs get {ann} {PIN}")).ok();
    assert_eq!(read.out, content);
    let list = run(&format!("blobs list --json {PIN}")).ok().json();
    assert_eq!(list["schema"], "pinward.blobs/1");
    assert_eq!(list["blobs"][0]["bytes"], content.len());
    assert_eq!(
        (&list["blobs"][1]["bytes"], &list["strangers"]),
        (&json!(1), &json!(0))
    );
    // What does not pack does not fit, and nothing is lost by the try.
    let noise: Vec<u8> = (0..6000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes())
        .collect();
    run(&format!("blobs put {bob} {} {PIN}", file("noise", &noise)))
        .code(7)
        .says("has room for");
    assert_eq!(run(&format!("blobs get {bob} {PIN}")).ok().out, "x");
    let out = folder.path().join("out").display().to_string();
    run(&format!("blobs get {ann} --out {out} {PIN}")).ok();
    assert_eq!(std::fs::read_to_string(&out).unwrap(), content);
    run(&format!("blobs get {ann} --out {out} {PIN}")).code(1);
    run(&format!("blobs delete {ann} {PIN} --yes"))
        .ok()
        .says("a.example");
    run(&format!("blobs get {ann} {PIN}")).code(3);
    assert_eq!(run(&format!("blobs get {bob} {PIN}")).ok().out, "x");
    SoftKey::with_pin("fido-2.1")
        .run(&format!("blobs list {PIN}"))
        .code(8);
}

#[test]
fn enterprise_attestation_is_stated_and_switched_on_once() {
    let key = SoftKey::with_pin("fido-2.1");
    let line = format!("enterprise-attestation enable {PIN}");
    key.run(&line).code(2).says("Only a reset").says("--yes");
    key.run("show").ok().prints("attestation is off");
    let on = key.run(&format!("{line} --yes --json")).ok().json();
    assert_eq!(
        (&on["changed"], &on["enterpriseAttestation"]),
        (&json!(true), &json!(true))
    );
    key.run("enterprise-attestation enable")
        .ok()
        .says("already");
    SoftKey::with_pin("fido-2.0").run(&line).code(8);
}

#[test]
fn a_public_key_is_exported_and_is_one() {
    let key = SoftKey::new("fido-2.1");
    register(&key, "a.example", 1, "ann");
    key.run("pin set --new-pin env:PIN").ok();
    let list = key.run(&format!("passkeys list --json {PIN}")).json();
    let id = list["passkeys"][0]["id"].as_str().unwrap();
    let pem = key.run(&format!("passkeys export-public {id} {PIN}")).ok();
    let pem = pem.prints("-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE");
    assert!(pem.out.lines().all(|line| line.len() <= 64));
    let json = key
        .run(&format!("passkeys export-public {id} {PIN} --json"))
        .ok()
        .json();
    assert_eq!(json["schema"], "pinward.public-key/1");
    assert_eq!(
        (&json["pem"], &json["algorithm"]),
        (&json!(pem.out), &json!(-7))
    );
}

/// Two keys, a place for names, and a keyring that is a folder.
struct Desk {
    one: SoftKey,
    two: SoftKey,
    folder: TempDir,
}

impl Desk {
    fn new(profile: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tool = folder.path().join("secret-tool");
        // Stands for the desktop's: keeps what it is given, finds it, forgets it.
        let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\nverb=$1\nfor word; do last=$word; done\n\
            case $verb in\nstore) umask 077; cat > \"kept-$last\";;\nlookup) cat \"kept-$last\";;\n\
            clear) rm -f \"kept-$last\";;\nesac\n";
        std::fs::write(&tool, script).unwrap();
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            one: SoftKey::new(profile),
            two: SoftKey::new(profile),
            folder,
        }
    }

    fn line(&self, line: &str) -> Pinward {
        let path = std::env::var("PATH").unwrap_or_default();
        Pinward::new(line)
            .keys(&[&self.one, &self.two])
            .env("PATH", &format!("{}:{path}", self.folder.path().display()))
            .env("PINWARD_LEDGER", &self.ledger().display().to_string())
            .env("PIN", "739154")
            .env("NEW", "951357")
    }

    fn run(&self, line: &str) -> Ran {
        self.line(line).run()
    }

    fn ledger(&self) -> std::path::PathBuf {
        self.folder.path().join("keys.sqlite")
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn keys_have_names_and_roles_and_are_meant_by_them() {
    let desk = Desk::new("fido-2.1");
    desk.run("label set red").code(4);
    desk.run("label set red --role primary --device 1")
        .ok()
        .says("recognised by its address");
    desk.run("label set Blue --device 2").ok();
    desk.run("label set RED --device 2")
        .code(7)
        .says("another key");
    desk.run("label set 12 --device 2").code(2);
    assert_eq!(mode(&desk.ledger()), 0o600);
    let shown = desk.run("show --json --device blue").ok().json();
    assert_eq!(shown["address"], desk.two.address());
    let list = desk.run("list --json").ok().json();
    assert_eq!(
        (&list["keys"][0]["label"], &list["keys"][0]["role"]),
        (&json!("red"), &json!("primary"))
    );
    desk.run("list").ok().prints("Blue");
    desk.run("label list --csv")
        .ok()
        .prints("red,primary,Software key,");
    desk.run("label remove blue").ok();
    desk.run("show --device blue").code(3);
    desk.run("label remove blue").code(3);
    // A file of a later version is left alone.
    std::fs::write(
        desk.ledger(),
        b"not SQLite at all, and long enough to be looked at",
    )
    .unwrap();
    desk.run("label set green --device 1")
        .code(1)
        .says("keys.sqlite");
    desk.run("show --device 1").ok();
}

#[test]
fn a_pair_is_compared_account_by_account() {
    let desk = Desk::new("fido-2.1");
    for (key, accounts) in [
        (&desk.one, [(1, "ann"), (2, "bob")]),
        (&desk.two, [(1, "ann"), (9, "eve")]),
    ] {
        for (user, name) in accounts {
            register(key, "a.example", user, name);
        }
    }
    for device in ["1", "2"] {
        desk.run(&format!("pin set --new-pin env:PIN --device {device}"))
            .ok();
    }
    desk.run("label set red --device 1").ok();
    let pins = "--primary-pin env:PIN --backup-pin env:PIN";
    let pair = desk.run(&format!("pair red 2 --json {pins}")).code(10);
    let pair = pair.says("1 account is missing").says("cannot be known");
    let accounts = pair.json()["accounts"].clone();
    let on: Vec<_> = (0..3)
        .map(|n| (accounts[n]["name"].clone(), accounts[n]["on"].clone()))
        .collect();
    let expected = [("ann", "both"), ("bob", "primary"), ("eve", "backup")];
    assert_eq!(on, expected.map(|(name, on)| (json!(name), json!(on))));
    desk.run(&format!("pair red 2 --missing --csv {pins}"))
        .code(10)
        .prints("bob")
        .hides("both");
    desk.run(&format!("pair red 1 {pins}")).code(2);
    // The other way round something else is missing; then nothing is.
    register_pin_free(&desk.two, 2, "bob");
    desk.run(&format!("pair red 2 {pins}")).ok();
}

/// Registers on a key that has a PIN: such keys ask for it, unless makeCredUvNotRqd is off for rk, so a
/// reset one is filled anew.
fn register_pin_free(key: &SoftKey, user: u8, name: &str) {
    key.run("reset --now --yes").ok();
    register(key, "a.example", 1, "ann");
    register(key, "a.example", user, name);
    Pinward::new("pin set --new-pin env:PIN")
        .keys(&[key])
        .env("PIN", "739154")
        .run()
        .ok();
}

#[test]
fn a_remembered_key_is_listed_without_its_pin_until_the_pin_changes() {
    let desk = Desk::new("fido-2.3-complete");
    register(&desk.one, "a.example", 1, "ann");
    desk.run("pin set --new-pin env:PIN --device 1").ok();
    desk.run("passkeys changed --device 1")
        .code(7)
        .says("--remember");
    desk.run(&format!("passkeys list --remember --device 1 {PIN}"))
        .ok()
        .prints("ann");
    // No PIN is named, and there is no terminal to ask for it.
    desk.run("passkeys list --device 1").ok().prints("ann");
    desk.run("passkeys changed --device 1")
        .ok()
        .says("as they were");
    let shown = desk.run("show --json --device 1").ok().json();
    assert_eq!(shown["passkeysChanged"], false);
    assert_eq!(shown["identifier"].as_str().unwrap().len(), 32);
    // The other key is another one: nothing of it is remembered.
    assert_eq!(
        desk.run("show --json --device 2").ok().json()["identifier"],
        json!(null)
    );
    let kept: Vec<_> = std::fs::read_dir(desk.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("kept-")
        })
        .collect();
    assert_eq!(kept.len(), 1);
    let secret = std::fs::read_to_string(&kept[0]).unwrap();
    let ledger = std::fs::read(desk.ledger()).unwrap();
    let digits = secret.split_once(':').unwrap().1.trim();
    assert!(
        !String::from_utf8_lossy(&ledger).contains(digits),
        "only in the keyring"
    );
    let id = desk.run("passkeys list --json --device 1").json();
    let id = id["passkeys"][0]["id"].as_str().unwrap();
    desk.run(&format!("passkeys rename {id} --name new --device 1 {PIN}"))
        .ok();
    let drift = desk.run("passkeys changed --json --device 1").code(10);
    assert_eq!(drift.json()["changed"], true);
    desk.run("show --device 1").ok().prints("CHANGED since");
    desk.run("passkeys list --device 1").ok().prints("new");
    desk.run("passkeys changed --device 1").ok();
    desk.run("pin change --pin env:PIN --new-pin env:NEW --device 1")
        .ok();
    desk.run("passkeys changed --device 1").code(7);
}

#[test]
fn without_a_keyring_nothing_is_remembered() {
    let desk = Desk::new("fido-2.3-complete");
    desk.run("pin set --new-pin env:PIN --device 1").ok();
    std::fs::remove_file(desk.folder.path().join("secret-tool")).unwrap();
    let empty = desk.folder.path().display().to_string();
    let list = desk.line(&format!("passkeys list --remember --device 1 {PIN}"));
    list.env("PATH", &empty)
        .run()
        .code(1)
        .says("keyring or not at all");
    let old = SoftKey::with_pin("fido-2.1");
    old.run(&format!("passkeys list --remember {PIN}")).code(8);
}

#[test]
fn the_key_that_is_touched_is_the_one_that_is_meant() {
    let (one, two) = (
        SoftKey::with_prompts("fido-2.1", Manual),
        SoftKey::with_prompts("fido-2.1", Manual),
    );
    let remote = two.key.remote();
    let finger = std::thread::spawn(move || {
        assert!(remote.wait_asking(Duration::from_secs(20)).is_some());
        remote.touch();
    });
    let line = Pinward::new("show --json --device touch").keys(&[&one, &two]);
    let shown = line.run().ok().says("Touch the key that is meant");
    finger.join().unwrap();
    assert_eq!(shown.json()["address"], two.address());
}

#[test]
fn the_doctor_says_what_is_wrong_with_a_key_and_what_to_do() {
    let key = SoftKey::with_pin("fido-2.1");
    let codes = |key: &SoftKey, exit| -> Vec<String> {
        let ran = key.run("doctor --json").code(exit);
        let json = ran.json();
        assert_eq!(json["schema"], "pinward.doctor/1");
        let all = json["findings"].as_array().unwrap().clone();
        all.iter()
            .map(|f| f["code"].as_str().unwrap().to_owned())
            .collect()
    };
    let has = |codes: &[String], code: &str| codes.iter().any(|c| c == code);
    assert!(has(&codes(&key, 0), "ready"));
    key.run(&format!("pin force-change {PIN}")).ok();
    assert!(has(&codes(&key, 10), "must-change"));
    key.run("doctor")
        .code(10)
        .prints("-> `pinward pin change`")
        .says("1 thing is wrong");
    key.run("pin change --pin env:PIN --new-pin env:NEW").ok();
    for _ in 0..3 {
        key.run("pin verify --pin env:PIN");
    }
    assert!(has(&codes(&key, 10), "power-cycle"));
    let fresh = SoftKey::new("fido-2.3-complete");
    let found = codes(&fresh, 0);
    assert!(
        has(&found, "no-pin") && has(&found, "no-finger"),
        "{found:?}"
    );
    assert!(has(&codes(&SoftKey::new("u2f-only"), 0), "u2f-only"));
    let gone = Pinward::new("doctor")
        .env("PINWARD_KEYS", "unix:/nonexistent/key")
        .run();
    gone.code(10).prints("no key answers there");
}

#[test]
fn every_member_of_get_info_is_told() {
    let key = SoftKey::new("fido-2.3-complete");
    let shown = key.run("show --all").ok();
    for member in [
        "options",
        "transports",
        "algorithms",
        "pinUvAuthProtocols",
        "attestationFormats",
        "maxMsgSize",
        "maxSerializedLargeBlobArray",
        "maxRPIDsForSetMinPINLength",
        "pinComplexityPolicyURL",
        "authenticatorConfigCommands",
        "uvModality",
    ] {
        assert!(
            shown
                .out
                .lines()
                .any(|line| line.trim_start().starts_with(member)),
            "{member}"
        );
    }
    shown
        .prints("https://pinward.example/pin-policy")
        .prints("only over usb");
}

/// A real key's model, in a software key.
fn titan() -> SoftKey {
    let text = authenticator::profile::shipped()
        .iter()
        .find(|(id, _)| *id == "fido-2.1")
        .unwrap()
        .1;
    let line = text
        .lines()
        .find(|line| line.starts_with("aaguid"))
        .unwrap();
    let text = text.replace(line, "aaguid = \"fa2b99dc-9e39-4257-8f92-4a30d23c4118\"");
    SoftKey::of(authenticator::Profile::from_toml(&text).unwrap())
}

#[test]
fn the_model_comes_from_metadata_whose_signature_is_verified() {
    let folder = std::env::var("PINWARD_DATA")
        .unwrap_or_else(|_| format!("{}/../../../shared/data", env!("CARGO_MANIFEST_DIR")));
    let Ok(blob) = std::fs::read(format!("{folder}/fido-mds3-blob-31.jwt")) else {
        println!("skipped: {folder}/fido-mds3-blob-31.jwt is missing; set PINWARD_DATA");
        return;
    };
    let key = titan();
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display().to_string();
    let write = |blob: &[u8]| {
        std::fs::write(file.path(), blob).unwrap();
        // As if it had been fetched when it was new: its signer's certificate has expired since.
        let autumn_2023 = std::time::UNIX_EPOCH + Duration::from_secs(1_696_200_000);
        file.as_file().set_modified(autumn_2023).unwrap();
    };
    write(&blob);
    let shown = key.run(&format!("show --json --mds {path}")).ok().json();
    assert_eq!(shown["model"]["name"], "YubiKey 5 Series with NFC");
    assert_eq!(shown["model"]["certification"], "FIDO_CERTIFIED_L1");
    assert_eq!(shown["model"]["metadataSignature"], "verified");
    assert_eq!(shown["model"]["metadataSignerExpired"], true);
    key.run(&format!("show --mds {path}"))
        .ok()
        .prints("get a newer file");
    let mut forged = blob;
    let place = forged.len() / 2;
    forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
    write(&forged);
    key.run(&format!("show --mds {path}")).code(1);
    SoftKey::new("fido-2.1")
        .run("show --mds /nonexistent")
        .code(1);
}

#[test]
fn shells_complete_the_names_of_keys_and_man_has_pages() {
    let desk = Desk::new("fido-2.1");
    desk.run("label set red --device 1").ok();
    for shell in ["bash", "zsh", "fish", "elvish"] {
        desk.run(&format!("completions {shell}"))
            .ok()
            .prints("PINWARD_COMPLETE");
    }
    let words = ["--", "pinward", "show", "--device", "r"].map(str::to_owned);
    let asked = Pinward::words(&words)
        .keys(&[&desk.one])
        .env("PINWARD_LEDGER", &desk.ledger().display().to_string())
        .env("PINWARD_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "3")
        .run();
    assert_eq!(asked.ok().out.trim(), "red");
    let pages = desk.folder.path().join("man");
    desk.run(&format!("man {}", pages.display())).ok();
    let page = std::fs::read_to_string(pages.join("pinward-passkeys-list.1")).unwrap();
    assert!(page.contains("pinward.passkeys/1"), "{page}");
}
