//! The members of authenticatorGetInfo (CTAP 2.3 §6.4) that need no sentence, one line each.

use ctap::get_info::Response;

use crate::say;

/// All that is there and that nothing else in the report says.
pub(super) fn text(info: &Response) -> String {
    let mut text = String::new();
    let mut line = |head: &str, what: Option<String>| {
        if let Some(what) = what.filter(|what| !what.is_empty()) {
            text.push_str(&say::wrapped(&format!("  {head:22}"), 24, &what));
        }
    };
    let number = |value: Option<u64>| value.map(|value| value.to_string());
    let bytes = |value: Option<u64>| value.map(|value| format!("{value} bytes"));
    let options = info.options.clone().unwrap_or_default();
    line("options", Some(options_text(&options)));
    line(
        "transports",
        info.transports.as_ref().map(|all| all.join(", ")),
    );
    line(
        "algorithms",
        info.algorithms.as_ref().map(|all| {
            let names: Vec<_> = all
                .iter()
                .map(|one| crate::passkeys::algorithm(one.alg))
                .collect();
            names.join(", ")
        }),
    );
    line(
        "pinUvAuthProtocols",
        info.pin_uv_auth_protocols.as_deref().map(numbers),
    );
    line(
        "attestationFormats",
        info.attestation_formats.as_ref().map(|all| all.join(", ")),
    );
    line(
        "certifications",
        info.certifications.as_ref().map(|all| {
            let levels: Vec<_> = all
                .0
                .iter()
                .map(|(name, level)| format!("{name} {level}"))
                .collect();
            levels.join(", ")
        }),
    );
    line("maxMsgSize", bytes(info.max_msg_size));
    line(
        "maxCredentialCountInList",
        number(info.max_credential_count_in_list),
    );
    line(
        "maxCredentialIdLength",
        bytes(info.max_credential_id_length),
    );
    line("maxCredBlobLength", bytes(info.max_cred_blob_length));
    line(
        "maxSerializedLargeBlobArray",
        bytes(info.max_serialized_large_blob_array),
    );
    line(
        "maxRPIDsForSetMinPINLength",
        number(info.max_rp_ids_for_set_min_pin_length),
    );
    line("minPINLength", number(info.min_pin_length));
    line("maxPINLength", number(info.max_pin_length));
    line(
        "pinComplexityPolicyURL",
        info.pin_complexity_policy_url
            .as_ref()
            .map(|url| String::from_utf8_lossy(url).into_owned()),
    );
    line(
        "preferredPlatformUvAttempts",
        number(info.preferred_platform_uv_attempts),
    );
    line("uvModality", info.uv_modality.map(modality));
    line(
        "uvCountSinceLastPinEntry",
        number(info.uv_count_since_last_pin_entry),
    );
    line(
        "authenticatorConfigCommands",
        info.authenticator_config_commands.as_deref().map(numbers),
    );
    line(
        "vendorPrototypeConfigCommands",
        info.vendor_prototype_config_commands
            .as_deref()
            .map(numbers),
    );
    line(
        "encIdentifier",
        info.enc_identifier.as_ref().map(|_| sealed()),
    );
    line(
        "encCredStoreState",
        info.enc_cred_store_state.as_ref().map(|_| sealed()),
    );
    text
}

fn sealed() -> String {
    "there; only the holder of the persistent token reads it".to_owned()
}

fn numbers(all: &[u64]) -> String {
    let all: Vec<_> = all.iter().map(ToString::to_string).collect();
    all.join(", ")
}

/// As `fido2-token -I` writes them: `no` before those that are false.
fn options_text(options: &ctap::get_info::Options) -> String {
    let encoded = options.encode();
    let Ok(ctap::cbor::Value::Map(members)) = ctap::cbor::Value::decode(&encoded) else {
        return String::new();
    };
    let words: Vec<_> = members
        .iter()
        .filter_map(|member| match member {
            (ctap::cbor::Value::Text(name), ctap::cbor::Value::Bool(true)) => Some(name.clone()),
            (ctap::cbor::Value::Text(name), ctap::cbor::Value::Bool(false)) => {
                Some(format!("no{name}"))
            }
            _ => None,
        })
        .collect();
    words.join(", ")
}

/// FIDO Registry of Predefined Values §3.1.
fn modality(bits: u64) -> String {
    const NAMES: [(u64, &str); 11] = [
        (0x001, "presence"),
        (0x002, "fingerprint"),
        (0x004, "passcode"),
        (0x008, "voice"),
        (0x010, "face"),
        (0x020, "location"),
        (0x040, "eye"),
        (0x080, "pattern"),
        (0x100, "hand"),
        (0x800, "passcode outside the key"),
        (0x1000, "pattern outside the key"),
    ];
    let names: Vec<_> = NAMES
        .iter()
        .filter(|(bit, _)| bits & bit != 0)
        .map(|(_, name)| *name)
        .collect();
    if names.is_empty() {
        format!("{bits:#x}")
    } else {
        names.join(", ")
    }
}
