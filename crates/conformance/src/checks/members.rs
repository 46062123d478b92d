//! CTAP 2.3 §6.4: the members that CTAP 2.1, 2.2 and 2.3 added to getInfo.

use crate::bench::{Bench, present};
use crate::check::Need::{self, Member, On, Option as Has};
use crate::check::{Check, Outcome, check, ensure, same};

const INFO: &str = "CTAP 2.3 §6.4";

fn remaining(b: &mut Bench<'_>) -> Outcome<u64> {
    let info = b.info()?;
    present(
        "remainingDiscoverableCredentials",
        info.remaining_discoverable_credentials,
    )
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "getinfo.uv-modality",
        INFO,
        "A sensor says what it is, in bits of the FIDO Registry",
        &[Has("uv"), Member(18)],
        |b| ensure(b.new_info()?.uv_modality > Some(0), "uvModality is zero"),
    ),
    check(
        "getinfo.uv-attempts",
        INFO,
        "preferredPlatformUvAttempts is more than zero",
        &[Member(17)],
        |b| {
            ensure(
                b.new_info()?.preferred_platform_uv_attempts > Some(0),
                "it is zero",
            )
        },
    ),
    check(
        "getinfo.remaining-shrinks",
        INFO,
        "A discoverable credential takes room",
        &[Member(20), On("rk")],
        |b| {
            let before = remaining(b)?;
            let request = b.mc_rk(1);
            b.make(request)?;
            let after = remaining(b)?;
            ensure(after < before, format!("{before} before and {after} after"))
        },
    ),
    check(
        "getinfo.remaining-stays",
        INFO,
        "A credential in the place of an older one takes no more room",
        &[Member(20), On("rk")],
        |b| {
            let request = b.mc_rk(1);
            b.make(request)?;
            let before = remaining(b)?;
            let request = b.mc_rk(1);
            b.make(request)?;
            same(remaining(b)?, before, "the room")
        },
    ),
    check(
        "getinfo.attestation-formats",
        INFO,
        "attestationFormats leaves \"none\" out and has nothing twice",
        &[Member(22)],
        |b| {
            let formats = b
                .new_info()?
                .attestation_formats
                .clone()
                .unwrap_or_default();
            ensure(!formats.is_empty(), "an empty list")?;
            ensure(!formats.iter().any(|f| f == "none"), "\"none\" is listed")?;
            let mut once = formats.clone();
            once.sort();
            once.dedup();
            same(once.len(), formats.len(), "the number of formats")
        },
    ),
    check(
        "getinfo.max-pin-length",
        INFO,
        "maxPINLength is between minPINLength and 63",
        &[Member(29)],
        |b| {
            let info = b.new_info()?;
            ensure(
                info.max_pin_length >= info.min_pin_length,
                "less than minPINLength",
            )?;
            ensure(info.max_pin_length <= Some(63), "more than 63")
        },
    ),
    check(
        "getinfo.config-commands",
        INFO,
        "authenticatorConfigCommands goes with the options",
        &[Member(31)],
        |b| {
            let commands = b
                .new_info()?
                .authenticator_config_commands
                .clone()
                .unwrap_or_default();
            let has = |code: u64| commands.contains(&code);
            same(
                has(1),
                b.option("ep").is_some(),
                "enableEnterpriseAttestation",
            )?;
            same(has(2), b.option("alwaysUv").is_some(), "toggleAlwaysUv")?;
            same(
                has(3),
                b.option("setMinPINLength") == Some(true),
                "setMinPINLength",
            )?;
            let mut once = commands.clone();
            once.sort_unstable();
            once.dedup();
            same(once.len(), commands.len(), "the number of commands")
        },
    ),
    check(
        "getinfo.long-touch-off",
        INFO,
        "A key as new is reset by a short touch",
        &[Member(24), Need::Config(4)],
        |b| {
            same(
                b.new_info()?.long_touch_for_reset,
                Some(false),
                "longTouchForReset",
            )
        },
    ),
    check(
        "getinfo.transports-for-reset",
        INFO,
        "transportsForReset are among the transports",
        &[Member(26)],
        |b| {
            let info = b.new_info()?;
            let all = info.transports.clone().unwrap_or_default();
            let odd = info
                .transports_for_reset
                .iter()
                .flatten()
                .find(|t| !all.contains(t));
            ensure(odd.is_none(), format!("{odd:?} is no transport of the key"))
        },
    ),
    check(
        "getinfo.complexity-url",
        INFO,
        "A page about PIN complexity comes with a policy only",
        &[Member(28)],
        |b| {
            ensure(b.member(27).is_some(), "pinComplexityPolicy is missing")?;
            let url = b
                .new_info()?
                .pin_complexity_policy_url
                .clone()
                .unwrap_or_default();
            ensure(url.starts_with(b"https://"), "the URL is not https")
        },
    ),
    check(
        "getinfo.uv-count",
        INFO,
        "uvCountSinceLastPinEntry is zero as new",
        &[Member(23)],
        |b| {
            same(
                b.new_info()?.uv_count_since_last_pin_entry,
                Some(0),
                "the count",
            )
        },
    ),
    check(
        "getinfo.uv-count-grows",
        INFO,
        "A verification by the sensor counts, entering the PIN sets the count back",
        &[Member(23), On("uv")],
        |b| {
            b.set_pin()?;
            let mut request = b.mc();
            request.options = crate::ceremonies::mc_options(None, None, Some(true));
            b.make_as_is(&request)?;
            same(
                b.info()?.uv_count_since_last_pin_entry,
                Some(1),
                "the count after a finger",
            )?;
            same(b.try_pin(crate::bench::PIN)?, ctap::Status::OK, "the PIN")?;
            same(
                b.info()?.uv_count_since_last_pin_entry,
                Some(0),
                "the count after the PIN",
            )
        },
    ),
];
