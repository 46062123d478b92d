//! FIDO MDS 3 §3.2: what was registered is looked at again when the metadata is new. A model that was
//! good may be revoked since.

use webauthn::attestation_object::AttestationObject;
use webauthn::cbor::Value;

use super::trust::key_identifiers;
use super::{Trust, TrustAnchors};
use crate::metadata::{ModelFacts, ModelPolicy, ModelRefusal, Subject};
use crate::record::CredentialRecord;

/// Whether the policy still takes the model of a credential that is registered, by the metadata of
/// `anchors`, and what that says of the model. Run it over your store when there is new metadata.
///
/// U2F authenticators are known by their certificate, so only if the record has kept the attestation
/// object.
///
/// # Errors
/// [`ModelRefusal`]
pub fn review(
    record: &CredentialRecord,
    policy: &ModelPolicy,
    anchors: &TrustAnchors,
    now_unix: u64,
) -> Result<Option<ModelFacts>, ModelRefusal> {
    let object = record.attestation_object.as_deref();
    let object = object.and_then(|bytes| AttestationObject::parse(bytes).ok());
    let path = object.as_ref().map_or_else(Vec::new, path);
    let keys = key_identifiers(&path);
    let is_u2f = object.is_some_and(|object| object.fmt == "fido-u2f");
    let entry = anchors.entry((!is_u2f).then_some(record.aaguid), &keys);
    let trusted = record.attested || anchors.assess(&path, entry, now_unix) == Trust::Trusted;
    let subject = Subject {
        claimed: record.aaguid,
        proven: record.attested.then_some(record.aaguid),
        trusted,
        key_identifiers: &keys,
        path: &path,
        entry,
    };
    let metadata = anchors.metadata();
    policy.check(subject, metadata, now_unix)?;
    Ok(entry
        .zip(metadata)
        .filter(|_| trusted)
        .map(|(entry, metadata)| ModelFacts::new(metadata, entry, now_unix)))
}

/// The certificates of a statement; those inside `compound` are not looked for.
fn path(object: &AttestationObject<'_>) -> Vec<Vec<u8>> {
    let statement = Value::decode(object.att_stmt).ok();
    let x5c = statement
        .as_ref()
        .and_then(|statement| statement.get_text("x5c")?.as_array());
    let der = |value: &Value| match value {
        Value::Bytes(bytes) => Some(bytes.clone()),
        _ => None,
    };
    x5c.unwrap_or_default().iter().filter_map(der).collect()
}
