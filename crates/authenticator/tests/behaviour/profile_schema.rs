//! `profiles/key.schema.json`: every profile is valid by it, and it has exactly the members and words
//! that the code reads.

use std::collections::BTreeSet;

use authenticator::{Profile, profile};
use serde_json::Value;

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../../profiles/key.schema.json")).unwrap()
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("the schema has the type {other}, which this test does not know"),
    }
}

fn is_aaguid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').map(str::len).collect();
    let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f' | '-');
    groups == [8, 4, 4, 4, 12] && text.chars().all(hex)
}

/// The part of JSON Schema 2020-12 that the file uses; any other word in it is a failure.
fn check(schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    for (word, rule) in schema.as_object().unwrap() {
        let number = value.as_i64();
        let length = value.as_str().map_or(0, str::len) as u64;
        let holds = match word.as_str() {
            "$schema" | "title" | "description" => true,
            "type" => is_of(rule.as_str().unwrap(), value),
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => number >= rule.as_i64(),
            "maximum" => number <= rule.as_i64(),
            "minLength" => length >= rule.as_u64().unwrap(),
            // The one pattern that there is.
            "pattern" => is_aaguid(value.as_str().unwrap_or_default()),
            "required" => rule
                .as_array()
                .unwrap()
                .iter()
                .all(|member| value.get(member.as_str().unwrap()).is_some()),
            "items" => {
                for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(rule, item, &format!("{at}/{number}"), faults);
                }
                true
            }
            "properties" => {
                for (member, rule) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(member) {
                        check(rule, value, &format!("{at}/{member}"), faults);
                    }
                }
                true
            }
            "additionalProperties" => {
                assert_eq!(rule, &Value::Bool(false));
                let known = &schema["properties"];
                let mut members = value.as_object().into_iter().flatten();
                members.all(|(member, _)| known.get(member).is_some())
            }
            other => panic!("the schema uses {other}, which this test does not know"),
        };
        if !holds {
            faults.push(format!("{at}: {word} {rule}"));
        }
    }
}

fn faults(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let value: Value = toml::from_str(text).unwrap();
    check(&schema(), &value, "", &mut faults);
    faults
}

fn text(id: &str) -> &'static str {
    profile::all().find(|(known, _)| *known == id).unwrap().1
}

#[test]
fn every_profile_is_valid() {
    for (id, text) in profile::all() {
        assert_eq!(faults(text), Vec::<String>::new(), "{id}");
    }
}

#[test]
fn every_profile_in_the_folder_is_in_the_program() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../profiles/keys");
    let files: BTreeSet<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let shipped: BTreeSet<_> = profile::all().map(|(id, _)| format!("{id}.toml")).collect();
    assert_eq!(files, shipped);
}

#[test]
fn what_the_code_refuses_the_schema_refuses_too() {
    let good = text("fido-2.3-complete");
    for (from, to) in [
        ("rk = true", "rkk = true"),
        ("rk = true", "rk = 1"),
        ("\"credBlob\"", "\"credBlub\""),
        ("\"FIDO_2_1\",", "\"FIDO_2_2\","),
        ("members = \"2.3\"", "members = \"2.2\""),
        ("protocols = [2, 1]", "protocols = [3]"),
        ("kind = \"basic\"", "kind = \"batch\""),
        ("algorithms = [-7,", "algorithms = [-7, -36,"),
        ("max_large_blob_array = 4096", "max_large_blob_array = 512"),
        ("long_touch = true", "long_tuch = true"),
        ("aaguid = \"b9bb", "aaguid = \"x9bb"),
        ("name = ", "title = "),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        assert!(Profile::from_toml(&bad).is_err(), "{to}");
        assert_ne!(faults(&bad), Vec::<String>::new(), "{to}");
    }
}

/// The names that the reader would have taken, by its own complaint about one that it does not know.
fn expected(bad: &str) -> BTreeSet<String> {
    let said = Profile::from_toml(bad).unwrap_err().to_string();
    let (_, expected) = said
        .split_once("expected ")
        .unwrap_or_else(|| panic!("{said}"));
    // Only the line of the complaint: what follows may show the file.
    let expected = expected.lines().next().unwrap();
    expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn members(schema: &Value) -> BTreeSet<String> {
    let members = schema["properties"].as_object().unwrap();
    members.keys().cloned().collect()
}

fn words(schema: &Value) -> BTreeSet<String> {
    let words = schema["enum"].as_array().unwrap();
    words
        .iter()
        .map(|w| w.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_members_of_the_schema_are_those_of_the_code() {
    let schema = schema();
    let good = text("fido-2.3-complete");
    assert_eq!(members(&schema), expected(&format!("unknown = 1\n{good}")));
    let mut tables = 0;
    for (table, shape) in schema["properties"].as_object().unwrap() {
        if shape["type"] != "object" {
            continue;
        }
        tables += 1;
        let head = format!("[{table}]\n");
        let bad = if good.contains(&head) {
            good.replacen(&head, &format!("{head}unknown = 1\n"), 1)
        } else {
            format!("{good}\n{head}unknown = 1\n")
        };
        assert_eq!(members(shape), expected(&bad), "{table}");
    }
    assert_eq!(tables, 7);
}

#[test]
fn the_words_of_the_schema_are_those_of_the_code() {
    let schema = schema();
    let at = |place: &str| words(schema.pointer(place).unwrap());
    let good = text("fido-2.3-complete");
    for (place, from, to) in [
        ("/properties/claims/items", "\"U2F_V2\"", "\"?\""),
        ("/properties/extensions/items", "\"credProtect\"", "\"?\""),
        (
            "/properties/members",
            "members = \"2.3\"",
            "members = \"?\"",
        ),
        (
            "/properties/attestation/properties/kind",
            "kind = \"basic\"",
            "kind = \"?\"",
        ),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_eq!(at(place), expected(&bad), "{place}");
    }
    // Algorithms are numbers: each is taken, and ES512 is not.
    let algorithms = &schema["properties"]["credentials"]["properties"]["algorithms"];
    for number in algorithms["items"]["enum"].as_array().unwrap() {
        let with = good.replacen(
            "algorithms = [-7,",
            &format!("algorithms = [-7, {number},"),
            1,
        );
        Profile::from_toml(&with).unwrap();
    }
}
