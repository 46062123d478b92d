//! No name and no password: a passkey that verifies its user, offered in the sign-in form. A key
//! without a PIN is refused, and the help desk is told why.
//!
//! `cargo run -p rp --example passwordless`
#![allow(clippy::print_stdout, reason = "it is a program")]

mod support;

use rp::authentication::{self, UvInitialization, Who};
use rp::policy::Flow;
use rp::{CredentialRecord, Refusal, RelyingParty, TrustAnchors, registration, signal};
use support::{Key, SystemRng, now};
use webauthn::options::PublicKeyCredentialUserEntity;

type Error = Box<dyn std::error::Error>;

pub(crate) fn main() -> Result<(), Error> {
    let rp = RelyingParty::new("example.org", "Example", ["https://example.org".parse()?])?;

    // A key without a PIN answers, but nobody was verified.
    let refusal = register(&rp, &mut Key::new(false)).expect_err("there is no PIN");
    println!("refused: {refusal}\nto the person: {}", refusal.help());

    let mut key = Key::new(true);
    let mut record = register(&rp, &mut key)?;

    // `navigator.credentials.get({mediation: "conditional", publicKey: …})` when the form is shown.
    let policy = Flow::Passwordless.authentication().conditional();
    assert_eq!(policy.mediation(), Some("conditional"));
    let (options, state) = authentication::begin(&rp, policy, Who::Anyone, now(), &mut SystemRng)?;
    let response = key.get(&options);
    let verdict = authentication::finish(state, &response, Some(&record), now())?;
    println!("{}", verdict.help);
    assert!(verdict.multi_factor);
    assert_eq!(verdict.user_handle, record.user_handle);
    verdict.apply_to(&mut record, UvInitialization::Keep);

    // A passkey that was deleted here is still in the phone, and offered: have it forgotten.
    let policy = Flow::Passwordless.authentication();
    let (options, state) = authentication::begin(&rp, policy, Who::Anyone, now(), &mut SystemRng)?;
    let refusal = authentication::finish(state, &key.get(&options), None, now())
        .expect_err("the store has no such record");
    let argument = signal::unknown_credential(&rp, &refusal).ok_or("another refusal")?;
    println!(
        "PublicKeyCredential.signalUnknownCredential({})",
        serde_json::to_string(&argument)?
    );
    Ok(())
}

fn register(rp: &RelyingParty, key: &mut Key) -> Result<CredentialRecord, Refusal> {
    let user = PublicKeyCredentialUserEntity {
        id: vec![1; 16].into(), // random in your program, and kept with the account
        name: "kim@example.org".into(),
        display_name: "Kim".into(),
    };
    let policy = Flow::Passwordless.registration();
    let (options, state) = registration::begin(rp, policy, user, &[], now(), &mut SystemRng)
        .expect("the policy is a flow's own");
    let response = key.create(&options);
    registration::finish(state, &response, false, &TrustAnchors::none(), now())
        .map(|verdict| verdict.record)
}
