//! The C interface of `sk-api.h`. All unsafe code of this library is here.
//!
//! What OpenSSH hands in it owns, and it stays as it is until the call returns. What it is handed it
//! frees with free(3), and it reads only what comes with the result 0.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use client::manage::Manager;
use zeroize::Zeroizing;

use crate::api::{self, Algorithm, Fault};
use crate::device::{self, Wanted};
use crate::new_pin::Person;
use crate::provider::{self, Enroll, Enrolled, Resident, Sign, Signature};

/// `struct sk_enroll_response`.
#[repr(C)]
pub struct SkEnrollResponse {
    flags: u8,
    public_key: *mut u8,
    public_key_len: usize,
    key_handle: *mut u8,
    key_handle_len: usize,
    signature: *mut u8,
    signature_len: usize,
    attestation_cert: *mut u8,
    attestation_cert_len: usize,
    authdata: *mut u8,
    authdata_len: usize,
}

/// `struct sk_sign_response`.
#[repr(C)]
pub struct SkSignResponse {
    flags: u8,
    counter: u32,
    sig_r: *mut u8,
    sig_r_len: usize,
    sig_s: *mut u8,
    sig_s_len: usize,
}

/// `struct sk_resident_key`.
#[repr(C)]
pub struct SkResidentKey {
    alg: u32,
    slot: usize,
    application: *mut c_char,
    key: SkEnrollResponse,
    flags: u8,
    user_id: *mut u8,
    user_id_len: usize,
}

/// `struct sk_option`.
#[repr(C)]
pub struct SkOption {
    name: *mut c_char,
    value: *mut c_char,
    required: u8,
}

// SAFETY: the declarations are those of the C standard library.
unsafe extern "C" {
    fn calloc(count: usize, size: usize) -> *mut c_void;
}

/// The version of the interface.
#[unsafe(no_mangle)]
pub extern "C" fn sk_api_version() -> u32 {
    api::VERSION
}

/// Makes a key.
///
/// # Safety
/// As `sk-api.h` has it: pointers are null or valid, strings end in zero, `options` ends in null,
/// `response` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_enroll(
    alg: u32,
    challenge: *const u8,
    challenge_len: usize,
    application: *const c_char,
    flags: u8,
    pin: *const c_char,
    options: *mut *mut SkOption,
    response: *mut *mut SkEnrollResponse,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's promise is ours.
        let (challenge, application, pin, options) = unsafe {
            (
                bytes(challenge, challenge_len)?,
                text(application)?.ok_or_else(|| missing("application"))?,
                secret(pin)?,
                Options::read(options)?,
            )
        };
        let request = Enroll {
            algorithm: Algorithm::try_from(alg)?,
            challenge,
            application,
            flags,
            user: options.user.unwrap_or_default(),
        };
        let mut key = device::open(options.device, None)?;
        let mut rng = device::rng();
        let mut manager = Manager::open(&mut key, &mut rng)?;
        let pin = pin.as_ref().map(|pin| pin.as_str());
        let enrolled = provider::enroll(&mut manager, &request, pin, &mut Person)?;
        // SAFETY: the caller's promise is ours.
        unsafe { hand_over(response, enroll_response(&enrolled)?) }
    })
}

/// Signs.
///
/// # Safety
/// As for [`sk_enroll`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_sign(
    alg: u32,
    data: *const u8,
    data_len: usize,
    application: *const c_char,
    key_handle: *const u8,
    key_handle_len: usize,
    flags: u8,
    pin: *const c_char,
    options: *mut *mut SkOption,
    response: *mut *mut SkSignResponse,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's promise is ours.
        let (data, application, key_handle, pin, options) = unsafe {
            (
                bytes(data, data_len)?,
                text(application)?.ok_or_else(|| missing("application"))?,
                bytes(key_handle, key_handle_len)?,
                secret(pin)?,
                Options::read(options)?,
            )
        };
        let request = Sign {
            algorithm: Algorithm::try_from(alg)?,
            data,
            application,
            key_handle,
            flags,
        };
        let wanted: Wanted<'_> = Some((application, key_handle));
        let mut key = device::open(options.device, wanted)?;
        let mut rng = device::rng();
        let mut manager = Manager::open(&mut key, &mut rng)?;
        let pin = pin.as_ref().map(|pin| pin.as_str());
        let signature = provider::sign(&mut manager, &request, pin)?;
        // SAFETY: the caller's promise is ours.
        unsafe { hand_over(response, sign_response(&signature)?) }
    })
}

/// Lists the resident SSH keys.
///
/// # Safety
/// As for [`sk_enroll`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_load_resident_keys(
    pin: *const c_char,
    options: *mut *mut SkOption,
    keys: *mut *mut *mut SkResidentKey,
    count: *mut usize,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's promise is ours.
        let (pin, options) = unsafe { (secret(pin)?, Options::read(options)?) };
        if keys.is_null() || count.is_null() {
            return Err(missing("place for the keys"));
        }
        let mut key = device::open(options.device, None)?;
        let mut rng = device::rng();
        let mut manager = Manager::open(&mut key, &mut rng)?;
        let pin = pin.as_ref().map(|pin| pin.as_str());
        let found = provider::load_resident_keys(&mut manager, pin)?;
        let list = allocated::<*mut SkResidentKey>(found.len())?;
        for (slot, resident) in found.iter().enumerate() {
            let resident = resident_key(slot, resident)?;
            // SAFETY: the list has found.len() places, and slot is below that.
            unsafe { list.add(slot).write(resident) };
        }
        // SAFETY: neither is null, and the caller says that both can be written.
        unsafe {
            keys.write(list);
            count.write(found.len());
        }
        Ok(())
    })
}

/// The result for OpenSSH; what a person has to read goes to standard error. A panic must not
/// unwind into C.
fn answer(work: impl FnOnce() -> Result<(), Fault>) -> c_int {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => 0,
        Ok(Err(fault)) => {
            if fault.is_news() {
                eprintln!("pinward: {}", fault.to_string().escape_debug());
            }
            fault.code()
        }
        Err(_) => -1,
    }
}

fn missing(what: &str) -> Fault {
    Fault::General(format!("OpenSSH gave no {what}"))
}

/// # Safety
/// `start` is null or has `len` bytes that stay as they are as long as the result is used.
unsafe fn bytes<'a>(start: *const u8, len: usize) -> Result<&'a [u8], Fault> {
    if len == 0 {
        return Ok(&[]);
    }
    if start.is_null() {
        return Err(missing("bytes"));
    }
    // SAFETY: not null; the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(start, len) })
}

/// # Safety
/// `start` is null or a string that ends in zero and stays as it is as long as the result is used.
unsafe fn text<'a>(start: *const c_char) -> Result<Option<&'a str>, Fault> {
    if start.is_null() {
        return Ok(None);
    }
    // SAFETY: not null; the rest is the caller's promise.
    let text = unsafe { CStr::from_ptr(start) };
    let text = text.to_str();
    text.map(Some)
        .map_err(|_| Fault::General("OpenSSH gave a text that is not UTF-8".to_owned()))
}

/// # Safety
/// As for [`text`].
unsafe fn secret(start: *const c_char) -> Result<Option<Zeroizing<String>>, Fault> {
    // SAFETY: the caller's promise is ours.
    let text = unsafe { text(start) }?;
    // OpenSSH says "" where it has none.
    Ok(text
        .filter(|text| !text.is_empty())
        .map(|text| Zeroizing::new(text.to_owned())))
}

/// The options that are known.
#[derive(Default)]
struct Options<'a> {
    device: Option<&'a str>,
    user: Option<&'a str>,
}

impl<'a> Options<'a> {
    /// # Safety
    /// `list` is null, or an array that ends in null of valid options with valid strings, which all
    /// stay as they are as long as the result is used.
    unsafe fn read(mut list: *mut *mut SkOption) -> Result<Self, Fault> {
        let mut known = Self::default();
        if list.is_null() {
            return Ok(known);
        }
        // SAFETY: `list` is in the array up to its null, and what stands before that is valid.
        while let Some(option) = unsafe { (*list).as_ref() } {
            // SAFETY: the strings of an option are valid.
            let (name, value) = unsafe { (text(option.name)?, text(option.value)?) };
            match name {
                Some("device") => known.device = value,
                Some("user") => known.user = value,
                _ if option.required != 0 => {
                    return Err(Fault::Unsupported("do it with an option that is required"));
                }
                _ => {}
            }
            // SAFETY: this place was not the null at the end, so there is another one.
            list = unsafe { list.add(1) };
        }
        Ok(known)
    }
}

/// Zeroed memory for `count` values, from malloc's family. One place at least, so that null only
/// ever means that there is no memory.
fn allocated<T>(count: usize) -> Result<*mut T, Fault> {
    // SAFETY: calloc checks the product, and has no other condition.
    let memory = unsafe { calloc(count.max(1), size_of::<T>()) };
    if memory.is_null() {
        return Err(Fault::General("there is no memory".to_owned()));
    }
    Ok(memory.cast())
}

fn copied(bytes: &[u8]) -> Result<(*mut u8, usize), Fault> {
    let memory = allocated::<u8>(bytes.len())?;
    // SAFETY: the memory is new and has bytes.len() places at least.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), memory, bytes.len()) };
    Ok((memory, bytes.len()))
}

/// A zeroed byte follows the text: it ends it.
fn copied_text(text: &str) -> Result<*mut c_char, Fault> {
    let memory = allocated::<u8>(text.len() + 1)?;
    // SAFETY: the memory is new and longer than the text.
    unsafe { ptr::copy_nonoverlapping(text.as_ptr(), memory, text.len()) };
    Ok(memory.cast())
}

fn boxed<T>(value: T) -> Result<*mut T, Fault> {
    let memory = allocated::<T>(1)?;
    // SAFETY: calloc aligns for every type of C, and these are types of C; the memory is new.
    unsafe { memory.write(value) };
    Ok(memory)
}

/// # Safety
/// `place` is null or can be written.
unsafe fn hand_over<T>(place: *mut *mut T, value: *mut T) -> Result<(), Fault> {
    if place.is_null() {
        return Err(missing("place for the answer"));
    }
    // SAFETY: not null; the rest is the caller's promise.
    unsafe { place.write(value) };
    Ok(())
}

fn enrolled_parts(enrolled: &Enrolled) -> Result<SkEnrollResponse, Fault> {
    let (public_key, public_key_len) = copied(&enrolled.public_key)?;
    let (key_handle, key_handle_len) = copied(&enrolled.key_handle)?;
    let (signature, signature_len) = copied(&enrolled.signature)?;
    let (attestation_cert, attestation_cert_len) = copied(&enrolled.attestation_cert)?;
    let (authdata, authdata_len) = copied(&enrolled.authdata)?;
    Ok(SkEnrollResponse {
        flags: enrolled.flags,
        public_key,
        public_key_len,
        key_handle,
        key_handle_len,
        signature,
        signature_len,
        attestation_cert,
        attestation_cert_len,
        authdata,
        authdata_len,
    })
}

fn enroll_response(enrolled: &Enrolled) -> Result<*mut SkEnrollResponse, Fault> {
    boxed(enrolled_parts(enrolled)?)
}

fn sign_response(signature: &Signature) -> Result<*mut SkSignResponse, Fault> {
    let (sig_r, sig_r_len) = copied(&signature.r)?;
    let (sig_s, sig_s_len) = copied(&signature.s)?;
    boxed(SkSignResponse {
        flags: signature.flags,
        counter: signature.counter,
        sig_r,
        sig_r_len,
        sig_s,
        sig_s_len,
    })
}

fn resident_key(slot: usize, resident: &Resident) -> Result<*mut SkResidentKey, Fault> {
    let key = enrolled_parts(&Enrolled {
        flags: resident.flags,
        public_key: resident.public_key.clone(),
        key_handle: resident.key_handle.clone(),
        ..Enrolled::default()
    })?;
    let (user_id, user_id_len) = copied(&resident.user_id)?;
    boxed(SkResidentKey {
        alg: resident.algorithm.into(),
        slot,
        application: copied_text(&resident.application)?,
        key,
        flags: resident.flags,
        user_id,
        user_id_len,
    })
}

#[cfg(test)]
#[path = "ffi_tests.rs"]
mod tests;
