//! Somebody who is signed in does something sensitive: the same person, verified, now. The node that
//! finishes is another than the one that began, and keeps nothing: the state travels sealed.
//!
//! `cargo run -p rp --example re_authentication`
#![allow(clippy::print_stdout, reason = "it is a program")]

mod support;

use std::collections::HashSet;

use rp::authentication::{self, ChallengeState, UvInitialization, Who};
use rp::policy::Flow;
use rp::seal::SealingKeys;
use rp::{RelyingParty, TrustAnchors, registration};
use support::{Key, SystemRng, now};
use webauthn::options::PublicKeyCredentialUserEntity;

type Error = Box<dyn std::error::Error>;

pub(crate) fn main() -> Result<(), Error> {
    let rp = RelyingParty::new("example.org", "Example", ["https://example.org".parse()?])?;
    let mut key = Key::new(false);
    let user = PublicKeyCredentialUserEntity {
        id: vec![1; 16].into(), // random in your program, and kept with the account
        name: "kim@example.org".into(),
        display_name: "Kim".into(),
    };
    // The key was registered for second factor, long ago, when it had no PIN.
    let policy = Flow::SecondFactor.registration();
    let (options, state) = registration::begin(&rp, policy, user, &[], now(), &mut SystemRng)?;
    let response = key.create(&options);
    let verdict = registration::finish(state, &response, false, &TrustAnchors::none(), now())?;
    let mut record = verdict.record;
    assert!(!record.uv_initialized);
    key.has_pin = true; // set since

    // Node A. What must not be swapped goes into the context: the session, and what it is for.
    let keys = SealingKeys::new(&[7; 32]); // 32 random bytes that your nodes share
    let context = b"session 4711, re-authentication";
    let credentials = [record.clone()];
    let who = Who::User {
        handle: &record.user_handle, // of the person who is signed in
        credentials: &credentials,
    };
    let policy = Flow::ReAuthentication.authentication();
    let (options, state) = authentication::begin(&rp, policy, who, now(), &mut SystemRng)?;
    let sealed = state.seal(&keys, context, &mut SystemRng)?;

    // The page sends back the sealed state with the answer.
    let response = key.get(&options);

    // Node B.
    let mut used = HashSet::new(); // shared by the nodes: a challenge counts once
    let state = ChallengeState::unseal(&sealed, &keys, context)?;
    if !used.insert(state.challenge().clone()) {
        return Err("the challenge was used already".into());
    }
    let verdict = authentication::finish(state, &response, Some(&record), now())?;
    println!("{}", verdict.help);
    // The PIN was entered, but this key was never known to belong to somebody who knows its PIN:
    assert!(verdict.user_verified && !verdict.multi_factor);
    // so another factor has to stand for it once, for example the password, right now.
    verdict.apply_to(&mut record, UvInitialization::AuthorizedByOtherFactor);
    assert!(record.uv_initialized);
    Ok(())
}
