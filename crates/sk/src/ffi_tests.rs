#![allow(clippy::unwrap_used)]
use super::*;

// SAFETY: the declaration is that of the C standard library.
unsafe extern "C" {
    fn free(memory: *mut c_void);
}

fn option(name: &CStr, value: &CStr, required: u8) -> SkOption {
    SkOption {
        name: name.as_ptr().cast_mut(),
        value: value.as_ptr().cast_mut(),
        required,
    }
}

fn read(options: &mut [SkOption]) -> Result<(Option<String>, Option<String>), Fault> {
    let mut list: Vec<*mut SkOption> = options.iter_mut().map(ptr::from_mut).collect();
    list.push(ptr::null_mut());
    // SAFETY: the list ends in null, and all that it points to lives until the end of this function.
    let known = unsafe { Options::read(list.as_mut_ptr()) }?;
    Ok((
        known.device.map(str::to_owned),
        known.user.map(str::to_owned),
    ))
}

#[test]
fn options_are_read_and_unknown_ones_matter_only_if_required() {
    let mut options = [
        option(c"device", c"/dev/hidraw0", 0),
        option(c"colour", c"blue", 0),
        option(c"user", c"kim", 1),
    ];
    let known = read(&mut options).unwrap();
    assert_eq!(
        known,
        (Some("/dev/hidraw0".to_owned()), Some("kim".to_owned()))
    );
    assert_eq!(
        read(&mut [option(c"colour", c"blue", 1)])
            .unwrap_err()
            .code(),
        -2
    );
    assert_eq!(read(&mut []).unwrap(), (None, None));
    // SAFETY: null is allowed.
    assert!(
        unsafe { Options::read(ptr::null_mut()) }
            .unwrap()
            .device
            .is_none()
    );
}

#[test]
fn nothing_and_no_text_are_refused_and_no_pin_is_none() {
    // SAFETY: null is allowed, and the literals end in zero.
    unsafe {
        assert_eq!(bytes(ptr::null(), 0).unwrap(), b"");
        assert!(bytes(ptr::null(), 3).is_err());
        assert!(text(c"\xff".as_ptr()).is_err());
        assert!(secret(c"".as_ptr()).unwrap().is_none());
        assert!(secret(ptr::null()).unwrap().is_none());
        assert_eq!(*secret(c"1234".as_ptr()).unwrap().unwrap(), "1234");
    }
}

#[test]
fn what_is_handed_over_is_whole_and_freed_by_free() {
    let resident = Resident {
        algorithm: Algorithm::Ed25519,
        application: "ssh:test".to_owned(),
        flags: 0x25,
        public_key: vec![1; 32],
        key_handle: vec![2; 48],
        user_id: vec![],
    };
    let key = resident_key(7, &resident).unwrap();
    // SAFETY: the key was just made; each part is freed once, as OpenSSH does it.
    unsafe {
        let parts = &*key;
        assert_eq!((parts.alg, parts.slot, parts.flags), (1, 7, 0x25));
        assert_eq!(CStr::from_ptr(parts.application), c"ssh:test");
        assert_eq!(
            bytes(parts.key.public_key, parts.key.public_key_len).unwrap(),
            [1; 32]
        );
        assert_eq!(
            bytes(parts.key.key_handle, parts.key.key_handle_len).unwrap(),
            [2; 48]
        );
        for part in [
            parts.application.cast(),
            parts.key.public_key,
            parts.key.key_handle,
            parts.key.signature,
            parts.key.attestation_cert,
            parts.key.authdata,
            parts.user_id,
        ] {
            free(part.cast());
        }
        free(key.cast());
    }
}

#[test]
fn a_panic_stays_on_this_side() {
    assert_eq!(answer(|| std::panic::resume_unwind(Box::new("x"))), -1);
    assert_eq!(answer(|| Err(Fault::PinRequired)), -3);
    assert_eq!(answer(|| Ok(())), 0);
}

#[test]
fn the_layout_is_that_of_the_header() {
    let word = size_of::<usize>();
    assert_eq!(size_of::<SkEnrollResponse>(), 11 * word);
    assert_eq!(size_of::<SkSignResponse>(), 5 * word);
    assert_eq!(size_of::<SkResidentKey>(), (3 + 11 + 3) * word);
    assert_eq!(size_of::<SkOption>(), 3 * word);
}
