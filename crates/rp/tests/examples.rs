//! The examples run to their end. (`known_models` wants a file; its parts are tested in `metadata.rs`.)
#![allow(unreachable_pub, missing_docs)]
#![allow(
    clippy::duplicate_mod,
    reason = "each example brings its browser along"
)]

#[path = "../examples/kiosk.rs"]
mod kiosk;
#[path = "../examples/passwordless.rs"]
mod passwordless;
#[path = "../examples/re_authentication.rs"]
mod re_authentication;
#[path = "../examples/second_factor.rs"]
mod second_factor;

type Result = std::result::Result<(), Box<dyn std::error::Error>>;

#[test]
fn second_factor_runs() -> Result {
    second_factor::main()
}

#[test]
fn passwordless_runs() -> Result {
    passwordless::main()
}

#[test]
fn re_authentication_runs() -> Result {
    re_authentication::main()
}

#[test]
fn kiosk_runs() -> Result {
    kiosk::main()
}
