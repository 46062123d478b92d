//! Settings that are switched by one word: say what it means, act, read back, report.

use clap::{Args, Subcommand};
use client::manage::{Change, Setting, consequences};
use ctap::client_pin::Permissions;
use serde_json::json;

use crate::authorise::{self, Authority, PinArg};
use crate::device::{self, DeviceArg};
use crate::exit::Fault;
use crate::{confirm, say};

/// Enterprise attestation of a key.
///
/// Sites of an organisation that are on the key's own list, or on the platform's, can then tell this
/// very key from all others when it registers.
#[derive(Debug, Subcommand)]
pub(crate) enum EnterpriseCommand {
    /// Switches it on. Only a reset switches it off.
    Enable(EnableArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EnableArgs {
    #[command(flatten)]
    device: DeviceArg,
    #[command(flatten)]
    pin: PinArg,
    /// Do not ask whether it is meant.
    #[arg(long)]
    yes: bool,
    /// Print JSON, schema `pinward.enterprise-attestation/1`.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &EnterpriseCommand) -> Result<(), Fault> {
    let EnterpriseCommand::Enable(args) = command;
    let mut key = args.device.open()?;
    let listed = key.listed.clone();
    let mut rng = device::rng();
    let mut manager = key.manager(&mut rng)?;
    let change = if manager.enterprise_attestation()? {
        Change::Already
    } else {
        for sentence in consequences(Setting::EnterpriseAttestation, manager.info()) {
            say::note(&say::wrapped("- ", 2, &sentence));
        }
        confirm::word(args.yes, "yes")?;
        let acfg = Permissions::AUTHENTICATOR_CONFIG;
        let Authority { token, .. } = authorise::authority(&mut manager, &args.pin, acfg)?;
        manager.enable_enterprise_attestation(token.as_ref())?
    };
    let already = match change {
        Change::Already => " already",
        Change::Done => "",
    };
    say::note(&format!(
        "{}: enterprise attestation is on{already}.\n",
        listed.name()
    ));
    if args.json {
        let json = json!({
            "schema": "pinward.enterprise-attestation/1",
            "id": listed.id,
            "changed": change == Change::Done,
            "enterpriseAttestation": manager.enterprise_attestation()?,
        });
        say::json(&json)?;
    }
    Ok(())
}
