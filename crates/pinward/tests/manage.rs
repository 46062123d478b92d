//! `pinward list`, `show`, `pin`, `always-uv`, `wink` on software keys behind sockets.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use common::{Pinward, SoftKey};
use serde_json::json;

#[test]
fn the_list_names_every_key_and_its_pin() {
    let (one, two, three) = (
        SoftKey::new("fido-2.1"),
        SoftKey::with_pin("fido-2.0"),
        SoftKey::new("u2f-only"),
    );
    let list = |line| Pinward::new(line).keys(&[&one, &two, &three]).run().ok();
    let keys = list("list --json").json();
    assert_eq!(keys["schema"], "pinward.list/1");
    let keys = keys["keys"].as_array().unwrap();
    let pins: Vec<_> = keys.iter().map(|key| &key["pin"]).collect();
    assert_eq!(pins, ["not-set", "set", "none"]);
    assert_eq!(keys[1]["address"], two.address());
    assert_eq!(keys[2]["versions"], json!(["U2F_V2"]));
    assert_eq!(keys[0]["problem"], json!(null));
    list("list").prints("NO  ID").prints(&one.address());
    list("list --csv").prints("NO,ID,LABEL,NAME,PIN,VERSIONS,WHERE\r\n1,k");
}

#[test]
fn no_key_and_several_keys_are_not_a_key() {
    Pinward::new("list").run().ok().says("No security key");
    Pinward::new("show").run().code(3);
    let (one, two) = (SoftKey::with_pin("fido-2.1"), SoftKey::with_pin("fido-2.1"));
    for line in [
        "show",
        "wink",
        "always-uv on --pin env:PIN",
        "pin change --pin env:PIN --new-pin env:NEW",
        "pin min-length 8 --yes --pin env:PIN",
    ] {
        let ran = Pinward::new(line).keys(&[&one, &two]).run().code(4);
        ran.says(&one.address()).says(&two.address());
    }
    let named = |name: &str| {
        let line = format!("show --json --device {name}");
        Pinward::new(&line).keys(&[&one, &two]).run()
    };
    named("3").code(3);
    named("knone").code(3);
    named("unix:/nonexistent/key").code(3);
    let by_number = named("2").ok().json();
    assert_eq!(by_number["address"], two.address());
    let id = by_number["id"].as_str().unwrap();
    assert_eq!(named(id).ok().json()["address"], two.address());
    // An address needs no list.
    let line = format!("show --json --device {}", one.address());
    let shown = Pinward::new(&line).run().ok().json();
    assert_eq!(shown["address"], one.address());
}

#[test]
fn a_pin_is_set_changed_and_verified() {
    let key = SoftKey::new("fido-2.1");
    key.run("pin verify --pin env:PIN").code(7).says("pin set");
    let set = key.run("pin set --new-pin env:PIN --json").ok().json();
    assert_eq!(set["schema"], "pinward.pin/1");
    assert_eq!(
        (&set["changed"], &set["state"]),
        (&json!(true), &json!("set"))
    );
    key.run("pin set --new-pin env:NEW")
        .code(7)
        .says("pin change");
    key.run("pin verify --pin env:PIN").ok().says("is right");
    key.run("pin change --pin env:PIN --new-pin env:NEW").ok();
    let wrong = key.run("pin verify --pin env:PIN").code(5);
    wrong.says("wrong PIN; 7 tries left");
    key.run("pin verify --pin env:NEW").ok();
    let shown = key.run("show --json").ok().json();
    assert_eq!(shown["pin"]["triesLeft"], 8);
}

#[test]
fn pins_that_cannot_be_cost_no_try() {
    let key = SoftKey::with_pin("fido-2.1");
    let change = |new: &str| {
        Pinward::new("pin change --pin env:PIN --new-pin env:TYPED")
            .keys(&[&key])
            .env("TYPED", new)
            .run()
            .code(7)
            .hides(new)
    };
    change("12ö").says("at least 4 characters, and it has 3");
    change(&"ö".repeat(32)).says("63");
    change("1234").says("is the old one");
    let short = Pinward::new("pin verify --pin env:TYPED")
        .keys(&[&key])
        .env("TYPED", "zz9")
        .run();
    short.code(7).hides("zz9");
    assert_eq!(key.run("show --json").json()["pin"]["triesLeft"], 8);
}

#[test]
fn three_wrong_pins_and_then_the_end() {
    let key = SoftKey::with_pin("fido-2.1");
    for round in [7, 6] {
        let wrong = key.run("pin verify --pin env:NEW").code(5);
        wrong.says(&format!("{round} tries left"));
    }
    key.run("pin verify --pin env:NEW")
        .code(6)
        .says("plug it in again");
    // Not even asked: there is no source for the PIN here.
    key.run("pin verify").code(6);
    let shown = key.run("show --json").json();
    assert_eq!(shown["pin"]["triesLeft"], 5);
    assert_eq!(shown["pin"]["powerCycle"], true);
    while key.run("show --json").json()["pin"]["triesLeft"] != 0 {
        key.key.power_cycle();
        key.run("pin verify --pin env:NEW");
    }
    key.key.power_cycle();
    key.run("pin verify --pin env:PIN").code(6).says("blocked");
    key.run("show").ok().prints("blocked: only a reset");
}

#[test]
fn a_secret_is_read_from_every_place_but_the_command_line() {
    let key = SoftKey::new("fido-2.1");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "1234\n").unwrap();
    let place = file.path().display().to_string();
    key.run(&format!("pin set --new-pin file:{place}")).ok();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    key.run(&format!("pin verify --pin file:{place}")).code(2);
    let both = Pinward::new("pin change --pin stdin --new-pin stdin").keys(&[&key]);
    both.input("1234\n567890\n").run().ok();
    let words = ["pin", "verify", "--pin", "cmd:printf %s 567890"].map(str::to_owned);
    Pinward::words(&words).keys(&[&key]).run().ok();
    let pipe = format!(
        "exec {} pin verify --device {} --pin fd:3 3<<END\n567890\nEND\n",
        env!("CARGO_BIN_EXE_pinward"),
        key.address()
    );
    let status = std::process::Command::new("sh")
        .args(["-c", &pipe])
        .status();
    assert!(status.unwrap().success());
    // Nothing is asked where there is no terminal to ask on; which tests may have.
    for line in [
        "pin verify --pin 567890",
        "pin verify 567890",
        "pin set 567890",
        "pin change --pin env:NEW --new-pin 567890",
        "always-uv on --pin=567890",
    ] {
        key.run(line).code(2).hides("567890").says("env:NAME");
    }
    key.run("pin verify --pin env:NO_SUCH").code(2);
    assert_eq!(key.run("show --json").json()["pin"]["triesLeft"], 8);
}

#[test]
fn always_uv_is_stated_set_and_read_back() {
    let key = SoftKey::with_pin("fido-2.1");
    let on = key.run("always-uv on --pin env:PIN --json").ok();
    let on = on.says("U2F is switched off").says("always UV is on.");
    let json = on.json();
    assert_eq!(json["schema"], "pinward.always-uv/1");
    assert_eq!(
        (&json["alwaysUv"], &json["changed"]),
        (&json!(true), &json!(true))
    );
    assert!(
        !json["versions"]
            .as_array()
            .unwrap()
            .contains(&json!("U2F_V2"))
    );
    // Already so: no PIN is wanted.
    let again = key.run("always-uv on --json").ok().says("already");
    assert_eq!(again.json()["changed"], false);
    key.run("always-uv off --pin env:NEW").code(5);
    key.run("show").ok().prints("Always UV   on");
    key.run("always-uv off --pin env:PIN")
        .ok()
        .says("always UV is off.");
    SoftKey::with_pin("fido-2.0")
        .run("always-uv on --pin env:PIN")
        .code(8);
    SoftKey::new("u2f-only")
        .run("always-uv on")
        .code(8)
        .says("only U2F");
}

#[test]
fn a_least_length_is_raised_with_what_it_means() {
    let key = SoftKey::with_pin("fido-2.1");
    key.run("pin min-length 3").code(2);
    key.run("pin min-length 4").ok().says("already");
    key.run("pin min-length 6 --pin env:PIN")
        .code(2)
        .says("--yes");
    let raised = key.run("pin min-length 6 --pin env:PIN --yes --json").ok();
    let raised = raised
        .says("Its PIN has 4 characters and must be changed at once")
        .says("only a reset")
        .says("must be changed now");
    let json = raised.json();
    assert_eq!(
        (&json["minLength"], &json["mustChange"]),
        (&json!(6), &json!(true))
    );
    key.run("pin min-length 5 --pin env:PIN --yes").code(7);
    key.run("always-uv on --pin env:PIN")
        .code(7)
        .says("pin change");
    key.run("show")
        .ok()
        .prints("must be changed before it is of use");
    key.run("pin change --pin env:PIN --new-pin env:NEW").ok();
    key.run("pin min-length 6").ok().says("already");
    SoftKey::new("fido-2.0")
        .run("pin min-length 6 --yes")
        .code(8);
}

#[test]
fn a_change_is_forced_and_then_made() {
    let key = SoftKey::with_pin("fido-2.1");
    let forced = key.run("pin force-change --pin env:PIN --json").ok();
    assert_eq!(forced.json()["state"], "must-change");
    key.run("pin force-change").ok().says("already");
    key.run("pin verify --pin env:PIN")
        .code(7)
        .says("pin change");
    key.run("pin change --pin env:PIN --new-pin env:NEW").ok();
    key.run("pin verify --pin env:NEW").ok();
    SoftKey::new("fido-2.1").run("pin force-change").code(7);
}

#[test]
fn show_tells_what_platforms_will_do() {
    let key = SoftKey::new("fido-2.1");
    let cell = |key: &SoftKey, platform: &str, setting: &str| {
        let shown = key.run("show --json").ok().json();
        let rows = shown["platforms"].as_array().unwrap().clone();
        let row = rows.into_iter().find(|row| row["platform"] == platform);
        row.unwrap()["get"][setting].clone()
    };
    let after = cell(&key, "windows-11-after-kb5068861", "ifSet");
    assert_eq!(after["steps"], json!(["create-pin", "touch"]));
    assert!(after["reasons"].as_array().unwrap().len() > 1);
    let before = cell(&key, "windows-11-before-kb5065789", "ifSet");
    assert_eq!(before["steps"], json!(["touch"]));
    key.run("pin set --new-pin env:PIN").ok();
    let now = cell(&key, "windows-11-before-kb5065789", "ifSet");
    assert_eq!(now["steps"], json!(["enter-pin", "touch"]));
    key.run("show")
        .ok()
        .prints("Signing in")
        .prints("PIN         set; 8 tries left");
    SoftKey::new("u2f-only")
        .run("show")
        .ok()
        .prints("U2F_V2 only");
}

#[test]
fn a_key_winks_when_it_is_told_to() {
    let (one, two) = (SoftKey::new("fido-2.1"), SoftKey::new("fido-2.1"));
    let wink = Pinward::new("wink --device 2").keys(&[&one, &two]);
    wink.run().ok();
    let end = Instant::now() + Duration::from_secs(5);
    while two.key.winks() == 0 {
        assert!(Instant::now() < end, "it did not wink");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(one.key.winks(), 0);
}

#[test]
fn whoever_is_no_key_is_said_to_be_none() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let other = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let ran = Pinward::new(&format!("show --device tcp:{address}")).run();
    ran.code(1);
    other.join().unwrap();
}
