//! WebAuthn L3 §5.1.3 `[[Create]](origin, options, sameOriginWithAncestors)`: the checks of the options,
//! the request to the key (CTAP 2.3 §6.1) and the credential made of its answer.

use core::time::Duration;

use ctap::entities::{CredentialDescriptor, CredentialParameters, RpEntity, UserEntity};
use ctap::make_credential::{ExtensionsInput, ExtensionsOutput, Options, Request, Response};
use webauthn::attestation_object::AttestationObject;
use webauthn::authenticator_data::AuthenticatorData;
use webauthn::client_data;
use webauthn::cose::{CoseAlgorithm, CoseKey};
use webauthn::options::{
    AttestationConveyancePreference, AuthenticationExtensionsClientInputsJson,
    AuthenticationExtensionsClientOutputsJson, AuthenticatorAttachment, CredentialPropertiesOutput,
    CredentialProtectionPolicy, PUBLIC_KEY, PublicKeyCredentialCreationOptionsJson,
    PublicKeyCredentialDescriptor, ResidentKeyRequirement, UserVerificationRequirement,
};
use webauthn::response::{AuthenticatorAttestationResponseJson, RegistrationResponseJson};
use webauthn::rp_id::RpIdError;

use crate::ceremony::{Caller, Ceremony};
use crate::crypto::sha256;
use crate::outcome::{Credential, Failure, FailureReason};
use crate::prompt::Prompt;
use crate::related::RpIdClaim;
use crate::report::{DomExceptionName, Party, Reason};
use crate::rules::CredProtectDefault;
use crate::session::{Session, bad_reply};
use crate::spki;
use crate::{app_id, attestation, large_blob};

/// A `create()` whose options have passed the checks.
pub(crate) struct CreateRequest {
    pub(crate) rp_id: String,
    pub(crate) app_id: Option<String>,
    rp_name: String,
    user: UserEntity,
    pub(crate) params: Vec<CredentialParameters>,
    pub(crate) exclude: Vec<CredentialDescriptor>,
    pub(crate) user_verification: UserVerificationRequirement,
    pub(crate) resident_key: ResidentKeyRequirement,
    asked_user_verification: Option<UserVerificationRequirement>,
    pub(crate) attestation: AttestationConveyancePreference,
    attestation_formats: Vec<String>,
    pub(crate) extensions: AuthenticationExtensionsClientInputsJson,
    pub(crate) client_data: Vec<u8>,
    pub(crate) client_data_hash: [u8; 32],
    pub(crate) timeout: Duration,
}

fn wrong(what: &'static str) -> Failure {
    Failure::new(DomExceptionName::TypeError, FailureReason::Options(what))
}

impl CreateRequest {
    /// The checks, in the order of the text.
    pub(crate) fn check(
        options: PublicKeyCredentialCreationOptionsJson,
        caller: &Caller,
        claim: RpIdClaim,
    ) -> Result<Self, Failure> {
        if !(1..=64).contains(&options.user.id.len()) {
            return Err(wrong("user.id must have 1 to 64 bytes"));
        }
        let rp_id = check_rp_id(options.rp.id.as_deref(), caller, claim)?;
        let params = check_params(&options)?;
        let selection = options.authenticator_selection.clone().unwrap_or_default();
        if selection.authenticator_attachment == Some(AuthenticatorAttachment::Platform) {
            return Err(Failure::not_allowed(FailureReason::Options(
                "it wants an authenticator that is part of this device, and security keys are not",
            )));
        }
        let extensions = options.extensions.clone().unwrap_or_default();
        let app_id = check_extensions(&extensions, caller)?;
        let top = caller.cross_top().map(ToString::to_string);
        let client_data = client_data::serialize(
            client_data::TYPE_CREATE,
            &options.challenge,
            &caller.origin.to_string(),
            top.is_some(),
            top.as_deref(),
        );
        let resident_key = selection.effective_resident_key();
        Ok(Self {
            rp_id,
            app_id,
            rp_name: options.rp.name.clone(),
            user: UserEntity {
                id: options.user.id.0.clone(),
                name: Some(options.user.name.clone()),
                display_name: Some(options.user.display_name.clone()),
            },
            params,
            exclude: descriptors(&options.exclude_credentials),
            user_verification: options.effective_user_verification(),
            resident_key,
            asked_user_verification: selection.user_verification,
            attestation: options
                .attestation
                .unwrap_or(AttestationConveyancePreference::None),
            attestation_formats: options.attestation_formats,
            extensions,
            client_data_hash: sha256(&client_data),
            client_data,
            timeout: crate::policy::timeout(options.timeout.map(u64::from)),
        })
    }

    /// Whether the site wants a secret-making credential.
    pub(crate) fn wants_prf(&self) -> bool {
        self.extensions.prf.is_some() || self.extensions.hmac_create_secret == Some(true)
    }
}

/// Client extension processing (registration), as far as it can fail; the AppID of appidExclude.
fn check_extensions(
    extensions: &AuthenticationExtensionsClientInputsJson,
    caller: &Caller,
) -> Result<Option<String>, Failure> {
    let prf = extensions.prf.as_ref();
    if prf.is_some_and(|prf| prf.eval_by_credential.is_some()) {
        let reason = FailureReason::Options("prf.evalByCredential is for signing in");
        return Err(Failure::new(DomExceptionName::NotSupportedError, reason));
    }
    large_blob::check_create(extensions)?;
    app_id::check_create(extensions, caller)
}

/// The RP ID that was named, or the caller's effective domain.
pub(crate) fn check_rp_id(
    named: Option<&str>,
    caller: &Caller,
    claim: RpIdClaim,
) -> Result<String, Failure> {
    let rp_id = named
        .or_else(|| caller.origin.effective_domain())
        .unwrap_or_default();
    match (webauthn::rp_id::validate(rp_id, &caller.origin), claim) {
        (Ok(()), _) | (Err(RpIdError::NotASuffix { .. }), RpIdClaim::Related) => {}
        (Err(error), _) => {
            let reason = FailureReason::RpId(error);
            return Err(Failure::new(DomExceptionName::SecurityError, reason));
        }
    }
    Ok(rp_id.to_owned())
}

/// An empty list means ES256 and RS256; entries of other types are skipped.
fn check_params(
    options: &PublicKeyCredentialCreationOptionsJson,
) -> Result<Vec<CredentialParameters>, Failure> {
    let wanted = &options.pub_key_cred_params;
    if wanted.is_empty() {
        let defaults = [CoseAlgorithm::ES256, CoseAlgorithm::RS256];
        return Ok(defaults
            .into_iter()
            .map(CredentialParameters::public_key)
            .collect());
    }
    let params: Vec<_> = wanted
        .iter()
        .filter(|param| param.type_ == PUBLIC_KEY)
        .map(|param| CredentialParameters::public_key(param.alg))
        .collect();
    if params.is_empty() {
        let reason = FailureReason::Options("pubKeyCredParams has no entry of type public-key");
        return Err(Failure::new(DomExceptionName::NotSupportedError, reason));
    }
    Ok(params)
}

/// The list as keys read it: entries of other types are skipped, transports stay out.
pub(crate) fn descriptors(list: &[PublicKeyCredentialDescriptor]) -> Vec<CredentialDescriptor> {
    list.iter()
        .filter(|descriptor| descriptor.type_ == PUBLIC_KEY)
        .map(|descriptor| CredentialDescriptor::public_key(descriptor.id.0.clone()))
        .collect()
}

impl Session {
    /// The parameters of authenticatorMakeCredential.
    pub(crate) fn make_credential(&self, host: &mut Ceremony, create: &CreateRequest) -> Request {
        let token = self.token.as_ref().filter(|_| !self.drops_token());
        let options = Options {
            rk: self.rk.then_some(true),
            up: None,
            uv: self.uv_option.then_some(true),
        };
        let extensions = self.create_extensions(host, create);
        let enterprise = create.attestation == AttestationConveyancePreference::Enterprise
            && self.option(|options| options.ep);
        let formats = !create.attestation_formats.is_empty()
            && create.attestation != AttestationConveyancePreference::None
            && self
                .info
                .as_ref()
                .is_some_and(|info| info.attestation_formats.is_some());
        Request {
            client_data_hash: create.client_data_hash,
            rp: RpEntity {
                id: create.rp_id.clone(),
                name: Some(create.rp_name.clone()),
            },
            user: create.user.clone(),
            pub_key_cred_params: create.params.clone(),
            exclude_list: Some(self.list.clone()).filter(|list| !list.is_empty()),
            extensions: Some(extensions).filter(|e| *e != ExtensionsInput::default()),
            options: Some(options).filter(|options| *options != Options::default()),
            pin_uv_auth_param: token
                .map(|t| t.protocol.authenticate(&t.value, &create.client_data_hash)),
            pin_uv_auth_protocol: token.map(|token| token.protocol.number().into()),
            // 1: vendor-facilitated, by the list of RP IDs that the key was made with.
            enterprise_attestation: enterprise.then_some(1),
            attestation_formats_preference: formats.then(|| create.attestation_formats.clone()),
        }
    }

    fn create_extensions(&self, host: &mut Ceremony, create: &CreateRequest) -> ExtensionsInput {
        let Some(info) = &self.info else {
            return ExtensionsInput::default();
        };
        let asked = &create.extensions;
        let fits = |blob: &&webauthn::Base64Url| {
            info.max_cred_blob_length
                .is_some_and(|most| blob.len() as u64 <= most)
        };
        let (large_blob_key, large_blob) = self.blob_support(create);
        let payment = asked.payment.as_ref();
        let payment = payment.is_some_and(|payment| payment.is_payment == Some(true));
        ExtensionsInput {
            large_blob_key,
            large_blob,
            third_party_payment: (payment && info.has_extension("thirdPartyPayment"))
                .then_some(true),
            cred_blob: asked
                .cred_blob
                .as_ref()
                .filter(|_| info.has_extension("credBlob"))
                .filter(fits)
                .map(|blob| blob.0.clone().into()),
            cred_protect: self.cred_protect(host, create),
            hmac_secret: (create.wants_prf() && info.has_extension("hmac-secret")).then_some(true),
            hmac_secret_mc: self.prf_input.clone(),
            min_pin_length: (asked.min_pin_length == Some(true)
                && info.has_extension("minPinLength"))
            .then_some(true),
            ..ExtensionsInput::default()
        }
    }

    /// The credProtect level: what the site asked, or what the platform adds by itself.
    fn cred_protect(&self, host: &mut Ceremony, create: &CreateRequest) -> Option<u64> {
        if !self
            .info
            .as_ref()
            .is_some_and(|info| info.has_extension("credProtect"))
        {
            return None;
        }
        if let Some(policy) = create.extensions.credential_protection_policy {
            return Some(policy.level().into());
        }
        let rule = &host.platform.rules.cred_protect_default;
        if rule.value != CredProtectDefault::TwoOrThree || !self.rk {
            return None;
        }
        let preferred = create.user_verification == UserVerificationRequirement::Preferred;
        if preferred && create.resident_key == ResidentKeyRequirement::Required {
            let said = create.asked_user_verification.is_some();
            let how = if said { "said" } else { "left it at" };
            let words = format!(
                "This platform adds protection level 3 because the site requires a discoverable credential and {how} \"preferred\"."
            );
            let reason = rule.reason(words);
            host.reasons.push(reason);
            return Some(3);
        }
        Some(2)
    }

    pub(crate) fn option(&self, read: impl Fn(&ctap::get_info::Options) -> Option<bool>) -> bool {
        let options = self.info.as_ref().and_then(|info| info.options.as_ref());
        options.and_then(read) == Some(true)
    }

    /// CTAP 2.3 §12.1: a protection that the site wants enforced, on a key that cannot keep it.
    pub(crate) fn cannot_protect(&self, create: &CreateRequest) -> bool {
        let wanted = create.extensions.credential_protection_policy;
        create.extensions.enforce_credential_protection_policy == Some(true)
            && wanted.is_some_and(|policy| {
                policy != CredentialProtectionPolicy::UserVerificationOptional
            })
            && !self
                .info
                .as_ref()
                .is_some_and(|info| info.has_extension("credProtect"))
    }

    /// The key has made the credential.
    pub(crate) fn on_credential(
        &mut self,
        host: &mut Ceremony,
        create: &CreateRequest,
        body: &[u8],
    ) {
        let Ok(answer) = Response::decode_response(body) else {
            return host.fail(bad_reply("the answer to makeCredential is malformed"));
        };
        let made = match Made::read(&answer.auth_data, create) {
            Ok(made) => made,
            Err(failure) => return host.fail(failure),
        };
        self.note_main_touch(host, true);
        let required = self
            .decided
            .as_ref()
            .is_some_and(|decided| decided.required);
        if required && !made.user_verified && host.platform.rules.uv_flag_checked.value.is_yes() {
            return host.fail(Failure::not_allowed(FailureReason::NotVerified));
        }
        let empty = [0xA0];
        let statement = answer
            .att_stmt
            .as_ref()
            .map_or(&empty[..], |raw| raw.as_bytes());
        let object = AttestationObject {
            fmt: &answer.fmt,
            att_stmt: statement,
            auth_data: &answer.auth_data,
        };
        let conveyed = attestation::convey(&object, create.attestation);
        self.warn_level_3(host, create, &made.outputs);
        let mut outputs = self.create_outputs(create, &made.outputs);
        outputs.large_blob = self.blob_supported(create, Some(&answer));
        self.registered(host, create, &made, conveyed, outputs);
    }

    /// The outputs of the extensions; those of U2F and of keys without them are made of nothing.
    pub(crate) fn create_outputs(
        &self,
        create: &CreateRequest,
        made: &ExtensionsOutput,
    ) -> AuthenticationExtensionsClientOutputsJson {
        let asked = &create.extensions;
        AuthenticationExtensionsClientOutputsJson {
            cred_props: (asked.cred_props == Some(true))
                .then_some(CredentialPropertiesOutput { rk: Some(self.rk) }),
            cred_blob: asked
                .cred_blob
                .as_ref()
                .map(|_| made.cred_blob == Some(true)),
            hmac_create_secret: asked
                .hmac_create_secret
                .map(|_| made.hmac_secret == Some(true)),
            prf: self.prf_created(create, made),
            appid_exclude: create.app_id.as_ref().map(|_| true),
            large_blob: self.blob_supported(create, None),
            ..AuthenticationExtensionsClientOutputsJson::default()
        }
    }

    /// A credential of level 3 cannot be used by a sign-in that discourages verification.
    fn warn_level_3(&self, host: &mut Ceremony, create: &CreateRequest, made: &ExtensionsOutput) {
        let weaker = create.user_verification != UserVerificationRequirement::Required;
        if made.cred_protect == Some(3) && weaker {
            let text = "This credential is protected at level 3: a sign-in with \"discouraged\" will not find it.";
            host.reasons.push(Reason::specified(
                Party::Key,
                text,
                "CTAP 2.3 §12.1 Credential Protection (credProtect)",
            ));
            host.show(Prompt::Message {
                text: text.to_owned(),
            });
        }
    }

    pub(crate) fn registered(
        &self,
        host: &mut Ceremony,
        create: &CreateRequest,
        made: &Made,
        attestation_object: Vec<u8>,
        outputs: AuthenticationExtensionsClientOutputsJson,
    ) {
        let auth_data = AttestationObject::parse(&attestation_object)
            .map(|object| object.auth_data.to_vec())
            .unwrap_or_default();
        let transports = self.info.as_ref().and_then(|info| info.transports.clone());
        let response = AuthenticatorAttestationResponseJson {
            client_data_json: create.client_data.clone().into(),
            authenticator_data: Some(auth_data.into()),
            transports: transports
                .unwrap_or_default()
                .iter()
                .map(|transport| transport.as_str().into())
                .collect(),
            public_key: spki::encode(&made.public_key).map(Into::into),
            public_key_algorithm: Some(made.public_key.algorithm().0.into()),
            attestation_object: attestation_object.into(),
        };
        let mut credential = RegistrationResponseJson::new(made.credential_id.clone(), response);
        credential.authenticator_attachment = Some(self.attachment());
        credential.client_extension_results = outputs;
        host.succeed(
            Credential::Registration(Box::new(credential)),
            made.user_verified,
        );
    }

    pub(crate) fn attachment(&self) -> AuthenticatorAttachment {
        if self.option(|options| options.plat) {
            AuthenticatorAttachment::Platform
        } else {
            AuthenticatorAttachment::CrossPlatform
        }
    }
}

/// What the authenticator data of a new credential says.
pub(crate) struct Made {
    pub(crate) credential_id: Vec<u8>,
    pub(crate) public_key: CoseKey,
    pub(crate) user_verified: bool,
    pub(crate) outputs: ExtensionsOutput,
}

impl Made {
    pub(crate) fn read(auth_data: &[u8], create: &CreateRequest) -> Result<Self, Failure> {
        let data = AuthenticatorData::parse(auth_data)
            .map_err(|_| bad_reply("its authenticator data is malformed"))?;
        if *data.rp_id_hash != sha256(create.rp_id.as_bytes()) {
            return Err(bad_reply("it is for another site"));
        }
        let attested = data
            .attested_credential_data
            .ok_or_else(|| bad_reply("it has no attested credential data"))?;
        let public_key = attested
            .public_key()
            .map_err(|_| bad_reply("its public key is malformed"))?;
        let offered = create
            .params
            .iter()
            .any(|param| param.alg == public_key.algorithm());
        if !offered {
            return Err(bad_reply(
                "its public key has an algorithm that was not offered",
            ));
        }
        let outputs = match data.extensions {
            Some(bytes) => ExtensionsOutput::decode(bytes)
                .map_err(|_| bad_reply("its extension outputs are malformed"))?,
            None => ExtensionsOutput::default(),
        };
        Ok(Self {
            credential_id: attested.credential_id.to_vec(),
            public_key,
            user_verified: data.flags.user_verified(),
            outputs,
        })
    }
}
