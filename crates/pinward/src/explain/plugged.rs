//! `pinward explain --device`: what a platform would do with a key that is plugged in. The key is only
//! asked what it is and how many tries its PIN has left; it need not be touched, and no PIN is spent.

use client::policy::HostPolicy;
use client::profile::PlatformProfile;
use client::uv::{Ceremony, CredentialList, Disposition, Expected, Facts, KeyFacts, disposition};
use serde_json::{Value, json};
use webauthn::options::{
    PublicKeyCredentialCreationOptionsJson, PublicKeyCredentialRequestOptionsJson,
    ResidentKeyRequirement, UserVerificationRequirement,
};

use super::{ExplainArgs, changes_head, party, step_names};
use crate::device::{self, Key, Listed};
use crate::{names, say};

/// What the pure function says, and what comes of it.
struct Cell {
    disposition: Disposition,
    expected: Expected,
}

impl Cell {
    fn of(facts: &Facts, platform: &PlatformProfile) -> Self {
        let disposition = disposition(facts, platform);
        let expected = disposition.expected(facts, platform);
        Self {
            disposition,
            expected,
        }
    }

    fn json(&self) -> Value {
        json!({
            "action": self.disposition.action.text(),
            "steps": self.expected.steps,
            "uv": self.expected.uv,
            "ended": self.expected.ended,
            "error": self.expected.error.map(|name| name.name()),
            "reasons": self.disposition.reasons,
        })
    }
}

pub(super) fn run(args: &ExplainArgs, device: &str) -> Result<(), crate::Failure> {
    let listed = device::choose(Some(device))?;
    let key = facts_of(listed.clone())?;
    let (facts, remarks) = facts(args, key)?;
    let platform = names::platform(&args.platform)?;
    let cell = Cell::of(&facts, &platform);
    let advice = advice(&facts, &platform, &cell);
    let mut others = client::profile::all();
    others.retain(|other| other.id != platform.id);
    let others: Vec<_> = others
        .iter()
        .map(|other| (other, Cell::of(&facts, other)))
        .collect();
    if args.json {
        let named = |platform: &PlatformProfile, cell: &Cell| {
            let mut row = cell.json();
            row["platform"] = platform.id.clone().into();
            row
        };
        let answer = json!({
            "schema": "pinward.explain-key/1",
            "key": {
                "id": listed.id, "name": listed.found.name,
                "address": listed.found.address.to_string(), "facts": key,
            },
            "request": {
                "ceremony": facts.ceremony, "userVerification": facts.user_verification,
                "residentKey": facts.resident_key, "list": facts.list, "prf": facts.prf,
            },
            "run": named(&platform, &cell),
            "advice": advice.iter().map(|(who, what, cell)| {
                json!({ "who": who, "what": what, "would": cell.json() })
            }).collect::<Vec<_>>(),
            "others": others.iter().map(|(p, cell)| named(p, cell)).collect::<Vec<_>>(),
            "remarks": remarks,
        });
        return Ok(say::out(&format!("{answer:#}\n"))?);
    }
    let mut text = head(&listed, &facts, &platform, &cell, &remarks);
    changes(&mut text, &advice);
    elsewhere(&mut text, &cell, &others);
    Ok(say::out(&text)?)
}

/// getInfo and the tries left; a key that knows only U2F has neither.
fn facts_of(listed: Listed) -> Result<KeyFacts, crate::Failure> {
    let mut key = Key::open(listed)?;
    if !key.about().speaks_ctap2() {
        return Ok(KeyFacts::u2f_only());
    }
    let mut rng = device::rng();
    let mut manager = key.manager(&mut rng)?;
    let mut facts = KeyFacts::from_info(manager.info());
    if facts.client_pin == Some(true) {
        let retries = manager.pin_retries()?;
        facts.pin_blocked = retries.is_some_and(|retries| retries.left == 0);
    }
    Ok(facts)
}

/// The request as the options or the flags have it.
fn facts(args: &ExplainArgs, key: KeyFacts) -> Result<(Facts, Vec<String>), crate::Failure> {
    let mut remarks = Vec::new();
    let mut facts = Facts {
        ceremony: Ceremony::Get,
        user_verification: UserVerificationRequirement::Preferred,
        resident_key: ResidentKeyRequirement::Discouraged,
        list: CredentialList::Empty,
        prf: false,
        key,
        policy: HostPolicy::default(),
    };
    let mut rp_id = None;
    if let Some((name, value)) = args.site_options()? {
        let wrong = |error: serde_json::Error| {
            let error = say::escaped(&error.to_string());
            format!("{name}: these are no options of create() or get(): {error}")
        };
        if value.get("user").is_some() || value.get("pubKeyCredParams").is_some() {
            let options: PublicKeyCredentialCreationOptionsJson =
                serde_json::from_value(value).map_err(wrong)?;
            rp_id = options.rp.id.clone();
            creating(&mut facts, &options, &mut remarks);
        } else {
            let options: PublicKeyCredentialRequestOptionsJson =
                serde_json::from_value(value).map_err(wrong)?;
            rp_id = options.rp_id.clone();
            getting(&mut facts, &options, &mut remarks);
        }
    } else {
        let uv = args.uv.ok_or("--uv is missing")?.policy();
        facts.ceremony = match args.ceremony.ceremony() {
            lab::Ceremony::Create => Ceremony::Create,
            lab::Ceremony::Get => Ceremony::Get,
        };
        facts.user_verification = match facts.ceremony {
            Ceremony::Create => uv.at_registration(),
            Ceremony::Get => uv.at_authentication(false),
        };
        match facts.ceremony {
            Ceremony::Create if args.discoverable => {
                facts.resident_key = ResidentKeyRequirement::Required;
            }
            Ceremony::Get if !args.discoverable => facts.list = CredentialList::Match,
            _ => {}
        }
    }
    facts.policy = args.host(rp_id.as_deref())?;
    Ok((facts, remarks))
}

fn creating(
    facts: &mut Facts,
    options: &PublicKeyCredentialCreationOptionsJson,
    remarks: &mut Vec<String>,
) {
    facts.ceremony = Ceremony::Create;
    facts.user_verification = options.effective_user_verification();
    let selection = options.authenticator_selection.clone().unwrap_or_default();
    facts.resident_key = selection.effective_resident_key();
    if !options.exclude_credentials.is_empty() {
        facts.list = CredentialList::NoMatch;
        remarks.push("The key is taken to hold none of the excluded credentials.".to_owned());
    }
    let extensions = options.extensions.clone().unwrap_or_default();
    facts.prf = extensions.prf.is_some() || extensions.hmac_create_secret == Some(true);
}

fn getting(
    facts: &mut Facts,
    options: &PublicKeyCredentialRequestOptionsJson,
    remarks: &mut Vec<String>,
) {
    facts.user_verification = options.effective_user_verification();
    if !options.allow_credentials.is_empty() {
        facts.list = CredentialList::Match;
        remarks.push("The key is taken to hold one of the allowed credentials.".to_owned());
    }
    let extensions = options.extensions.as_ref();
    facts.prf = extensions.is_some_and(|extensions| extensions.prf.is_some());
}

/// What each party could change, as far as it makes a difference.
fn advice(
    facts: &Facts,
    platform: &PlatformProfile,
    cell: &Cell,
) -> Vec<(&'static str, String, Cell)> {
    use UserVerificationRequirement::{Discouraged, Preferred, Required};
    let mut changes: Vec<(&'static str, String, Facts)> = Vec::new();
    for user_verification in [Discouraged, Preferred, Required] {
        let word = user_verification.as_str();
        let what = format!("send userVerification \"{word}\"");
        let changed = Facts {
            user_verification,
            ..*facts
        };
        changes.push(("site", what, changed));
    }
    let key = facts.key;
    let with = |key: KeyFacts| Facts { key, ..*facts };
    if key.pin_uv_auth_token {
        let (always_uv, word) = (!key.always_uv, if key.always_uv { "off" } else { "on" });
        let what = format!("switch alwaysUv of the key {word}: pinward always-uv {word}");
        let changed = KeyFacts { always_uv, ..key };
        changes.push(("admin", what, with(changed)));
    }
    if facts.policy != kiosk(facts) {
        let what = "forbid this host to set up PINs (never-provision)".to_owned();
        let policy = kiosk(facts);
        changes.push(("admin", what, Facts { policy, ..*facts }));
    }
    if key.client_pin == Some(false) {
        let client_pin = Some(true);
        let what = "set a PIN on the key beforehand: pinward pin set".to_owned();
        changes.push(("person", what, with(KeyFacts { client_pin, ..key })));
    }
    if key.force_pin_change {
        let force_pin_change = false;
        let what = "change the PIN beforehand: pinward pin change".to_owned();
        changes.push((
            "person",
            what,
            with(KeyFacts {
                force_pin_change,
                ..key
            }),
        ));
    }
    let cells = changes.into_iter();
    cells
        .map(|(who, what, facts)| (who, what, Cell::of(&facts, platform)))
        .filter(|(_, _, changed)| changed.expected != cell.expected)
        .collect()
}

fn kiosk(facts: &Facts) -> HostPolicy {
    HostPolicy {
        never_provision: true,
        ..facts.policy
    }
}

fn head(
    listed: &Listed,
    facts: &Facts,
    platform: &PlatformProfile,
    cell: &Cell,
    remarks: &[String],
) -> String {
    let mut text = String::new();
    let key = format!("{} ({})", listed.name(), listed.id);
    let call = match facts.ceremony {
        Ceremony::Create => "registration",
        Ceremony::Get => "sign-in",
    };
    let request = format!(
        "{call}, userVerification: {}",
        facts.user_verification.as_str()
    );
    text.push_str(&say::wrapped("Platform  ", 10, &platform.name));
    text.push_str(&say::wrapped("Key       ", 10, &key));
    text.push_str(&say::wrapped("Request   ", 10, &request));
    text.push_str(&say::wrapped(
        "Steps     ",
        10,
        &step_names(&cell.expected.steps),
    ));
    text.push_str(&say::wrapped("End       ", 10, &end(&cell.expected)));
    for remark in remarks {
        text.push_str(&say::wrapped("Note      ", 10, remark));
    }
    text.push_str("\nWhy\n");
    for (number, reason) in cell.disposition.reasons.iter().enumerate() {
        let fact = format!("{}: {}", party(reason.who), reason.fact);
        text.push_str(&say::wrapped(&format!("{:>2}. ", number + 1), 4, &fact));
        let source = format!("[{}] {}", reason.certainty.name(), reason.reference);
        text.push_str(&say::wrapped("    ", 4, &source));
    }
    text
}

fn end(expected: &Expected) -> String {
    let flag = match expected.uv {
        Some(true) => ", its user verified (UV set)",
        Some(false) => ", its user not verified (UV not set)",
        None => "",
    };
    match expected.error {
        Some(error) => format!("It fails: {}.", error.name()),
        None => format!("{}{flag}.", expected.ended.name()),
    }
}

fn changes(text: &mut String, advice: &[(&'static str, String, Cell)]) {
    changes_head(text, advice.is_empty());
    for (who, what, cell) in advice {
        text.push_str(&say::wrapped(&format!("  {who:8}"), 10, what));
        let effect = format!(
            "{}: {}",
            step_names(&cell.expected.steps),
            end(&cell.expected)
        );
        text.push_str(&say::wrapped("          -> ", 13, &effect));
    }
}

fn elsewhere(text: &mut String, cell: &Cell, others: &[(&std::sync::Arc<PlatformProfile>, Cell)]) {
    text.push_str("\nThe same key on other platforms\n");
    let width = others.iter().map(|(p, _)| p.id.len()).max().unwrap_or(0);
    for (platform, other) in others {
        let same = if other.expected == cell.expected {
            "  (as here)"
        } else {
            ""
        };
        let ended = other.expected.ended.name();
        let steps = step_names(&other.expected.steps);
        text.push_str(&format!(
            "  {:width$}  {ended:7}  {steps}{same}\n",
            platform.id
        ));
    }
}
