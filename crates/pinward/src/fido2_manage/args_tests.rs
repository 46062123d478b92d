#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;

fn words(line: &str) -> Vec<Zeroizing<String>> {
    line.split_whitespace()
        .map(|word| Zeroizing::new(word.to_owned()))
        .collect()
}

fn of(line: &str) -> Result<Call, Trouble> {
    let words = words(line);
    parse(&words, Manner::of(&words, Dialect::Linux))
}

#[track_caller]
fn action(line: &str) -> Action {
    of(line).unwrap_or_else(|e| panic!("{line}: {e}")).action
}

#[track_caller]
fn refused(line: &str) -> String {
    let trouble = of(line).err().unwrap_or_else(|| panic!("{line} was taken"));
    assert_eq!(trouble.exit, Exit::Usage, "{line}");
    trouble.to_string()
}

#[test]
fn every_flag_in_every_case_with_one_dash_or_two() {
    for (name, flag) in FLAGS {
        let Flag::Do(wanted) = flag else { continue };
        let rest = match wanted {
            Action::Delete => " -device 1 -credential Zg==",
            _ => " -device 1",
        };
        for written in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
            assert_eq!(action(&format!("-{written}{rest}")), wanted);
            assert_eq!(action(&format!("--{written}{rest}")), wanted);
        }
    }
    for (line, wanted) in [
        ("-setMinimumPIN 8 -device 1", Action::SetMinimumPin),
        ("-device 1 -deletefingerprint 0", Action::DeleteFingerprint),
        (
            "-renamefingerprint 0 -fingerprintname x -device 1",
            Action::RenameFingerprint,
        ),
    ] {
        assert_eq!(action(line), wanted);
    }
}

#[test]
fn a_flag_may_be_cut_as_long_as_it_is_clear() {
    assert_eq!(action("-l"), Action::List);
    assert_eq!(action("-i -dev 1"), Action::Info);
    assert_eq!(action("-stor"), Action::Storage);
    assert_eq!(action("-resi"), Action::ResidentKeys);
    // Cut, it is the beginning of another; in full it is itself.
    assert_eq!(action("-fingerprint -device 1"), Action::Fingerprint);
    assert_eq!(
        action("-c Zg== -delete -device 1".replace("-c ", "-cr ").as_str()),
        Action::Delete
    );
    let said = refused("-set -device 1");
    assert!(
        said.contains("-setPIN") && said.contains("-setMinimumPIN"),
        "{said}"
    );
    assert!(refused("-d 1").contains("short for"));
    assert!(refused("-").contains("Unknown"));
    assert!(refused("--").contains("Unknown"));
    // Our own flags take no abbreviation away.
    assert!(refused("--leg").contains("Unknown parameter: --leg"));
}

#[test]
fn the_first_of_several_is_the_one_that_each_dialect_does() {
    let mut flags = vec![
        "-info",
        "-residentKeys",
        "-storage",
        "-fingerprint",
        "-setPIN",
        "-setMinimumPIN 8",
        "-forcePINchange",
        "-uvd",
        "-uvs",
        "-changePIN",
        "-reset",
        "-list",
        "-help",
    ];
    for wanted in [
        "help",
        "list",
        "reset",
        "changePIN",
        "uvs",
        "uvd",
        "forcePINchange",
        "setPIN",
        "setMinimumPIN",
        "fingerprint",
        "storage",
        "residentKeys",
        "info",
    ] {
        let call = of(&format!("{} -device 1", flags.join(" "))).unwrap();
        assert!(call.action.name().eq_ignore_ascii_case(wanted), "{wanted}");
        assert!(!call.left_out.contains(&call.action));
        flags.retain(|flag| flag.split(' ').next() != Some(&format!("-{wanted}")));
    }
    let two = "-setPIN -setMinimumPIN 8 -device 1 --dialect ";
    assert_eq!(action(&format!("{two}macos")), Action::SetMinimumPin);
    assert_eq!(action(&format!("{two}linux")), Action::SetPin);
    assert_eq!(action("-info -list -device 1 --dialect cpp"), Action::Info);
}

#[test]
fn a_device_alone_is_shown_and_nothing_is_help() {
    assert_eq!(action("-device 1"), Action::Info);
    assert_eq!(action(""), Action::Help);
    assert_eq!(action("--legacy-exit"), Action::Help);
}

#[test]
fn values_are_taken_as_they_are() {
    let call = of("-residentKeys -domain $(id);x -device usb:1 -pin -12=34:").unwrap();
    assert_eq!(call.domain.as_deref(), Some("$(id);x"));
    assert_eq!(call.device.as_deref(), Some("usb:1"));
    assert_eq!(call.pin.as_deref().map(String::as_str), Some("-12=34:"));
    assert_eq!(call.pin_word, Some((6, 0)));
    let joined = of("-storage --device=1 -pin:12:34").unwrap();
    assert_eq!(joined.device.as_deref(), Some("1"));
    assert_eq!(joined.pin.as_deref().map(String::as_str), Some("12:34"));
    assert_eq!(joined.pin_word, Some((2, 5)));
}

#[test]
fn what_is_missing_is_said() {
    for line in [
        "-info -device",
        "-storage -device -pin 1234",
        "-setMinimumPIN -device 1",
        "-pin",
        "--dialect",
        "--dialect klingon",
        "-list=1",
        "-delete -device 1",
        "-renamefingerprint 1 -device 1",
        "-uvs",
        "-setPIN",
        "-info -device 1 -domain a.example",
        "-info -device 1 -credential Zg==",
    ] {
        refused(line);
    }
}

#[test]
fn a_word_that_may_be_a_pin_is_not_repeated() {
    assert!(!refused("-storage -device 1 -pin 12 3456").contains("3456"));
    assert!(!refused("-bin=3456").contains("3456"));
    assert!(refused("-bin=3456").contains("-bin"));
}

#[test]
fn how_to_end_is_known_even_of_what_is_not_understood() {
    let manner = |line: &str| Manner::of(&words(line), Dialect::Linux);
    assert!(manner("-nonsense --legacy-exit").legacy_exit);
    assert_eq!(manner("-x --dialect=CPP").dialect, Dialect::Cpp);
    assert_eq!(manner("--dialect Windows -x").dialect, Dialect::Windows);
    assert_eq!(manner("--dialect other").dialect, Dialect::Linux);
}
