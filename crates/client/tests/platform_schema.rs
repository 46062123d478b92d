//! `profiles/platform.schema.json`: every shipped profile is valid by it, and it says exactly what the
//! code reads.
#![allow(clippy::unwrap_used, clippy::panic)] // a test stops at its first surprise

use std::collections::BTreeSet;

use client::profile::{PlatformProfile, shipped};
use serde_json::Value;

const SCHEMA: &str = include_str!("../../../profiles/platform.schema.json");

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

/// The part of JSON Schema 2020-12 that the file uses; any other word in it is a failure.
fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let fault = |what: String| vec![format!("{at}: {what}")];
    for (word, rule) in schema.as_object().unwrap() {
        match word.as_str() {
            "$schema" | "$defs" | "title" | "description" => {}
            "$ref" => {
                let place = rule.as_str().unwrap().trim_start_matches('#');
                let target = root.pointer(place).unwrap_or_else(|| panic!("{place}"));
                faults.extend(check(root, target, value, at));
            }
            "type" if rule == "object" && value.is_object() => {}
            "type" if rule == "string" && value.is_string() => {}
            "type" => faults.extend(fault(format!("is not of type {rule}"))),
            "enum" if rule.as_array().unwrap().contains(value) => {}
            "enum" => faults.extend(fault(format!("{value} is not one of {rule}"))),
            "pattern" => {
                assert_eq!(rule, "^[a-z0-9-]+$");
                let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                let text = value.as_str().unwrap_or_default();
                if text.is_empty() || !text.chars().all(plain) {
                    faults.extend(fault(format!("{value} does not match {rule}")));
                }
            }
            "minLength" => {
                let length = value.as_str().unwrap_or_default().chars().count() as u64;
                if length < rule.as_u64().unwrap() {
                    faults.extend(fault(format!("{value} is too short")));
                }
            }
            "required" => {
                for member in rule.as_array().unwrap() {
                    if value.get(member.as_str().unwrap()).is_none() {
                        faults.extend(fault(format!("{member} is missing")));
                    }
                }
            }
            "properties" => {
                for (member, rule) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(member) {
                        faults.extend(check(root, rule, value, &format!("{at}/{member}")));
                    }
                }
            }
            "additionalProperties" => {
                let known = schema.get("properties");
                for (member, value) in value.as_object().into_iter().flatten() {
                    let known = known.is_some_and(|known| known.get(member).is_some());
                    let at = format!("{at}/{member}");
                    match rule {
                        _ if known => {}
                        Value::Bool(false) => faults.push(format!("{at}: is not defined")),
                        rule => faults.extend(check(root, rule, value, &at)),
                    }
                }
            }
            other => panic!("the schema uses {other}, which this test does not know"),
        }
    }
    faults
}

fn faults(toml: &str) -> Vec<String> {
    let value: Value = toml::from_str(toml).unwrap();
    let schema = schema();
    check(&schema, &schema, &value, "")
}

#[test]
fn every_shipped_profile_is_valid() {
    for (id, toml) in shipped() {
        assert_eq!(faults(toml), Vec::<String>::new(), "{id}");
    }
}

#[test]
fn what_the_code_refuses_the_schema_refuses_too() {
    let (_, good) = shipped()[0];
    for (from, to) in [
        ("id = \"", "id = \"../"),
        (
            "[rules]\n",
            "[rules]\nno_such_rule = { value = \"yes\", certainty = \"unknown\", source = \"l3\" }\n",
        ),
        ("pin_blocked = {", "pin_blocket = {"),
        ("value = \"", "value = \"no-such-"),
        ("certainty = \"", "certainty = \"not-"),
        ("certainty = \"", "certain = \""),
        ("name = \"", "title = \""),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        assert!(PlatformProfile::from_toml(&bad).is_err(), "{to}");
        assert_ne!(faults(&bad), Vec::<String>::new(), "{to}");
    }
}

#[test]
fn the_rules_of_the_schema_are_those_of_the_code() {
    let schema = schema();
    let rules = &schema["properties"]["rules"];
    let profile = client::profile::find("pinward").unwrap();
    let code: Vec<_> = profile.rules.rows().iter().map(|row| row.name).collect();
    let required: Vec<_> = rules["required"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(required, code, "required");
    let members: BTreeSet<_> = rules["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(members, code.iter().copied().collect(), "properties");
}

/// The words that the reader would have taken, by its own complaint about one that it does not.
fn words_of_the_code(rule: &str, member: &str) -> BTreeSet<String> {
    let (_, good) = shipped()[0];
    let line = good
        .lines()
        .find(|line| line.starts_with(&format!("{rule} = {{")))
        .unwrap();
    let mark = format!("{member} = \"");
    let bad = good.replacen(line, &line.replacen(&mark, &format!("{mark}?"), 1), 1);
    let said = PlatformProfile::from_toml(&bad).unwrap_err().to_string();
    let (_, expected) = said
        .split_once("expected ")
        .unwrap_or_else(|| panic!("{said}"));
    expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_words_of_the_schema_are_those_of_the_code() {
    let schema = schema();
    let rules = schema["properties"]["rules"]["properties"]
        .as_object()
        .unwrap();
    for (rule, shape) in rules {
        for member in ["value", "certainty"] {
            let place = shape["properties"][member]["$ref"].as_str().unwrap();
            let words = &schema.pointer(place.trim_start_matches('#')).unwrap()["enum"];
            let words = words
                .as_array()
                .unwrap()
                .iter()
                .map(|word| word.as_str().unwrap().to_owned());
            assert_eq!(
                words.collect::<BTreeSet<_>>(),
                words_of_the_code(rule, member),
                "{rule} {member}"
            );
        }
    }
}

#[test]
fn every_rule_and_word_is_explained_on_the_page() {
    let page = include_str!("../../../docs/platforms.md");
    let profile = client::profile::find("pinward").unwrap();
    for row in profile.rules.rows() {
        assert!(page.contains(&format!("`{}`", row.name)), "{}", row.name);
        for word in words_of_the_code(row.name, "value") {
            assert!(page.contains(&format!("`{word}`")), "{}: {word}", row.name);
        }
    }
}
