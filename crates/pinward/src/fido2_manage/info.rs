//! -info: what a key says of itself, line by line as libfido2's `fido2-token -I` has it

use std::fmt::Write as _;

use client::manage::Link;
use ctap::cbor::Value;
use ctap::client_pin::{self, SubCommand};
use ctap::hid::Capabilities;
use ctap::{Command, Status, bio_enrollment, request_bytes};
use transport::Kind;

use super::trouble::Trouble;
use crate::device::Key;
use crate::exit::Exit;
use crate::say;

/// All lines. The member numbers are those of CTAP 2.3 §6.4.
pub(super) fn text(key: &mut Key) -> Result<String, Trouble> {
    let mut text = wire(key);
    if !key.about().speaks_ctap2() {
        return Ok(text);
    }
    let info = ask(key, &request_bytes(Command::GetInfo, &[]))?.ok_or_else(|| {
        Trouble::new(Exit::Failed, "the key does not say what it is").named("FIDO_ERR_RX")
    })?;
    capabilities(&mut text, &info);
    limits(&mut text, &info);
    pin(&mut text, &info, key)?;
    verification(&mut text, &info, key)?;
    reset(&mut text, &info);
    sensor(&mut text, &info, key)?;
    Ok(text)
}

/// What the wire says: CTAPHID INIT (§11.2.9.1.3), or nothing for a card.
fn wire(key: &Key) -> String {
    let about = key.about();
    let protocol = match about.kind {
        Kind::Hid => 2,
        Kind::Card => 0,
    };
    let [major, minor, build] = about.version.unwrap_or_default();
    let has = |capability, yes, no| {
        if about.capabilities.contains(capability) {
            yes
        } else {
            no
        }
    };
    format!(
        "proto: {protocol:#04x}\nmajor: {major:#04x}\nminor: {minor:#04x}\nbuild: {build:#04x}\n\
         caps: {:#04x} ({}, {}, {})\n",
        about.capabilities.0,
        has(Capabilities::WINK, "wink", "nowink"),
        has(Capabilities::CBOR, "cbor", "nocbor"),
        has(Capabilities::NMSG, "nomsg", "msg"),
    )
}

fn capabilities(text: &mut String, info: &Value) {
    line(text, "version strings", &strings(info, 0x01));
    line(text, "extension strings", &strings(info, 0x02));
    line(text, "transport strings", &strings(info, 0x09));
    let algorithms = items(info, 0x0A).iter().map(algorithm);
    line(
        text,
        "algorithms",
        &algorithms.collect::<Vec<_>>().join(", "),
    );
    line(text, "aaguid", &bytes(info, 0x03));
    line(text, "encid", &bytes(info, 0x19));
    line(text, "encstate", &bytes(info, 0x1E));
    let entries = |number| {
        info.get_int(number)
            .and_then(Value::entries)
            .unwrap_or_default()
    };
    let options = entries(0x04)
        .iter()
        .filter_map(|(name, value)| match (name, value) {
            (Value::Text(name), Value::Bool(on)) => Some(format!(
                "{}{}",
                if *on { "" } else { "no" },
                say::escaped(name)
            )),
            _ => None,
        });
    line(text, "options", &options.collect::<Vec<_>>().join(", "));
    let certifications = entries(0x13)
        .iter()
        .filter_map(|(name, level)| match (name, level) {
            (Value::Text(name), Value::Integer(level)) => {
                Some(format!("{} {level}", say::escaped(name)))
            }
            _ => None,
        });
    line(
        text,
        "certifications",
        &certifications.collect::<Vec<_>>().join(", "),
    );
    line(text, "attestation formats strings", &strings(info, 0x16));
}

fn algorithm(parameters: &Value) -> String {
    let alg = match parameters.get_text("alg") {
        Some(Value::Integer(-7)) => "es256",
        Some(Value::Integer(-35)) => "es384",
        Some(Value::Integer(-257)) => "rs256",
        Some(Value::Integer(-8)) => "eddsa",
        _ => "unknown",
    };
    let kind = match parameters.get_text("type") {
        Some(Value::Text(kind)) => say::escaped(kind),
        _ => "unknown".to_owned(),
    };
    format!("{alg} ({kind})")
}

fn limits(text: &mut String, info: &Value) {
    let number = |number| integer(info, number).unwrap_or(0);
    let _ = writeln!(text, "fwversion: {:#x}", number(0x0E));
    // Absent means 1024.
    let message = integer(info, 0x05).unwrap_or(1024);
    let _ = writeln!(text, "maxmsgsiz: {message}");
    let _ = writeln!(text, "maxcredcntlst: {}", number(0x07));
    let _ = writeln!(text, "maxcredlen: {}", number(0x08));
    let _ = writeln!(text, "maxcredblob: {}", number(0x0F));
    let _ = writeln!(text, "maxlargeblob: {}", number(0x0B));
    some(text, "maxrpids in minpinlen", number(0x10));
    if let Some(left) = integer(info, 0x14) {
        let _ = writeln!(text, "remaining rk(s): {left}");
    }
    // Absent means 4.
    some(text, "minpinlen", integer(info, 0x0D).unwrap_or(4));
    some(text, "maxpinlen", number(0x1D));
    line(text, "pin protocols", &numbers(info, 0x06));
}

fn pin(text: &mut String, info: &Value, key: &mut Key) -> Result<(), Trouble> {
    tries(
        text,
        "pin retries",
        info,
        key,
        SubCommand::GetPinRetries,
        0x03,
    )?;
    let required = info.get_int(0x0C) == Some(&Value::Bool(true));
    let _ = writeln!(text, "pin change required: {required}");
    if let Some(Value::Bool(policy)) = info.get_int(0x1B) {
        let _ = writeln!(text, "pin complexity policy: {policy}");
    }
    if let Some(Value::Bytes(url)) = info.get_int(0x1C) {
        let url = say::escaped(&String::from_utf8_lossy(url));
        line(text, "pin complexity policy url", &url);
    }
    Ok(())
}

/// CTAP 2.3 §6.5.5.2 getPINRetries, §6.5.5.3 getUVRetries.
fn tries(
    text: &mut String,
    what: &str,
    info: &Value,
    key: &mut Key,
    sub_command: SubCommand,
    member: i64,
) -> Result<(), Trouble> {
    let protocol = match items(info, 0x06).first() {
        Some(Value::Integer(first)) => u64::try_from(*first).ok(),
        _ => Some(1),
    };
    let request = client_pin::Request {
        pin_uv_auth_protocol: protocol,
        sub_command: sub_command.code(),
        key_agreement: None,
        pin_uv_auth_param: None,
        new_pin_enc: None,
        pin_hash_enc: None,
        permissions: None,
        rp_id: None,
    };
    let answer = ask(key, &request_bytes(Command::ClientPin, &request.encode()))?;
    let left = answer.and_then(|answer| integer(&answer, member));
    let _ = match left {
        Some(left) => writeln!(text, "{what}: {left}"),
        None => writeln!(text, "{what}: undefined"),
    };
    Ok(())
}

fn verification(text: &mut String, info: &Value, key: &mut Key) -> Result<(), Trouble> {
    tries(
        text,
        "uv retries",
        info,
        key,
        SubCommand::GetUvRetries,
        0x05,
    )?;
    some(
        text,
        "platform uv attempt(s)",
        integer(info, 0x11).unwrap_or(0),
    );
    if let Some(modality) = integer(info, 0x12).filter(|modality| *modality != 0) {
        let _ = writeln!(
            text,
            "uv modality: {modality:#x} ({})",
            modalities(modality)
        );
    }
    if let Some(count) = integer(info, 0x17) {
        let _ = writeln!(text, "uv count since last pin: {count}");
    }
    Ok(())
}

/// FIDO Registry of Predefined Values §3.1.
fn modalities(bits: i128) -> String {
    const NAMES: [&str; 13] = [
        "test of user presence",
        "fingerprint check",
        "pin check",
        "voice recognition",
        "face recognition",
        "location check",
        "eyeprint check",
        "drawn pattern check",
        "handprint verification",
        "none",
        "all required",
        "external pin",
        "external drawn pattern check",
    ];
    let names = (0..64_usize)
        .filter(|bit| bits >> bit & 1 == 1)
        .map(|bit| match NAMES.get(bit) {
            Some(name) => (*name).to_owned(),
            None => format!("unknown {:#x}", 1_u64 << bit),
        });
    names.collect::<Vec<_>>().join(", ")
}

/// What CTAP 2.2 and later tell; keys before have no such lines.
fn reset(text: &mut String, info: &Value) {
    if let Some(Value::Bool(long)) = info.get_int(0x18) {
        let _ = writeln!(text, "long touch for reset: {long}");
    }
    line(text, "transports for reset strings", &strings(info, 0x1A));
    line(text, "config commands", &numbers(info, 0x1F));
}

/// CTAP 2.3 §6.7.3 getFingerprintSensorInfo.
fn sensor(text: &mut String, info: &Value, key: &mut Key) -> Result<(), Trouble> {
    let has = |name| info.get_int(0x04).and_then(|o| o.get_text(name)).is_some();
    let command = if has("bioEnroll") {
        Command::BioEnrollment
    } else if has("userVerificationMgmtPreview") {
        Command::BioEnrollmentPreview
    } else {
        return Ok(());
    };
    let request = bio_enrollment::Request {
        modality: Some(bio_enrollment::FINGERPRINT),
        sub_command: Some(bio_enrollment::SubCommand::GetFingerprintSensorInfo.code()),
        sub_command_params: None,
        pin_uv_auth_protocol: None,
        pin_uv_auth_param: None,
        get_modality: None,
    };
    let Some(answer) = ask(key, &request_bytes(command, &request.encode()))? else {
        return Ok(());
    };
    let kind = integer(&answer, 0x02).unwrap_or(0);
    let name = match kind {
        1 => "touch",
        2 => "swipe",
        _ => "unknown",
    };
    let samples = integer(&answer, 0x03).unwrap_or(0);
    let _ = writeln!(text, "sensor type: {kind} ({name})\nmax samples: {samples}");
    Ok(())
}

/// The members of the answer; none when the key refuses.
fn ask(key: &mut Key, request: &[u8]) -> Result<Option<Value>, Trouble> {
    let answer = key
        .exchange(request)
        .map_err(|error| Trouble::new(Exit::Failed, error.to_string()).named("FIDO_ERR_RX"))?;
    Ok(match answer.split_first() {
        Some((status, members)) if Status(*status) == Status::OK => Value::decode(members).ok(),
        _ => None,
    })
}

fn line(text: &mut String, label: &str, what: &str) {
    if !what.is_empty() {
        let _ = writeln!(text, "{label}: {what}");
    }
}

fn some(text: &mut String, label: &str, number: i128) {
    if number > 0 {
        let _ = writeln!(text, "{label}: {number}");
    }
}

fn items(info: &Value, member: i64) -> &[Value] {
    match info.get_int(member) {
        Some(Value::Array(items)) => items,
        _ => &[],
    }
}

fn strings(info: &Value, member: i64) -> String {
    let texts = items(info, member).iter().filter_map(|item| match item {
        Value::Text(text) => Some(say::escaped(text)),
        _ => None,
    });
    texts.collect::<Vec<_>>().join(", ")
}

fn numbers(info: &Value, member: i64) -> String {
    let numbers = items(info, member).iter().filter_map(|item| match item {
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    });
    numbers.collect::<Vec<_>>().join(", ")
}

fn integer(info: &Value, member: i64) -> Option<i128> {
    match info.get_int(member) {
        Some(Value::Integer(number)) => Some(*number),
        _ => None,
    }
}

fn bytes(info: &Value, member: i64) -> String {
    match info.get_int(member) {
        Some(Value::Bytes(bytes)) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        _ => String::new(),
    }
}
