//! CTAP 2.3 §12.4 largeBlob: the single large-blob extension, in which the key itself keeps one blob for
//! each credential. What it answers stays out of the authenticator data (`unsignedExtensionOutputs`).
//!
//! The shapes are those of Chromium's implementation and of the official conformance tool's tests.

use crate::item::{SecretBytes, text_map};

/// [`Support::support`]: without blobs there shall be no credential.
pub const REQUIRED: &str = "required";
/// [`Support::support`]: a credential without blobs is welcome too.
pub const PREFERRED: &str = "preferred";

text_map! {
    /// The input in makeCredential.
    #[derive(Default)]
    pub struct Support {
        /// [`REQUIRED`] or [`PREFERRED`].
        optional "support" support: String,
    }
}

text_map! {
    /// The input in getAssertion: `read`, or `write` with `originalSize`.
    #[derive(Default)]
    pub struct Input {
        /// Return the blob.
        optional "read" read: bool,
        /// Keep this blob, which is compressed, in place of the one before.
        optional "write" write: SecretBytes,
        /// How long it was before compression.
        optional "originalSize" original_size: u64,
    }
}

text_map! {
    /// The output.
    #[derive(Default)]
    pub struct Output {
        /// getAssertion: the blob that was read.
        optional "blob" blob: SecretBytes,
        /// getAssertion: whether the blob was kept.
        optional "written" written: bool,
        /// makeCredential: whether the credential can have a blob.
        optional "supported" supported: bool,
        /// getAssertion: how long the blob that was read was before compression.
        optional "originalSize" original_size: u64,
    }
}

text_map! {
    /// `unsignedExtensionOutputs`, as far as this extension is concerned.
    #[derive(Default)]
    pub struct UnsignedOutputs {
        /// The output.
        optional "largeBlob" large_blob: Output,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_output_is_a_map_and_no_byte_string() {
        // As the official tool's issue 840 has it: largeBlob => { supported => true }.
        let outputs = UnsignedOutputs {
            large_blob: Some(Output {
                supported: Some(true),
                ..Output::default()
            }),
        };
        let expected = b"\xa1\x69largeBlob\xa1\x69supported\xf5";
        assert_eq!(outputs.encode(), expected);
        assert_eq!(UnsignedOutputs::decode(expected).unwrap(), outputs);
    }
}
