//! CTAP 2.3 §6.2 authenticatorGetAssertion and §6.3 authenticatorGetNextAssertion.

use core::time::Duration;
use std::sync::Arc;

use ctap::client_pin::Permissions;
use ctap::entities::{CredentialDescriptor, PUBLIC_KEY, UserEntity};
use ctap::get_assertion::{BoolOr, ExtensionsOutput, Request, Response};
use ctap::{SecretBytes, Status};
use webauthn::authenticator_data;

use crate::authenticator::{Authenticator, Channel, Continuation, Env, Handled, Pending, Step};
use crate::credential::{CredProtect, CredentialSource};
use crate::crypto::{self, CryptoError};
use crate::extensions::hmac_secret::Salts;
use crate::extensions::large_blob::{Circumstances, LargeBlobWish};
use crate::presence::{self, Purpose, UserPresent, UserVerified};
use crate::profile::Extension;
use crate::state::Change;
use crate::uv::{self, Ceremony, Decision};

/// §6.3: how long the next assertion may be asked for.
const NEXT_ASSERTION_TIME_LIMIT: Duration = Duration::from_secs(30);

/// What all assertions of one request share.
struct Common {
    rp_id_hash: [u8; 32],
    client_data_hash: [u8; 32],
    verified: Option<UserVerified>,
    present: Option<UserPresent>,
    salts: Option<Salts>,
    wants_blob: bool,
    wants_large_blob_key: bool,
    wants_third_party_payment: bool,
    large_blob: Option<LargeBlobWish>,
    /// Whether no other credential could sign.
    sole: bool,
}

/// A request that was accepted so far, with the evidence that was found.
pub(crate) struct Prepared {
    request: Request,
    up: bool,
    common: Common,
}

/// What getNextAssertion goes on with.
pub(crate) struct Remaining {
    common: Common,
    /// The credential that signed last; the next one is older.
    last: Arc<CredentialSource>,
    /// How many are left.
    left: u64,
    deadline: Duration,
}

impl Common {
    /// Steps 7.4 and 7.5: the highest credProtect level that this request may see.
    fn most_protected(&self, listed: bool) -> CredProtect {
        if self.verified.is_some() {
            CredProtect::UserVerificationRequired
        } else if listed {
            CredProtect::UserVerificationOptionalWithCredentialIdList
        } else {
            CredProtect::UserVerificationOptional
        }
    }
}

impl Prepared {
    fn purpose(&self) -> Purpose {
        Purpose::GetAssertion {
            rp_id: self.request.rp_id.clone(),
        }
    }
}

impl Authenticator {
    /// Handles authenticatorGetAssertion, up to where a person is needed.
    pub(crate) fn get_assertion(
        &mut self,
        parameters: &[u8],
        channel: Channel,
        env: &mut Env<'_>,
    ) -> Handled {
        let request = Request::decode(parameters)?;
        let options = request.options.clone().unwrap_or_default();
        let up = options.up.unwrap_or(true);
        let decision = uv::decide(&self.facts(
            Ceremony::GetAssertion,
            (false, up, options.uv.unwrap_or(false)),
            request.pin_uv_auth_param.as_deref(),
        ));
        // Step 1.
        if let Decision::TouchThen(status) = decision {
            return self.wait_for_touch(Pending::Select(status), Purpose::Selection, env.now);
        }
        // Step 2.
        if request.pin_uv_auth_param.is_some() {
            self.protocol(request.pin_uv_auth_protocol)?;
        }
        // Step 4; uv is the gate's.
        if options.rk.is_some() {
            return Err(Status::UNSUPPORTED_OPTION);
        }
        self.check_list(request.allow_list.as_deref())?;
        // Step 5.
        if let Decision::Reject(status) = decision {
            return Err(self.deviate_on_refusal(status));
        }
        let common = Common {
            rp_id_hash: crypto::sha256(request.rp_id.as_bytes()),
            client_data_hash: request.client_data_hash,
            verified: None,
            present: None,
            salts: None,
            wants_blob: false,
            wants_large_blob_key: false,
            wants_third_party_payment: false,
            large_blob: None,
            sole: false,
        };
        let mut prepared = Prepared {
            request,
            up,
            common,
        };
        self.read_extensions(&mut prepared, env)?;
        // Step 6.
        match decision {
            Decision::VerifyParam => {
                prepared.common.verified =
                    Some(self.verify_get_assertion_param(&prepared.request)?);
                prepared.common.present = self
                    .token
                    .as_ref()
                    .and_then(|t| t.get_user_present_flag_value());
            }
            Decision::PerformBuiltInUv => {
                let purpose = prepared.purpose();
                let command = Pending::GetAssertion(Box::new(prepared));
                return self.perform_built_in_uv(command, purpose, true, env.now);
            }
            Decision::Skip | Decision::TouchThen(_) | Decision::Reject(_) => {}
        }
        // Step 7.6: say so before a touch is asked for.
        if self.first_applicable(&prepared).is_none() {
            return Err(Status::NO_CREDENTIALS);
        }
        // Step 9.
        if !up {
            prepared.common.present = None;
        } else if prepared.common.present.is_none() {
            let purpose = prepared.purpose();
            return self.wait_for_touch(
                Pending::GetAssertion(Box::new(prepared)),
                purpose,
                env.now,
            );
        }
        self.finish_get_assertion(prepared, channel, env)
    }

    /// Goes on after built-in user verification, which is evidence of presence too (step 8).
    pub(crate) fn get_assertion_verified(
        &mut self,
        mut prepared: Prepared,
        (verified, present): (UserVerified, UserPresent),
        channel: Channel,
        env: &mut Env<'_>,
    ) -> Handled {
        prepared.common.verified = Some(verified);
        prepared.common.present = Some(present);
        self.finish_get_assertion(prepared, channel, env)
    }

    /// Goes on after a touch.
    pub(crate) fn get_assertion_touched(
        &mut self,
        mut prepared: Prepared,
        present: UserPresent,
        channel: Channel,
        env: &mut Env<'_>,
    ) -> Handled {
        prepared.common.present = Some(present);
        self.finish_get_assertion(prepared, channel, env)
    }

    /// Step 6.1.
    fn verify_get_assertion_param(&mut self, request: &Request) -> Result<UserVerified, Status> {
        self.verify_for_rp(
            request.pin_uv_auth_protocol,
            &request.client_data_hash,
            request.pin_uv_auth_param.as_deref().unwrap_or_default(),
            Permissions::GET_ASSERTION,
            &request.rp_id,
        )
    }

    /// Step 10, the part that can fail: before anything is asked of a person.
    fn read_extensions(
        &mut self,
        prepared: &mut Prepared,
        env: &mut Env<'_>,
    ) -> Result<(), Status> {
        let Some(input) = prepared.request.extensions.take() else {
            return Ok(());
        };
        prepared.common.wants_blob =
            self.profile.has(Extension::CredBlob) && input.cred_blob == Some(true);
        prepared.common.wants_third_party_payment = self.profile.has(Extension::ThirdPartyPayment)
            && input.third_party_payment == Some(true);
        prepared.common.large_blob = self.large_blob_wish(input.large_blob.as_ref())?;
        if self.profile.has(Extension::LargeBlobKey) {
            // §12.3: if it is there, it is true.
            if input.large_blob_key == Some(false) {
                return Err(Status::INVALID_OPTION);
            }
            prepared.common.wants_large_blob_key = input.large_blob_key.is_some();
        }
        if let Some(BoolOr::Other(salts)) = input
            .hmac_secret
            .filter(|_| self.profile.has(Extension::HmacSecret))
        {
            // §12.7: the secret needs a touch.
            if !prepared.up {
                return Err(Status::UNSUPPORTED_OPTION);
            }
            prepared.common.salts = Some(self.open_salts(&salts, env)?);
        }
        Ok(())
    }

    /// Steps 7 and 11: the credential of the allow list, or the newest discoverable one.
    fn first_applicable(&self, prepared: &Prepared) -> Option<Arc<CredentialSource>> {
        let common = &prepared.common;
        match allow_list(&prepared.request) {
            Some(list) => list
                .iter()
                .filter_map(|descriptor| self.find_credential(descriptor, &common.rp_id_hash))
                .find(|source| source.cred_protect <= common.most_protected(true)),
            None => self.newest(common, None),
        }
    }

    /// Step 7.2 and 12: the newest discoverable credential, or the newest one that is older.
    fn newest(
        &self,
        common: &Common,
        before: Option<&CredentialSource>,
    ) -> Option<Arc<CredentialSource>> {
        self.state
            .index()
            .newest(&common.rp_id_hash, common.most_protected(false), before)
            .cloned()
    }

    /// Steps 7 to 13, with the evidence.
    fn finish_get_assertion(
        &mut self,
        mut prepared: Prepared,
        channel: Channel,
        env: &mut Env<'_>,
    ) -> Handled {
        let source = self
            .first_applicable(&prepared)
            .ok_or(Status::NO_CREDENTIALS)?;
        // Steps 11 and 12: the newest now, the others when they are asked for.
        let (count, choices) = match allow_list(&prepared.request) {
            Some(list) => (1, list.len()),
            None => {
                let most = prepared.common.most_protected(false);
                let hash = &prepared.common.rp_id_hash;
                let count = self.state.index().count_up_to(hash, most);
                (count as u64, count)
            }
        };
        prepared.common.sole = choices == 1;
        let common = &prepared.common;
        let response = self.assertion(&source, common, (count > 1).then_some(count), env)?;
        // Step 9.4.
        if prepared.up {
            self.use_up_token();
        }
        if count > 1 {
            let deadline = env.now + NEXT_ASSERTION_TIME_LIMIT;
            let remaining = Remaining {
                common: prepared.common,
                last: source,
                left: count - 1,
                deadline,
            };
            self.begin_continuation(channel, Continuation::Assertions(Box::new(remaining)));
        }
        Ok(Step::Reply(response))
    }

    /// Handles authenticatorGetNextAssertion.
    pub(crate) fn get_next_assertion(
        &mut self,
        continuation: Option<Continuation>,
        channel: Channel,
        env: &mut Env<'_>,
    ) -> Handled {
        // Steps 1 to 3: remembered on this channel, not exhausted, not too late.
        let Some(Continuation::Assertions(mut remaining)) = continuation else {
            return Err(Status::NOT_ALLOWED);
        };
        if env.now > remaining.deadline {
            return Err(Status::NOT_ALLOWED);
        }
        let source = self
            .newest(&remaining.common, Some(&remaining.last))
            .ok_or(Status::NOT_ALLOWED)?;
        let response = self.assertion(&source, &remaining.common, None, env)?;
        remaining.last = source;
        remaining.left -= 1;
        if remaining.left > 0 {
            remaining.deadline = env.now + NEXT_ASSERTION_TIME_LIMIT;
            self.begin_continuation(channel, Continuation::Assertions(remaining));
        }
        Ok(Step::Reply(response))
    }

    /// Step 13: one signed answer. The counter is durable before it leaves.
    fn assertion(
        &mut self,
        source: &CredentialSource,
        common: &Common,
        number_of_credentials: Option<u64>,
        env: &mut Env<'_>,
    ) -> Result<Vec<u8>, Status> {
        let key = self.signing_key(source)?;
        let extensions = self.get_assertion_output(source, common, env)?;
        let counter = self.state.counter().checked_add(1).ok_or(Status::OTHER)?;
        let given = Circumstances {
            present: common.present,
            verified: common.verified,
            sole: common.sole,
        };
        let (large_blob, kept) = self.large_blob_output(source, common.large_blob.as_ref(), &given);
        let mut changes = vec![Change::SetCounter(counter)];
        changes.extend(kept);
        self.commit(env, &changes)?;
        let mut signed = authenticator_data::encode(
            &common.rp_id_hash,
            presence::flags(common.present, common.verified),
            self.deviate_on_counter(counter),
            None,
            extensions.as_deref(),
        );
        let length = signed.len();
        signed.extend_from_slice(&common.client_data_hash);
        let signature = key.sign(&signed).map_err(|CryptoError| Status::OTHER)?;
        signed.truncate(length);
        let response = Response {
            credential: Some(CredentialDescriptor {
                id: source.id.clone(),
                type_: PUBLIC_KEY.to_owned(),
                transports: None,
            }),
            auth_data: signed,
            signature,
            user: user(source, common.verified),
            number_of_credentials,
            user_selected: None,
            large_blob_key: common
                .wants_large_blob_key
                .then(|| self.large_blob_key(source))
                .flatten(),
            unsigned_extension_outputs: large_blob,
        };
        Ok(response.encode())
    }

    fn get_assertion_output(
        &self,
        source: &CredentialSource,
        common: &Common,
        env: &mut Env<'_>,
    ) -> Result<Option<Vec<u8>>, Status> {
        let hmac_secret = match &common.salts {
            Some(salts) if source.hmac_secret => {
                Some(self.hmac_secret_output(salts, &source.id, common.verified, env.rng)?)
            }
            _ => None,
        };
        // §12.2: an empty blob if there is none.
        let none = || SecretBytes::from(Vec::new());
        let cred_blob = common
            .wants_blob
            .then(|| source.cred_blob.clone().unwrap_or_else(none));
        let output = ExtensionsOutput {
            cred_blob,
            hmac_secret,
            third_party_payment: common
                .wants_third_party_payment
                .then_some(source.third_party_payment),
        };
        Ok((output != ExtensionsOutput::default()).then(|| output.encode()))
    }
}

/// An empty list counts as absent.
fn allow_list(request: &Request) -> Option<&[CredentialDescriptor]> {
    request
        .allow_list
        .as_deref()
        .filter(|list| !list.is_empty())
}

/// The account of a discoverable credential: its ID always, its names only to a verified user.
fn user(source: &CredentialSource, verified: Option<UserVerified>) -> Option<UserEntity> {
    let user = source.user.as_ref().filter(|_| source.discoverable)?;
    Some(if verified.is_some() {
        user.clone()
    } else {
        UserEntity {
            id: user.id.clone(),
            name: None,
            display_name: None,
        }
    })
}
