//! A shared terminal: people give their name, touch their key, and nobody is asked for a PIN. Passkeys
//! that are copied between devices are refused.
//!
//! `cargo run -p rp --example kiosk`
#![allow(clippy::print_stdout, reason = "it is a program")]

mod support;

use rp::authentication::{self, UvInitialization, Who};
use rp::policy::{Flow, UserVerificationPolicy};
use rp::{BeginError, RelyingParty, TrustAnchors, registration};
use support::{Key, SystemRng, now};
use webauthn::options::PublicKeyCredentialUserEntity;

type Error = Box<dyn std::error::Error>;

pub(crate) fn main() -> Result<(), Error> {
    let rp = RelyingParty::new("example.org", "Example", ["https://example.org".parse()?])?;
    let mut key = Key::new(false);
    let user = PublicKeyCredentialUserEntity {
        id: vec![1; 16].into(), // random in your program, and kept with the account
        name: "kim".into(),
        display_name: "Kim".into(),
    };
    let policy = Flow::Kiosk.registration();
    assert_eq!(policy.user_verification, UserVerificationPolicy::Never);
    let (options, state) = registration::begin(&rp, policy, user, &[], now(), &mut SystemRng)?;
    let response = key.create(&options);
    let verdict = registration::finish(state, &response, false, &TrustAnchors::none(), now())?;
    println!("{}", verdict.help);
    let mut record = verdict.record;

    // Nobody has given a name: a touch alone says nothing of who it is.
    let policy = Flow::Kiosk.authentication();
    let nobody = authentication::begin(&rp, policy.clone(), Who::Anyone, now(), &mut SystemRng);
    assert_eq!(nobody.map(drop), Err(BeginError::NobodyNamed));

    let credentials = [record.clone()];
    let who = Who::User {
        handle: &record.user_handle, // of the name or badge
        credentials: &credentials,
    };
    let (options, state) = authentication::begin(&rp, policy, who, now(), &mut SystemRng)?;
    let response = key.get(&options);
    let verdict = authentication::finish(state, &response, Some(&record), now())?;
    println!("{}", verdict.help);
    verdict.apply_to(&mut record, UvInitialization::Keep);
    Ok(())
}
