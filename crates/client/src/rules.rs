//! The rules of a platform: named switches, each a fact with its source.
//!
//! The switches are the places where clients differ in deciding about user verification (CTAP 2.3
//! §6.1.1 and §6.2.1 leave them open, or products depart from the text). They are rules, not rows:
//! [`crate::uv::disposition`] applies them to any key and any request.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::report::{Certainty, Party, Reason};

/// A statement about a product: the value, how sure it is and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact<T> {
    /// What the product does.
    pub value: T,
    /// How sure that is.
    pub certainty: Certainty,
    /// A URL, or a repository with a path, or the measurement.
    pub source: Cow<'static, str>,
    /// A remark in plain words, where the value alone would mislead.
    pub note: Option<Cow<'static, str>>,
}

impl<T> Fact<T> {
    /// The reason that this fact gives, said in `words`.
    pub(crate) fn reason(&self, words: impl Into<Cow<'static, str>>) -> Reason {
        let words = words.into();
        let fact = match &self.note {
            Some(note) => Cow::Owned(format!("{words} ({note})")),
            None => words,
        };
        Reason {
            who: Party::Platform,
            fact,
            reference: self.source.clone(),
            certainty: self.certainty,
        }
    }
}

/// What a platform does when verification is wanted and the key has no PIN (and no other method) yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoPin {
    /// Goes on without user verification.
    Proceed,
    /// Offers to create a PIN, with a way to say "not now".
    Offer,
    /// Does what the policy of the host says.
    ByPolicy,
    /// Has the person create a PIN; there is no other way on.
    Provision,
    /// Asks for a touch to choose the key, then has the person create a PIN.
    TouchThenProvision,
    /// Asks for a touch, then says that this key cannot be used.
    TouchThenFail,
    /// Fails at once.
    Fail,
    /// Differs from machine to machine in a way that cannot be told from outside.
    PerDevice,
    /// Not known.
    Unknown,
}

/// As [`NoPin`], for a key with `alwaysUv`: it may follow what the platform does for `required`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlwaysUvNoPin {
    /// As if the site had said `required`.
    AsRequired,
    /// By the rule for what the site said.
    AsAsked,
    /// Fails at once.
    Fail,
    /// Not known, unless the rule for the request itself already sets up a PIN.
    Unknown,
}

/// What a discoverable credential means for user verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiscoverableMeans {
    /// Nothing beyond what the site asked.
    AsAsked,
    /// At least `preferred`.
    Preferred,
    /// Always `required`.
    Required,
    /// Not known.
    Unknown,
}

/// When `residentKey: "preferred"` makes a discoverable credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResidentKeyPreferred {
    /// Whenever the key can keep one.
    WhenSupported,
    /// Never: `preferred` counts as `discouraged`.
    Never,
    /// Not known.
    Unknown,
}

/// Whether the platform heeds `alwaysUv` of the key when the site asks for less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlwaysUv {
    /// Treats every request as `required`.
    AsRequired,
    /// Does not look at it: sends the request as the site asked.
    Ignore,
    /// Not known.
    Unknown,
}

/// What a platform does in `create()` with `discouraged` on a key that insists on verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyInsists {
    /// Verifies the user all the same.
    Ask,
    /// Registers by CTAP1/U2F without verification where the key lists `U2F_V2`, else verifies.
    U2fIfListed,
    /// Sends the request without a token, which the key refuses.
    SendWithoutToken,
    /// Not known.
    Unknown,
}

/// What a platform does in `create()` with `discouraged` on a key with a PIN and `makeCredUvNotRqd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MakeCredUvNotRqd {
    /// Registers with a touch alone.
    Touch,
    /// Verifies the user all the same.
    Ask,
    /// Not known.
    Unknown,
}

/// What a platform does with the status `CTAP2_ERR_PUAT_REQUIRED` (0x36).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PuatRequired {
    /// Verifies the user and sends the request once more, with the token.
    Escalate,
    /// Fails.
    Fail,
    /// Asks for the PIN and sends the same request without the token again, for ever.
    PinLoop,
    /// Asks for a touch, then the PIN, then sends the same request without the token, for ever.
    TouchPinLoop,
    /// Not known.
    Unknown,
}

/// What a platform does when `required` meets a key with no means to verify anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CannotVerify {
    /// Asks for a touch, then says that this key cannot be used.
    TouchThenFail,
    /// Fails at once.
    Fail,
    /// Goes on without verification, against the text.
    Proceed,
    /// Not known.
    Unknown,
}

/// What follows when the person closes the create-PIN dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProvisionCancelled {
    /// The ceremony fails.
    Fail,
    /// Not known.
    Unknown,
}

/// What a platform does with a key whose PIN is blocked, when verification is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PinBlocked {
    /// Says that the key is locked and fails.
    Refuse,
    /// Fails only where verification is needed; `preferred` goes on without it.
    ProceedUnlessNeeded,
    /// Asks for the PIN, which the key then refuses.
    Ask,
    /// Not known.
    Unknown,
}

/// What a platform does with a key that demands a new PIN (`forcePINChange`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForcedPinChange {
    /// Asks for the PIN, then for a new one, and goes on with it.
    PinThenChange,
    /// Asks for the old and the new PIN in one dialog, and goes on with the new one.
    Change,
    /// Asks for the old and new PIN, then for the PIN two times more.
    ChangeThenPinTwice,
    /// Asks for the PIN, then fails with the status of the key.
    FailAfterPin,
    /// Not known.
    Unknown,
}

/// Whether a platform enrols a finger in the flow on a key with a sensor and no finger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FingerprintEnrolment {
    /// In `create()`, after the PIN.
    InCreate,
    /// Never.
    Never,
    /// Not known.
    Unknown,
}

/// What follows on `CTAP2_ERR_OPERATION_DENIED` (0x27) from built-in verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuiltInUvDenied {
    /// The ceremony fails.
    Fail,
    /// The PIN is asked instead, where there is one.
    Pin,
    /// Not known.
    Unknown,
}

/// When lists of credentials are tried on the key without a touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreFlight {
    /// After the token was obtained, and with it: finds credProtect level 3 credentials too.
    WithToken,
    /// Before there is a token: level 3 credentials stay hidden.
    BeforeToken,
    /// Not known; taken as with the token.
    Unknown,
}

/// What a platform does when the key holds none of the allowed credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoMatch {
    /// Asks for a touch, then fails: a page cannot find out without the person.
    TouchThenFail,
    /// Fails at once.
    Fail,
    /// Not known.
    Unknown,
}

/// What a platform does in `create()` with `discouraged` and an exclude list of strangers, on a key
/// with a PIN that would not insist on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExcludeListNoMatch {
    /// Registers.
    Normal,
    /// Sends an empty `pinUvAuthParam`, gets 0x31 after the touch and shows nothing more.
    Hang,
    /// Not known.
    Unknown,
}

/// In which messages a platform speaks to a key that knows both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// CTAP2.
    Ctap2,
    /// CTAP1/U2F, which knows neither PIN nor discoverable credentials.
    U2fOnly,
    /// Not known; taken as CTAP2.
    Unknown,
}

/// Whether `preferred` alone makes a platform use a PIN or sensor that is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreferredReady {
    /// It verifies the user, as the text wants.
    Verify,
    /// It goes on as if the site had said `discouraged`.
    AsDiscouraged,
    /// Not known.
    Unknown,
}

/// When the person picks an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountPicker {
    /// In every sign-in with a discoverable credential, even with one account.
    Always,
    /// When the key holds several.
    WhenSeveral,
    /// Not known for one account; taken as not shown.
    Unknown,
}

/// The credProtect level that a platform adds by itself to discoverable credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredProtectDefault {
    /// None.
    None,
    /// Level 2; level 3 when the site says `preferred` and requires a discoverable credential.
    TwoOrThree,
    /// Not known.
    Unknown,
}

/// What the `prf` extension does to user verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrfMeans {
    /// Nothing.
    AsAsked,
    /// At least `preferred`.
    AtLeastPreferred,
    /// At least `preferred`, and in `create()` a PIN is set up where there is none.
    AtLeastPreferredAndProvision,
    /// Not known.
    Unknown,
}

/// A plain yes or no, or not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// The platform does it.
    Yes,
    /// The platform does not.
    No,
    /// Not known; taken as no.
    Unknown,
}

impl Switch {
    /// Whether it is known that the platform does it.
    pub fn is_yes(self) -> bool {
        self == Self::Yes
    }
}

macro_rules! rules {
    ($( $(#[$doc:meta])* $name:ident: $ty:ty, )*) => {
        /// All rules of a platform. Every profile states every one of them; what is not known says so.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Rules {
            $( $(#[$doc])* pub $name: Fact<$ty>, )*
        }

        /// The rules as they are written in TOML, with sources by name.
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct RawRules {
            $( pub(crate) $name: RawFact<$ty>, )*
        }

        impl RawRules {
            /// Puts the text of each named source in its place.
            pub(crate) fn resolve(
                self,
                source_of: &dyn Fn(&'static str, &str) -> Result<String, crate::profile::ProfileError>,
            ) -> Result<Rules, crate::profile::ProfileError> {
                Ok(Rules {
                    $( $name: Fact {
                        source: Cow::Owned(source_of(stringify!($name), &self.$name.source)?),
                        value: self.$name.value,
                        certainty: self.$name.certainty,
                        note: self.$name.note.map(Cow::Owned),
                    }, )*
                })
            }
        }

        impl Rules {
            /// Name, value, certainty, source and note of every rule, as text, for tables and pages.
            pub fn rows(&self) -> Vec<RuleRow<'_>> {
                vec![ $( RuleRow {
                    name: stringify!($name),
                    value: value_name(&self.$name.value),
                    certainty: self.$name.certainty,
                    source: &self.$name.source,
                    note: self.$name.note.as_deref(),
                }, )* ]
            }
        }
    };
}

/// One rule as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleRow<'a> {
    /// The name of the switch.
    pub name: &'static str,
    /// Its value as written in the profile.
    pub value: String,
    /// How sure it is.
    pub certainty: Certainty,
    /// Where it comes from.
    pub source: &'a str,
    /// A remark.
    pub note: Option<&'a str>,
}

/// A fact as it is written in TOML.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawFact<T> {
    pub(crate) value: T,
    pub(crate) certainty: Certainty,
    pub(crate) source: String,
    pub(crate) note: Option<String>,
}

fn value_name<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

rules! {
    /// The messages in which it speaks to keys.
    protocol: Protocol,
    /// `preferred`, and the key has a PIN or another method that is set up.
    preferred_ready: PreferredReady,
    /// `create()`, `preferred`, the key has no PIN.
    create_preferred_no_pin: NoPin,
    /// `create()`, `required` (by the site or by another rule), the key has no PIN.
    create_required_no_pin: NoPin,
    /// `get()`, `preferred`, the key has no PIN.
    get_preferred_no_pin: NoPin,
    /// `get()`, `required` (by the site or by another rule), the key has no PIN.
    get_required_no_pin: NoPin,
    /// `create()` with an `alwaysUv` key that has no PIN.
    create_always_uv_no_pin: AlwaysUvNoPin,
    /// `get()` with an `alwaysUv` key that has no PIN.
    get_always_uv_no_pin: AlwaysUvNoPin,
    /// What follows when the person closes the create-PIN dialog that has no "not now".
    provision_cancelled: ProvisionCancelled,
    /// Whether the PIN just created has to be typed once more for this ceremony.
    new_pin_asked_again: Switch,
    /// `create()` of a discoverable credential.
    discoverable_create: DiscoverableMeans,
    /// `get()` without an allow list.
    discoverable_get: DiscoverableMeans,
    /// `residentKey: "preferred"`.
    resident_key_preferred: ResidentKeyPreferred,
    /// `alwaysUv` on the key while the site asks for less than `required`.
    always_uv: AlwaysUv,
    /// `create()`, `discouraged`, a key with a PIN that insists on verification.
    create_key_insists: KeyInsists,
    /// The same for a key with built-in verification that is ready, whether it also has a PIN or not.
    create_key_insists_built_in: KeyInsists,
    /// `create()`, `discouraged`, a key with a PIN that would do without (`makeCredUvNotRqd`).
    make_cred_uv_not_rqd: MakeCredUvNotRqd,
    /// The status `CTAP2_ERR_PUAT_REQUIRED` after a request without a token.
    puat_required: PuatRequired,
    /// `required` and a key that cannot verify anybody.
    cannot_verify: CannotVerify,
    /// A blocked PIN where verification is wanted.
    pin_blocked: PinBlocked,
    /// A key that demands a new PIN.
    forced_pin_change: ForcedPinChange,
    /// A sensor without an enrolled finger.
    fingerprint_enrolment: FingerprintEnrolment,
    /// Built-in verification denied with 0x27.
    built_in_uv_denied: BuiltInUvDenied,
    /// Whether a touch chooses the key before the PIN is asked.
    touch_before_pin: Switch,
    /// Whether the tries left are read, and shown, before the first entry.
    retries_shown_first: Switch,
    /// Pre-flight of credential lists.
    pre_flight: PreFlight,
    /// No credential of the allow list on the key.
    no_matching_credential: NoMatch,
    /// An exclude list without a match on a key that would not insist on its PIN.
    exclude_list_no_match: ExcludeListNoMatch,
    /// When an account has to be picked.
    account_picker: AccountPicker,
    /// Whether the UV flag of the answer is checked against `required`.
    uv_flag_checked: Switch,
    /// The credProtect level added by the platform.
    cred_protect_default: CredProtectDefault,
    /// The `prf` extension.
    prf: PrfMeans,
    /// Whether a page sees `ConstraintError` when no key can do what `create()` requires.
    constraint_error: Switch,
}
