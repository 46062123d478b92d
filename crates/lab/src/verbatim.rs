//! WebAuthn L3 §5.1.8 and §5.1.9: the options of a real site, run as they stand.
//!
//! Only what nobody can know is supplied: for a sign-in, the key has registered with the site before,
//! and its credential takes the place of the first allowed one.

use std::sync::Arc;

use client::policy::HostPolicy;
use client::{Caller, Ceremony, Credential};
use serde_json::json;
use webauthn::options::{
    PublicKeyCredentialCreationOptionsJson, PublicKeyCredentialRequestOptionsJson,
};

use crate::answers::{Person, UserAction};
use crate::bench::Bench;
use crate::key::Key;
use crate::options::Verbatim;
use crate::scenario::{
    EARLIER, KeyRef, PlatformRef, RP_ID, Run, Scenario, ScenarioError, begin_error, credential,
    play,
};

/// What was supplied, for the reader.
const STANDS_FOR: &str =
    "The first allowed credential stands for the one that this key registered before.";

impl Scenario<'_> {
    /// Runs a site's options on this platform and key. There is no verdict: the site has its own.
    ///
    /// # Errors
    /// [`ScenarioError`]
    pub fn run_verbatim(&self, options: &Verbatim) -> Result<Run, ScenarioError> {
        let state = self.key_state;
        if !state.fits(self.key) {
            let key = self.key.id.clone();
            return Err(ScenarioError::StateDoesNotFit { key, state });
        }
        let mut key = Key::fresh(self.key, [1; 32])?;
        state.set_up(&mut key)?;
        let mut note = None;
        let platform = Arc::clone(&self.platform);
        let ceremony = match options {
            Verbatim::Create(options) => {
                let caller = page_of(options.rp.id.as_deref())?;
                Ceremony::create((**options).clone(), caller, platform, self.host)
            }
            Verbatim::Get(options) => {
                let caller = page_of(options.rp_id.as_deref())?;
                let mut options = (**options).clone();
                let (used, id) = register(key, &options, caller.clone())?;
                key = used;
                if let Some(id) = id.filter(|_| !options.allow_credentials.is_empty()) {
                    stand_in(&mut options, id);
                    note = Some(STANDS_FOR);
                }
                Ceremony::get(options, caller, platform, self.host)
            }
        };
        state.finish(&mut key)?;
        let person = Person::new(self.user, key.owner_pin.clone());
        let bench = play(Bench::start(key, ceremony, [2; 32]), person)?;
        let outcome = bench.outcome().ok_or(ScenarioError::Lost)?;
        Ok(Run {
            platform: PlatformRef {
                id: self.platform.id.clone(),
                name: self.platform.name.clone(),
            },
            key: KeyRef {
                id: self.key.id.clone(),
                name: self.key.name.clone(),
            },
            key_state: state,
            request: self.request,
            user: self.user,
            report: outcome.report.clone(),
            failure: outcome.result.as_ref().err().cloned(),
            verdict: None,
            note,
            exchange: bench.exchange().to_vec(),
        })
    }
}

/// A page at the RP ID itself.
fn page_of(rp_id: Option<&str>) -> Result<Caller, ScenarioError> {
    let page = format!("https://{}", rp_id.unwrap_or(RP_ID));
    Ok(Caller::top_level(page.parse().map_err(begin_error)?))
}

/// Registers what the sign-in will ask for, where nothing gets in the way.
fn register(
    key: Key,
    asked: &PublicKeyCredentialRequestOptionsJson,
    caller: Caller,
) -> Result<(Key, Option<Vec<u8>>), ScenarioError> {
    let extensions = asked.extensions.clone().unwrap_or_default();
    let blob = extensions.large_blob.is_some();
    let discoverable = asked.allow_credentials.is_empty() || blob;
    let kept = if discoverable {
        "required"
    } else {
        "discouraged"
    };
    let algorithms = [-7, -8, -257, -48].map(|alg| json!({ "type": "public-key", "alg": alg }));
    let mut made = json!({
        "rp": { "id": asked.rp_id, "name": "Example" },
        "user": { "id": "AQ", "name": "kim", "displayName": "Kim" },
        "challenge": "AAECAwQFBgcICQoLDA0ODw",
        "pubKeyCredParams": algorithms,
        "authenticatorSelection": { "residentKey": kept, "userVerification": "discouraged" },
        "extensions": {},
    });
    if extensions.prf.is_some() {
        made["extensions"]["prf"] = json!({});
    }
    if blob {
        made["extensions"]["largeBlob"] = json!({ "support": "preferred" });
    }
    let options: PublicKeyCredentialCreationOptionsJson =
        serde_json::from_value(made).map_err(begin_error)?;
    let platform =
        client::profile::find(EARLIER).ok_or_else(|| begin_error("no platform of our own"))?;
    let host = HostPolicy {
        never_provision: true,
        ..HostPolicy::default()
    };
    let person = Person::new(UserAction::Accepts, key.owner_pin.clone());
    let ceremony = Ceremony::create(options, caller, platform, host);
    let bench = play(Bench::start(key, ceremony, [3; 32]), person)?;
    let id = match credential(&bench) {
        Some(Credential::Registration(made)) => Some(made.raw_id.0.clone()),
        _ => None,
    };
    Ok((bench.into_key(), id))
}

/// Puts the key's credential in the place of the first allowed one, wherever that is named.
fn stand_in(options: &mut PublicKeyCredentialRequestOptionsJson, id: Vec<u8>) {
    let Some(first) = options.allow_credentials.first_mut() else {
        return;
    };
    let was = webauthn::base64url::encode(&first.id.0);
    let is = webauthn::base64url::encode(&id);
    first.id = id.into();
    let prf = options.extensions.as_mut().and_then(|e| e.prf.as_mut());
    if let Some(inputs) = prf.and_then(|prf| prf.eval_by_credential.as_mut())
        && let Some(values) = inputs.remove(&was)
    {
        inputs.insert(is, values);
    }
}
