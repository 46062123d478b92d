//! CTAP 2.3 §8.2 Status codes.

use std::borrow::Cow;

/// The first byte of every answer of a key. For a key, the status *is* the error.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(pub u8);

macro_rules! statuses {
    ($($code:literal $family:literal $name:ident, $meaning:literal;)*) => {
        #[allow(missing_docs)] // each constant is documented by its meaning
        impl Status {
            $(#[doc = $meaning] pub const $name: Status = Status($code);)*

            /// The name in the specification, such as `CTAP2_ERR_PIN_INVALID`.
            pub fn name(self) -> Cow<'static, str> {
                match self.0 {
                    $($code => Cow::Borrowed(concat!($family, stringify!($name))),)*
                    code => Cow::Owned(format!("status 0x{code:02X}")),
                }
            }

            /// What it means, in a few words.
            pub fn meaning(self) -> &'static str {
                match self.0 {
                    $($code => $meaning,)*
                    0xE0..=0xEF => "defined by an extension",
                    0xF0..=0xFF => "defined by the vendor",
                    _ => "unknown",
                }
            }
        }
    };
}

statuses! {
    0x00 "CTAP2_" OK, "done";
    0x01 "CTAP1_ERR_" INVALID_COMMAND, "the key does not know this command";
    0x02 "CTAP1_ERR_" INVALID_PARAMETER, "a parameter is invalid";
    0x03 "CTAP1_ERR_" INVALID_LENGTH, "a length is invalid";
    0x04 "CTAP1_ERR_" INVALID_SEQ, "message sequencing is invalid";
    0x05 "CTAP1_ERR_" TIMEOUT, "the message timed out";
    0x06 "CTAP1_ERR_" CHANNEL_BUSY, "the channel is busy";
    0x0A "CTAP1_ERR_" LOCK_REQUIRED, "the command requires a channel lock";
    0x0B "CTAP1_ERR_" INVALID_CHANNEL, "the command is not allowed on this channel";
    0x11 "CTAP2_ERR_" CBOR_UNEXPECTED_TYPE, "a CBOR item has an unexpected type";
    0x12 "CTAP2_ERR_" INVALID_CBOR, "the CBOR is malformed or not canonical";
    0x14 "CTAP2_ERR_" MISSING_PARAMETER, "a required parameter is missing";
    0x15 "CTAP2_ERR_" LIMIT_EXCEEDED, "a limit is exceeded";
    0x17 "CTAP2_ERR_" FP_DATABASE_FULL, "the fingerprint store is full";
    0x18 "CTAP2_ERR_" LARGE_BLOB_STORAGE_FULL, "the large-blob store is full";
    0x19 "CTAP2_ERR_" CREDENTIAL_EXCLUDED, "a credential of the exclude list is on this key";
    0x21 "CTAP2_ERR_" PROCESSING, "processing takes long";
    0x22 "CTAP2_ERR_" INVALID_CREDENTIAL, "the credential is not valid for this key";
    0x23 "CTAP2_ERR_" USER_ACTION_PENDING, "the key waits for the person";
    0x24 "CTAP2_ERR_" OPERATION_PENDING, "another operation is pending";
    0x25 "CTAP2_ERR_" NO_OPERATIONS, "no operation is pending";
    0x26 "CTAP2_ERR_" UNSUPPORTED_ALGORITHM, "none of the algorithms is supported";
    0x27 "CTAP2_ERR_" OPERATION_DENIED, "the operation was denied";
    0x28 "CTAP2_ERR_" KEY_STORE_FULL, "the store for discoverable credentials is full";
    0x2B "CTAP2_ERR_" UNSUPPORTED_OPTION, "an option is not supported";
    0x2C "CTAP2_ERR_" INVALID_OPTION, "an option is not valid here";
    0x2D "CTAP2_ERR_" KEEPALIVE_CANCEL, "the platform cancelled";
    0x2E "CTAP2_ERR_" NO_CREDENTIALS, "no matching credential on this key";
    0x2F "CTAP2_ERR_" USER_ACTION_TIMEOUT, "the person did not act in time";
    0x30 "CTAP2_ERR_" NOT_ALLOWED, "not allowed now (no continuation, or outside the time window)";
    0x31 "CTAP2_ERR_" PIN_INVALID, "wrong PIN";
    0x32 "CTAP2_ERR_" PIN_BLOCKED, "the PIN is blocked until a reset";
    0x33 "CTAP2_ERR_" PIN_AUTH_INVALID, "the PIN/UV authentication parameter does not verify";
    0x34 "CTAP2_ERR_" PIN_AUTH_BLOCKED, "too many wrong PINs; take the key out and plug it in again";
    0x35 "CTAP2_ERR_" PIN_NOT_SET, "the key has no PIN";
    0x36 "CTAP2_ERR_" PUAT_REQUIRED, "the key insists on user verification (PIN/UV auth token required)";
    0x37 "CTAP2_ERR_" PIN_POLICY_VIOLATION, "the PIN does not meet the policy, or must be changed first";
    0x39 "CTAP2_ERR_" REQUEST_TOO_LARGE, "the request is too large for this key";
    0x3A "CTAP2_ERR_" ACTION_TIMEOUT, "the action timed out";
    0x3B "CTAP2_ERR_" UP_REQUIRED, "a touch is required";
    0x3C "CTAP2_ERR_" UV_BLOCKED, "built-in user verification is blocked";
    0x3D "CTAP2_ERR_" INTEGRITY_FAILURE, "an integrity check failed";
    0x3E "CTAP2_ERR_" INVALID_SUBCOMMAND, "the subcommand is not supported";
    0x3F "CTAP2_ERR_" UV_INVALID, "built-in user verification failed; it may be tried again";
    0x40 "CTAP2_ERR_" UNAUTHORIZED_PERMISSION, "the permission is not granted";
    0x7F "CTAP1_ERR_" OTHER, "another error";
}

impl Status {
    /// `Ok` for [`Status::OK`], otherwise the status as the error.
    pub fn ok(self) -> Result<(), Status> {
        if self == Status::OK {
            Ok(())
        } else {
            Err(self)
        }
    }
}

impl core::fmt::Debug for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} (0x{:02X})", self.name(), self.0)
    }
}

impl core::fmt::Display for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} (0x{:02X}): {}", self.name(), self.0, self.meaning())
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_specification() {
        assert_eq!(Status::PIN_INVALID.name(), "CTAP2_ERR_PIN_INVALID");
        assert_eq!(Status::OTHER.name(), "CTAP1_ERR_OTHER");
        assert_eq!(format!("{:?}", Status(0xF1)), "status 0xF1 (0xF1)");
        assert_eq!(Status::OK.ok(), Ok(()));
        assert_eq!(Status::PUAT_REQUIRED.ok(), Err(Status::PUAT_REQUIRED));
    }
}
