//! WebAuthn L3 §7.1 Registering a New Credential.
//!
//! ```
//! use rp::policy::{RegistrationPolicy, UserVerificationPolicy};
//! use rp::{RelyingParty, TrustAnchors, registration};
//! use webauthn::options::PublicKeyCredentialUserEntity;
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! # let mut rng = ChaCha20Rng::seed_from_u64(1);
//! # let now = 1_800_000_000;
//!
//! // Begin: the options go to the browser, the state into your store.
//! let rp = RelyingParty::new("example.org", "Example", ["https://example.org".parse()?])?;
//! let policy = RegistrationPolicy::new(UserVerificationPolicy::IfSet);
//! let user = PublicKeyCredentialUserEntity {
//!     id: vec![1; 16].into(), // random, no personal information
//!     name: "kim@example.org".into(),
//!     display_name: "Kim".into(),
//! };
//! let (options, state) = registration::begin(&rp, policy, user, &[], now, &mut rng)?;
//! assert!(serde_json::to_string(&options)?.contains(r#""userVerification":"preferred""#));
//! let stored = serde_json::to_string(&state)?;
//!
//! // Finish: the answer of the browser's `credential.toJSON()`, checked against the state.
//! # let stored = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/registration-state.json"));
//! # let json = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/registration-response.json"));
//! let state = serde_json::from_str(&stored)?;
//! let response = serde_json::from_str(json)?;
//! let id_is_taken = false; // as your store says of `response.raw_id`
//! let verdict = registration::finish(state, &response, id_is_taken, &TrustAnchors::none(), now)?;
//! assert!(!verdict.user_verified && !verdict.record.uv_initialized);
//! println!("{}", verdict.help);
//! let to_store = verdict.record;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use webauthn::Base64Url;
use webauthn::attestation_object::AttestationObject;
use webauthn::authenticator_data::{AttestedCredentialData, AuthenticatorData, Flags};
use webauthn::client_data::TYPE_CREATE;
use webauthn::cose::CoseKey;
use webauthn::options::{
    AuthenticatorSelectionCriteria, PublicKeyCredentialCreationOptionsJson,
    PublicKeyCredentialParameters, PublicKeyCredentialRpEntity, PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
};
use webauthn::response::RegistrationResponseJson;

use crate::attestation::{self, Attestation, Input, RETIRED_FORMATS, Trust, TrustAnchors};
use crate::ceremony::{self, BeginError};
use crate::crypto::{self, SignatureError};
use crate::extensions::{self, AuthenticatorOutputs, ClientOutputs};
use crate::policy::{AttestationTrustPolicy, RegistrationPolicy, UserVerificationPolicy};
use crate::record::CredentialRecord;
use crate::refusal::Refusal;
use crate::relying_party::RelyingParty;

/// Marks a stored state as one of this ceremony, so that one of the other cannot be read as it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Ceremony {
    Registration,
}

/// What [`finish`] must know of what [`begin`] asked: the policy, the challenge, who the Relying
/// Party is, for whom the credential is made, and when it is too late. Keep it where the client
/// cannot change it, and take it out before [`finish`]: it is consumed, so that no challenge counts
/// twice.
///
/// ```compile_fail,E0382
/// # use rp::{TrustAnchors, registration::{ChallengeState, finish}};
/// # use webauthn::response::RegistrationResponseJson;
/// # fn f(state: ChallengeState, response: &RegistrationResponseJson, anchors: &TrustAnchors) {
/// let first = finish(state, response, false, anchors, 1_800_000_000);
/// let again = finish(state, response, false, anchors, 1_800_000_000); // the challenge was used
/// # }
/// ```
/// ```compile_fail,E0308
/// # use rp::{TrustAnchors, registration::{ChallengeState, finish}};
/// # use webauthn::response::AuthenticationResponseJson;
/// # fn f(state: ChallengeState, response: &AuthenticationResponseJson, anchors: &TrustAnchors) {
/// finish(state, response, false, anchors, 1_800_000_000); // the answer to a sign-in
/// # }
/// ```
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChallengeState {
    ceremony: Ceremony,
    relying_party: RelyingParty,
    policy: RegistrationPolicy,
    challenge: Base64Url,
    user_handle: Base64Url,
    expires_at: u64,
}

impl ChallengeState {
    /// The challenge: a good key for the store.
    pub fn challenge(&self) -> &Base64Url {
        &self.challenge
    }

    /// The policy that will be enforced.
    pub fn policy(&self) -> &RegistrationPolicy {
        &self.policy
    }

    /// The user handle of the account.
    pub fn user_handle(&self) -> &Base64Url {
        &self.user_handle
    }

    /// When it may be thrown away, in Unix seconds.
    pub fn expires_at(&self) -> u64 {
        self.expires_at
    }
}

/// The outcome of a registration that passed every check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Verdict {
    /// What to store.
    pub record: CredentialRecord,
    /// The flags of the authenticator data.
    pub flags: Flags,
    /// UP: the user was present.
    pub user_present: bool,
    /// UV: the user was verified (PIN, fingerprint, face).
    pub user_verified: bool,
    /// What the attestation proves.
    pub attestation: Attestation,
    /// What the authenticator says of the credential.
    pub extensions: AuthenticatorOutputs,
    /// What the client says of the credential. Nobody signs this.
    pub client_extensions: ClientOutputs,
    /// What it means, in words for a help desk.
    pub help: String,
}

/// Begins a registration: the options for the client and the state to keep.
///
/// `existing` are the records of the account: an authenticator that has one makes no second.
///
/// # Errors
/// [`BeginError`] if the policy or user handle cannot work.
pub fn begin(
    rp: &RelyingParty,
    mut policy: RegistrationPolicy,
    user: PublicKeyCredentialUserEntity,
    existing: &[CredentialRecord],
    now_unix: u64,
    rng: &mut dyn CryptoRng,
) -> Result<(PublicKeyCredentialCreationOptionsJson, ChallengeState), BeginError> {
    if !(1..=64).contains(&user.id.len()) {
        return Err(BeginError::UserHandle(user.id.len()));
    }
    if policy.algorithms.is_empty() {
        return Err(BeginError::NoAlgorithm);
    }
    if let Some(alg) = policy
        .algorithms
        .iter()
        .find(|alg| !crypto::ALGORITHMS.contains(alg))
    {
        return Err(BeginError::UnsupportedAlgorithm(*alg));
    }
    if policy.min_pin_length.is_some() {
        policy.extensions.get_or_insert_default().min_pin_length = Some(true);
    }
    extensions::check_registration_inputs(&policy)?;
    let challenge = ceremony::new_challenge(rng);
    let state = ChallengeState {
        ceremony: Ceremony::Registration,
        relying_party: rp.clone(),
        challenge: challenge.clone(),
        user_handle: user.id.clone(),
        expires_at: ceremony::expiry(now_unix, policy.timeout),
        policy,
    };
    Ok((options(rp, &state.policy, user, challenge, existing), state))
}

fn options(
    rp: &RelyingParty,
    policy: &RegistrationPolicy,
    user: PublicKeyCredentialUserEntity,
    challenge: Base64Url,
    existing: &[CredentialRecord],
) -> PublicKeyCredentialCreationOptionsJson {
    let algorithms = policy.algorithms.iter().copied();
    PublicKeyCredentialCreationOptionsJson {
        rp: PublicKeyCredentialRpEntity {
            id: Some(rp.id().to_owned()),
            name: rp.name().to_owned(),
        },
        user,
        challenge,
        pub_key_cred_params: algorithms
            .map(PublicKeyCredentialParameters::public_key)
            .collect(),
        timeout: Some(policy.timeout),
        exclude_credentials: existing.iter().map(CredentialRecord::descriptor).collect(),
        authenticator_selection: Some(AuthenticatorSelectionCriteria {
            authenticator_attachment: policy.authenticator_attachment,
            resident_key: Some(policy.resident_key),
            // For clients of Level 1 (§5.4.4).
            require_resident_key: Some(policy.resident_key == ResidentKeyRequirement::Required),
            user_verification: Some(policy.user_verification.at_registration()),
        }),
        hints: policy
            .hints
            .iter()
            .map(|hint| hint.as_str().to_owned())
            .collect(),
        attestation: Some(policy.attestation),
        attestation_formats: Vec::new(),
        extensions: policy.extensions.clone(),
    }
}

/// Finishes a registration: every check of the text, in its order.
///
/// `id_is_taken` is what your store says of `response.raw_id`: whether any user has registered it.
///
/// # Errors
/// The first check that fails, as a [`Refusal`].
pub fn finish(
    state: ChallengeState,
    response: &RegistrationResponseJson,
    id_is_taken: bool,
    anchors: &TrustAnchors,
    now_unix: u64,
) -> Result<Verdict, Refusal> {
    let ChallengeState {
        relying_party: rp,
        policy,
        challenge,
        user_handle,
        expires_at,
        ..
    } = state;
    ceremony::check_expiry(expires_at, now_unix)?;
    ceremony::check_credential(&response.type_, &response.id, &response.raw_id)?;
    let client_data = &response.response.client_data_json;
    let hash = ceremony::check_client_data(client_data, TYPE_CREATE, &challenge, &rp)?;

    let object = AttestationObject::parse(&response.response.attestation_object)?;
    let auth_data = AuthenticatorData::parse(object.auth_data)?;
    let flags = auth_data.flags;
    let credential = auth_data
        .attested_credential_data
        .as_ref()
        .ok_or(Refusal::NoCredential { flags })?;
    if credential.credential_id != &response.raw_id[..] {
        let found = credential.credential_id.into();
        return Err(Refusal::CredentialId {
            expected: response.raw_id.clone(),
            found,
        });
    }
    ceremony::check_rp_id_hash(rp.id(), auth_data.rp_id_hash)?;
    check_flags(&policy, flags)?;
    let key = check_key(&policy, credential.credential_public_key)?;

    let input = Input {
        att_stmt: object.att_stmt,
        auth_data: object.auth_data,
        parsed: &auth_data,
        credential,
        key: &key,
        client_data_hash: &hash,
    };
    let attestation = check_attestation(&policy, object.fmt, &input, anchors, now_unix)?;
    check_credential_id(credential.credential_id, id_is_taken)?;

    extensions::check_solicited(
        policy.unsolicited_outputs,
        policy.extensions.as_ref(),
        &response.client_extension_results,
    )?;
    let extensions = AuthenticatorOutputs::read(auth_data.extensions)?;
    extensions::check_demands(&policy, &extensions)?;
    let client_extensions = ClientOutputs::read(&response.client_extension_results);
    extensions::check_client_demands(&policy, &client_extensions, &extensions)?;

    let record = record(
        &rp,
        user_handle,
        response,
        &auth_data,
        credential,
        &attestation,
    );
    Ok(Verdict {
        flags,
        user_present: flags.user_present(),
        user_verified: flags.user_verified(),
        help: help(&policy, &record, &attestation),
        record,
        attestation,
        extensions,
        client_extensions,
    })
}

/// From "verify that the UP bit" to the evaluation of backup eligibility.
fn check_flags(policy: &RegistrationPolicy, flags: Flags) -> Result<(), Refusal> {
    if !policy.conditional && !flags.user_present() {
        return Err(Refusal::UserPresence { flags });
    }
    if policy.user_verification.is_demanded_at_registration() && !flags.user_verified() {
        return Err(Refusal::UserVerification {
            policy: policy.user_verification,
            flags,
        });
    }
    ceremony::check_backup_state(flags)?;
    ceremony::check_backup(policy.backup, flags)
}

/// The key's algorithm was offered, and the key is one that can verify signatures later: a point
/// that is not on its curve would lock the user out, or worse.
fn check_key(policy: &RegistrationPolicy, bytes: &[u8]) -> Result<CoseKey, Refusal> {
    let key = CoseKey::parse(bytes)?;
    let found = key.algorithm();
    if !policy.algorithms.contains(&found) {
        return Err(Refusal::Algorithm {
            expected: policy.algorithms.clone(),
            found,
        });
    }
    match crypto::check_key(&key) {
        Ok(()) => Ok(key),
        Err(SignatureError::Unsupported(_)) => Err(Refusal::Algorithm {
            expected: policy.algorithms.clone(),
            found,
        }),
        Err(_) => Err(Refusal::InvalidPublicKey(found)),
    }
}

/// From "Determine the attestation statement format" to "Assess the attestation trustworthiness".
fn check_attestation(
    policy: &RegistrationPolicy,
    fmt: &str,
    input: &Input<'_>,
    anchors: &TrustAnchors,
    now_unix: u64,
) -> Result<Attestation, Refusal> {
    if let Some((_, reason)) = RETIRED_FORMATS.iter().find(|row| row.0 == fmt) {
        let found = fmt.to_owned();
        return Err(Refusal::AttestationFormatRetired { found, reason });
    }
    let verified = attestation::verify(fmt, input)
        .ok_or_else(|| Refusal::AttestationFormat {
            found: fmt.to_owned(),
        })?
        .map_err(|error| Refusal::Attestation {
            fmt: fmt.to_owned(),
            error,
        })?;
    let assessed = attestation::assess(fmt, verified, input.credential.aaguid, anchors, now_unix);
    let trust = &assessed.attestation.trust;
    let enough = match policy.attestation_trust {
        AttestationTrustPolicy::Any => true,
        AttestationTrustPolicy::TrustedIfPresent => !matches!(trust, Trust::Untrusted(_)),
        AttestationTrustPolicy::Trusted => *trust == Trust::Trusted,
    };
    if !enough {
        return Err(Refusal::AttestationTrust {
            expected: policy.attestation_trust,
            found: trust.clone(),
        });
    }
    assessed
        .check_model(&policy.models, anchors, now_unix)
        .map_err(|reason| Refusal::Model {
            found: input.credential.aaguid,
            reason,
        })?;
    Ok(assessed.attestation)
}

fn check_credential_id(id: &[u8], is_taken: bool) -> Result<(), Refusal> {
    if id.len() > 1023 {
        return Err(Refusal::CredentialIdTooLong { found: id.len() });
    }
    if is_taken {
        Err(Refusal::CredentialIdTaken { found: id.into() })
    } else {
        Ok(())
    }
}

/// "Let credentialRecord be a new credential record".
fn record(
    rp: &RelyingParty,
    user_handle: Base64Url,
    response: &RegistrationResponseJson,
    auth_data: &AuthenticatorData<'_>,
    credential: &AttestedCredentialData<'_>,
    attestation: &Attestation,
) -> CredentialRecord {
    let results = &response.client_extension_results;
    CredentialRecord {
        id: credential.credential_id.into(),
        user_handle,
        rp_id: rp.id().to_owned(),
        public_key: credential.credential_public_key.into(),
        sign_count: auth_data.sign_count,
        uv_initialized: auth_data.flags.user_verified(),
        backup_eligible: auth_data.flags.backup_eligible(),
        backup_state: auth_data.flags.backup_state(),
        transports: response.response.transports.clone(),
        aaguid: credential.aaguid,
        attested: attestation.model.is_some(),
        discoverable: results
            .cred_props
            .as_ref()
            .and_then(|properties| properties.rk),
        attestation_object: Some(response.response.attestation_object.clone()),
        attestation_client_data_json: Some(response.response.client_data_json.clone()),
    }
}

fn help(
    policy: &RegistrationPolicy,
    record: &CredentialRecord,
    attestation: &Attestation,
) -> String {
    let user_verification = match (record.uv_initialized, policy.user_verification) {
        (true, _) => {
            "The key verified its user (PIN, fingerprint or face), so later sign-ins may rely on that."
        }
        (false, UserVerificationPolicy::Never) => {
            "The key was not asked to verify its user: it counts as something the person has, no more."
        }
        (false, _) => {
            "The key did not verify its user, probably because it has no PIN: it counts as something \
             the person has, no more, until another factor stands for it."
        }
    };
    let model = match (&attestation.trust, &attestation.facts) {
        (Trust::Trusted, Some(facts)) => {
            let update = if facts.update_available {
                "; its maker has newer firmware"
            } else {
                ""
            };
            format!(" It is proven to be a {}{update}.", facts.name)
        }
        (Trust::Trusted, None) => " Its model is proven.".to_owned(),
        (Trust::Untrusted(_), _) => {
            " It says what model it is, but nothing trusted proves that.".to_owned()
        }
        (Trust::None | Trust::SelfAttestation, _) => String::new(),
    };
    format!("The key is registered. {user_verification}{model}")
}
