//! CTAP 2.3 §6.10 authenticatorLargeBlobs: one array for all relying parties, read and written by
//! fragments, of which the key knows only that it is whole.

use ctap::client_pin::Permissions;
use ctap::large_blobs::{CHECK_LENGTH, Request, Response, authenticated_message};
use ctap::{Status, large_blobs};

use crate::authenticator::{Authenticator, Channel, Continuation, Env, Handled, Step};
use crate::crypto;
use crate::state::Change;

/// §6.10.2: what a key holds that never was written to: an empty array, and its check.
const INITIAL: [u8; 17] = [
    0x80, 0x76, 0xbe, 0x8b, 0x52, 0x8d, 0x00, 0x75, 0xf7, 0xaa, 0xe9, 0x8d, 0x6f, 0xa5, 0x7a, 0x6d,
    0x3c,
];

/// What the frame around a fragment takes of a message (§6.10.1 maxFragmentLength).
const FRAME: usize = 64;

/// An array that is being written.
pub(crate) struct Fragments {
    expected_length: usize,
    bytes: Vec<u8>,
}

impl Authenticator {
    /// Handles authenticatorLargeBlobs. What was begun on this channel comes as `continuation`.
    pub(crate) fn large_blobs(
        &mut self,
        parameters: &[u8],
        continuation: Option<Continuation>,
        channel: Channel,
        env: &mut Env<'_>,
    ) -> Handled {
        // Step 1: here, what is missing is an invalid parameter.
        let request = Request::decode(parameters).map_err(|status| match status {
            Status::MISSING_PARAMETER => Status::INVALID_PARAMETER,
            status => status,
        })?;
        let mut fragments = match continuation {
            Some(Continuation::LargeBlobs(fragments)) => Some(fragments),
            _ => None,
        };
        // Steps 2 and 3.
        let result = match (request.get, &request.set) {
            (Some(get), None) => self.get_large_blobs(get, &request),
            (None, Some(set)) => self.set_large_blobs(set, &request, &mut fragments, env),
            _ => Err(Status::INVALID_PARAMETER),
        };
        // Neither reading nor a fragment that is refused ends what was begun.
        if let Some(fragments) = fragments {
            self.begin_continuation(channel, Continuation::LargeBlobs(fragments));
        }
        result
    }

    fn max_fragment_length(&self) -> usize {
        self.profile.max_msg_size.saturating_sub(FRAME)
    }

    /// Step 4.
    fn get_large_blobs(&self, get: u64, request: &Request) -> Handled {
        let unexpected = request.length.is_some()
            || request.pin_uv_auth_param.is_some()
            || request.pin_uv_auth_protocol.is_some();
        if unexpected {
            return Err(Status::INVALID_PARAMETER);
        }
        let get = usize::try_from(get).unwrap_or(usize::MAX);
        if get > self.max_fragment_length() {
            return Err(Status::INVALID_LENGTH);
        }
        let stored = self.state.large_blob_array().unwrap_or(&INITIAL);
        let rest = usize::try_from(request.offset)
            .ok()
            .and_then(|offset| stored.get(offset..))
            .ok_or(Status::INVALID_PARAMETER)?;
        let response = Response {
            config: rest[..get.min(rest.len())].to_vec(),
        };
        Ok(Step::Reply(response.encode()))
    }

    /// Step 5.
    fn set_large_blobs(
        &mut self,
        set: &[u8],
        request: &Request,
        fragments: &mut Option<Fragments>,
        env: &mut Env<'_>,
    ) -> Handled {
        if set.len() > self.max_fragment_length() {
            return Err(Status::INVALID_LENGTH);
        }
        if request.offset == 0 {
            *fragments = Some(self.new_large_blob_array(request.length)?);
        } else if request.length.is_some() {
            return Err(Status::INVALID_PARAMETER);
        }
        let written = fragments
            .as_mut()
            .filter(|written| written.bytes.len() as u64 == request.offset)
            .ok_or(Status::INVALID_SEQ)?;
        let room = written.expected_length - written.bytes.len();
        self.authorize_large_blobs(set, request)?;
        if set.len() > room {
            return Err(Status::INVALID_PARAMETER);
        }
        written.bytes.extend_from_slice(set);
        if set.len() < room {
            return Ok(Step::Reply(Vec::new()));
        }
        let bytes = core::mem::take(fragments).map_or_else(Vec::new, |whole| whole.bytes);
        let (array, check) = bytes.split_at(bytes.len() - CHECK_LENGTH);
        if crypto::sha256(array)[..CHECK_LENGTH] != *check {
            return Err(Status::INTEGRITY_FAILURE);
        }
        self.commit(env, &[Change::SetLargeBlobArray(bytes)])?;
        Ok(Step::Reply(Vec::new()))
    }

    fn new_large_blob_array(&self, length: Option<u64>) -> Result<Fragments, Status> {
        let length = length.ok_or(Status::INVALID_PARAMETER)?;
        let expected_length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= self.profile.credentials.max_large_blob_array)
            .ok_or(Status::LARGE_BLOB_STORAGE_FULL)?;
        if expected_length < INITIAL.len() {
            return Err(Status::INVALID_PARAMETER);
        }
        Ok(Fragments {
            expected_length,
            bytes: Vec::with_capacity(expected_length),
        })
    }

    /// Whoever protects the key must show a token with the permission lbw for each fragment.
    fn authorize_large_blobs(&mut self, set: &[u8], request: &Request) -> Result<(), Status> {
        if !self.is_protected() && self.always_uv_option() != Some(true) {
            return Ok(());
        }
        let param = request
            .pin_uv_auth_param
            .as_ref()
            .ok_or(Status::PUAT_REQUIRED)?;
        let protocol = self.protocol(request.pin_uv_auth_protocol)?;
        let offset = u32::try_from(request.offset).map_err(|_| Status::INVALID_PARAMETER)?;
        let message: [u8; large_blobs::MESSAGE_LENGTH] =
            authenticated_message(offset, &crypto::sha256(set));
        self.verify_token(protocol, &message, param, Permissions::LARGE_BLOB_WRITE)
            .map(drop)
    }
}
