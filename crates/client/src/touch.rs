//! CTAP 2.3 §6.9 authenticatorSelection, and the older ways to ask a key for a touch alone.

use ctap::{Command, Status, get_info, make_credential};
use rand_core::CryptoRng;

use crate::ceremony::Ceremony;
use crate::outcome::{Failure, FailureReason};
use crate::prompt::{Prompt, TouchPurpose};
use crate::report::{Ended, Step};
use crate::session::{AfterTouch, Session, Wait};

/// A name that no site can have, for requests that ask for nothing but a touch.
pub(crate) const TOUCH_RP_ID: &str = "touch.invalid";

impl Session {
    pub(crate) fn maybe_touch(
        &mut self,
        host: &mut Ceremony,
        touch: bool,
        after: AfterTouch,
        rng: &mut dyn CryptoRng,
    ) {
        if touch {
            self.ask_touch(host, after)
        } else {
            self.after_touch(host, after, rng)
        }
    }

    /// CTAP 2.3 §6.9 authenticatorSelection, or before 2.1 a makeCredential that cannot succeed: with
    /// an empty pinUvAuthParam a key answers PIN_NOT_SET or PIN_INVALID after a touch.
    pub(crate) fn ask_touch(&mut self, host: &mut Ceremony, after: AfterTouch) {
        self.show_touch(host, TouchPurpose::Select);
        let selects = self.info.as_ref().is_some_and(|info| has_selection(info));
        if !self.facts.key.ctap2 {
            // A U2F key has no way to ask for a touch alone but a registration.
            return self.touch_by_u2f(host, after);
        }
        if selects {
            self.send(host, Command::Selection, &[], Wait::Touch(after));
        } else {
            let bytes = empty_param_request(TOUCH_RP_ID).encode();
            self.send(host, Command::MakeCredential, &bytes, Wait::Touch(after));
        }
    }

    pub(crate) fn on_touch(
        &mut self,
        host: &mut Ceremony,
        after: AfterTouch,
        status: Status,
        rng: &mut dyn CryptoRng,
    ) {
        let touched = [
            Status::OK,
            Status::PIN_NOT_SET,
            Status::PIN_INVALID,
            Status::PIN_AUTH_INVALID,
        ];
        if !touched.contains(&status) {
            return self.key_refused(host, status);
        }
        host.steps.push(Step::Touch);
        self.after_touch(host, after, rng);
    }

    pub(crate) fn after_touch(
        &mut self,
        host: &mut Ceremony,
        after: AfterTouch,
        rng: &mut dyn CryptoRng,
    ) {
        match after {
            AfterTouch::Fail(failure) => {
                host.show(Prompt::Message {
                    text: failure.reason.to_string(),
                });
                host.fail(failure);
            }
            AfterTouch::CreatePin { optional } => self.ask_new_pin(host, optional, None),
            AfterTouch::EnterPin(entry) => self.start_pin(host, entry, rng),
            AfterTouch::Hang => {
                host.end(Ended::Hang, Failure::not_allowed(FailureReason::NeverEnds));
            }
        }
    }

    pub(crate) fn show_touch(&self, host: &mut Ceremony, purpose: TouchPurpose) {
        host.show(Prompt::Touch {
            purpose,
            rp_id: self.request.rp_id().to_owned(),
        });
    }
}

/// Whether the key knows authenticatorSelection.
pub(crate) fn has_selection(info: &get_info::Response) -> bool {
    ["FIDO_2_1", "FIDO_2_3"]
        .iter()
        .any(|version| info.has_version(version))
}

/// A makeCredential that asks for nothing but a touch.
pub(crate) fn empty_param_request(rp_id: &str) -> make_credential::Request {
    make_credential::Request {
        client_data_hash: [0; 32],
        rp: make_credential::RpEntity {
            id: rp_id.to_owned(),
            name: None,
        },
        user: make_credential::UserEntity {
            id: vec![1],
            name: None,
            display_name: None,
        },
        pub_key_cred_params: vec![make_credential::CredentialParameters::public_key(
            webauthn::cose::CoseAlgorithm::ES256,
        )],
        exclude_list: None,
        extensions: None,
        options: None,
        pin_uv_auth_param: Some(Vec::new()),
        pin_uv_auth_protocol: Some(1),
        enterprise_attestation: None,
        attestation_formats_preference: None,
    }
}
