//! The whole domain of the disposition: every request on every kind of key, in every PIN state.
//!
//! It is small because facts that cannot differ do not: a CTAP 2.0 key has no alwaysUv, an alwaysUv
//! key lists no `U2F_V2` and counts as without makeCredUvNotRqd (CTAP 2.3 §7.2), and so on.

use webauthn::options::{ResidentKeyRequirement, UserVerificationRequirement};

use super::{Ceremony, CredentialList, Facts, KeyFacts};
use crate::policy::HostPolicy;
use crate::profile::PlatformProfile;

/// Which CTAP a key of the domain speaks, with the options that matter here.
const GENERATIONS: [Generation; 7] = [
    Generation {
        level_2_1: false,
        always_uv: false,
        muv: false,
        u2f: false,
    },
    Generation {
        level_2_1: false,
        always_uv: false,
        muv: false,
        u2f: true,
    },
    Generation {
        level_2_1: true,
        always_uv: false,
        muv: false,
        u2f: false,
    },
    Generation {
        level_2_1: true,
        always_uv: false,
        muv: false,
        u2f: true,
    },
    Generation {
        level_2_1: true,
        always_uv: false,
        muv: true,
        u2f: false,
    },
    Generation {
        level_2_1: true,
        always_uv: false,
        muv: true,
        u2f: true,
    },
    Generation {
        level_2_1: true,
        always_uv: true,
        muv: false,
        u2f: false,
    },
];

struct Generation {
    level_2_1: bool,
    always_uv: bool,
    muv: bool,
    u2f: bool,
}

/// The states that a PIN can be in, as tables name them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PinState {
    Absent,
    Unset,
    Set,
    MustChange,
    Blocked,
}

const PIN_STATES: [PinState; 5] = [
    PinState::Absent,
    PinState::Unset,
    PinState::Set,
    PinState::MustChange,
    PinState::Blocked,
];

/// All facts, in a fixed order: 36 requests on each of 88 keys, with the default policy.
pub fn domain() -> Vec<Facts> {
    let keys = keys();
    let mut all = Vec::new();
    for (ceremony, user_verification, resident_key, list, prf) in requests() {
        for key in &keys {
            all.push(Facts {
                ceremony,
                user_verification,
                resident_key,
                list,
                prf,
                key: *key,
                policy: HostPolicy::default(),
            });
        }
    }
    all
}

type Request = (
    Ceremony,
    UserVerificationRequirement,
    ResidentKeyRequirement,
    CredentialList,
    bool,
);

fn requests() -> Vec<Request> {
    use CredentialList::{Empty, Hidden, Match, NoMatch};
    let mut all = Vec::new();
    for uv in UserVerificationRequirement::ALL.iter().copied() {
        for rk in ResidentKeyRequirement::ALL.iter().copied() {
            all.push((Ceremony::Create, uv, rk, Empty, false));
        }
        for list in [Match, Hidden, NoMatch] {
            all.push((
                Ceremony::Create,
                uv,
                ResidentKeyRequirement::Discouraged,
                list,
                false,
            ));
        }
        all.push((
            Ceremony::Create,
            uv,
            ResidentKeyRequirement::Discouraged,
            Empty,
            true,
        ));
        for list in [Empty, Match, Hidden, NoMatch] {
            all.push((
                Ceremony::Get,
                uv,
                ResidentKeyRequirement::Discouraged,
                list,
                false,
            ));
        }
        all.push((
            Ceremony::Get,
            uv,
            ResidentKeyRequirement::Discouraged,
            Match,
            true,
        ));
    }
    all
}

fn keys() -> Vec<KeyFacts> {
    let mut all = vec![KeyFacts::u2f_only()];
    for generation in &GENERATIONS {
        for pin in PIN_STATES {
            for uv in [None, Some(false), Some(true)] {
                if possible(generation, pin, uv) {
                    all.push(key(generation, pin, uv));
                }
            }
        }
    }
    all
}

fn possible(generation: &Generation, pin: PinState, uv: Option<bool>) -> bool {
    match (pin, uv) {
        // A finger is enrolled with a token, and that takes a PIN first.
        (PinState::Absent, Some(false)) => false,
        // From 2.1 on, a key with discoverable credentials can verify its user.
        (PinState::Absent, None) => !generation.level_2_1,
        (PinState::MustChange, _) => generation.level_2_1,
        _ => true,
    }
}

fn key(generation: &Generation, pin: PinState, uv: Option<bool>) -> KeyFacts {
    KeyFacts {
        ctap2: true,
        u2f_v2: generation.u2f,
        rk: true,
        client_pin: match pin {
            PinState::Absent => None,
            PinState::Unset => Some(false),
            _ => Some(true),
        },
        uv,
        bio_enroll: if generation.level_2_1 { uv } else { None },
        pin_uv_auth_token: generation.level_2_1,
        no_mc_ga_permissions_with_client_pin: false,
        always_uv: generation.always_uv,
        make_cred_uv_not_rqd: generation.muv,
        force_pin_change: pin == PinState::MustChange,
        pin_blocked: pin == PinState::Blocked,
        hmac_secret: true,
    }
}

impl KeyFacts {
    /// A key that speaks only CTAP1/U2F.
    pub const fn u2f_only() -> Self {
        Self {
            ctap2: false,
            u2f_v2: true,
            rk: false,
            client_pin: None,
            uv: None,
            bio_enroll: None,
            pin_uv_auth_token: false,
            no_mc_ga_permissions_with_client_pin: false,
            always_uv: false,
            make_cred_uv_not_rqd: false,
            force_pin_change: false,
            pin_blocked: false,
            hmac_secret: false,
        }
    }

    /// The level as tables name it.
    fn level(&self) -> &'static str {
        match (self.ctap2, self.pin_uv_auth_token) {
            (false, _) => "u2f",
            (true, false) => "2.0",
            (true, true) => "2.1",
        }
    }

    /// The state of the PIN as tables name it.
    fn pin_state(&self) -> &'static str {
        match self.client_pin {
            None => "absent",
            Some(false) => "unset",
            Some(true) if self.pin_blocked => "blocked",
            Some(true) if self.force_pin_change => "must-change",
            Some(true) => "set",
        }
    }

    /// The options that matter, as tables name them.
    fn options(&self) -> String {
        let named = [
            ("alwaysUv", self.always_uv),
            ("makeCredUvNotRqd", self.make_cred_uv_not_rqd),
            ("U2F_V2", self.u2f_v2),
        ];
        let on: Vec<_> = named
            .iter()
            .filter(|(_, on)| *on)
            .map(|(name, _)| *name)
            .collect();
        if on.is_empty() {
            "-".to_owned()
        } else {
            on.join("+")
        }
    }
}

fn tri(value: Option<bool>) -> &'static str {
    match value {
        None => "-",
        Some(false) => "false",
        Some(true) => "true",
    }
}

/// The head line of [`table`].
pub(crate) const HEAD: &str = "ceremony\tuserVerification\tresidentKey\tlist\tprf\tctap\tpin\tuv\toptions\taction\tsteps\tuvFlag\tended\terror";

impl Facts {
    /// The facts as the first nine columns of [`crate::uv::table`].
    pub fn columns(&self) -> String {
        let resident_key = match self.ceremony {
            Ceremony::Create => self.resident_key.as_str(),
            Ceremony::Get => "-",
        };
        format!(
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
            self.ceremony.name(),
            self.user_verification.as_str(),
            resident_key,
            self.list.name(),
            if self.prf { "yes" } else { "-" },
            self.key.level(),
            self.key.pin_state(),
            tri(self.key.uv),
            self.key.options(),
        )
    }
}

/// The whole domain with the decision of one platform, as tab-separated lines with a head.
pub fn table(platform: &PlatformProfile) -> String {
    let mut text = String::from(HEAD);
    text.push('\n');
    for facts in domain() {
        let decided = super::disposition(&facts, platform);
        let expected = decided.expected(&facts, platform);
        text.push_str(&facts.columns());
        for column in [
            decided.action.text().as_str(),
            expected.steps_text().as_str(),
            tri(expected.uv),
            expected.ended.name(),
            expected.error.map_or("-", |error| error.name()),
        ] {
            text.push('\t');
            text.push_str(column);
        }
        text.push('\n');
    }
    text
}
