//! CTAP 2.3 §6.9 authenticatorSelection: several keys are plugged in, and a touch chooses one.

use ctap::{Command, Status, get_info, request_bytes, split_response};
use rand_core::CryptoRng;

use crate::ceremony::{Ceremony, KeyId};
use crate::prompt::{Prompt, TouchPurpose};
use crate::report::Step;
use crate::touch::{TOUCH_RP_ID, empty_param_request, has_selection};

/// The keys that blink.
pub(crate) struct Selection {
    candidates: Vec<Candidate>,
}

struct Candidate {
    key: KeyId,
    /// None until the key has told what it can do.
    info: Option<get_info::Response>,
}

impl Selection {
    pub(crate) fn keys(&self) -> Vec<KeyId> {
        self.candidates
            .iter()
            .map(|candidate| candidate.key)
            .collect()
    }

    pub(crate) fn forget(&mut self, key: KeyId) {
        self.candidates.retain(|candidate| candidate.key != key);
    }
}

impl Ceremony {
    /// Asks these keys, besides those asked already, what they can do.
    pub(crate) fn select(&mut self, keys: &[KeyId]) {
        let selection = self.selection.get_or_insert(Selection {
            candidates: Vec::new(),
        });
        let new: Vec<_> = keys
            .iter()
            .copied()
            .filter(|key| !selection.keys().contains(key))
            .collect();
        selection.candidates.extend(new.iter().map(|key| Candidate {
            key: *key,
            info: None,
        }));
        for key in new {
            self.send_to(key, request_bytes(Command::GetInfo, &[]));
        }
        let rp_id = self.rp_id();
        self.show(Prompt::Touch {
            purpose: TouchPurpose::Select,
            rp_id,
        });
    }

    pub(crate) fn on_selection_reply(&mut self, key: KeyId, bytes: &[u8], rng: &mut dyn CryptoRng) {
        let Some(selection) = &mut self.selection else {
            return;
        };
        let Some(candidate) = selection.candidates.iter_mut().find(|c| c.key == key) else {
            return;
        };
        let (status, body) = split_response(bytes).unwrap_or((Status::OTHER, &[]));
        if candidate.info.is_none() {
            let info = if status == Status::OK {
                get_info::Response::decode(body).ok()
            } else {
                None
            };
            let Some(info) = info else {
                // A key that cannot be asked for a touch alone takes no part in the choice.
                return selection.forget(key);
            };
            let request = if has_selection(&info) {
                request_bytes(Command::Selection, &[])
            } else {
                request_bytes(
                    Command::MakeCredential,
                    &empty_param_request(TOUCH_RP_ID).encode(),
                )
            };
            candidate.info = Some(info);
            return self.send_to(key, request);
        }
        let touched = [
            Status::OK,
            Status::PIN_NOT_SET,
            Status::PIN_INVALID,
            Status::PIN_AUTH_INVALID,
        ];
        if !touched.contains(&status) {
            return selection.forget(key);
        }
        let info = candidate.info.take();
        let losers: Vec<_> = selection
            .keys()
            .into_iter()
            .filter(|other| *other != key)
            .collect();
        for loser in losers {
            self.cancel_key(loser);
        }
        self.steps.push(Step::Touch);
        self.begin(key, info, rng);
    }
}
