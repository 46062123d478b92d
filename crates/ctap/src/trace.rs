//! Requests and answers in names that people can read, with secrets masked.
//!
//! The names come from the member tables of the declared messages, so a trace cannot disagree with
//! what is really read and written.

use serde_json::{Map, Value as Json, json};

use crate::cbor::{Value, check};
use crate::item::{Key, Member};
use crate::{
    Command, Status, bio_enrollment, client_pin, config, credential_management, split_request,
    split_response,
};

/// Longest byte string that is shown whole.
const SHOWN_BYTES: usize = 64;

/// A request in names: `{"command": "authenticatorGetInfo", "parameters": {…}}`.
pub fn request(bytes: &[u8]) -> Json {
    match split_request(bytes) {
        Ok((command, [])) => json!({ "command": command.name() }),
        Ok((command, parameters)) => {
            let mut members = named(parameters, command.request_members());
            name_sub_command(command, &mut members);
            json!({ "command": command.name(), "parameters": members })
        }
        Err(_) => json!({ "unknown": hex(bytes) }),
    }
}

/// The answer to `command` in names: `{"status": "CTAP2_OK", "members": {…}}`.
pub fn response(command: Command, bytes: &[u8]) -> Json {
    match split_response(bytes) {
        None => json!({ "status": "an empty answer" }),
        Some((status, [])) => json!({ "status": status.name(), "meaning": status.meaning() }),
        Some((status, members)) if status == Status::OK => {
            json!({ "status": status.name(), "members": named(members, command.response_members()) })
        }
        // A failed answer should carry nothing; what it carries is not trusted with a name.
        Some((status, rest)) => {
            json!({ "status": status.name(), "meaning": status.meaning(), "rest": hex(rest) })
        }
    }
}

/// The command of a request, if it is a known one.
pub fn command_of(request: &[u8]) -> Option<Command> {
    split_request(request).ok().map(|(command, _)| command)
}

fn named(bytes: &[u8], members: &[Member]) -> Json {
    if let Err(error) = check(bytes) {
        return json!({ "malformed": error.to_string(), "bytes": hex(bytes) });
    }
    Value::decode(bytes).map_or_else(
        |error| json!({ "malformed": error.to_string() }),
        |value| show(&value, members),
    )
}

/// Shows a value whose entries, or whose elements' entries, are named by `members`.
fn show(value: &Value, members: &[Member]) -> Json {
    match value {
        Value::Map(entries) => Json::Object(
            entries
                .iter()
                .map(|entry| show_entry(entry, members))
                .collect(),
        ),
        Value::Array(items) => items.iter().map(|item| show(item, members)).collect(),
        Value::Bytes(bytes) => Json::String(hex(bytes)),
        Value::Text(text) => Json::String(text.clone()),
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Null => Json::Null,
        Value::Float(number) => json!(number),
        Value::Integer(number) => {
            i64::try_from(*number).map_or_else(|_| Json::String(number.to_string()), Json::from)
        }
    }
}

fn show_entry((key, value): &(Value, Value), members: &[Member]) -> (String, Json) {
    let member = members.iter().find(|member| match (member.key, key) {
        (Key::Int(known), Value::Integer(key)) => i128::from(known) == *key,
        (Key::Text(known), Value::Text(key)) => known == key,
        _ => false,
    });
    let name = match (member, key) {
        (Some(member), _) => member.name.to_owned(),
        (None, Value::Text(key)) => key.clone(),
        (None, Value::Integer(key)) => key.to_string(),
        (None, _) => "?".to_owned(),
    };
    let shown = match member {
        Some(member) if member.secret && member.inner.is_empty() => mask(value),
        Some(member) => show(value, member.inner),
        None => show(value, &[]),
    };
    (name, shown)
}

fn mask(value: &Value) -> Json {
    let bytes = value.as_bytes().map_or(0, <[u8]>::len);
    Json::String(format!("({bytes} bytes, masked)"))
}

/// Puts the name of a subcommand beside its number, and names its parameters.
fn name_sub_command(command: Command, members: &mut Json) {
    let Some(members) = members.as_object_mut() else {
        return;
    };
    let Some(code) = members.get("subCommand").and_then(Json::as_u64) else {
        return;
    };
    let name = match command {
        Command::ClientPin => client_pin::SubCommand::try_from(code)
            .ok()
            .map(|s| s.name().to_owned()),
        Command::Config => config::SubCommand::try_from(code)
            .ok()
            .map(|s| camel(&format!("{s:?}"))),
        Command::CredentialManagement | Command::CredentialManagementPreview => {
            credential_management::SubCommand::try_from(code)
                .ok()
                .map(|s| camel(&format!("{s:?}")))
        }
        Command::BioEnrollment | Command::BioEnrollmentPreview => {
            bio_enrollment::SubCommand::try_from(code)
                .ok()
                .map(|s| camel(&format!("{s:?}")))
        }
        _ => None,
    };
    if let Some(name) = name {
        members.insert(
            "subCommand".to_owned(),
            Json::String(format!("{name} (0x{code:02x})")),
        );
    }
    if let Some(permissions) = members.get("permissions").and_then(Json::as_u64) {
        let names = client_pin::Permissions(u8::try_from(permissions).unwrap_or(0));
        members.insert(
            "permissions".to_owned(),
            Json::String(format!("{names:?} (0x{permissions:02x})")),
        );
    }
    rename_params(command, members);
}

fn rename_params(command: Command, members: &mut Map<String, Json>) {
    let table = match command {
        Command::Config => config::SetMinPinLengthParams::MEMBERS,
        Command::CredentialManagement | Command::CredentialManagementPreview => {
            credential_management::SubCommandParams::MEMBERS
        }
        Command::BioEnrollment | Command::BioEnrollmentPreview => {
            bio_enrollment::SubCommandParams::MEMBERS
        }
        _ => return,
    };
    let Some(params) = members
        .get_mut("subCommandParams")
        .and_then(Json::as_object_mut)
    else {
        return;
    };
    let old = core::mem::take(params);
    params.extend(old.into_iter().map(|(key, value)| {
        let name = table
            .iter()
            .find(|member| matches!(member.key, Key::Int(k) if k.to_string() == key));
        (name.map_or(key, |member| member.name.to_owned()), value)
    }));
}

fn camel(name: &str) -> String {
    let mut chars = name.chars();
    chars
        .next()
        .map(|first| first.to_ascii_lowercase().to_string() + chars.as_str())
        .unwrap_or_default()
}

/// Lower-case hex; long byte strings are cut, with their length.
fn hex(bytes: &[u8]) -> String {
    let text: String = bytes
        .iter()
        .take(SHOWN_BYTES)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if bytes.len() > SHOWN_BYTES {
        format!("{text}… ({} bytes)", bytes.len())
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{get_info, request_bytes, response_bytes};

    #[test]
    fn a_pin_token_request_is_named_and_masked() {
        let request_ = client_pin::Request {
            pin_uv_auth_protocol: Some(2),
            sub_command: client_pin::SubCommand::GetPinUvAuthTokenUsingPinWithPermissions.code(),
            key_agreement: None,
            pin_uv_auth_param: None,
            new_pin_enc: None,
            pin_hash_enc: Some(vec![0xAA; 32].into()),
            permissions: Some(3),
            rp_id: Some("example.com".to_owned()),
        };
        let shown = request(&request_bytes(Command::ClientPin, &request_.encode()));
        assert_eq!(
            shown,
            json!({
                "command": "authenticatorClientPIN",
                "parameters": {
                    "pinUvAuthProtocol": 2,
                    "subCommand": "getPinUvAuthTokenUsingPinWithPermissions (0x09)",
                    "pinHashEnc": "(32 bytes, masked)",
                    "permissions": "{mc,ga} (0x03)",
                    "rpId": "example.com",
                }
            })
        );
        assert!(
            !format!("{request_:?}").contains("170"),
            "Debug must not show the bytes either"
        );
    }

    #[test]
    fn subcommand_parameters_are_named() {
        let params = config::SetMinPinLengthParams {
            new_min_pin_length: Some(6),
            ..Default::default()
        };
        let request_ = config::Request {
            sub_command: config::SubCommand::SetMinPinLength.code(),
            sub_command_params: crate::Raw::new(params.encode()).ok(),
            pin_uv_auth_protocol: None,
            pin_uv_auth_param: None,
        };
        let shown = request(&request_bytes(Command::Config, &request_.encode()));
        assert_eq!(shown["parameters"]["subCommand"], "setMinPinLength (0x03)");
        assert_eq!(
            shown["parameters"]["subCommandParams"],
            json!({ "newMinPINLength": 6 })
        );
    }

    #[test]
    fn an_enrolment_is_named() {
        let params = bio_enrollment::SubCommandParams {
            template_friendly_name: Some("thumb".to_owned()),
            ..Default::default()
        };
        let request_ = bio_enrollment::Request {
            modality: Some(bio_enrollment::FINGERPRINT),
            sub_command: Some(bio_enrollment::SubCommand::SetFriendlyName.code()),
            sub_command_params: crate::Raw::new(params.encode()).ok(),
            pin_uv_auth_protocol: None,
            pin_uv_auth_param: None,
            get_modality: None,
        };
        let shown = request(&request_bytes(Command::BioEnrollment, &request_.encode()));
        assert_eq!(shown["parameters"]["subCommand"], "setFriendlyName (0x05)");
        assert_eq!(
            shown["parameters"]["subCommandParams"],
            json!({ "templateFriendlyName": "thumb" })
        );
    }

    #[test]
    fn answers_are_named_and_failures_explained() {
        assert_eq!(
            response(Command::GetAssertion, &[0x2E]),
            json!({ "status": "CTAP2_ERR_NO_CREDENTIALS", "meaning": "no matching credential on this key" })
        );
        let options = get_info::Options {
            client_pin: Some(false),
            ..Default::default()
        };
        let mut bytes = vec![0xA1, 0x04];
        bytes.extend(options.encode());
        let shown = response(Command::GetInfo, &response_bytes(Status::OK, &bytes));
        assert_eq!(
            shown["members"],
            json!({ "options": { "clientPin": false } })
        );
    }

    #[test]
    fn the_blob_of_a_credential_is_masked() {
        let input = crate::large_blob::Input {
            write: Some(vec![0xAA; 20].into()),
            original_size: Some(50),
            ..Default::default()
        };
        let request_ = crate::get_assertion::Request {
            rp_id: "example.com".to_owned(),
            client_data_hash: [0; 32],
            allow_list: None,
            extensions: Some(crate::get_assertion::ExtensionsInput {
                large_blob: Some((&input).into()),
                ..Default::default()
            }),
            options: None,
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
        };
        let shown = request(&request_bytes(Command::GetAssertion, &request_.encode()));
        assert_eq!(
            shown["parameters"]["extensions"]["largeBlob"],
            json!({ "write": "(20 bytes, masked)", "originalSize": 50 })
        );
    }

    #[test]
    fn malformed_messages_are_shown_not_trusted() {
        assert!(request(&[0x01, 0xBF, 0xFF])["parameters"]["malformed"].is_string());
        assert_eq!(request(&[0x55])["unknown"], "55");
        assert_eq!(request(&[])["unknown"], "");
    }
}
