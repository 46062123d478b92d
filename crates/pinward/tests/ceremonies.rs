//! `create` and `get` on running software keys, checked by the relying party; what a person sees and
//! types on a terminal; keys that come, go and are let go.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use common::{Pinward, Ran, SoftKey};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rp::authentication::{self, Who};
use rp::policy::{Flow, UserVerificationPolicy};
use rp::{CredentialRecord, RelyingParty, TrustAnchors, registration};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use softkey::{Manual, Options, RunningKey};
use tempfile::TempDir;
use transport::stream;
use webauthn::options::PublicKeyCredentialUserEntity;

const ORIGIN: &str = "--origin https://example.org";
const SOON: Duration = Duration::from_secs(20);
const NOW: u64 = 1_800_000_000;

fn site() -> RelyingParty {
    let origin = "https://example.org".parse().unwrap();
    RelyingParty::new("example.org", "Example", [origin]).unwrap()
}

fn user(name: &str) -> PublicKeyCredentialUserEntity {
    PublicKeyCredentialUserEntity {
        id: name.as_bytes().to_vec().into(),
        name: name.to_owned(),
        display_name: String::new(),
    }
}

fn creation(uv: &str) -> Value {
    json!({
        "rp": {"name": "Example", "id": "example.org"},
        "user": {"id": "AQ", "name": "kim", "displayName": "Kim"},
        "challenge": "AAECAwQFBgcICQoLDA0ODw",
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
        "authenticatorSelection": {"userVerification": uv},
    })
}

fn request(uv: &str) -> Value {
    json!({"challenge": "AAECAwQFBgcICQoLDA0ODw", "userVerification": uv})
}

fn create(key: &SoftKey, options: &Value, more: &str) -> Ran {
    Pinward::new(&format!("create {ORIGIN} {more}"))
        .keys(&[key])
        .input(&options.to_string())
        .run()
}

fn get(key: &SoftKey, options: &Value, more: &str) -> Ran {
    Pinward::new(&format!("get {ORIGIN} {more}"))
        .keys(&[key])
        .input(&options.to_string())
        .run()
}

/// Registers with a policy and has the relying party check what was printed.
fn register(key: &SoftKey, flow: Flow, name: &str, more: &str) -> (bool, CredentialRecord) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let policy = flow.registration();
    let (options, state) =
        registration::begin(&site(), policy, user(name), &[], NOW, &mut rng).unwrap();
    let options = serde_json::to_value(options).unwrap();
    let made = create(key, &options, more).ok();
    let response = serde_json::from_str(&made.out).unwrap();
    let verdict =
        registration::finish(state, &response, false, &TrustAnchors::none(), NOW).unwrap();
    (verdict.user_verified, verdict.record)
}

/// Signs in with a policy, likewise.
fn sign_in(key: &SoftKey, flow: Flow, record: &CredentialRecord, more: &str) -> bool {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let credentials = [record.clone()];
    let who = Who::User {
        handle: &record.user_handle,
        credentials: &credentials,
    };
    let policy = flow.authentication();
    let (options, state) = authentication::begin(&site(), policy, who, NOW, &mut rng).unwrap();
    let signed = get(key, &serde_json::to_value(options).unwrap(), more).ok();
    let response = serde_json::from_str(&signed.out).unwrap();
    let verdict = authentication::finish(state, &response, Some(record), NOW).unwrap();
    assert!(verdict.user_present);
    verdict.user_verified
}

#[test]
fn a_relying_party_accepts_what_is_printed() {
    let key = SoftKey::with_pin("fido-2.1");
    let (verified, record) = register(&key, Flow::Passwordless, "kim", "--pin env:PIN");
    assert!(verified);
    assert!(sign_in(&key, Flow::Passwordless, &record, "--pin env:PIN"));
    // The second factor wants no PIN, so none is named.
    let muv = SoftKey::with_pin("fido-2.1-muv");
    let (verified, record) = register(&muv, Flow::SecondFactor, "lee", "");
    assert!(!verified);
    assert!(!sign_in(&muv, Flow::SecondFactor, &record, ""));
    let u2f = SoftKey::new("u2f-only");
    let (verified, record) = register(&u2f, Flow::SecondFactor, "mo", "");
    assert!(!verified);
    assert!(!sign_in(&u2f, Flow::SecondFactor, &record, ""));
}

#[test]
fn the_report_tells_steps_and_reasons() {
    let key = SoftKey::new("fido-2.1");
    let ran = create(&key, &creation("required"), "--json --new-pin env:NEW").ok();
    let answer = ran.hides("567890").json();
    assert_eq!(answer["schema"], "pinward.ceremony/1");
    assert_eq!(answer["report"]["steps"], json!(["create-pin", "touch"]));
    assert_eq!(answer["report"]["uv"], true);
    assert_eq!(answer["credential"]["type"], "public-key");
    let who = answer["report"]["reasons"][0]["who"].clone();
    assert_eq!(who, "site");
    // The PIN is the key's from now on.
    key.run("pin verify --pin env:NEW").ok();
}

#[test]
fn nobody_there_means_not_now_and_a_failure_where_verification_is_required() {
    let key = SoftKey::new("fido-2.1");
    let answer = create(&key, &creation("preferred"), "--json").ok().json();
    assert_eq!(answer["report"]["steps"], json!(["touch"]));
    create(&key, &creation("required"), "")
        .code(2)
        .says("terminal");
    assert_eq!(key.run("list --json").json()["keys"][0]["pin"], "not-set");
}

#[test]
fn a_kiosk_sets_up_no_pin_and_a_policy_can_impose_one() {
    let dir = tempfile::tempdir().unwrap();
    let policy = dir.path().join("policy.toml");
    let with = format!("--json --new-pin env:NEW --policy {}", policy.display());
    let key = SoftKey::new("fido-2.1");
    std::fs::write(&policy, "never-provision = true").unwrap();
    let answer = create(&key, &creation("preferred"), &with).ok().json();
    assert_eq!(answer["report"]["steps"], json!(["touch"]));
    create(&key, &creation("required"), &with).code(8);
    std::fs::write(
        &policy,
        "[create]\npreferred = \"provision\"\nallow = [\"example.org\"]",
    )
    .unwrap();
    let answer = create(&key, &creation("preferred"), &with).ok().json();
    assert_eq!(answer["report"]["steps"], json!(["create-pin", "touch"]));
    std::fs::write(&policy, "[create]\npreferred = \"maybe\"").unwrap();
    create(&key, &creation("preferred"), &with)
        .code(2)
        .says("line 2");
}

#[test]
fn other_platforms_can_be_asked_too() {
    let key = SoftKey::new("fido-2.1");
    let options = creation("required");
    // Firefox on Linux registers without verification, against the text.
    let answer = create(&key, &options, "--json --platform firefox-linux")
        .ok()
        .json();
    assert_eq!(answer["report"]["uv"], false);
    create(&key, &options, "--platform netscape")
        .code(2)
        .says("pinward");
}

#[test]
fn a_wrong_pin_costs_one_try_and_is_never_sent_twice() {
    let key = SoftKey::with_pin("fido-2.1");
    create(&key, &creation("required"), "--pin env:NEW")
        .code(5)
        .says("7 tries left")
        .hides("567890");
    let shown = key.run("show --json").json();
    assert_eq!(shown["pin"]["triesLeft"], 7, "{shown:#}");
}

#[test]
fn failures_have_their_exit_codes() {
    let key = SoftKey::new("fido-2.1");
    let ran = get(&key, &request("discouraged"), "").code(7);
    ran.says("NotAllowedError").prints("");
    let mut other = creation("discouraged");
    other["rp"]["id"] = "example.com".into();
    create(&key, &other, "")
        .code(2)
        .says("SecurityError")
        .says("https://example.com/.well-known/webauthn");
    Pinward::new(&format!("get {ORIGIN}"))
        .keys(&[&key])
        .input("{")
        .run()
        .code(2)
        .says("options of get()");
    Pinward::new(&format!("get {ORIGIN}"))
        .input(&request("discouraged").to_string())
        .run()
        .code(3);
    Pinward::new(&format!("get {ORIGIN} --device unix:/nonexistent/key"))
        .input(&request("discouraged").to_string())
        .run()
        .code(3);
    let u2f = SoftKey::new("u2f-only");
    let failed = create(&u2f, &creation("required"), "--json").code(8);
    assert_eq!(failed.json()["error"]["name"], "ConstraintError");
}

#[test]
fn a_page_that_the_site_names_may_register() {
    let key = SoftKey::new("fido-2.1");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("webauthn.json");
    std::fs::write(&file, r#"{"origins":["https://example.de"]}"#).unwrap();
    let line = format!(
        "create --origin https://example.de --related-origins {}",
        file.display()
    );
    let options = creation("discouraged").to_string();
    Pinward::new(&line).keys(&[&key]).input(&options).run().ok();
    let line = line.replace("example.de", "example.fr");
    Pinward::new(&line)
        .keys(&[&key])
        .input(&options)
        .run()
        .code(2)
        .says("SecurityError");
}

#[test]
fn an_account_is_named_or_has_to_be() {
    let key = SoftKey::with_pin("fido-2.1");
    for name in ["kim", "lee"] {
        register(&key, Flow::Passwordless, name, "--pin env:PIN");
    }
    let options = request("required");
    get(&key, &options, "--pin env:PIN")
        .code(2)
        .says("--account");
    get(&key, &options, "--pin env:PIN --account mo")
        .code(7)
        .says("no account");
    let signed = get(&key, &options, "--pin env:PIN --account lee")
        .ok()
        .json();
    assert_eq!(
        signed["response"]["userHandle"],
        webauthn::base64url::encode(b"lee")
    );
}

#[test]
fn what_is_plugged_in_is_listed() {
    let key = SoftKey::new("fido-2.1");
    let list = key.run("keys --json").ok().json();
    assert_eq!(list["schema"], "pinward.keys/1");
    assert_eq!(list["keys"][0]["address"], key.address().as_str());
    assert_eq!(list["keys"][0]["usable"], true);
    key.run("keys").ok().prints("Software key").prints("yes");
    Pinward::new("keys").run().ok().says("No security key");
}

/// A key that waits to be touched by the test.
struct Touchable {
    key: RunningKey,
    dir: TempDir,
}

impl Touchable {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = touchable(&dir.path().join("key"));
        Self { key, dir }
    }

    fn address(&self) -> String {
        format!("unix:{}", self.dir.path().join("key").display())
    }

    fn wait_asking(&self) {
        assert!(self.key.remote().wait_asking(SOON).is_some());
    }

    fn wait_free(&self) {
        let end = Instant::now() + SOON;
        while self.key.remote().asking().is_some() {
            assert!(Instant::now() < end, "it goes on blinking");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn touchable(path: &Path) -> RunningKey {
    let profile = authenticator::profile::find("fido-2.1").unwrap().unwrap();
    Options::ephemeral(profile)
        .prompts(Manual)
        .start(|inbox| stream::listen_unix(path, inbox))
        .unwrap()
}

/// A call of the program that goes on.
struct Started {
    child: Child,
    err: Receiver<String>,
    said: String,
}

impl Started {
    fn new(line: &str, keys: &[String], input: &Value) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pinward"))
            .args(line.split_whitespace())
            .env_clear()
            .env("PINWARD_KEYS", keys.join(" "))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let text = input.to_string();
        let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
        let err = lines(child.stderr.take().unwrap());
        let said = String::new();
        Self { child, err, said }
    }

    /// Waits for these words.
    fn says(&mut self, what: &str) {
        while !self.said.contains(what) {
            match self.err.recv_timeout(SOON) {
                Ok(line) => self.said.push_str(&(line + "\n")),
                Err(_) => panic!("it does not say {what:?}: {}", self.said),
            }
        }
    }

    fn end(mut self) -> (Option<i32>, String) {
        let end = Instant::now() + SOON;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "it does not end: {}", self.said);
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut out = String::new();
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        (self.child.wait().unwrap().code(), out)
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

#[test]
fn of_several_keys_the_touched_one_is_taken_and_the_others_stop_blinking() {
    let keys = [Touchable::new(), Touchable::new()];
    let addresses = keys.each_ref().map(Touchable::address);
    let mut call = Started::new(
        &format!("create {ORIGIN}"),
        &addresses,
        &creation("discouraged"),
    );
    keys.iter().for_each(Touchable::wait_asking);
    call.says("Touch the key that you want to use.");
    keys[1].key.remote().touch();
    call.says("Touch the key to register with example.org.");
    keys[0].wait_free();
    keys[1].wait_asking();
    keys[1].key.remote().touch();
    assert_eq!(call.end().0, Some(0));
}

#[test]
fn a_key_may_come_late_and_go_and_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let address = [format!("unix:{}", path.display())];
    let line = format!("create {ORIGIN} --wait");
    let mut call = Started::new(&line, &address, &creation("discouraged"));
    call.says("Plug in your security key");
    let key = touchable(&path);
    assert!(key.remote().wait_asking(SOON).is_some());
    key.stop();
    call.said.clear();
    call.says("Plug in your security key");
    let key = touchable(&path);
    assert!(key.remote().wait_asking(SOON).is_some());
    key.remote().touch();
    let (code, out) = call.end();
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("attestationObject"), "{out}");
}

#[test]
fn another_key_may_be_plugged_in_while_one_blinks_for_being_chosen() {
    let keys = [Touchable::new(), Touchable::new()];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let mut addresses = keys.each_ref().map(Touchable::address).to_vec();
    addresses.push(format!("unix:{}", path.display()));
    let call = Started::new(
        &format!("create {ORIGIN}"),
        &addresses,
        &creation("discouraged"),
    );
    keys.iter().for_each(Touchable::wait_asking);
    let late = touchable(&path);
    assert!(late.remote().wait_asking(SOON).is_some());
    late.remote().touch();
    keys.iter().for_each(Touchable::wait_free);
    assert!(late.remote().wait_asking(SOON).is_some());
    late.remote().touch();
    assert_eq!(call.end().0, Some(0));
}

#[test]
fn ctrl_c_frees_the_key() {
    let key = Touchable::new();
    let call = Started::new(
        &format!("create {ORIGIN}"),
        &[key.address()],
        &creation("discouraged"),
    );
    key.wait_asking();
    let pid = call.child.id().to_string();
    let killed = Command::new("sh")
        .args(["-c", "kill -INT $0", &pid])
        .status();
    assert!(killed.unwrap().success());
    let (code, out) = call.end();
    assert_eq!((code, out.as_str()), (Some(7), ""));
    key.wait_free();
}

#[test]
fn what_comes_and_goes_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let mut call = Started::new(
        "keys --watch",
        &[format!("unix:{}", path.display())],
        &Value::Null,
    );
    let out = lines(call.child.stdout.take().unwrap());
    call.says("No security key");
    let key = touchable(&path);
    assert!(
        out.recv_timeout(SOON)
            .unwrap()
            .starts_with("added    unix:")
    );
    key.stop();
    let line = out.recv_timeout(SOON).unwrap();
    assert!(line.starts_with("removed  unix:"), "{line}");
    call.child.kill().unwrap();
    call.child.wait().unwrap();
}

/// The program on a terminal of its own.
struct OnTerminal {
    child: Child,
    terminal: std::fs::File,
    shown: Receiver<u8>,
    seen: String,
}

impl OnTerminal {
    fn new(line: &str, key: &SoftKey, options: &Value) -> Self {
        let dir = tempfile::tempdir().unwrap().keep();
        let file = dir.join("options.json");
        std::fs::write(&file, options.to_string()).unwrap();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = std::fs::File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let stdio = || Stdio::from(slave.as_fd().try_clone_to_owned().unwrap());
        // setsid makes the standard input the terminal of the program.
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_pinward")])
            .args(line.split_whitespace())
            .arg(&file)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("PINWARD_KEYS", key.address())
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .unwrap();
        let terminal = std::fs::File::from(master);
        let mut reader = terminal.try_clone().unwrap();
        let (sender, shown) = channel();
        std::thread::spawn(move || {
            let mut byte = [0];
            while reader.read_exact(&mut byte).is_ok() && sender.send(byte[0]).is_ok() {}
        });
        Self {
            child,
            terminal,
            shown,
            seen: String::new(),
        }
    }

    fn sees(&mut self, what: &str) -> &mut Self {
        while !self.seen.contains(what) {
            match self.shown.recv_timeout(SOON) {
                Ok(byte) => self.seen.push(char::from(byte)),
                Err(_) => panic!("{what:?} is not shown: {}", self.seen),
            }
        }
        self
    }

    fn types(&mut self, what: &str) -> &mut Self {
        self.seen.clear();
        self.terminal.write_all(what.as_bytes()).unwrap();
        self
    }

    fn ends(&mut self, code: i32) {
        assert_eq!(
            self.child.wait().unwrap().code(),
            Some(code),
            "{}",
            self.seen
        );
    }
}

#[test]
fn a_person_types_the_pin_unseen_with_the_tries_before_her() {
    let key = SoftKey::with_pin("fido-2.1");
    let mut person = OnTerminal::new(&format!("create {ORIGIN}"), &key, &creation("required"));
    person
        .sees("PIN of the key (8 tries left): ")
        .types("9999\r");
    person.sees("Wrong PIN. PIN of the key (7 tries left): ");
    assert!(!person.seen.contains("9999"), "{}", person.seen);
    person
        .types("12\r")
        .sees("too short")
        .sees("PIN of the key (7 tries left): ");
    person.types("1234\r").sees("attestationObject");
    assert!(!person.seen.contains("1234\r"), "{}", person.seen);
    person.ends(0);
}

#[test]
fn a_person_is_offered_a_pin_and_may_say_not_now() {
    let key = SoftKey::new("fido-2.1");
    let line = format!("create {ORIGIN}");
    let mut person = OnTerminal::new(&line, &key, &creation("preferred"));
    person
        .sees("not now")
        .sees("New PIN: ")
        .types("\r")
        .sees("attestationObject")
        .ends(0);
    assert_eq!(key.run("list --json").json()["keys"][0]["pin"], "not-set");
    let mut person = OnTerminal::new(&line, &key, &creation("preferred"));
    person
        .sees("New PIN: ")
        .types("135724\r")
        .sees("again: ")
        .types("135725\r");
    person
        .sees("differ")
        .sees("New PIN: ")
        .types("135724\r")
        .sees("again: ")
        .types("135724\r");
    person.sees("attestationObject").ends(0);
    assert_eq!(key.run("list --json").json()["keys"][0]["pin"], "set");
}

#[test]
fn a_person_picks_the_account() {
    let key = SoftKey::with_pin("fido-2.1");
    for name in ["kim", "lee"] {
        register(&key, Flow::Passwordless, name, "--pin env:PIN");
    }
    assert_eq!(
        Flow::Passwordless.user_verification(),
        UserVerificationPolicy::Always
    );
    let mut person = OnTerminal::new(&format!("get {ORIGIN}"), &key, &request("required"));
    person.sees("PIN of the key").types("1234\r");
    person
        .sees("kim")
        .sees("Which one (1 to 2)? ")
        .types("7\r")
        .sees("Which one")
        .types("kim\r");
    person
        .sees(&format!(
            "\"userHandle\": \"{}\"",
            webauthn::base64url::encode(b"kim")
        ))
        .ends(0);
}

#[test]
fn the_pin_is_taken_before_the_tap() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let (path, pin) = (dir.path().join("key"), dir.path().join("pin"));
    std::fs::write(&pin, "1234\n").unwrap();
    std::fs::set_permissions(&pin, std::fs::Permissions::from_mode(0o600)).unwrap();
    let address = [format!("unix:{}", path.display())];
    let key = touchable(&path);
    let set = format!("pin set --new-pin env:PIN --device {}", address[0]);
    Pinward::new(&set).run().ok();
    key.remote().unplug();
    let place = pin.display();
    let line = format!("create {ORIGIN} --json --wait --tap --pin file:{place}");
    let mut call = Started::new(&line, &address, &creation("required"));
    call.says("Plug in your security key, or lay it on the reader");
    // The PIN has been read already.
    std::fs::remove_file(&pin).unwrap();
    key.remote()
        .plug(|inbox| stream::listen_unix(&path, inbox))
        .unwrap();
    assert!(key.remote().wait_asking(SOON).is_some());
    key.remote().touch();
    let (code, out) = call.end();
    assert_eq!(code, Some(0), "{out}");
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["report"]["steps"], json!(["enter-pin", "touch"]));
}
