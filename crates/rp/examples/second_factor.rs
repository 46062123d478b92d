//! After the password: the touch of a key, and nobody is asked for a PIN.
//!
//! `cargo run -p rp --example second_factor`
#![allow(clippy::print_stdout, reason = "it is a program")]

mod support;

use rp::authentication::{self, UvInitialization, Who};
use rp::policy::Flow;
use rp::{RelyingParty, TrustAnchors, registration};
use support::{Key, SystemRng, now};
use webauthn::options::PublicKeyCredentialUserEntity;

type Error = Box<dyn std::error::Error>;

pub(crate) fn main() -> Result<(), Error> {
    let rp = RelyingParty::new("example.org", "Example", ["https://example.org".parse()?])?;
    let mut key = Key::new(true); // there is a PIN on it, and it will not be asked for
    let user = PublicKeyCredentialUserEntity {
        id: vec![1; 16].into(), // random in your program, and kept with the account
        name: "kim@example.org".into(),
        display_name: "Kim".into(),
    };

    // Registration. The options go to the page, the state into the session.
    let policy = Flow::SecondFactor.registration();
    let (options, state) = registration::begin(&rp, policy, user, &[], now(), &mut SystemRng)?;
    let response = key.create(&options); // in the page
    let verdict = registration::finish(state, &response, false, &TrustAnchors::none(), now())?;
    println!("{}", verdict.help);
    let mut record = verdict.record; // into your store

    // Sign-in, once the password was right: so it is known who it is.
    let credentials = [record.clone()];
    let who = Who::User {
        handle: &record.user_handle,
        credentials: &credentials,
    };
    let policy = Flow::SecondFactor.authentication();
    let (options, state) = authentication::begin(&rp, policy, who, now(), &mut SystemRng)?;
    let response = key.get(&options);
    // Your store's record of `response.raw_id`:
    let verdict = authentication::finish(state, &response, Some(&record), now())?;
    println!("{}", verdict.help);
    assert!(verdict.user_present && !verdict.user_verified);
    verdict.apply_to(&mut record, UvInitialization::Keep); // back into your store
    Ok(())
}
