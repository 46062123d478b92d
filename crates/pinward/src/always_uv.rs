//! `pinward always-uv`: whether the key wants its user verified each time

use clap::{Args, ValueEnum};
use client::manage::{Change, Setting, consequences};
use ctap::client_pin::Permissions;
use serde_json::json;

use crate::authorise::{self, Authority, PinArg};
use crate::device::{self, DeviceArg};
use crate::exit::Fault;
use crate::say;
use crate::say::noteln;

/// Switches "always verify the user" of a key on or off.
///
/// On: the key wants its PIN (or finger) for each registration and each sign-in, whatever site and
/// platform ask, and does no U2F.
#[derive(Debug, Args)]
pub(crate) struct AlwaysUvArgs {
    #[arg(value_enum)]
    wanted: Switch,
    #[command(flatten)]
    device: DeviceArg,
    #[command(flatten)]
    pin: PinArg,
    /// Print JSON, schema `pinward.always-uv/1`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    /// Each time.
    On,
    /// When the site or the platform says so.
    Off,
}

pub(crate) fn run(args: &AlwaysUvArgs) -> Result<(), Fault> {
    let on = args.wanted == Switch::On;
    let mut key = args.device.open()?;
    let listed = key.listed.clone();
    let mut rng = device::rng();
    let mut manager = key.manager(&mut rng)?;
    let change = if manager.always_uv()? == on {
        Change::Already
    } else {
        for sentence in consequences(Setting::AlwaysUv(on), manager.info()) {
            say::note(&say::wrapped("- ", 2, &sentence));
        }
        let acfg = Permissions::AUTHENTICATOR_CONFIG;
        let Authority { token, .. } = authorise::authority(&mut manager, &args.pin, acfg)?;
        manager.set_always_uv(on, token.as_ref())?
    };
    let is = if manager.always_uv()? { "on" } else { "off" };
    let already = match change {
        Change::Already => " already",
        Change::Done => "",
    };
    noteln!("{}: always UV is {is}{already}.", listed.name());
    if args.json {
        let json = json!({
            "schema": "pinward.always-uv/1",
            "id": listed.id,
            "changed": change == Change::Done,
            "alwaysUv": manager.always_uv()?,
            "versions": manager.info().versions,
        });
        say::json(&json)?;
    }
    Ok(())
}
