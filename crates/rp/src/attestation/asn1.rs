//! DER values whose shape no library knows: the extensions of Android and Apple.

use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

/// The elements of a SEQUENCE or SET, or of what an explicit tag holds.
pub(super) fn elements(bytes: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(elements)
}

/// The one value in `bytes`, if it has this tag.
pub(super) fn value(bytes: &[u8], tag: Tag) -> Option<&[u8]> {
    match elements(bytes)?.as_slice() {
        [any] if any.tag() == tag => Some(any.value()),
        _ => None,
    }
}

/// The content of the element with explicit context tag `number`, if there is one.
pub(super) fn tagged<'a>(elements: &[AnyRef<'a>], number: u32) -> Option<&'a [u8]> {
    let tag = TagNumber(number).context_specific(true);
    elements
        .iter()
        .find(|any| any.tag() == tag)
        .map(|any| any.value())
}

/// A small non-negative INTEGER.
pub(super) fn integer(any: &AnyRef<'_>) -> Option<u64> {
    if any.tag() == Tag::Integer {
        u64::try_from(any.decode_as::<i64>().ok()?).ok()
    } else {
        None
    }
}
