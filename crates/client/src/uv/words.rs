//! The words of the reasons: one place, so that `explain`, the demo page and the matrix agree.

use std::borrow::Cow;

use webauthn::options::UserVerificationRequirement;

use super::decide::Need;
use super::{Ceremony, Facts, KeyFacts};
use crate::policy::PinSetup;
use crate::report::{Party, Reason};
use crate::rules::{CannotVerify, Fact, ForcedPinChange, NoPin, PuatRequired};

const REQUIREMENT: &str = "WebAuthn L3 §5.8.6 User Verification Requirement Enumeration";
const OPTIONS: &str = "CTAP 2.3 §6.4 authenticatorGetInfo, options";
const PLATFORM_MC: &str = "CTAP 2.3 §6.1.1 Platform Actions for authenticatorMakeCredential";
const PLATFORM_GA: &str = "CTAP 2.3 §6.2.1 Platform Actions for authenticatorGetAssertion";

fn platform_actions(ceremony: Ceremony) -> &'static str {
    match ceremony {
        Ceremony::Create => PLATFORM_MC,
        Ceremony::Get => PLATFORM_GA,
    }
}

pub(super) fn site_asked(ceremony: Ceremony, uv: UserVerificationRequirement) -> Reason {
    let doing = match ceremony {
        Ceremony::Create => "registration",
        Ceremony::Get => "sign-in",
    };
    let wish = match uv {
        UserVerificationRequirement::Required => {
            "\"required\": the person must be verified (PIN or fingerprint), or it fails"
        }
        UserVerificationRequirement::Preferred => {
            "\"preferred\" (also what counts when it says nothing): verify the person if the key can"
        }
        UserVerificationRequirement::Discouraged => {
            "\"discouraged\": do not ask for a PIN if a touch will do"
        }
    };
    let fact = format!("For this {doing} the site set userVerification to {wish}.");
    Reason::specified(Party::Site, fact, REQUIREMENT)
}

fn key(fact: impl Into<Cow<'static, str>>, reference: &'static str) -> Reason {
    Reason::specified(Party::Key, fact, reference)
}

pub(super) fn key_no_pin(facts: &KeyFacts) -> Reason {
    let fact = if facts.uv == Some(false) {
        "This key has a PIN function and a sensor, but neither a PIN nor a finger has been set up (clientPin and uv are false)."
    } else {
        "This key could check a PIN, but none has been set (clientPin is false)."
    };
    key(fact, OPTIONS)
}

pub(super) fn key_pin_set() -> Reason {
    key("This key has a PIN (clientPin is true).", OPTIONS)
}

pub(super) fn key_built_in() -> Reason {
    key(
        "This key verifies its user by itself, e.g. by fingerprint (uv is true); that comes before the PIN.",
        OPTIONS,
    )
}

pub(super) fn key_verifies_itself() -> Reason {
    key(
        "The request does not ask for verification, but this key then does it by itself, e.g. by fingerprint.",
        "CTAP 2.3 §6.1.2 and §6.2.2, steps on alwaysUv",
    )
}

pub(super) fn key_cannot_verify(facts: &KeyFacts) -> Reason {
    let fact = if !facts.ctap2 {
        "By U2F messages, this key knows no PIN."
    } else if facts.client_pin.is_some() && facts.no_mc_ga_permissions_with_client_pin {
        "This key does not accept its PIN for registering or signing in (noMcGaPermissionsWithClientPin)."
    } else if facts.uv == Some(false) {
        "This key has a sensor, but no finger is enrolled, and it has no PIN function."
    } else {
        "This key has no way to verify its user (neither clientPin nor uv)."
    };
    key(fact, OPTIONS)
}

pub(super) fn key_cannot_keep(facts: &KeyFacts) -> Reason {
    if !facts.ctap2 {
        return key(
            "By U2F messages, this key keeps no discoverable credentials, which the site requires.",
            "CTAP 2.3 §8 Interoperating with CTAP1/U2F authenticators",
        );
    }
    key(
        "This key cannot keep discoverable credentials, which the site requires (rk is not true).",
        OPTIONS,
    )
}

pub(super) fn key_always_uv() -> Reason {
    key(
        "This key is set to always verify its user (alwaysUv is on), whatever a site asks.",
        "CTAP 2.3 §7.2 Always Require User Verification",
    )
}

pub(super) fn key_u2f_only() -> Reason {
    key(
        "By U2F messages, a touch is all that this key can ask for.",
        "CTAP 2.3 §8 Interoperating with CTAP1/U2F authenticators",
    )
}

pub(super) fn key_force_change() -> Reason {
    key(
        "This key demands a new PIN before anything else (forcePINChange is on).",
        "CTAP 2.3 §6.4 authenticatorGetInfo, forcePINChange",
    )
}

pub(super) fn key_pin_blocked() -> Reason {
    key(
        "The PIN of this key is blocked after too many wrong tries; only a reset helps, and it deletes all credentials.",
        "CTAP 2.3 §6.5.1 PIN composition and retries",
    )
}

pub(super) fn key_insists(facts: &Facts, discoverable: bool) -> Reason {
    if facts.key.always_uv {
        return key_always_uv();
    }
    let fact = if discoverable && facts.key.make_cred_uv_not_rqd {
        "This key is protected and makes a discoverable credential only after verification."
    } else {
        "This key is protected and makes no credential without verification (makeCredUvNotRqd is not true)."
    };
    key(
        fact,
        "CTAP 2.3 §6.1.2 authenticatorMakeCredential Algorithm",
    )
}

pub(super) fn touch_is_enough(facts: &Facts, discouraged: bool) -> Reason {
    let fact = match (facts.ceremony, discouraged) {
        (Ceremony::Create, true) => {
            "Nothing calls for a PIN: the key registers with a touch alone."
        }
        (Ceremony::Get, true) => "Nothing calls for a PIN: the key signs in with a touch alone.",
        (_, false) => "The ceremony goes on without verification: the key asks for a touch alone.",
    };
    Reason::specified(Party::Platform, fact, platform_actions(facts.ceremony))
}

pub(super) fn no_pin(value: NoPin, required: bool) -> &'static str {
    match value {
        NoPin::Proceed if required => {
            "This platform goes on without verification although it is required."
        }
        NoPin::Proceed => "This platform then goes on without a PIN.",
        NoPin::Offer => "This platform offers to create a PIN now, or to go on without.",
        NoPin::Provision | NoPin::ByPolicy => {
            "This platform then has the person create a PIN on the spot."
        }
        NoPin::TouchThenProvision => {
            "This platform asks for a touch, then has the person create a PIN."
        }
        NoPin::TouchThenFail => {
            "This platform does not create PINs here: after a touch it says that the key cannot be used."
        }
        NoPin::Fail => "This platform does not create PINs: it fails at once.",
        NoPin::PerDevice => {
            "Whether this platform has a PIN created here differs from PC to PC, and cannot be told from outside."
        }
        NoPin::Unknown => "What this platform does here is not known.",
    }
}

pub(super) fn by_policy(setup: PinSetup, never: bool, fact: &Fact<NoPin>) -> Reason {
    let words = match (setup, never) {
        (PinSetup::Proceed, true) => {
            "The policy of this host never has PINs created: it goes on without."
        }
        (PinSetup::Fail, true) => "The policy of this host never has PINs created: it fails.",
        (PinSetup::Proceed, false) => "The policy of this host is to go on without a PIN.",
        (PinSetup::Offer, _) => "The policy of this host is to offer creating a PIN now.",
        (PinSetup::Provision, _) => "The policy of this host is to have a PIN created on the spot.",
        (PinSetup::Fail, false) => "The policy of this host is to fail rather than to go on.",
    };
    fact.reason(words)
}

pub(super) fn puat_required(value: PuatRequired) -> &'static str {
    match value {
        PuatRequired::Escalate => {
            "When the key answers \"verification required\" (0x36), this platform verifies the person and asks again."
        }
        PuatRequired::Fail => {
            "This platform sends the request without verification; the key refuses it (0x36) and the ceremony fails."
        }
        PuatRequired::PinLoop => {
            "Known bug: this platform asks for the PIN, then sends the same request without it again, so that the right PIN looks wrong for ever."
        }
        PuatRequired::TouchPinLoop => {
            "Known bug: this platform asks for touch and PIN in turn, sends the same request without the PIN each time, and never completes."
        }
        PuatRequired::Unknown => {
            "The key refuses the request without verification (0x36); what this platform does then is not known."
        }
    }
}

pub(super) fn cannot_verify(value: CannotVerify) -> &'static str {
    match value {
        CannotVerify::TouchThenFail => {
            "This platform asks for a touch, then says that the key cannot be used."
        }
        CannotVerify::Fail => "This platform fails at once.",
        CannotVerify::Proceed => {
            "This platform goes on without verification although it is required."
        }
        CannotVerify::Unknown => "What this platform does with such a key is not known.",
    }
}

pub(super) fn force_change(value: ForcedPinChange) -> &'static str {
    match value {
        ForcedPinChange::PinThenChange => {
            "This platform asks for the PIN, then for a new one, and goes on with it."
        }
        ForcedPinChange::Change => {
            "This platform has the PIN changed first and goes on with the new one."
        }
        ForcedPinChange::ChangeThenPinTwice => {
            "This platform has the PIN changed, then asks for it two times more."
        }
        ForcedPinChange::FailAfterPin => {
            "This platform asks for the PIN and then fails: it cannot have the PIN changed."
        }
        ForcedPinChange::Unknown => "What this platform does with such a key is not known.",
    }
}

pub(super) fn discoverable_raises(ceremony: Ceremony, floor: Need) -> &'static str {
    match (ceremony, floor) {
        (Ceremony::Create, Need::Required) => {
            "A discoverable credential is to be made, and this platform then always verifies the person."
        }
        (Ceremony::Create, _) => {
            "A discoverable credential is to be made, and this platform then verifies the person if the key can."
        }
        (Ceremony::Get, Need::Required) => {
            "The site names no credentials, and this platform then always verifies the person."
        }
        (Ceremony::Get, _) => {
            "The site names no credentials, and this platform then verifies the person if the key can."
        }
    }
}

pub(super) const SPEAKS_U2F: &str =
    "This platform speaks only the older U2F messages to keys here; they know no PIN.";
pub(super) const U2F_NOT_SPOKEN: &str =
    "This key does not know them; what this platform does with it is not known.";
pub(super) const READY_IGNORED: &str =
    "This platform does not ask for verification that is only preferred.";
pub(super) const READY_UNKNOWN: &str =
    "Whether this platform asks for verification that is only preferred is not known.";
pub(super) const DISCOVERABLE_UNKNOWN: &str =
    "Whether a discoverable credential alone makes this platform verify the person is not known.";
pub(super) const PRF_RAISES: &str = "The site uses the prf extension, whose result depends on verification: this platform then verifies where the site would not.";
pub(super) const PRF_UNKNOWN: &str =
    "Whether the prf extension alone makes this platform verify the person is not known.";
pub(super) const ALWAYS_UV_HONOURED: &str = "This platform heeds that, whatever the site says.";
pub(super) const ALWAYS_UV_UNKNOWN: &str =
    "What this platform does with such a key here is not known.";
pub(super) const ALWAYS_UV_AS_REQUIRED: &str = "This platform treats a key that always verifies, but has no PIN, as if the site had said \"required\".";
pub(super) const ALWAYS_UV_FAILS: &str =
    "This platform fails at once with a key that always verifies but has no PIN.";
pub(super) const INSISTS_ASK: &str =
    "This platform then asks for the PIN although the site discouraged it.";
pub(super) const INSISTS_U2F: &str = "This platform then registers by the older U2F messages, which need no PIN, and does not say so.";
pub(super) const INSISTS_NO_U2F: &str = "This platform would avoid the PIN by U2F messages, but this request or key does not allow them.";
pub(super) const SPARED_ASKS: &str =
    "This platform asks for the PIN although neither the site nor the key calls for it.";
pub(super) const SPARED_UNKNOWN: &str = "The key would register without its PIN (makeCredUvNotRqd); what this platform does is not known.";
pub(super) const RK_PREFERRED_UNKNOWN: &str = "Whether this platform makes a discoverable credential when the site only prefers one is not known.";
pub(super) const INSISTS_UNKNOWN: &str =
    "What this platform does with such a key here is not known.";
pub(super) const HANG: &str = "Known bug: with an exclude list that matches nothing, this platform sends an empty pinUvAuthParam, the key answers 0x31 after the touch, and no dialog follows.";
pub(super) const HANG_UNKNOWN: &str =
    "What this platform does with an exclude list that matches nothing on such a key is not known.";
pub(super) const ENROL: &str =
    "The key has a sensor without an enrolled finger: this platform offers to enrol one now.";
pub(super) const ENROL_UNKNOWN: &str = "The key has a sensor without an enrolled finger: whether this platform enrols one here is not known.";
pub(super) const BLOCKED_REFUSED: &str =
    "This platform says that the key is locked; it does not ask for a PIN that cannot be right.";
pub(super) const BLOCKED_PROCEED: &str = "Verification was only preferred, so this platform goes on without asking for a PIN that cannot be right.";
pub(super) const BLOCKED_ASKED: &str =
    "This platform does not look, and asks for a PIN that cannot be right.";
pub(super) const NO_PIN_TO_LOOP_WITH: &str = "The key refuses the request without verification (0x36). This platform is known to loop there with a PIN; what it does without one is not known.";
pub(super) const FORCED_IN_LOOP: &str =
    "What this platform does with such a key in the middle of that is not known.";
pub(super) const BLOCKED_UNKNOWN: &str = "What this platform does with a blocked key is not known.";

pub(super) fn discoverable_rule(facts: &Facts) -> &'static str {
    match facts.ceremony {
        Ceremony::Create => "discoverable_create",
        Ceremony::Get => "discoverable_get",
    }
}

pub(super) fn always_rule(facts: &Facts) -> &'static str {
    match facts.ceremony {
        Ceremony::Create => "create_always_uv_no_pin",
        Ceremony::Get => "get_always_uv_no_pin",
    }
}

pub(super) fn no_pin_rule(facts: &Facts, required: bool) -> &'static str {
    match (facts.ceremony, required) {
        (Ceremony::Create, false) => "create_preferred_no_pin",
        (Ceremony::Create, true) => "create_required_no_pin",
        (Ceremony::Get, false) => "get_preferred_no_pin",
        (Ceremony::Get, true) => "get_required_no_pin",
    }
}
