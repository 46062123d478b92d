//! How the members of a CTAP message are read and written, and the declaration that makes a
//! message out of them.
//!
//! A message is declared once, with [`int_map!`] or [`text_map!`]; the struct, its decoder, its
//! encoder and the member table that people read (`trace`, documentation) come from that one place.
//! Declaring members out of canonical order does not compile.

use core::marker::PhantomData;

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};
use zeroize::Zeroizing;

use crate::Status;
use crate::cbor;

/// Writes into a growing buffer, which cannot fail.
pub(crate) type Writer<'a> = Encoder<&'a mut Vec<u8>>;

/// CTAP 2.3 §8: messages nest at most four levels deep.
pub const MAX_MESSAGE_DEPTH: usize = 4;

/// The key of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// An integer key, as most CTAP messages use.
    Int(u8),
    /// A text key, as WebAuthn dictionaries, options and extensions use.
    Text(&'static str),
}

/// One row of a message's member table.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// The key on the wire.
    pub key: Key,
    /// The name that the specification gives it.
    pub name: &'static str,
    /// Whether a trace must not show the value.
    pub secret: bool,
    /// The members of the value, or of its elements, if it is a map itself.
    pub inner: &'static [Member],
}

/// Something that can be a member's value.
pub trait Item: Sized {
    /// Whether traces must mask the value.
    const SECRET: bool = false;
    /// The members, if the value is a map (or an array of maps).
    const MEMBERS: &'static [Member] = &[];
    /// Reads one item. The bytes have passed the canonical check.
    fn read(d: &mut Decoder<'_>) -> Result<Self, Status>;
    /// Writes one item in canonical form.
    fn write(&self, e: &mut Writer<'_>);
}

/// Items that may be elements of an array. (Not `u8`: a row of those is a byte string.)
pub trait Element: Item {}

pub(crate) fn unexpected<E>(_: E) -> Status {
    Status::CBOR_UNEXPECTED_TYPE
}

/// Checks the canonical form of a whole message, then reads it.
pub(crate) fn decode<T: Item>(bytes: &[u8]) -> Result<T, Status> {
    cbor::check_with_depth(bytes, MAX_MESSAGE_DEPTH).map_err(|_| Status::INVALID_CBOR)?;
    T::read(&mut Decoder::new(bytes))
}

/// As [`decode`] for answers of keys, which may nest deeper (attestation statements).
pub(crate) fn decode_response<T: Item>(bytes: &[u8]) -> Result<T, Status> {
    cbor::check(bytes).map_err(|_| Status::INVALID_CBOR)?;
    T::read(&mut Decoder::new(bytes))
}

pub(crate) fn encode<T: Item>(item: &T) -> Vec<u8> {
    let mut out = Vec::new();
    item.write(&mut Encoder::new(&mut out));
    out
}

pub(crate) fn map_length(d: &mut Decoder<'_>) -> Result<u64, Status> {
    d.map().map_err(unexpected)?.ok_or(Status::INVALID_CBOR)
}

/// The bytes of the next item, whatever it is.
pub(crate) fn raw<'a>(d: &mut Decoder<'a>) -> Result<&'a [u8], Status> {
    let start = d.position();
    d.skip().map_err(|_| Status::INVALID_CBOR)?;
    d.input()
        .get(start..d.position())
        .ok_or(Status::INVALID_CBOR)
}

impl Item for bool {
    fn read(d: &mut Decoder<'_>) -> Result<Self, Status> {
        d.bool().map_err(unexpected)
    }
    fn write(&self, e: &mut Writer<'_>) {
        let _ = e.bool(*self);
    }
}

macro_rules! integer_items {
    ($($ty:ty, $wide:ident, $read:ident;)*) => {$(
        impl Item for $ty {
            fn read(d: &mut Decoder<'_>) -> Result<Self, Status> {
                let value = d.$read().map_err(unexpected)?;
                value.try_into().map_err(|_| Status::INVALID_PARAMETER)
            }
            fn write(&self, e: &mut Writer<'_>) {
                let _ = e.$read($wide::from(*self));
            }
        }
    )*};
}

integer_items! {
    u8, u64, u64;
    u16, u64, u64;
    u32, u64, u64;
    u64, u64, u64;
    i32, i64, i64;
    i64, i64, i64;
}

impl Element for i64 {}
impl Element for u64 {}
impl Element for String {}

impl Item for String {
    fn read(d: &mut Decoder<'_>) -> Result<Self, Status> {
        d.str().map(str::to_owned).map_err(unexpected)
    }
    fn write(&self, e: &mut Writer<'_>) {
        let _ = e.str(self);
    }
}

impl Item for Vec<u8> {
    fn read(d: &mut Decoder<'_>) -> Result<Self, Status> {
        d.bytes().map(<[u8]>::to_vec).map_err(unexpected)
    }
    fn write(&self, e: &mut Writer<'_>) {
        let _ = e.bytes(self);
    }
}

impl<const N: usize> Item for [u8; N] {
    fn read(d: &mut Decoder<'_>) -> Result<Self, Status> {
        d.bytes()
            .map_err(unexpected)?
            .try_into()
            .map_err(|_| Status::INVALID_LENGTH)
    }
    fn write(&self, e: &mut Writer<'_>) {
        let _ = e.bytes(self);
    }
}

impl<T: Element> Item for Vec<T> {
    const MEMBERS: &'static [Member] = T::MEMBERS;
    fn read(d: &mut Decoder<'_>) -> Result<Self, Status> {
        let count = d.array().map_err(unexpected)?.ok_or(Status::INVALID_CBOR)?;
        (0..count).map(|_| T::read(d)).collect()
    }
    fn write(&self, e: &mut Writer<'_>) {
        let _ = e.array(self.len() as u64);
        self.iter().for_each(|item| item.write(e));
    }
}

/// A byte string that must not be shown: masked in traces and `Debug`, zeroized on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretBytes(pub Zeroizing<Vec<u8>>);

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl core::ops::Deref for SecretBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl core::fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SecretBytes({} bytes)", self.0.len())
    }
}

impl Item for SecretBytes {
    const SECRET: bool = true;
    fn read(d: &mut Decoder<'_>) -> Result<Self, Status> {
        Vec::<u8>::read(d).map(Self::from)
    }
    fn write(&self, e: &mut Writer<'_>) {
        let _ = e.bytes(&self.0);
    }
}

/// One CBOR item kept as it came, for what the message does not interpret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw(Vec<u8>);

impl Raw {
    /// Keeps `bytes`, if they are exactly one canonical item.
    pub fn new(bytes: Vec<u8>) -> Result<Self, cbor::CborError> {
        cbor::check(&bytes)?;
        Ok(Self(bytes))
    }

    /// The encoded item.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The item as a tree.
    pub fn value(&self) -> Result<cbor::Value, cbor::CborError> {
        cbor::Value::decode(&self.0)
    }
}

impl From<&cbor::Value> for Raw {
    fn from(value: &cbor::Value) -> Self {
        Self(value.encode())
    }
}

impl Item for Raw {
    fn read(d: &mut Decoder<'_>) -> Result<Self, Status> {
        raw(d).map(|bytes| Self(bytes.to_vec()))
    }
    fn write(&self, e: &mut Writer<'_>) {
        e.writer_mut().extend_from_slice(&self.0);
    }
}

/// An item that should be a `T`, kept as its bytes until somebody wants to know: extensions that a key
/// does not have are none of its business, however odd. Traces look into it as into a `T`; there may be
/// secrets in it, so `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq)]
pub struct RawOf<T>(SecretBytes, PhantomData<T>);

impl<T: Item> RawOf<T> {
    /// The item.
    ///
    /// # Errors
    /// What is wrong with the bytes, if they are no `T`.
    pub fn decode(&self) -> Result<T, Status> {
        decode(&self.0)
    }
}

impl<T> core::fmt::Debug for RawOf<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "RawOf({} bytes)", self.0.len())
    }
}

impl<T: Item> From<&T> for RawOf<T> {
    fn from(item: &T) -> Self {
        Self(encode(item).into(), PhantomData)
    }
}

impl<T> From<Raw> for RawOf<T> {
    fn from(raw: Raw) -> Self {
        Self(raw.0.into(), PhantomData)
    }
}

impl<T: Item> Item for RawOf<T> {
    const SECRET: bool = T::SECRET;
    const MEMBERS: &'static [Member] = T::MEMBERS;

    fn read(d: &mut Decoder<'_>) -> Result<Self, Status> {
        raw(d).map(|bytes| Self(bytes.to_vec().into(), PhantomData))
    }
    fn write(&self, e: &mut Writer<'_>) {
        e.writer_mut().extend_from_slice(&self.0);
    }
}

/// A map from text to numbers, such as getInfo's `certifications`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextToNumber(pub Vec<(String, u64)>);

impl Item for TextToNumber {
    fn read(d: &mut Decoder<'_>) -> Result<Self, Status> {
        let count = map_length(d)?;
        (0..count)
            .map(|_| Ok((String::read(d)?, u64::read(d)?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }
    fn write(&self, e: &mut Writer<'_>) {
        let mut rows: Vec<_> = self.0.iter().collect();
        rows.sort_by(|a, b| a.0.len().cmp(&b.0.len()).then_with(|| a.0.cmp(&b.0)));
        let _ = e.map(rows.len() as u64);
        for (key, value) in rows {
            key.write(e);
            value.write(e);
        }
    }
}

/// hmac-secret and credBlob want a boolean in one command and something else in the other; some
/// platforms send `true` to both. This reads either.
pub(crate) fn is_bool(d: &Decoder<'_>) -> bool {
    matches!(d.datatype(), Ok(Type::Bool))
}

/// Whether integer or text keys ascend in canonical order; evaluated while compiling.
pub(crate) const fn is_canonical(members: &[Member]) -> bool {
    let mut i = 1;
    while i < members.len() {
        let ascends = match (members[i - 1].key, members[i].key) {
            (Key::Int(a), Key::Int(b)) => a < b,
            (Key::Text(a), Key::Text(b)) => text_less(a.as_bytes(), b.as_bytes()),
            (Key::Int(_), Key::Text(_)) => true,
            (Key::Text(_), Key::Int(_)) => false,
        };
        if !ascends {
            return false;
        }
        i += 1;
    }
    true
}

const fn text_less(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return a.len() < b.len();
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return a[i] < b[i];
        }
        i += 1;
    }
    false
}

macro_rules! member_type {
    (required $ty:ty) => { $ty };
    (optional $ty:ty) => { Option<$ty> };
}

macro_rules! member_value {
    (required $value:ident) => {
        $value.ok_or(crate::Status::MISSING_PARAMETER)?
    };
    (optional $value:ident) => {
        $value
    };
}

macro_rules! member_ref {
    (required $value:expr) => {
        Some(&$value)
    };
    (optional $value:expr) => {
        $value.as_ref()
    };
}

/// Declares a map whose keys are integers: `required|optional KEY "specName" field: Type,`.
macro_rules! int_map {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {$(
            $(#[$doc:meta])*
            $need:ident $key:literal $spec:literal $field:ident: $ty:ty,
        )*}
    ) => {
        crate::item::map! {
            $(#[$meta])* $name, u8, Int, read_int_key, write_int_key;
            $($(#[$doc])* $need, $key, $spec, $field, $ty;)*
        }
    };
}

/// Declares a map whose keys are texts: `required|optional "specName" field: Type,`.
macro_rules! text_map {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {$(
            $(#[$doc:meta])*
            $need:ident $key:literal $field:ident: $ty:ty,
        )*}
    ) => {
        crate::item::map! {
            $(#[$meta])* $name, str, Text, read_text_key, write_text_key;
            $($(#[$doc])* $need, $key, $key, $field, $ty;)*
        }
    };
}

macro_rules! map {
    (
        $(#[$meta:meta])* $name:ident, $key_ty:ty, $kind:ident, $read_key:expr, $write_key:ident;
        $($(#[$doc:meta])* $need:ident, $key:literal, $spec:literal, $field:ident, $ty:ty;)*
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {$(
            $(#[$doc])*
            pub $field: crate::item::member_type!($need $ty),
        )*}

        impl $name {
            /// The members by key and name, in canonical order.
            pub const MEMBERS: &'static [crate::item::Member] = &[$(crate::item::Member {
                key: crate::item::Key::$kind($key),
                name: $spec,
                secret: <$ty as crate::item::Item>::SECRET,
                inner: <$ty as crate::item::Item>::MEMBERS,
            },)*];

            /// Reads the map from canonical CBOR; unknown members are passed over.
            ///
            /// # Errors
            /// The status that CTAP names for what is wrong with the bytes.
            pub fn decode(bytes: &[u8]) -> Result<Self, crate::Status> {
                crate::item::decode(bytes)
            }

            /// Writes the map in canonical CBOR.
            pub fn encode(&self) -> Vec<u8> {
                crate::item::encode(self)
            }
        }

        const _: () = assert!(
            crate::item::is_canonical($name::MEMBERS),
            concat!("members of ", stringify!($name), " are not in canonical order"),
        );

        impl crate::item::Item for $name {
            const MEMBERS: &'static [crate::item::Member] = Self::MEMBERS;

            fn read(d: &mut minicbor::Decoder<'_>) -> Result<Self, crate::Status> {
                #[allow(unused_imports)] // only one of the two kinds of key is used
                use crate::item::{read_int_key, read_text_key};
                let count = crate::item::map_length(d)?;
                $(let mut $field: Option<$ty> = None;)*
                for _ in 0..count {
                    match $read_key(d)? {
                        $(Some($key) => $field = Some(<$ty as crate::item::Item>::read(d)?),)*
                        _ => drop(crate::item::raw(d)?),
                    }
                }
                Ok(Self {$($field: crate::item::member_value!($need $field),)*})
            }

            fn write(&self, e: &mut crate::item::Writer<'_>) {
                let count = 0 $(+ u64::from(crate::item::member_ref!($need self.$field).is_some()))*;
                let _ = e.map(count);
                $(if let Some(value) = crate::item::member_ref!($need self.$field) {
                    crate::item::$write_key($key, e);
                    crate::item::Item::write(value, e);
                })*
            }
        }
    };
}

/// An integer key, or nothing for a key that no declared member has, whatever its type: CTAP 2.3 §8
/// wants unknown keys passed over.
pub(crate) fn read_int_key(d: &mut Decoder<'_>) -> Result<Option<u8>, Status> {
    if matches!(d.datatype(), Ok(Type::U8)) {
        d.u8().map(Some).map_err(unexpected)
    } else {
        raw(d).map(|_| None)
    }
}

/// As [`read_int_key`], for text keys.
pub(crate) fn read_text_key<'a>(d: &mut Decoder<'a>) -> Result<Option<&'a str>, Status> {
    if matches!(d.datatype(), Ok(Type::String)) {
        d.str().map(Some).map_err(unexpected)
    } else {
        raw(d).map(|_| None)
    }
}

pub(crate) fn write_int_key(key: u8, e: &mut Writer<'_>) {
    let _ = e.u8(key);
}

pub(crate) fn write_text_key(key: &str, e: &mut Writer<'_>) {
    let _ = e.str(key);
}

pub(crate) use {int_map, map, member_ref, member_type, member_value, text_map};
