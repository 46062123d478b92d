//! WebAuthn L3 §10.1.5 largeBlob, on top of either CTAP 2.3 §12.3 largeBlobKey with the array of §6.10, or
//! §12.4 largeBlob, by which the key itself keeps one blob for each credential.

use ctap::get_assertion::Response;
use ctap::large_blob::{Input, PREFERRED, REQUIRED, Support};
use ctap::large_blobs::{self, authenticated_message};
use ctap::{Command, RawOf, SecretBytes, Status, make_credential};
use rand_core::CryptoRng;
use webauthn::options::{
    AuthenticationExtensionsClientInputsJson, LargeBlobInputsJson, LargeBlobOutputsJson,
    LargeBlobSupport,
};
use webauthn::response::AuthenticationResponseJson;

use crate::ceremony::{Ceremony, Request};
use crate::create::CreateRequest;
use crate::crypto::sha256;
use crate::manage::BlobArray;
use crate::manage::large_blobs::{MOST, MOST_UNPACKED, fragment_length};
use crate::outcome::{Credential, Failure, FailureReason};
use crate::report::{DomExceptionName, Party, Reason};
use crate::session::{Session, Wait};
use crate::uv::Action;

/// How a key keeps blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// In the array that all sites share, encrypted by the platform.
    Array,
    /// By itself, with the credential.
    Extension,
}

/// The array being read, and then perhaps written, after the assertion.
#[derive(Debug)]
pub(crate) struct Blobs {
    made: Box<AuthenticationResponseJson>,
    user_verified: bool,
    key: SecretBytes,
    /// What has been read so far, or is to be written.
    bytes: Vec<u8>,
    /// Where the next fragment to be written begins.
    written: Option<usize>,
}

fn not_supported(what: &'static str) -> Failure {
    let reason = FailureReason::Options(what);
    Failure::new(DomExceptionName::NotSupportedError, reason)
}

/// Client extension processing (registration).
pub(crate) fn check_create(
    extensions: &AuthenticationExtensionsClientInputsJson,
) -> Result<(), Failure> {
    match &extensions.large_blob {
        Some(inputs) if inputs.read.is_some() || inputs.write.is_some() => Err(not_supported(
            "largeBlob.read and largeBlob.write are for signing in",
        )),
        _ => Ok(()),
    }
}

/// Client extension processing (authentication).
pub(crate) fn check_get(
    extensions: &AuthenticationExtensionsClientInputsJson,
    allowed: usize,
) -> Result<(), Failure> {
    match &extensions.large_blob {
        Some(inputs) if inputs.support.is_some() => {
            Err(not_supported("largeBlob.support is for registering"))
        }
        Some(inputs) if inputs.read.is_some() && inputs.write.is_some() => Err(not_supported(
            "largeBlob cannot be read and written at once",
        )),
        Some(inputs) if inputs.write.is_some() && allowed != 1 => Err(not_supported(
            "largeBlob.write needs exactly one credential in allowCredentials",
        )),
        _ => Ok(()),
    }
}

impl CreateRequest {
    /// Without blobs there shall be no credential.
    pub(crate) fn requires_blob(&self) -> bool {
        let inputs = self.extensions.large_blob.as_ref();
        inputs.is_some_and(|inputs| inputs.support == Some(LargeBlobSupport::Required))
    }
}

impl Session {
    fn blob_means(&self) -> Option<Means> {
        let info = self.info.as_ref().filter(|_| self.facts.key.ctap2)?;
        if info.has_extension("largeBlob") {
            Some(Means::Extension)
        } else if info.has_extension("largeBlobKey") && self.option(|options| options.large_blobs) {
            Some(Means::Array)
        } else {
            None
        }
    }

    fn blob_inputs<'a>(&self, request: &'a Request) -> Option<&'a LargeBlobInputsJson> {
        match request {
            Request::Create(create) => create.extensions.large_blob.as_ref(),
            Request::Get(get) => get.extensions.large_blob.as_ref(),
        }
    }

    /// Whether a blob is to be written into the array, which takes a permission.
    pub(crate) fn writes_array(&self) -> bool {
        let inputs = self.blob_inputs(&self.request);
        inputs.is_some_and(|inputs| inputs.write.is_some())
            && self.blob_means() == Some(Means::Array)
    }

    /// CTAP 2.3 §6.10.2: a key with a PIN or another method lets only its verified user write.
    pub(crate) fn raise_for_blob(&mut self, host: &mut Ceremony) {
        use webauthn::options::UserVerificationRequirement::Required;
        let inputs = self.blob_inputs(&self.request);
        let writes = inputs.is_some_and(|inputs| inputs.write.is_some());
        let key = &self.facts.key;
        let protected = key.client_pin == Some(true) || key.uv == Some(true);
        let asked = self.facts.user_verification == Required;
        if writes && protected && !asked && self.blob_means().is_some() {
            host.reasons.push(Reason::specified(
                Party::Site,
                "The site wants to write a large blob, which this key lets only its verified user do.",
                "CTAP 2.3 §6.10.2 and WebAuthn L3 §10.1.5",
            ));
            self.facts.user_verification = Required;
        }
    }

    /// The site requires a blob, and this key cannot keep one with the credential to be made.
    pub(crate) fn cannot_keep_blob(&self, create: &CreateRequest, action: Action) -> bool {
        create.requires_blob() && (!self.rk || self.blob_means().is_none() || action == Action::U2f)
    }

    /// The two inputs of makeCredential.
    pub(crate) fn blob_support(
        &self,
        create: &CreateRequest,
    ) -> (Option<bool>, Option<RawOf<Support>>) {
        if create.extensions.large_blob.is_none() {
            return (None, None);
        }
        match self.blob_means() {
            // §12.3: only a discoverable credential has a key for its blob.
            Some(Means::Array) => (self.rk.then_some(true), None),
            Some(Means::Extension) => {
                let support = if create.requires_blob() {
                    REQUIRED
                } else {
                    PREFERRED
                };
                let support = Some(support.to_owned());
                (None, Some((&Support { support }).into()))
            }
            None => (None, None),
        }
    }

    /// The output of `create()`.
    pub(crate) fn blob_supported(
        &self,
        create: &CreateRequest,
        answer: Option<&make_credential::Response>,
    ) -> Option<LargeBlobOutputsJson> {
        create.extensions.large_blob.as_ref()?;
        let by_key = answer.is_some_and(|answer| answer.large_blob_key.is_some());
        let by_extension = answer
            .and_then(|answer| answer.unsigned_extension_outputs.as_ref()?.decode().ok())
            .and_then(|outputs| outputs.large_blob?.supported);
        Some(LargeBlobOutputsJson {
            supported: Some(by_key || by_extension == Some(true)),
            ..LargeBlobOutputsJson::default()
        })
    }

    /// The two inputs of getAssertion.
    pub(crate) fn blob_wish(
        &self,
        inputs: Option<&LargeBlobInputsJson>,
    ) -> (Option<bool>, Option<RawOf<Input>>) {
        let Some(inputs) = inputs else {
            return (None, None);
        };
        let wants = inputs.read == Some(true) || inputs.write.is_some();
        match self.blob_means().filter(|_| wants) {
            Some(Means::Array) => (Some(true), None),
            Some(Means::Extension) => {
                let packed = |blob: &webauthn::Base64Url| {
                    SecretBytes::from(miniz_oxide::deflate::compress_to_vec(blob, 9))
                };
                let input = Input {
                    read: inputs.read.filter(|read| *read),
                    write: inputs.write.as_ref().map(packed),
                    original_size: inputs.write.as_ref().map(|blob| blob.len() as u64),
                };
                (None, Some((&input).into()))
            }
            None => (None, None),
        }
    }

    /// The assertion is good: what remains is the blob.
    pub(crate) fn signed(
        &mut self,
        host: &mut Ceremony,
        mut made: AuthenticationResponseJson,
        answer: &Response,
        user_verified: bool,
    ) {
        let request = self.request.clone();
        let Some(inputs) = self.blob_inputs(&request) else {
            return host.succeed(Credential::Authentication(Box::new(made)), user_verified);
        };
        let wants = inputs.read == Some(true) || inputs.write.is_some();
        let array = self.blob_means() == Some(Means::Array);
        match &answer.large_blob_key {
            Some(key) if array && wants => {
                let blobs = Blobs {
                    made: Box::new(made),
                    user_verified,
                    key: key.clone(),
                    bytes: Vec::new(),
                    written: None,
                };
                self.read_fragment(host, Box::new(blobs));
            }
            _ => {
                made.client_extension_results.large_blob = Some(kept_by_key(inputs, answer));
                host.succeed(Credential::Authentication(Box::new(made)), user_verified);
            }
        }
    }

    fn fragment(&self) -> u64 {
        self.info.as_deref().map_or(1, fragment_length)
    }

    fn read_fragment(&mut self, host: &mut Ceremony, blobs: Box<Blobs>) {
        let request = large_blobs::Request {
            get: Some(self.fragment()),
            set: None,
            offset: blobs.bytes.len() as u64,
            length: None,
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
        };
        let bytes = request.encode();
        self.send(host, Command::LargeBlobs, &bytes, Wait::Blobs(blobs));
    }

    /// An answer of authenticatorLargeBlobs. Whatever goes wrong here, the person has signed in.
    pub(crate) fn on_blobs(
        &mut self,
        host: &mut Ceremony,
        mut blobs: Box<Blobs>,
        (status, body): (Status, &[u8]),
        rng: &mut dyn CryptoRng,
    ) {
        if let Some(offset) = blobs.written {
            if status != Status::OK {
                return self.blob_settled(host, *blobs, None);
            }
            return self.write_fragment(host, blobs, offset);
        }
        let read = large_blobs::Response::decode(body).ok();
        let Some(read) = read.filter(|_| status == Status::OK) else {
            return self.blob_settled(host, *blobs, None);
        };
        let last = (read.config.len() as u64) < self.fragment();
        blobs.bytes.extend_from_slice(&read.config);
        if blobs.bytes.len() > MOST {
            return self.blob_settled(host, *blobs, None);
        }
        if !last {
            return self.read_fragment(host, blobs);
        }
        let mut array = BlobArray::parse(&blobs.bytes);
        let request = self.request.clone();
        let blob = self.blob_inputs(&request).and_then(|i| i.write.as_ref());
        let Some(blob) = blob else {
            let read = array.blob(&blobs.key);
            return self.blob_settled(host, *blobs, read);
        };
        let mut nonce = [0; 12];
        rng.fill_bytes(&mut nonce);
        if array.put(&blobs.key, blob, nonce).is_none() {
            return self.blob_settled(host, *blobs, None);
        }
        blobs.bytes = array.serialized();
        self.write_fragment(host, blobs, 0);
    }

    fn write_fragment(&mut self, host: &mut Ceremony, mut blobs: Box<Blobs>, offset: usize) {
        let length = usize::try_from(self.fragment()).unwrap_or(usize::MAX);
        let end = offset.saturating_add(length).min(blobs.bytes.len());
        let part = blobs.bytes.get(offset..end).unwrap_or_default();
        let Some(at) = u32::try_from(offset).ok().filter(|_| !part.is_empty()) else {
            let whole = Some(Vec::new()).filter(|_| offset > 0);
            return self.blob_settled(host, *blobs, whole);
        };
        let message = authenticated_message(at, &sha256(part));
        let token = self.token.as_ref();
        let request = large_blobs::Request {
            get: None,
            set: Some(part.to_vec()),
            offset: at.into(),
            length: (offset == 0).then_some(blobs.bytes.len() as u64),
            pin_uv_auth_param: token.map(|t| t.protocol.authenticate(&t.value, &message)),
            pin_uv_auth_protocol: token.map(|token| token.protocol.number().into()),
        };
        blobs.written = Some(end);
        let bytes = request.encode();
        self.send(host, Command::LargeBlobs, &bytes, Wait::Blobs(blobs));
    }

    /// The blob has been read or written; `None` when it has not.
    fn blob_settled(&mut self, host: &mut Ceremony, blobs: Blobs, blob: Option<Vec<u8>>) {
        let inputs = self.blob_inputs(&self.request);
        let writes = inputs.is_some_and(|inputs| inputs.write.is_some());
        let mut made = blobs.made;
        made.client_extension_results.large_blob = Some(LargeBlobOutputsJson {
            supported: None,
            written: writes.then_some(blob.is_some()),
            blob: blob.filter(|_| !writes).map(Into::into),
        });
        host.succeed(Credential::Authentication(made), blobs.user_verified);
    }
}

/// The output of a key that keeps blobs by itself, or of one that keeps none.
fn kept_by_key(inputs: &LargeBlobInputsJson, answer: &Response) -> LargeBlobOutputsJson {
    let output = answer
        .unsigned_extension_outputs
        .as_ref()
        .and_then(|outputs| outputs.decode().ok()?.large_blob)
        .unwrap_or_default();
    let blob = || {
        let size = usize::try_from(output.original_size?).ok()?;
        let packed = output.blob.as_ref()?;
        let most = size.min(MOST_UNPACKED);
        let blob = miniz_oxide::inflate::decompress_to_vec_with_limit(packed, most).ok()?;
        (blob.len() == size).then_some(blob)
    };
    LargeBlobOutputsJson {
        supported: None,
        written: inputs.write.as_ref().map(|_| output.written == Some(true)),
        blob: inputs
            .read
            .filter(|read| *read)
            .and_then(|_| blob())
            .map(Into::into),
    }
}
