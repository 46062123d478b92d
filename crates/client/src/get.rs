//! WebAuthn L3 §5.1.4 `[[DiscoverFromExternalSource]]`: the checks of the options, the request to the
//! key (CTAP 2.3 §6.2), the further assertions (§6.3), the choice of the account and the credential.

use core::time::Duration;

use ctap::entities::CredentialDescriptor;
use ctap::get_assertion::{BoolOr, ExtensionsInput, ExtensionsOutput, Options, Request, Response};
use ctap::{Command, Status};
use webauthn::authenticator_data::AuthenticatorData;
use webauthn::client_data;
use webauthn::options::{
    AuthenticationExtensionsClientInputsJson, AuthenticationExtensionsClientOutputsJson,
    PublicKeyCredentialRequestOptionsJson, UserVerificationRequirement,
};
use webauthn::response::{AuthenticationResponseJson, AuthenticatorAssertionResponseJson};

use crate::ceremony::{Caller, Ceremony, Request as Asked};
use crate::create::{check_rp_id, descriptors};
use crate::crypto::sha256;
use crate::outcome::{Failure, FailureReason};
use crate::prompt::{Account, Prompt};
use crate::related::RpIdClaim;
use crate::report::{DomExceptionName, Step};
use crate::rules::AccountPicker;
use crate::session::{Session, Wait, bad_reply};
use crate::uv::CredentialList;
use crate::verify::Dialog;
use crate::{app_id, large_blob};

/// A `get()` whose options have passed the checks.
pub(crate) struct GetRequest {
    pub(crate) rp_id: String,
    pub(crate) app_id: Option<String>,
    pub(crate) allow: Vec<CredentialDescriptor>,
    /// The page named credentials, though perhaps none of a type that is known.
    named: bool,
    pub(crate) user_verification: UserVerificationRequirement,
    pub(crate) extensions: AuthenticationExtensionsClientInputsJson,
    pub(crate) client_data: Vec<u8>,
    pub(crate) client_data_hash: [u8; 32],
    pub(crate) timeout: Duration,
}

/// More accounts than any key holds for one site; more would be a faulty key.
const MOST_ACCOUNTS: u64 = 4096;

impl GetRequest {
    /// The checks, in the order of the text.
    pub(crate) fn check(
        options: PublicKeyCredentialRequestOptionsJson,
        caller: &Caller,
        claim: RpIdClaim,
    ) -> Result<Self, Failure> {
        let rp_id = check_rp_id(options.rp_id.as_deref(), caller, claim)?;
        let extensions = options.extensions.clone().unwrap_or_default();
        check_prf(&extensions, &options)?;
        large_blob::check_get(&extensions, options.allow_credentials.len())?;
        check_payment(&extensions)?;
        let named = !options.allow_credentials.is_empty();
        let app_id = app_id::check_get(&extensions, caller, named)?;
        let top = caller.cross_top().map(ToString::to_string);
        let client_data = client_data::serialize(
            client_data::TYPE_GET,
            &options.challenge,
            &caller.origin.to_string(),
            top.is_some(),
            top.as_deref(),
        );
        let request = Self {
            rp_id,
            app_id,
            allow: descriptors(&options.allow_credentials),
            named,
            user_verification: options.effective_user_verification(),
            extensions,
            client_data_hash: sha256(&client_data),
            client_data,
            timeout: crate::policy::timeout(options.timeout.map(u64::from)),
        };
        if request.named && request.allow.is_empty() {
            // No credential is eligible, and an empty list would ask for any.
            return Err(Failure::not_allowed(FailureReason::NoCredentials));
        }
        Ok(request)
    }

    /// Whether the site wants a secret evaluated.
    pub(crate) fn wants_prf(&self) -> bool {
        self.extensions.prf.is_some()
    }

    /// Whether the secret depends on which credential is used.
    pub(crate) fn has_inputs_by_credential(&self) -> bool {
        self.extensions
            .prf
            .as_ref()
            .and_then(|prf| prf.eval_by_credential.as_ref())
            .is_some_and(|inputs| !inputs.is_empty())
    }
}

/// Secure Payment Confirmation §5: payments are confirmed by PaymentRequest alone.
fn check_payment(extensions: &AuthenticationExtensionsClientInputsJson) -> Result<(), Failure> {
    let payment = extensions.payment.as_ref();
    if payment.is_some_and(|payment| payment.is_payment == Some(true)) {
        return Err(Failure::not_allowed(FailureReason::Options(
            "payments are confirmed by PaymentRequest, not by get()",
        )));
    }
    Ok(())
}

/// §10.1.4 prf, client extension processing (authentication), steps on `evalByCredential`.
fn check_prf(
    extensions: &AuthenticationExtensionsClientInputsJson,
    options: &PublicKeyCredentialRequestOptionsJson,
) -> Result<(), Failure> {
    let inputs = extensions
        .prf
        .as_ref()
        .and_then(|prf| prf.eval_by_credential.as_ref());
    let Some(inputs) = inputs.filter(|inputs| !inputs.is_empty()) else {
        return Ok(());
    };
    if options.allow_credentials.is_empty() {
        let reason = FailureReason::Options("prf.evalByCredential needs allowCredentials");
        return Err(Failure::new(DomExceptionName::NotSupportedError, reason));
    }
    for name in inputs.keys() {
        let listed = webauthn::base64url::decode(name).is_ok_and(|id| {
            options
                .allow_credentials
                .iter()
                .any(|allowed| allowed.id.0 == id)
        });
        if !listed {
            let reason = FailureReason::Options(
                "prf.evalByCredential names a credential that is not allowed",
            );
            return Err(Failure::new(DomExceptionName::SyntaxError, reason));
        }
    }
    Ok(())
}

impl Session {
    /// The parameters of authenticatorGetAssertion.
    pub(crate) fn get_assertion(&self, get: &GetRequest) -> Request {
        let token = self.token.as_ref().filter(|_| !self.drops_token());
        let options = Options {
            uv: self.uv_option.then_some(true),
            ..Options::default()
        };
        let has_blobs = self
            .info
            .as_ref()
            .is_some_and(|info| info.has_extension("credBlob"));
        let (large_blob_key, large_blob) = self.blob_wish(get.extensions.large_blob.as_ref());
        let extensions = ExtensionsInput {
            large_blob_key,
            large_blob,
            cred_blob: (get.extensions.get_cred_blob == Some(true) && has_blobs).then_some(true),
            hmac_secret: self.prf_input.clone().map(BoolOr::Other),
            ..ExtensionsInput::default()
        };
        Request {
            rp_id: self.rp_id().to_owned(),
            client_data_hash: get.client_data_hash,
            allow_list: Some(self.list.clone()).filter(|list| !list.is_empty()),
            extensions: Some(extensions).filter(|e| *e != ExtensionsInput::default()),
            options: Some(options).filter(|options| *options != Options::default()),
            pin_uv_auth_param: token
                .map(|t| t.protocol.authenticate(&t.value, &get.client_data_hash)),
            pin_uv_auth_protocol: token.map(|token| token.protocol.number().into()),
        }
    }

    /// The key has signed.
    pub(crate) fn on_assertion(&mut self, host: &mut Ceremony, get: &GetRequest, body: &[u8]) {
        let Ok(mut answer) = Response::decode(body) else {
            return host.fail(bad_reply("the answer to getAssertion is malformed"));
        };
        self.note_main_touch(host, true);
        if answer.credential.is_none() && self.list.len() == 1 {
            answer.credential = self.list.first().cloned();
        }
        let discoverable = get.allow.is_empty();
        let count = answer.number_of_credentials.unwrap_or(1);
        let chosen = answer.user_selected == Some(true);
        if count > MOST_ACCOUNTS {
            return host.fail(bad_reply("it counts more accounts than a key can hold"));
        }
        self.assertions.push(answer);
        if discoverable && count > 1 && !chosen {
            self.assertions_wanted = usize::try_from(count).unwrap_or(usize::MAX);
            return self.send(host, Command::GetNextAssertion, &[], Wait::Next);
        }
        let always = host.platform.rules.account_picker.value == AccountPicker::Always;
        if discoverable && always && !chosen {
            return self.ask_account(host);
        }
        self.assert(host, get, 0);
    }

    /// §6.3 authenticatorGetNextAssertion.
    pub(crate) fn on_next(&mut self, host: &mut Ceremony, status: Status, body: &[u8]) {
        if status != Status::OK {
            return self.key_refused(host, status);
        }
        let Ok(answer) = Response::decode(body) else {
            return host.fail(bad_reply("the answer to getNextAssertion is malformed"));
        };
        self.assertions.push(answer);
        if self.assertions.len() < self.assertions_wanted {
            return self.send(host, Command::GetNextAssertion, &[], Wait::Next);
        }
        self.ask_account(host);
    }

    fn ask_account(&mut self, host: &mut Ceremony) {
        let accounts = self
            .assertions
            .iter()
            .map(|assertion| Account {
                name: assertion.user.as_ref().and_then(|user| user.name.clone()),
                display_name: assertion
                    .user
                    .as_ref()
                    .and_then(|user| user.display_name.clone()),
            })
            .collect();
        host.show(Prompt::PickAccount { accounts });
        self.wait = Wait::User(Dialog::Account);
    }

    pub(crate) fn on_account(&mut self, host: &mut Ceremony, index: usize) {
        if index >= self.assertions.len() {
            self.wait = Wait::User(Dialog::Account);
            return;
        }
        host.steps.push(Step::PickAccount);
        if let Asked::Get(get) = &*self.request.clone() {
            self.assert(host, get, index);
        }
    }

    /// Makes the credential of the assertion at this place.
    fn assert(&mut self, host: &mut Ceremony, get: &GetRequest, index: usize) {
        let Some(assertion) = self.assertions.get(index) else {
            return host.fail(bad_reply("there is no such account"));
        };
        let data = match check_assertion(assertion, self.rp_id()) {
            Ok(data) => data,
            Err(failure) => return host.fail(failure),
        };
        let user_verified = data.flags.user_verified();
        let required = self
            .decided
            .as_ref()
            .is_some_and(|decided| decided.required);
        if required && !user_verified && host.platform.rules.uv_flag_checked.value.is_yes() {
            return host.fail(Failure::not_allowed(FailureReason::NotVerified));
        }
        let Some(credential) = &assertion.credential else {
            return host.fail(bad_reply("it does not say which credential signed"));
        };
        let listed = self.facts.list == CredentialList::Empty
            || get.allow.iter().any(|allowed| allowed.id == credential.id);
        if !listed {
            return host.fail(bad_reply("it names a credential that was not asked for"));
        }
        let outputs = match data.extensions.map(ExtensionsOutput::decode).transpose() {
            Ok(outputs) => outputs.unwrap_or_default(),
            Err(_) => return host.fail(bad_reply("its extension outputs are malformed")),
        };
        let response = AuthenticatorAssertionResponseJson {
            client_data_json: get.client_data.clone().into(),
            authenticator_data: assertion.auth_data.clone().into(),
            signature: assertion.signature.clone().into(),
            user_handle: assertion.user.as_ref().map(|user| user.id.clone().into()),
        };
        let mut made = AuthenticationResponseJson::new(credential.id.clone(), response);
        made.authenticator_attachment = Some(self.attachment());
        made.client_extension_results = self.get_outputs(get, &outputs, user_verified);
        let answer = assertion.clone();
        self.signed(host, made, &answer, user_verified);
    }

    /// The outputs of the extensions but largeBlob; those of U2F are made of nothing.
    pub(crate) fn get_outputs(
        &self,
        get: &GetRequest,
        outputs: &ExtensionsOutput,
        user_verified: bool,
    ) -> AuthenticationExtensionsClientOutputsJson {
        AuthenticationExtensionsClientOutputsJson {
            appid: get.app_id.as_ref().map(|_| self.by_app_id),
            prf: self.prf_evaluated(get, outputs, user_verified),
            get_cred_blob: get
                .extensions
                .get_cred_blob
                .and(outputs.cred_blob.as_ref())
                .map(|blob| blob.to_vec().into()),
            ..AuthenticationExtensionsClientOutputsJson::default()
        }
    }
}

fn check_assertion<'a>(
    assertion: &'a Response,
    rp_id: &str,
) -> Result<AuthenticatorData<'a>, Failure> {
    let data = AuthenticatorData::parse(&assertion.auth_data)
        .map_err(|_| bad_reply("its authenticator data is malformed"))?;
    if *data.rp_id_hash != sha256(rp_id.as_bytes()) {
        return Err(bad_reply("it is for another site"));
    }
    if data.attested_credential_data.is_some() {
        return Err(bad_reply("an assertion has no attested credential data"));
    }
    Ok(data)
}
