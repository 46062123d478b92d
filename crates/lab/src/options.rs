//! WebAuthn L3 §5.1.8 and §5.1.9: a request of the lab from the options of a real site.

use authenticator::Profile;
use rp::policy::UserVerificationPolicy;
use serde_json::Value;
use webauthn::options::{
    AuthenticatorAttachment, PublicKeyCredentialCreationOptionsJson,
    PublicKeyCredentialRequestOptionsJson, ResidentKeyRequirement, UserVerificationRequirement,
};

use crate::scenario::{Ceremony, Request};

/// The options as they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verbatim {
    /// Of `create()`.
    Create(Box<PublicKeyCredentialCreationOptionsJson>),
    /// Of `get()`.
    Get(Box<PublicKeyCredentialRequestOptionsJson>),
}

/// What was read in a site's options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteOptions {
    /// The options themselves; none for a request by words.
    pub verbatim: Option<Verbatim>,
    /// The request that comes closest, for comparisons with what the parties could change.
    pub request: Request,
    /// The RP ID, where the site names one.
    pub rp_id: Option<String>,
    /// What the comparisons leave out or take for something else, one sentence each.
    pub remarks: Vec<String>,
}

/// Why options cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// Not JSON, or a member that is missing or of the wrong type.
    #[error("these are no options of create() or get(): {0}")]
    Json(#[from] serde_json::Error),
    /// They ask for an authenticator that is not a security key.
    #[error(
        "these options ask for an authenticator that is part of the device, so no key is asked"
    )]
    PlatformAuthenticator,
}

impl SiteOptions {
    /// Reads the JSON form of the options, alone or as the member `publicKey`, for a key of this model.
    ///
    /// # Errors
    /// [`OptionsError`]
    pub fn read(json: &str, key: &Profile) -> Result<Self, OptionsError> {
        let mut value: Value = serde_json::from_str(json)?;
        if let Some(inner) = value.get_mut("publicKey") {
            value = inner.take();
        }
        let extensions = value.get("extensions").and_then(Value::as_object);
        let remarks: Vec<String> = extensions
            .into_iter()
            .flat_map(serde_json::Map::keys)
            .filter(|name| name.as_str() != "credProps")
            .map(|name| format!("The advice leaves the extension {name} out."))
            .collect();
        // Only create() has a user.
        if value.get("user").is_some() || value.get("pubKeyCredParams").is_some() {
            return Self::create(serde_json::from_value(value)?, key, remarks);
        }
        let options: PublicKeyCredentialRequestOptionsJson = serde_json::from_value(value)?;
        let discoverable = options.allow_credentials.is_empty();
        Ok(Self {
            verbatim: Some(Verbatim::Get(Box::new(options.clone()))),
            request: Request {
                ceremony: Ceremony::Get,
                user_verification: policy(options.effective_user_verification()),
                discoverable,
            },
            rp_id: options.rp_id,
            remarks,
        })
    }

    fn create(
        options: PublicKeyCredentialCreationOptionsJson,
        key: &Profile,
        mut remarks: Vec<String>,
    ) -> Result<Self, OptionsError> {
        let verbatim = Some(Verbatim::Create(Box::new(options.clone())));
        let user_verification = policy(options.effective_user_verification());
        let selection = options.authenticator_selection.unwrap_or_default();
        if selection.authenticator_attachment == Some(AuthenticatorAttachment::Platform) {
            return Err(OptionsError::PlatformAuthenticator);
        }
        if !options.exclude_credentials.is_empty() {
            remarks.push("The advice leaves the exclude list out.".to_owned());
        }
        let discoverable = match selection.effective_resident_key() {
            ResidentKeyRequirement::Required => true,
            ResidentKeyRequirement::Discouraged => false,
            ResidentKeyRequirement::Preferred => {
                let (able, word) = match key.options.rk {
                    true => ("can", "required"),
                    false => ("cannot", "discouraged"),
                };
                remarks.push(format!(
                    "The advice takes residentKey \"preferred\" as \"{word}\": the key {able} keep such a credential."
                ));
                key.options.rk
            }
        };
        Ok(Self {
            verbatim,
            request: Request {
                ceremony: Ceremony::Create,
                user_verification,
                discoverable,
            },
            rp_id: options.rp.id,
            remarks,
        })
    }
}

fn policy(asked: UserVerificationRequirement) -> UserVerificationPolicy {
    match asked {
        UserVerificationRequirement::Required => UserVerificationPolicy::Always,
        UserVerificationRequirement::Preferred => UserVerificationPolicy::IfSet,
        UserVerificationRequirement::Discouraged => UserVerificationPolicy::Never,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CREATE: &str = r#"{"rp":{"id":"example.com","name":"E"},"user":{"id":"AQ","name":"k","displayName":""},
        "challenge":"AAECAwQFBgcICQoLDA0ODw","pubKeyCredParams":[],
        "excludeCredentials":[{"type":"public-key","id":"AQ"}],"extensions":{"credProps":true,"prf":{}},
        "authenticatorSelection":{"residentKey":"preferred","userVerification":"discouraged"}}"#;

    fn key(id: &str) -> Profile {
        authenticator::profile::find(id).unwrap().unwrap()
    }

    #[test]
    fn create_options_become_a_request_and_what_is_left_out_is_told() {
        let read = SiteOptions::read(CREATE, &key("fido-2.1")).unwrap();
        assert_eq!(
            read.request,
            Request {
                ceremony: Ceremony::Create,
                user_verification: UserVerificationPolicy::Never,
                discoverable: true,
            }
        );
        assert_eq!(read.rp_id.as_deref(), Some("example.com"));
        assert_eq!(read.remarks.len(), 3, "{:?}", read.remarks);
        assert!(read.remarks[0].contains("prf"));
        // A U2F key keeps nothing.
        let u2f = SiteOptions::read(CREATE, &key("u2f-only")).unwrap();
        assert!(!u2f.request.discoverable);
    }

    #[test]
    fn get_options_may_be_wrapped_and_say_preferred_by_saying_nothing() {
        let json = r#"{"publicKey":{"challenge":"AAECAwQFBgcICQoLDA0ODw"}}"#;
        let read = SiteOptions::read(json, &key("fido-2.1")).unwrap();
        assert_eq!(
            read.request,
            Request {
                ceremony: Ceremony::Get,
                user_verification: UserVerificationPolicy::IfSet,
                discoverable: true,
            }
        );
        assert_eq!(read.remarks, Vec::<String>::new());
    }

    #[test]
    fn what_is_no_request_to_a_key_is_refused() {
        let platform = CREATE.replace(
            r#""residentKey":"#,
            r#""authenticatorAttachment":"platform","residentKey":"#,
        );
        let key = key("fido-2.1");
        assert!(matches!(
            SiteOptions::read(&platform, &key),
            Err(OptionsError::PlatformAuthenticator)
        ));
        let error = SiteOptions::read("{}", &key).unwrap_err().to_string();
        assert!(error.contains("challenge"), "{error}");
    }
}
