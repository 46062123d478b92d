//! `pinward create`: WebAuthn L3 §5.1.3 with the keys that are plugged in

use clap::Args;
use client::Ceremony;
use webauthn::options::PublicKeyCredentialCreationOptionsJson;

use crate::ceremony::CeremonyArgs;
use crate::exit::Fault;

/// Registers a credential: navigator.credentials.create() in the terminal.
///
/// Reads the site's options, asks what has to be asked (touch, PIN, a PIN to be created), and prints the
/// credential in the form of its toJSON(). With several keys plugged in, the one that is touched is
/// taken; keys may be plugged in and out meanwhile.
#[derive(Debug, Args)]
#[command(after_help = "Example, with a software key and nobody to ask:\n  \
    pinward create options.json --origin https://example.org --device unix:/tmp/key --pin env:PIN\n\n\
    Exit codes: 0 the credential is printed, 2 wrong use or options, 3 no key, 5 wrong PIN, 6 PIN \
    blocked, 7 refused (by key, person or time), 8 the key cannot, 9 no permission, 1 anything else.")]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    ceremony: CeremonyArgs,
}

pub(crate) fn run(args: &CreateArgs) -> Result<(), Fault> {
    let args = &args.ceremony;
    let options: PublicKeyCredentialCreationOptionsJson = args.options("create()")?;
    let policy = args.policy(options.rp.id.as_deref())?;
    let ceremony = Ceremony::create(options, args.caller(), args.platform()?, policy);
    args.run(ceremony, None)
}
