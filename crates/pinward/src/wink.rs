//! `pinward wink`: which of these keys is it?

use clap::Args;

use crate::device::DeviceArg;
use crate::exit::Fault;

/// Makes a key show itself: its light flashes. Nothing else happens.
#[derive(Debug, Args)]
pub(crate) struct WinkArgs {
    #[command(flatten)]
    device: DeviceArg,
}

pub(crate) fn run(args: &WinkArgs) -> Result<(), Fault> {
    args.device.open()?.wink()
}
