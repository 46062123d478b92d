//! `pinward get`: WebAuthn L3 §5.1.4 with the keys that are plugged in

use clap::Args;
use client::Ceremony;
use webauthn::options::PublicKeyCredentialRequestOptionsJson;

use crate::ceremony::CeremonyArgs;
use crate::exit::Fault;

/// Signs in: navigator.credentials.get() in the terminal.
///
/// Reads the site's options, asks what has to be asked (touch, PIN, which account), and prints the
/// credential in the form of its toJSON(). With several keys plugged in, the one that is touched is
/// taken; keys may be plugged in and out meanwhile.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    pinward get options.json --origin https://example.org --account kim@example.org\n\n\
    Exit codes: 0 the credential is printed, 2 wrong use or options, 3 no key, 5 wrong PIN, 6 PIN \
    blocked, 7 refused (by key, person or time), 8 the key cannot, 9 no permission, 1 anything else.")]
pub(crate) struct GetArgs {
    #[command(flatten)]
    ceremony: CeremonyArgs,
    /// The account, when the key has several: its name, or its number in the list.
    #[arg(long, value_name = "NAME|N")]
    account: Option<String>,
}

pub(crate) fn run(args: &GetArgs) -> Result<(), Fault> {
    let account = args.account.clone();
    let args = &args.ceremony;
    let options: PublicKeyCredentialRequestOptionsJson = args.options("get()")?;
    let policy = args.policy(options.rp_id.as_deref())?;
    let ceremony = Ceremony::get(options, args.caller(), args.platform()?, policy);
    args.run(ceremony, account)
}
