//! CTAP 2.3 §6.10 authenticatorLargeBlobs (0x0C).

use crate::item::int_map;

int_map! {
    /// What the platform asks for: either `get` or `set`.
    pub struct Request {
        /// How many bytes to read.
        optional 0x01 "get" get: u64,
        /// A fragment to write.
        optional 0x02 "set" set: Vec<u8>,
        /// Where, in bytes.
        required 0x03 "offset" offset: u64,
        /// The whole length; only with the first fragment.
        optional 0x04 "length" length: u64,
        /// Authenticates the fragment.
        optional 0x05 "pinUvAuthParam" pin_uv_auth_param: Vec<u8>,
        /// Which PIN/UV auth protocol.
        optional 0x06 "pinUvAuthProtocol" pin_uv_auth_protocol: u64,
    }
}

int_map! {
    /// What the key answers to `get`.
    pub struct Response {
        /// The bytes read.
        required 0x01 "config" config: Vec<u8>,
    }
}
