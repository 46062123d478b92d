//! What fido2-manage says, in each of its four dialects

use std::fmt::Write as _;

use super::args::Action;

/// Which fido2-manage this is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// fido2-manage.sh
    Linux,
    /// fido2-manage-mac.sh
    Macos,
    /// fido2-manage.ps1
    Windows,
    /// fido2-manage.cpp
    Cpp,
}

impl Dialect {
    /// By its name, in lower case.
    pub(super) fn find(name: &str) -> Option<Self> {
        Some(match name.to_lowercase().as_str() {
            "linux" => Self::Linux,
            "macos" => Self::Macos,
            "windows" => Self::Windows,
            "cpp" => Self::Cpp,
            _ => return None,
        })
    }

    /// Confirmations and progress, as this dialect marks them.
    pub(super) fn message(self, text: &str) -> String {
        match self {
            Self::Cpp => format!("{text}\n"),
            _ => format!("[Info] {text}\n"),
        }
    }

    /// Failures, as this dialect marks them.
    pub(super) fn failure(self, text: &str) -> String {
        match self {
            Self::Cpp => format!("Error: {text}\n"),
            _ => format!("[Error] {text}\n"),
        }
    }

    /// One line of -list. The name is safe to show.
    pub(super) fn device(self, number: usize, name: &str) -> String {
        match self {
            Self::Linux => format!("Device [{number}] : {name}\n"),
            Self::Macos => format!("Device [{number}] : {}\n", name.replace(['(', ')'], "")),
            Self::Windows => format!("Device [{number}] :  ({name})  \n"),
            Self::Cpp => format!("Device [{number}]: {name}\n"),
        }
    }

    /// What ends -list.
    pub(super) fn end_of_list(self, keys: usize) -> &'static str {
        match (self, keys) {
            (Self::Windows, _) => "\n",
            (Self::Cpp, 0) => "No devices found.\n",
            _ => "",
        }
    }

    /// The heading of -info.
    pub(super) fn info_heading(self, device: &str) -> String {
        match self {
            Self::Cpp => String::new(),
            _ => self.message(&format!("Device {device} Information:")),
        }
    }

    /// One line of -residentKeys -domain.
    pub(super) fn passkey(self, credential: &str, user: &str) -> String {
        let line = format!("Credential ID: {credential}, User: {user}");
        match self {
            Self::Linux | Self::Macos => format!("[Info] {line}\n"),
            Self::Windows | Self::Cpp => format!("{line}\n"),
        }
    }

    /// What is said before an action begins.
    pub(super) fn before(self, action: Action, device: &str, number: &str) -> String {
        let text = match (self, action) {
            (Self::Cpp, Action::Uvs) => "Enabling user verification always_uv option",
            (Self::Cpp, Action::Uvd) => "Disabling user verification always_uv option",
            (Self::Cpp, Action::ChangePin) => "Changing PIN...",
            (Self::Cpp, Action::SetPin) => "Setting PIN (new or reset device only)",
            (Self::Cpp, Action::SetMinimumPin) => {
                return format!("Setting the minimum PIN length to {number}...\n");
            }
            (Self::Cpp, Action::FingerprintList) => "List of enrolled fingerprints ",
            (Self::Cpp, Action::ForcePinChange | Action::Fingerprint) => return String::new(),
            (_, Action::Uvs) => "Enforcing user verification.",
            (_, Action::Uvd) => "Disabling user verification.",
            (_, Action::ChangePin) => "Enter the old and new PIN below.",
            (_, Action::SetPin) => "Enter and confirm the PIN as prompted below.",
            (_, Action::ForcePinChange) => {
                return self.message(&format!("Forcing PIN change on device {device}"));
            }
            (_, Action::SetMinimumPin) => {
                return self.message(&format!(
                    "Setting minimum PIN length to {number} on device {device}"
                ));
            }
            (_, Action::Fingerprint) => {
                return "Enrolling fingerprints (for bio models only)\n".to_owned();
            }
            _ => return String::new(),
        };
        self.message(text)
    }

    /// What follows a list of fingerprints.
    pub(super) fn after_fingerprints(self) -> &'static str {
        match self {
            Self::Cpp => {
                "\nTo delete a fingerprint record, use -deletefingerprint [ID], where [ID] is the \
                 number of one of the records shown above: -deletefingerprint 1 -device 1\n"
            }
            _ => "",
        }
    }

    /// The question before a reset, and the answer to a "no".
    pub(super) fn reset_question(self) -> String {
        match self {
            Self::Cpp => "Factory reset is only allowed within 10 seconds of powering up the security \
                          key. Please unplug and plug the device back. When the device starts \
                          blinking, touch the sensor or button to complete the process.\nAre you sure \
                          you want to erase it? (yes/no): "
                .to_owned(),
            _ => self.message(
                "WARNING: Factory reset will remove all data and settings of the device, including \
                 its PIN, fingerprints, and passkeys stored. The factory reset process is \
                 irreversible. Are you sure you want to proceed? (Y/N)",
            ),
        }
    }

    pub(super) fn reset_cancelled(self) -> String {
        match self {
            Self::Cpp => "Command execution canceled.\n".to_owned(),
            _ => self.message("Factory reset canceled."),
        }
    }

    /// The question before a credential is deleted.
    pub(super) fn delete_question(self, credential: &str) -> String {
        match self {
            Self::Cpp => format!(
                "The following credential will be deleted:\n{credential}\nAre you sure you want to \
                 execute this command? (yes/no): "
            ),
            _ => self.message(
                "WARNING: Deleting a credential is irreversible. Are you sure you want to proceed? \
                 (Y/N)",
            ),
        }
    }

    pub(super) fn delete_cancelled(self) -> String {
        match self {
            Self::Cpp => "Command execution canceled.\n".to_owned(),
            _ => self.message("Deletion canceled."),
        }
    }

    /// After a credential is gone, and has been looked for.
    pub(super) fn deleted(self) -> String {
        match self {
            Self::Linux => self.message("Passing credential deletion request"),
            Self::Macos | Self::Windows => self.message("Credential deleted successfully."),
            Self::Cpp => String::new(),
        }
    }
}

/// What the flags are and what they do.
pub(super) fn help(program: &str) -> String {
    let mut text = format!(
        "{program}: the flags of Token2's fido2-manage, done by pinward.\n\n\
         Usage: {program} -ACTION -device N [-pin WHERE] [--dialect D] [--legacy-exit]\n\n"
    );
    for (flags, what) in HELP {
        let _ = writeln!(text, "  {flags:<46} {what}");
    }
    text.push_str(
        "\nN is a number of -list, or an id, serial number or address of `pinward list`. Upper and \
         lower case\nare the same, one dash or two, and a flag may be cut as long as it is clear.\n\n\
         WHERE is env:NAME, stdin, fd:N or file:PATH; without it the PIN is asked for. A PIN itself is \
         taken\ntoo, with a warning: every program on the machine can read a command line.\n\n\
         D is linux (the default), macos, windows or cpp: whose words are used. --legacy-exit ends with \
         0\nwhere fido2-manage did; otherwise: 0 done, 1 failed, 2 wrong use, 3 no such key or passkey, \
         4 several\nfit, 5 wrong PIN, 6 PIN blocked, 7 refused, 8 the key cannot, 9 no permission.\n",
    );
    text
}

const HELP: [(&str, &str); 17] = [
    ("-list", "the keys that are plugged in"),
    ("-info", "what a key says of itself"),
    ("-storage", "passkeys on it, and room for more"),
    ("-residentKeys", "the sites that it has passkeys for"),
    ("-residentKeys -domain SITE", "the passkeys for one site"),
    ("-delete -credential ID", "deletes a passkey"),
    ("-setPIN", "gives it its first PIN"),
    ("-changePIN", "changes the PIN"),
    ("-forcePINchange", "has the PIN changed before its next use"),
    (
        "-setMinimumPIN LENGTH",
        "least length of a PIN, 4 to 63; only grows",
    ),
    ("-uvs", "user verification always"),
    ("-uvd", "user verification as sites and platforms say"),
    ("-fingerprint", "enrols a finger"),
    ("-fingerprintlist", "the fingers that it knows"),
    (
        "-renamefingerprint INDEX -fingerprintname NAME",
        "names one",
    ),
    ("-deletefingerprint INDEX", "deletes one"),
    ("-reset", "erases everything on it"),
];
