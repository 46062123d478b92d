//! CTAP 2.3 §6.1 authenticatorMakeCredential.

use std::sync::Arc;

use ctap::Status;
use ctap::client_pin::Permissions;
use ctap::entities::{CredentialDescriptor, PUBLIC_KEY};
use ctap::make_credential::{Request, Response};
use rand_core::CryptoRng;
use webauthn::authenticator_data::{self, AttestedCredentialData};
use webauthn::cose::CoseAlgorithm;

use crate::attestation::Attested;
use crate::authenticator::{Authenticator, Env, Handled, Pending, Step};
use crate::credential::{self, CredProtect, CredentialSource, STORED_ID_LENGTH};
use crate::crypto::{self, CryptoError, KeyMaterial, SigningKey};
use crate::extensions::{New, Wanted, large_blob};
use crate::presence::{self, Purpose, UserPresent, UserVerified};
use crate::profile::Members;
use crate::state::Change;
use crate::uv::{self, Ceremony, Decision, Facts, PinUvAuthParam};

/// Longest user handle (WebAuthn L3 §5.4.3).
const MAX_USER_ID_LENGTH: usize = 64;

/// A request that was accepted so far, with the evidence that was found.
pub(crate) struct Prepared {
    request: Request,
    rp_id_hash: [u8; 32],
    algorithm: CoseAlgorithm,
    rk: bool,
    enterprise: bool,
    extensions: Wanted,
    verified: Option<UserVerified>,
    present: Option<UserPresent>,
    excluded: bool,
}

impl Prepared {
    /// Whether the answer can only be that the credential exists.
    pub(crate) fn is_excluded(&self) -> bool {
        self.excluded
    }

    fn purpose(&self) -> Purpose {
        Purpose::MakeCredential {
            rp_id: self.request.rp.id.clone(),
            user_name: self.request.user.name.clone(),
        }
    }
}

impl Authenticator {
    /// Handles authenticatorMakeCredential, up to where a person is needed.
    pub(crate) fn make_credential(&mut self, parameters: &[u8], env: &mut Env<'_>) -> Handled {
        let mut request = Request::decode(parameters)?;
        let options = request.options.clone().unwrap_or_default();
        let rk = options.rk.unwrap_or(false);
        let decision = uv::decide(&self.facts(
            Ceremony::MakeCredential,
            (rk, true, options.uv.unwrap_or(false)),
            request.pin_uv_auth_param.as_deref(),
        ));
        // Step 1.
        if let Decision::TouchThen(status) = decision {
            return self.wait_for_touch(Pending::Select(status), Purpose::Selection, env.now);
        }
        self.deviate_on_params(request.pub_key_cred_params.len())?;
        // Step 2.
        if request.pin_uv_auth_param.is_some() {
            self.protocol(request.pin_uv_auth_protocol)?;
        }
        // Step 3.
        let algorithm = self.choose_algorithm(&request)?;
        // Step 5; uv is the gate's.
        if rk && !self.profile.options.rk {
            return Err(Status::UNSUPPORTED_OPTION);
        }
        if options.up == Some(false) {
            return Err(Status::INVALID_OPTION);
        }
        if request.user.id.len() > MAX_USER_ID_LENGTH {
            return Err(Status::INVALID_LENGTH);
        }
        self.check_list(request.exclude_list.as_deref())?;
        // Steps 6 to 8.
        if let Decision::Reject(status) = decision {
            return Err(self.deviate_on_refusal(status));
        }
        // Step 9.
        let enterprise = self.check_enterprise(request.enterprise_attestation, &request.rp.id)?;
        let extensions = self.wanted_extensions(request.extensions.take(), rk, env)?;
        let rp_id_hash = crypto::sha256(request.rp.id.as_bytes());
        let mut prepared = Prepared {
            request,
            rp_id_hash,
            algorithm,
            rk,
            enterprise,
            extensions,
            verified: None,
            present: None,
            excluded: false,
        };
        // Steps 10 and 11.
        match decision {
            Decision::VerifyParam => {
                prepared.verified = Some(self.verify_make_credential_param(&prepared.request)?);
                prepared.present = self
                    .token
                    .as_ref()
                    .and_then(|t| t.get_user_present_flag_value());
            }
            Decision::PerformBuiltInUv => {
                let purpose = prepared.purpose();
                let command = Pending::MakeCredential(Box::new(prepared));
                return self.perform_built_in_uv(command, purpose, true, env.now);
            }
            Decision::Skip | Decision::TouchThen(_) | Decision::Reject(_) => {}
        }
        self.exclude_then_touch(prepared, env)
    }

    /// Goes on after built-in user verification.
    pub(crate) fn make_credential_verified(
        &mut self,
        mut prepared: Prepared,
        (verified, present): (UserVerified, UserPresent),
        env: &mut Env<'_>,
    ) -> Handled {
        prepared.verified = Some(verified);
        // Step 13.
        prepared.present = Some(present);
        self.exclude_then_touch(prepared, env)
    }

    /// Goes on after a touch.
    pub(crate) fn make_credential_touched(
        &mut self,
        mut prepared: Prepared,
        present: UserPresent,
        env: &mut Env<'_>,
    ) -> Handled {
        prepared.present = Some(present);
        self.finish_make_credential(&prepared, env)
    }

    /// Steps 12 to 14: whether it exists already; the touch.
    fn exclude_then_touch(&mut self, mut prepared: Prepared, env: &mut Env<'_>) -> Handled {
        let excluded = prepared.request.exclude_list.take().unwrap_or_default();
        prepared.excluded = excluded.iter().any(|descriptor| {
            // Step 12.2: what needs verification is not told about without.
            self.find_credential(descriptor, &prepared.rp_id_hash)
                .is_some_and(|source| {
                    prepared.verified.is_some()
                        || source.cred_protect != CredProtect::UserVerificationRequired
                })
        });
        if prepared.present.is_none() {
            let purpose = prepared.purpose();
            return self.wait_for_touch(
                Pending::MakeCredential(Box::new(prepared)),
                purpose,
                env.now,
            );
        }
        self.finish_make_credential(&prepared, env)
    }

    /// Steps 14 to 19, with the touch.
    fn finish_make_credential(&mut self, prepared: &Prepared, env: &mut Env<'_>) -> Handled {
        if prepared.excluded {
            return Err(Status::CREDENTIAL_EXCLUDED);
        }
        // Step 14.4: what the token stood for is used up.
        self.use_up_token();
        // Step 16.
        let (material, key) = SigningKey::generate(prepared.algorithm, env.rng)
            .map_err(|CryptoError| Status::OTHER)?;
        let public_key = key.public_key().encode();
        // Steps 17 and 18.
        let id = self.keep_credential(prepared, material, env)?;
        // Step 19.
        let attested = AttestedCredentialData {
            aaguid: self.profile.aaguid,
            credential_id: &id,
            credential_public_key: &public_key,
        };
        let new = New {
            id: &id,
            rp_id: &prepared.request.rp.id,
            discoverable: prepared.rk,
            verified: prepared.verified,
        };
        let extensions = self.make_credential_output(&prepared.extensions, &new, env)?;
        let wants_key = prepared.extensions.large_blob_key;
        let large_blob_key = wants_key.then(|| self.large_blob_key_of(&id));
        let mut signed = authenticator_data::encode(
            &prepared.rp_id_hash,
            presence::flags(prepared.present, prepared.verified),
            self.state.counter(),
            Some(&attested),
            extensions.as_deref(),
        );
        let length = signed.len();
        signed.extend_from_slice(&prepared.request.client_data_hash);
        let preference = prepared.request.attestation_formats_preference.as_deref();
        let format = self.attestation_format(preference, prepared.algorithm);
        let subject = Attested {
            rp_id_hash: &prepared.rp_id_hash,
            client_data_hash: &prepared.request.client_data_hash,
            id: &id,
            key: (prepared.algorithm, &key),
            signed: &signed,
        };
        let attestation = self.attest(format, prepared.enterprise, &subject)?;
        signed.truncate(length);
        self.keep_loaded(id, Arc::new(key));
        let response = Response {
            fmt: attestation.fmt.to_owned(),
            auth_data: signed,
            att_stmt: Some(attestation.att_stmt),
            ep_att: prepared.enterprise.then_some(true),
            large_blob_key,
            unsigned_extension_outputs: prepared
                .extensions
                .large_blob
                .then(|| large_blob::supported(prepared.rk)),
        };
        Ok(Step::Reply(response.encode()))
    }

    /// Stores the credential, or seals it into its ID.
    fn keep_credential(
        &mut self,
        prepared: &Prepared,
        key: KeyMaterial,
        env: &mut Env<'_>,
    ) -> Result<Vec<u8>, Status> {
        let traits = prepared.extensions.traits();
        if !prepared.rk && credential::fits_into_id(prepared.algorithm) {
            let secrets = self.state.secrets();
            return credential::seal(secrets, &prepared.rp_id_hash, &key, traits, env.rng)
                .map_err(|CryptoError| Status::OTHER);
        }
        // Step 17.2: one discoverable credential per account and relying party.
        let of_user = self
            .state
            .index()
            .of_user(&prepared.rp_id_hash, &prepared.request.user.id);
        let replaced = of_user
            .filter(|_| prepared.rk)
            .map(|source| source.id.clone());
        if replaced.is_none() && self.remaining_credentials() == 0 {
            return Err(Status::KEY_STORE_FULL);
        }
        let source = CredentialSource {
            id: random_id(env.rng),
            rp_id_hash: prepared.rp_id_hash,
            rp: Some(prepared.request.rp.clone()),
            user: Some(prepared.request.user.clone()),
            key,
            discoverable: prepared.rk,
            cred_protect: traits.cred_protect,
            hmac_secret: traits.hmac_secret,
            large_blob_key: traits.large_blob_key,
            third_party_payment: traits.third_party_payment,
            cred_blob: self
                .accepted_blob(&prepared.extensions, prepared.rk)
                .cloned(),
            created: self.state.next_created(),
        };
        let id = source.id.clone();
        let mut changes = vec![Change::PutCredential(Arc::new(source))];
        if let Some(old) = replaced {
            self.forget_loaded(&old);
            changes.insert(0, Change::DeleteCredential(old));
        }
        if prepared.rk {
            self.commit_credentials(changes, env)?;
        } else {
            self.commit(env, &changes)?;
        }
        Ok(id)
    }

    /// Step 3: the first algorithm that the key has, however long the list is.
    fn choose_algorithm(&self, request: &Request) -> Result<CoseAlgorithm, Status> {
        let algorithms = &self.profile.credentials.algorithms;
        request
            .pub_key_cred_params
            .iter()
            .find(|params| params.type_ == PUBLIC_KEY && algorithms.contains(&params.alg))
            .map(|params| params.alg)
            .ok_or(Status::UNSUPPORTED_ALGORITHM)
    }

    /// Step 9: vendor-facilitated (1) for the relying parties that the key is delivered with,
    /// platform-managed (2) for those that the platform vouches for.
    fn check_enterprise(&self, wanted: Option<u64>, rp_id: &str) -> Result<bool, Status> {
        let Some(wanted) = wanted else {
            return Ok(false);
        };
        if !(self.profile.options.ep && self.state.config().enterprise_attestation) {
            return Err(Status::INVALID_PARAMETER);
        }
        match wanted {
            1 => {
                let rp_ids = &self.profile.attestation.enterprise_rp_ids;
                Ok(rp_ids.iter().any(|known| known == rp_id))
            }
            2 => Ok(true),
            _ => Err(Status::INVALID_OPTION),
        }
    }

    /// Step 11.1.
    fn verify_make_credential_param(&mut self, request: &Request) -> Result<UserVerified, Status> {
        self.verify_for_rp(
            request.pin_uv_auth_protocol,
            &request.client_data_hash,
            request.pin_uv_auth_param.as_deref().unwrap_or_default(),
            Permissions::MAKE_CREDENTIAL,
            &request.rp.id,
        )
    }

    /// §6.1.2 step 11.1 and §6.2.2 step 6.1: the token verifies, has the permission, stands for a
    /// verified user, and is bound to this relying party or becomes so.
    pub(crate) fn verify_for_rp(
        &mut self,
        protocol: Option<u64>,
        client_data_hash: &[u8; 32],
        param: &[u8],
        permission: Permissions,
        rp_id: &str,
    ) -> Result<UserVerified, Status> {
        let protocol = self.protocol(protocol)?;
        let token = self.verify_token(protocol, client_data_hash, param, permission)?;
        if token.rp_id().is_some_and(|bound| bound != rp_id) {
            return Err(Status::PIN_AUTH_INVALID);
        }
        let verified = token
            .get_user_verified_flag_value()
            .ok_or(Status::PIN_AUTH_INVALID)?;
        token.associate_rp_id(rp_id);
        Ok(verified)
    }

    /// §6.1.2 step 14.4 and §6.2.2 step 9.4.
    pub(crate) fn use_up_token(&mut self) {
        if let Some(token) = &mut self.token {
            token.clear_user_present_flag();
            token.clear_user_verified_flag();
            token.clear_pin_uv_auth_token_permissions_except_lbw();
        }
    }

    /// The facts for the UV gate.
    pub(crate) fn facts(
        &self,
        ceremony: Ceremony,
        (rk, up, uv): (bool, bool, bool),
        param: Option<&[u8]>,
    ) -> Facts {
        let has = &self.profile.options;
        Facts {
            ceremony,
            rk,
            up,
            uv,
            pin_uv_auth_param: match param {
                None => PinUvAuthParam::Absent,
                Some([]) => PinUvAuthParam::Empty,
                Some(_) => PinUvAuthParam::Present,
            },
            client_pin: self.client_pin_option(),
            built_in_uv: self.uv_option(),
            always_uv: self.always_uv_option() == Some(true),
            make_cred_uv_not_rqd: has.make_cred_uv_not_rqd,
            no_mc_ga_permissions_with_client_pin: has.no_mc_ga_permissions_with_client_pin,
        }
    }

    /// A list longer than getInfo's maxCredentialCountInList is refused, if the key announces that.
    pub(crate) fn check_list(&self, list: Option<&[CredentialDescriptor]>) -> Result<(), Status> {
        let announced = self.profile.members >= Members::V21Pre;
        let longest = if announced {
            self.profile.credentials.max_count_in_list
        } else {
            usize::MAX
        };
        if list.is_some_and(|list| list.len() > longest) {
            Err(Status::LIMIT_EXCEEDED)
        } else {
            Ok(())
        }
    }

    /// The credential of this key and this relying party with this ID, stored or sealed.
    pub(crate) fn find_credential(
        &self,
        descriptor: &CredentialDescriptor,
        rp_id_hash: &[u8; 32],
    ) -> Option<Arc<CredentialSource>> {
        let id = &descriptor.id;
        if descriptor.type_ != PUBLIC_KEY || id.len() > self.profile.credentials.max_id_length {
            return None;
        }
        match self.state.credential(id) {
            Some(source) => (source.rp_id_hash == *rp_id_hash).then(|| Arc::clone(source)),
            None => credential::unseal(self.state.secrets(), rp_id_hash, id).map(Arc::new),
        }
    }
}

fn random_id(rng: &mut dyn CryptoRng) -> Vec<u8> {
    let mut id = vec![0; STORED_ID_LENGTH];
    rng.fill_bytes(&mut id);
    id
}
