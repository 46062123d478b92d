//! CTAP 2.3 §6.9 authenticatorSelection: several keys are plugged in, and a touch chooses one.

use ctap::iso7816::{ResponseApdu, StatusWord};
use ctap::{Command, Status, get_info, request_bytes, split_response};
use rand_core::CryptoRng;

use crate::ceremony::{Ceremony, KeyId};
use crate::prompt::{Prompt, TouchPurpose};
use crate::report::Step;
use crate::session::U2F_POLL;
use crate::touch::{TOUCH_RP_ID, empty_param_request, has_selection};
use crate::u2f::touch_by_registration;

/// The keys that blink.
pub(crate) struct Selection {
    candidates: Vec<Candidate>,
}

struct Candidate {
    key: KeyId,
    state: State,
}

/// How far a key has got.
enum State {
    /// It has not told yet what it can do.
    Asked,
    /// It blinks.
    Blinks(Box<get_info::Response>),
    /// It knows only U2F, and is asked for a touch again and again.
    U2f {
        /// The last answer was "not yet".
        due: bool,
    },
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
            state: State::Asked,
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
        let info = match &candidate.state {
            State::Asked => return self.on_candidate_info(key, bytes),
            State::U2f { .. } => match touched_u2f(bytes) {
                Some(true) => None,
                Some(false) => {
                    candidate.state = State::U2f { due: true };
                    self.poll_at = Some(self.now + U2F_POLL);
                    return;
                }
                None => return selection.forget(key),
            },
            State::Blinks(info) => match split_response(bytes).map(|(status, _)| status) {
                Some(
                    Status::OK
                    | Status::PIN_NOT_SET
                    | Status::PIN_INVALID
                    | Status::PIN_AUTH_INVALID,
                ) => Some((**info).clone()),
                // A key waits only so long for its touch; the person may take longer.
                Some(Status::USER_ACTION_TIMEOUT | Status::ACTION_TIMEOUT) => {
                    let request = touch_request(info);
                    return self.send_to(key, request);
                }
                _ => return selection.forget(key),
            },
        };
        let losers: Vec<_> = selection
            .keys()
            .into_iter()
            .filter(|other| *other != key)
            .collect();
        for loser in losers {
            self.cancel_key(loser);
        }
        self.steps.push(Step::Touch);
        self.poll_at = None;
        self.begin(key, info, rng);
    }

    /// What a candidate says of itself: then it blinks.
    fn on_candidate_info(&mut self, key: KeyId, bytes: &[u8]) {
        let info = match split_response(bytes) {
            Some((Status::OK, body)) => get_info::Response::decode(body).ok(),
            _ => None,
        };
        let state = match info {
            Some(info) => {
                self.send_to(key, touch_request(&info));
                State::Blinks(Box::new(info))
            }
            None => {
                self.send_touch_u2f(key);
                State::U2f { due: false }
            }
        };
        let selection = self.selection.as_mut();
        let candidate = selection.and_then(|s| s.candidates.iter_mut().find(|c| c.key == key));
        if let Some(candidate) = candidate {
            candidate.state = state;
        }
    }

    /// U2F keys that were not touched yet are asked again.
    pub(crate) fn poll_candidates(&mut self) {
        let mut due = Vec::new();
        for candidate in self.selection.iter_mut().flat_map(|s| &mut s.candidates) {
            if let State::U2f { due: true } = candidate.state {
                candidate.state = State::U2f { due: false };
                due.push(candidate.key);
            }
        }
        for key in due {
            self.send_touch_u2f(key);
        }
    }

    fn send_touch_u2f(&mut self, key: KeyId) {
        if let Some(apdu) = touch_by_registration().encode() {
            self.send_u2f_to(key, apdu);
        }
    }
}

/// CTAP 2.3 §6.9 authenticatorSelection, or what comes closest on this key.
fn touch_request(info: &get_info::Response) -> Vec<u8> {
    if has_selection(info) {
        request_bytes(Command::Selection, &[])
    } else {
        let request = empty_param_request(TOUCH_RP_ID);
        request_bytes(Command::MakeCredential, &request.encode())
    }
}

/// Whether a U2F key was touched; `None` if it does not take the question.
fn touched_u2f(bytes: &[u8]) -> Option<bool> {
    match ResponseApdu::decode(bytes)?.status {
        StatusWord::NO_ERROR => Some(true),
        StatusWord::CONDITIONS_NOT_SATISFIED => Some(false),
        _ => None,
    }
}
