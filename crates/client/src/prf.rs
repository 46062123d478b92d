//! WebAuthn L3 §10.1.4 prf, on top of CTAP 2.3 §12.7 hmac-secret and §12.8 hmac-secret-mc.

use ctap::pin_protocol::{PinUvAuthProtocol, SharedSecret};
use ctap::{SecretBytes, Status, get_assertion, make_credential};
use rand_core::CryptoRng;
use webauthn::cose::CoseKey;
use webauthn::options::{PrfInputsJson, PrfOutputsJson, PrfValuesJson};
use zeroize::Zeroizing;

use crate::ceremony::{Ceremony, Request};
use crate::create::CreateRequest;
use crate::crypto::sha256;
use crate::get::GetRequest;
use crate::session::Session;

/// A salt and an output of hmac-secret have 32 bytes.
const SALT: usize = 32;

/// The salt of an input: the prefix keeps sites apart from programs that use hmac-secret directly.
fn salt(input: &[u8]) -> [u8; SALT] {
    sha256(&[b"WebAuthn PRF\0", input].concat())
}

fn salts(values: &PrfValuesJson) -> Zeroizing<Vec<u8>> {
    let mut salts = Zeroizing::new(salt(&values.first).to_vec());
    if let Some(second) = &values.second {
        salts.extend_from_slice(&salt(second));
    }
    salts
}

impl Session {
    /// The inputs for this key: by credential, or those for any.
    fn prf_values<'a>(&self, prf: Option<&'a PrfInputsJson>) -> Option<&'a PrfValuesJson> {
        let prf = prf?;
        let only = self.list.first().filter(|_| self.list.len() == 1);
        only.and_then(|credential| {
            let name = webauthn::base64url::encode(&credential.id);
            prf.eval_by_credential.as_ref()?.get(&name)
        })
        .or(prf.eval.as_ref())
    }

    fn prf_inputs(&self) -> Option<PrfValuesJson> {
        let info = self.info.as_ref()?;
        match &*self.request {
            Request::Create(create) => {
                let eval = create.extensions.prf.as_ref()?.eval.as_ref()?;
                info.has_extension("hmac-secret-mc").then(|| eval.clone())
            }
            Request::Get(get) => {
                let values = self.prf_values(get.extensions.prf.as_ref())?;
                info.has_extension("hmac-secret").then(|| values.clone())
            }
        }
    }

    /// Whether salts have to be agreed on before the request. Without verification the key would use
    /// the other secret, whose results are not for the page.
    pub(crate) fn wants_prf_agreement(&self) -> bool {
        let verified = self.token.is_some() || self.uv_option;
        verified && self.prf_input.is_none() && self.prf_inputs().is_some()
    }

    pub(crate) fn on_prf_agreement(
        &mut self,
        host: &mut Ceremony,
        key_agreement: CoseKey,
        secret: SharedSecret,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Status> {
        let values = self.prf_inputs().ok_or(Status::OTHER)?;
        let salt_enc = secret.encrypt(&salts(&values), rng)?;
        self.prf_input = Some(make_credential::HmacSecretInput {
            key_agreement,
            salt_auth: secret.authenticate(&salt_enc),
            salt_enc: SecretBytes::from(salt_enc),
            // §12.7: may be left out for protocol one, and CTAP 2.0 keys do not know it.
            pin_uv_auth_protocol: (secret.protocol() != PinUvAuthProtocol::One)
                .then(|| secret.protocol().number().into()),
        });
        self.prf_secret = Some(secret);
        self.send_main(host);
        Ok(())
    }

    /// One or two outputs of 32 bytes.
    fn prf_results(&self, encrypted: Option<&SecretBytes>) -> Option<PrfValuesJson> {
        let outputs = self.prf_secret.as_ref()?.decrypt(encrypted?).ok()?;
        let (first, rest) = outputs.split_at_checked(SALT)?;
        let second = match rest.len() {
            0 => None,
            SALT => Some(rest.to_vec().into()),
            _ => return None,
        };
        Some(PrfValuesJson {
            first: first.to_vec().into(),
            second,
        })
    }

    pub(crate) fn prf_created(
        &self,
        create: &CreateRequest,
        made: &make_credential::ExtensionsOutput,
    ) -> Option<PrfOutputsJson> {
        create.extensions.prf.as_ref()?;
        Some(PrfOutputsJson {
            enabled: Some(made.hmac_secret == Some(true)),
            results: self.prf_results(made.hmac_secret_mc.as_ref()),
        })
    }

    /// The result belongs to verification: there are two secrets, and without it the key uses the
    /// other one, which the text does not expose.
    pub(crate) fn prf_evaluated(
        &self,
        get: &GetRequest,
        outputs: &get_assertion::ExtensionsOutput,
        user_verified: bool,
    ) -> Option<PrfOutputsJson> {
        get.extensions.prf.as_ref()?;
        let results = self
            .prf_results(outputs.hmac_secret.as_ref())
            .filter(|_| user_verified);
        Some(PrfOutputsJson {
            enabled: None,
            results,
        })
    }
}
