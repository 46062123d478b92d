//! CTAP 2.3 §6.10 authenticatorLargeBlobs (0x0C).

use crate::item::int_map;

/// How many bytes of SHA-256 end the serialized array (§6.10.1).
pub const CHECK_LENGTH: usize = 16;

/// Length of [`authenticated_message`].
pub const MESSAGE_LENGTH: usize = 70;

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

/// The message that pinUvAuthParam authenticates:
/// 32 × 0xff || 0x0c 0x00 || offset (32 bits, little endian) || SHA-256 of the fragment.
pub fn authenticated_message(offset: u32, fragment_hash: &[u8; 32]) -> [u8; MESSAGE_LENGTH] {
    let mut message = [0xff; MESSAGE_LENGTH];
    message[32..34].copy_from_slice(&[0x0c, 0x00]);
    message[34..38].copy_from_slice(&offset.to_le_bytes());
    message[38..].copy_from_slice(fragment_hash);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authenticated_message_is_laid_out_as_the_text_says() {
        let message = authenticated_message(0x0102_0304, &[9; 32]);
        let expected: Vec<u8> = [0xff; 32]
            .into_iter()
            .chain([0x0c, 0x00, 0x04, 0x03, 0x02, 0x01])
            .chain([9; 32])
            .collect();
        assert_eq!(message[..], expected);
    }
}
