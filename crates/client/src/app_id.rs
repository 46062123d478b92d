//! WebAuthn L3 §10.1.1 appid and §10.1.2 appidExclude: credentials that were registered by U2F, under an
//! AppID in place of the RP ID.

use webauthn::options::AuthenticationExtensionsClientInputsJson;

use crate::ceremony::{Caller, Request};
use crate::outcome::{Failure, FailureReason};
use crate::report::DomExceptionName;
use crate::session::Session;

/// The AppID of a sign-in, if the page may use it.
pub(crate) fn check_get(
    extensions: &AuthenticationExtensionsClientInputsJson,
    caller: &Caller,
    names_credentials: bool,
) -> Result<Option<String>, Failure> {
    let Some(app_id) = &extensions.appid else {
        return Ok(None);
    };
    if !names_credentials {
        let reason = FailureReason::Options("appid needs allowCredentials");
        return Err(Failure::new(DomExceptionName::NotSupportedError, reason));
    }
    authorize(app_id, caller).map(Some)
}

/// The AppID of a registration, if the page may use it.
pub(crate) fn check_create(
    extensions: &AuthenticationExtensionsClientInputsJson,
    caller: &Caller,
) -> Result<Option<String>, Failure> {
    let app_id = extensions.appid_exclude.as_ref();
    app_id.map(|app_id| authorize(app_id, caller)).transpose()
}

fn authorize(app_id: &str, caller: &Caller) -> Result<String, Failure> {
    webauthn::app_id::authorize(app_id, &caller.origin).ok_or_else(|| {
        let reason = FailureReason::Options("the page may not use this AppID");
        Failure::new(DomExceptionName::SecurityError, reason)
    })
}

impl Request {
    /// The AppID besides the RP ID.
    pub(crate) fn app_id(&self) -> Option<&str> {
        match self {
            Self::Create(create) => create.app_id.as_deref(),
            Self::Get(get) => get.app_id.as_deref(),
        }
    }
}

impl Session {
    /// The RP ID that the key is told: the AppID, once a credential has been found under it.
    pub(crate) fn rp_id(&self) -> &str {
        match self.request.app_id() {
            Some(app_id) if self.by_app_id => app_id,
            _ => self.request.rp_id(),
        }
    }

    /// Whether the list has still to be tried under the AppID.
    pub(crate) fn wants_app_id(&self) -> bool {
        self.facts.key.ctap2 && self.request.app_id().is_some() && !self.list.is_empty()
    }
}
