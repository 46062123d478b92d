//! WebAuthn L3 §7.2 Verifying an Authentication Assertion.
//!
//! ```
//! use rp::authentication::{self, UvInitialization, Who};
//! use rp::policy::{AuthenticationPolicy, UserVerificationPolicy};
//! use rp::{CredentialRecord, RelyingParty};
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! # let mut rng = ChaCha20Rng::seed_from_u64(1);
//! # let now = 1_800_000_000;
//! # let json = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/record.json"));
//! let mut record: CredentialRecord = serde_json::from_str(json)?; // from your store
//!
//! // Begin: the options go to the browser, the state into your store.
//! let rp = RelyingParty::new("example.org", "Example", ["https://example.org".parse()?])?;
//! let policy = AuthenticationPolicy::new(UserVerificationPolicy::IfSet);
//! let credentials = [record.clone()];
//! let who = Who::User { handle: &record.user_handle, credentials: &credentials };
//! let (options, state) = authentication::begin(&rp, policy, who, now, &mut rng)?;
//! assert!(serde_json::to_string(&options)?.contains(r#""userVerification":"preferred""#));
//! let stored = serde_json::to_string(&state)?;
//!
//! // Finish: the answer of the browser's `credential.toJSON()`, checked against the state and the
//! // record that your store has under `response.raw_id`.
//! # let stored = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/authentication-state.json"));
//! # let json = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/authentication-response.json"));
//! let state = serde_json::from_str(&stored)?;
//! let response = serde_json::from_str(json)?;
//! let verdict = authentication::finish(state, &response, Some(&record), now)?;
//! println!("{}", verdict.help);
//! verdict.apply_to(&mut record, UvInitialization::Keep);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use webauthn::Base64Url;
use webauthn::authenticator_data::{AuthenticatorData, Flags};
use webauthn::client_data::TYPE_GET;
use webauthn::options::{PublicKeyCredentialRequestOptionsJson, UserVerificationRequirement};
use webauthn::response::AuthenticationResponseJson;

use crate::ceremony::{self, BeginError};
use crate::crypto::{self, SignatureError};
use crate::extensions::{self, ClientOutputs};
use crate::policy::{
    AuthenticationPolicy, BackupEligibilityChange, SignCountPolicy, UserVerificationPolicy,
};
use crate::record::CredentialRecord;
use crate::refusal::Refusal;
use crate::relying_party::RelyingParty;

/// Marks a stored state as one of this ceremony, so that one of the other cannot be read as it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Ceremony {
    Authentication,
}

/// Who is to be authenticated.
#[derive(Debug, Clone, Copy)]
pub enum Who<'a> {
    /// Nobody was identified before: a discoverable credential tells who it is.
    Anyone,
    /// A user was identified before (by name, cookie or password): one of these credentials must
    /// answer.
    User {
        /// The user handle of the account.
        handle: &'a [u8],
        /// The credential records of the account.
        credentials: &'a [CredentialRecord],
    },
}

/// What [`finish`] must know of what [`begin`] asked. Keep it where the client cannot change it, and
/// take it out before [`finish`]: it is consumed, so that no challenge counts twice.
///
/// ```compile_fail,E0382
/// # use rp::{CredentialRecord, authentication::{ChallengeState, finish}};
/// # use webauthn::response::AuthenticationResponseJson;
/// # fn f(state: ChallengeState, response: &AuthenticationResponseJson, record: &CredentialRecord) {
/// let first = finish(state, response, Some(record), 1_800_000_000);
/// let again = finish(state, response, Some(record), 1_800_000_000); // the challenge was used
/// # }
/// ```
/// ```compile_fail,E0308
/// # use rp::{CredentialRecord, authentication, registration};
/// # use webauthn::response::AuthenticationResponseJson;
/// # fn f(state: registration::ChallengeState, response: &AuthenticationResponseJson) {
/// authentication::finish(state, response, None, 1_800_000_000); // the state of a registration
/// # }
/// ```
/// ```compile_fail,E0616
/// # use rp::authentication::ChallengeState;
/// # fn f(mut state: ChallengeState) {
/// state.policy = serde_json::from_str("{}").unwrap(); // the policy that was sent is the one enforced
/// # }
/// ```
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChallengeState {
    ceremony: Ceremony,
    relying_party: RelyingParty,
    policy: AuthenticationPolicy,
    challenge: Base64Url,
    /// The user who was identified before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    user_handle: Option<Base64Url>,
    /// Empty if nobody was.
    allow_credentials: Vec<Base64Url>,
    expires_at: u64,
}

impl ChallengeState {
    /// The challenge: a good key for the store.
    pub fn challenge(&self) -> &Base64Url {
        &self.challenge
    }

    /// The policy that will be enforced.
    pub fn policy(&self) -> &AuthenticationPolicy {
        &self.policy
    }

    /// The user who was identified before.
    pub fn user_handle(&self) -> Option<&Base64Url> {
        self.user_handle.as_ref()
    }

    /// When it may be thrown away, in Unix seconds.
    pub fn expires_at(&self) -> u64 {
        self.expires_at
    }
}

/// How the signature counter moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignCount {
    /// The authenticator does not count.
    Unsupported,
    /// It rose, as it should.
    Increased,
    /// It did not rise: the credential may have been copied.
    NotIncreased,
}

/// Whether `uvInitialized` of the record may become true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UvInitialization {
    /// It stays as it is.
    Keep,
    /// Another factor that is as good as user verification (a password, a recovery code, another
    /// verified credential) has stood for this sign-in, so the UV flag may be trusted from now on.
    AuthorizedByOtherFactor,
}

/// The outcome of an authentication that passed every check. Only [`finish`] makes one:
///
/// ```compile_fail,E0639
/// # fn f(verdict: rp::authentication::Verdict) {
/// let better = rp::authentication::Verdict { multi_factor: true, ..verdict };
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Verdict {
    /// Who it is.
    pub user_handle: Base64Url,
    /// The credential that answered.
    pub credential_id: Base64Url,
    /// The flags of the authenticator data.
    pub flags: Flags,
    /// UP: the user was present.
    pub user_present: bool,
    /// UV: the authenticator says that it verified the user. Rely on it only if `uv_initialized`.
    pub user_verified: bool,
    /// The record's `uvInitialized` before this ceremony.
    pub uv_initialized: bool,
    /// Whether this counts as two factors: the flag is set, and it may be relied on.
    pub multi_factor: bool,
    /// Policy `step-up`: anything sensitive needs a further ceremony under `always`.
    pub step_up_needed: bool,
    /// How the signature counter moved.
    pub sign_count: SignCount,
    /// The counter to store.
    pub new_sign_count: u32,
    /// BE, as it is now.
    pub backup_eligible: bool,
    /// BS, as it is now.
    pub backup_state: bool,
    /// Whether BS is not what was stored.
    pub backup_state_changed: bool,
    /// What the client says of the extensions. Nobody signs this.
    pub client_extensions: ClientOutputs,
    /// What it means, in words for a help desk.
    pub help: String,
}

impl Verdict {
    /// "Update credentialRecord with new state values". Does nothing to a record of another
    /// credential, and says so.
    pub fn apply_to(&self, record: &mut CredentialRecord, uv: UvInitialization) -> bool {
        if record.id != self.credential_id {
            return false;
        }
        record.sign_count = self.new_sign_count;
        record.backup_state = self.backup_state;
        record.backup_eligible = self.backup_eligible;
        if uv == UvInitialization::AuthorizedByOtherFactor {
            record.uv_initialized |= self.user_verified;
        }
        true
    }
}

/// Begins an authentication: the options for the client and the state to keep.
///
/// # Errors
/// [`BeginError::NobodyNamed`] if the policy is for a named user and there is none;
/// [`BeginError::NoCredentials`] if a user is named who has none: an empty list would ask for
/// anybody's credential. [`BeginError::UserHandle`] and [`BeginError::CredentialOfOtherUser`] if the
/// handle has an impossible length, or a record is of another user ([`BeginError::CredentialOfOtherRp`]:
/// of another RP ID); [`BeginError::Extension`] if extensions are asked for wrongly.
pub fn begin(
    rp: &RelyingParty,
    policy: AuthenticationPolicy,
    who: Who<'_>,
    now_unix: u64,
    rng: &mut dyn CryptoRng,
) -> Result<(PublicKeyCredentialRequestOptionsJson, ChallengeState), BeginError> {
    let (user_handle, credentials) = match who {
        Who::Anyone if policy.named_user => return Err(BeginError::NobodyNamed),
        Who::Anyone => (None, &[][..]),
        Who::User {
            credentials: [], ..
        } => return Err(BeginError::NoCredentials),
        Who::User { handle, .. } if !(1..=64).contains(&handle.len()) => {
            return Err(BeginError::UserHandle(handle.len()));
        }
        Who::User {
            handle,
            credentials,
        } => {
            if let Some(other) = credentials
                .iter()
                .find(|record| *record.user_handle != *handle)
            {
                return Err(BeginError::CredentialOfOtherUser(other.id.clone()));
            }
            if let Some(other) = credentials.iter().find(|record| record.rp_id != rp.id()) {
                return Err(BeginError::CredentialOfOtherRp(other.id.clone()));
            }
            (Some(handle.into()), credentials)
        }
    };
    extensions::check_authentication_inputs(policy.extensions.as_ref(), credentials)?;
    let challenge = ceremony::new_challenge(rng);
    let options = PublicKeyCredentialRequestOptionsJson {
        challenge: challenge.clone(),
        // Browsers have no time-out for conditional calls.
        timeout: (!policy.conditional).then_some(policy.timeout),
        rp_id: Some(rp.id().to_owned()),
        allow_credentials: credentials
            .iter()
            .map(CredentialRecord::descriptor)
            .collect(),
        user_verification: Some(user_verification(policy.user_verification, credentials)),
        hints: policy
            .hints
            .iter()
            .map(|hint| hint.as_str().to_owned())
            .collect(),
        extensions: policy.extensions.clone(),
    };
    let state = ChallengeState {
        ceremony: Ceremony::Authentication,
        relying_party: rp.clone(),
        challenge,
        user_handle,
        allow_credentials: credentials.iter().map(|record| record.id.clone()).collect(),
        expires_at: ceremony::expiry(now_unix, policy.timeout),
        policy,
    };
    Ok((options, state))
}

fn user_verification(
    policy: UserVerificationPolicy,
    credentials: &[CredentialRecord],
) -> UserVerificationRequirement {
    let all = !credentials.is_empty() && credentials.iter().all(|record| record.uv_initialized);
    policy.at_authentication(all)
}

/// Finishes an authentication: every check of the text, in its order.
///
/// `record` is what your store has under `response.raw_id`, whoever it belongs to; that it belongs to
/// the right user is checked here.
///
/// # Errors
/// The first check that fails, as a [`Refusal`].
pub fn finish(
    state: ChallengeState,
    response: &AuthenticationResponseJson,
    record: Option<&CredentialRecord>,
    now_unix: u64,
) -> Result<Verdict, Refusal> {
    ceremony::check_expiry(state.expires_at, now_unix)?;
    ceremony::check_credential(&response.type_, &response.id, &response.raw_id)?;
    let record = identify(&state, response, record)?;
    let policy = &state.policy;
    let answer = &response.response;
    let hash = ceremony::check_client_data(
        &answer.client_data_json,
        TYPE_GET,
        &state.challenge,
        &state.relying_party,
    )?;
    let auth_data = AuthenticatorData::parse(&answer.authenticator_data)?;
    let flags = auth_data.flags;
    ceremony::check_rp_id_hash(expected_rp_id(&state, response), auth_data.rp_id_hash)?;
    check_flags(policy, record, flags)?;
    check_signature(record, &answer.authenticator_data, &hash, &answer.signature)?;
    let sign_count = check_sign_count(policy, record.sign_count, auth_data.sign_count)?;
    extensions::check_solicited(
        policy.unsolicited_outputs,
        policy.extensions.as_ref(),
        &response.client_extension_results,
    )?;
    let outputs = ClientOutputs::read(&response.client_extension_results);
    Ok(verdict(policy, record, &auth_data, sign_count, outputs))
}

/// From "If pkOptions.allowCredentials is not empty" to "Identify the user". The record comes from
/// one place, and that it is the right one is checked against what was asked and what was answered.
fn identify<'a>(
    state: &ChallengeState,
    response: &AuthenticationResponseJson,
    record: Option<&'a CredentialRecord>,
) -> Result<&'a CredentialRecord, Refusal> {
    let id = &response.raw_id;
    if !state.allow_credentials.is_empty() && !state.allow_credentials.contains(id) {
        let allowed = state.allow_credentials.len();
        return Err(Refusal::CredentialNotAllowed {
            allowed,
            found: id.clone(),
        });
    }
    let record = record.ok_or_else(|| Refusal::UnknownCredential { found: id.clone() })?;
    if record.id != *id {
        let found = record.id.clone();
        return Err(Refusal::RecordOfOtherCredential {
            expected: id.clone(),
            found,
        });
    }
    let rp_id = state.relying_party.id();
    if record.rp_id != rp_id {
        let found = record.rp_id.clone();
        return Err(Refusal::RecordOfOtherRp {
            expected: rp_id.to_owned(),
            found,
        });
    }
    if let Some(expected) = state
        .user_handle
        .as_ref()
        .filter(|user| **user != record.user_handle)
    {
        let found = record.user_handle.clone();
        return Err(Refusal::RecordOfOtherUser {
            expected: expected.clone(),
            found,
        });
    }
    match &response.response.user_handle {
        Some(found) if *found != record.user_handle => Err(Refusal::UserHandle {
            expected: record.user_handle.clone(),
            found: found.clone(),
        }),
        None if state.user_handle.is_none() => Err(Refusal::UserHandleMissing),
        _ => Ok(record),
    }
}

/// The RP ID, or §10.1.1 the AppID if it was offered and the client says that it used it.
fn expected_rp_id<'a>(state: &'a ChallengeState, response: &AuthenticationResponseJson) -> &'a str {
    let offered = state
        .policy
        .extensions
        .as_ref()
        .and_then(|asked| asked.appid.as_deref());
    match (offered, response.client_extension_results.appid) {
        (Some(appid), Some(true)) => appid,
        _ => state.relying_party.id(),
    }
}

/// From "verify that the UP bit" to the comparison of backup eligibility.
fn check_flags(
    policy: &AuthenticationPolicy,
    record: &CredentialRecord,
    flags: Flags,
) -> Result<(), Refusal> {
    if !flags.user_present() {
        return Err(Refusal::UserPresence { flags });
    }
    let rule = policy.user_verification;
    if rule.is_demanded_at_authentication(record.uv_initialized) && !flags.user_verified() {
        return Err(Refusal::UserVerification {
            policy: rule,
            flags,
        });
    }
    ceremony::check_backup_state(flags)?;
    ceremony::check_backup(policy.backup, flags)?;
    let (expected, found) = (record.backup_eligible, flags.backup_eligible());
    let allowed = match policy.backup_eligibility {
        BackupEligibilityChange::Refuse => expected == found,
        BackupEligibilityChange::AllowBecomingEligible => found || !expected,
        BackupEligibilityChange::Allow => true,
    };
    if allowed {
        Ok(())
    } else {
        Err(Refusal::BackupEligibilityChanged { expected, found })
    }
}

fn check_signature(
    record: &CredentialRecord,
    auth_data: &[u8],
    hash: &[u8; 32],
    signature: &[u8],
) -> Result<(), Refusal> {
    let key = record.key()?;
    let alg = key.algorithm();
    crypto::verify(&key, &[auth_data, hash].concat(), signature).map_err(|error| match error {
        SignatureError::Invalid => Refusal::Signature(alg),
        SignatureError::Unsupported(_) | SignatureError::InvalidKey(_) => {
            Refusal::InvalidPublicKey(alg)
        }
    })
}

fn check_sign_count(
    policy: &AuthenticationPolicy,
    stored: u32,
    found: u32,
) -> Result<SignCount, Refusal> {
    if stored == 0 && found == 0 {
        Ok(SignCount::Unsupported)
    } else if found > stored {
        Ok(SignCount::Increased)
    } else if policy.sign_count == SignCountPolicy::Report {
        Ok(SignCount::NotIncreased)
    } else {
        Err(Refusal::SignCount { stored, found })
    }
}

fn verdict(
    policy: &AuthenticationPolicy,
    record: &CredentialRecord,
    auth_data: &AuthenticatorData<'_>,
    sign_count: SignCount,
    client_extensions: ClientOutputs,
) -> Verdict {
    let flags = auth_data.flags;
    let multi_factor = flags.user_verified() && record.uv_initialized;
    let step_up_needed =
        policy.user_verification == UserVerificationPolicy::StepUp && !multi_factor;
    Verdict {
        user_handle: record.user_handle.clone(),
        credential_id: record.id.clone(),
        flags,
        user_present: flags.user_present(),
        user_verified: flags.user_verified(),
        uv_initialized: record.uv_initialized,
        multi_factor,
        step_up_needed,
        sign_count,
        // A counter that fell must not make the lower value the measure of the next sign-in.
        new_sign_count: record.sign_count.max(auth_data.sign_count),
        backup_eligible: flags.backup_eligible(),
        backup_state: flags.backup_state(),
        backup_state_changed: flags.backup_state() != record.backup_state,
        client_extensions,
        help: help(policy.user_verification, record, flags, sign_count),
    }
}

fn help(
    policy: UserVerificationPolicy,
    record: &CredentialRecord,
    flags: Flags,
    sign_count: SignCount,
) -> String {
    let user_verification = match (flags.user_verified(), record.uv_initialized) {
        (true, true) => "The key verified its user (PIN, fingerprint or face): two factors.",
        (true, false) => {
            "The key verified its user, but was registered without: it still counts as one factor, \
             until another factor stands for it once."
        }
        (false, _) => match policy {
            UserVerificationPolicy::Never => {
                "The site did not want the PIN, only a touch: one factor."
            }
            UserVerificationPolicy::StepUp => {
                "Only a touch so far: one factor. Anything sensitive will ask for the PIN."
            }
            _ => {
                "The key was touched, but did not verify its user, probably because it has no PIN: \
                  one factor."
            }
        },
    };
    let copied = match sign_count {
        SignCount::NotIncreased => " Its counter did not rise: there may be a copy of the key.",
        SignCount::Unsupported | SignCount::Increased => "",
    };
    format!("Signed in. {user_verification}{copied}")
}
