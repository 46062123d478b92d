//! CTAP 2.3 §11.2.8: keys behind Linux's hidraw nodes, found by their usage page through sysfs
//!
//! Directories are read and nodes opened through the C library, so that a test bed that stands in
//! front of it (umockdev) is seen.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Address, Found, ReportPort, left};
use crate::{REPORT_SIZE, Report};

/// FIDO alliance usage page.
const USAGE_PAGE: u32 = 0xF1D0;
/// U2F authenticator usage, CTAPHID's too.
const USAGE: u32 = 0x01;

/// Where the system shows its devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The directory with one entry for each hidraw node.
    pub class: PathBuf,
    /// The directory with the nodes.
    pub nodes: PathBuf,
    /// The directories with udev's rules.
    pub rules: Vec<PathBuf>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            class: "/sys/class/hidraw".into(),
            nodes: "/dev".into(),
            rules: [
                "/etc/udev/rules.d",
                "/run/udev/rules.d",
                "/usr/lib/udev/rules.d",
                "/lib/udev/rules.d",
            ]
            .map(PathBuf::from)
            .into(),
        }
    }
}

impl Places {
    /// The keys that are plugged in, by the number of their node. A system without hidraw has none.
    #[must_use]
    pub fn keys(&self) -> Vec<Found> {
        let Ok(entries) = fs::read_dir(&self.class) else {
            return Vec::new();
        };
        let mut names: Vec<_> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort_by_key(|name| (name.len(), name.clone()));
        names.iter().filter_map(|name| self.key(name)).collect()
    }

    fn key(&self, name: &str) -> Option<Found> {
        let device = self.class.join(name).join("device");
        let descriptor = fs::read(device.join("report_descriptor")).ok()?;
        if !is_fido(&descriptor) {
            return None;
        }
        let uevent = fs::read_to_string(device.join("uevent")).unwrap_or_default();
        let facts: BTreeMap<_, _> = uevent
            .lines()
            .filter_map(|line| line.split_once('='))
            .collect();
        let fact = |key: &str| {
            let value = facts.get(key).map(|value| value.trim());
            value.filter(|v| !v.is_empty()).map(str::to_owned)
        };
        let ids = facts.get("HID_ID").and_then(|id| usb_ids(id));
        Some(Found {
            address: Address::Hidraw(self.nodes.join(name)),
            name: fact("HID_NAME").unwrap_or_else(|| name.to_owned()),
            usb: ids,
            serial: fact("HID_UNIQ"),
            position: fact("HID_PHYS"),
        })
    }

    /// What a person without permission for a node has to do.
    #[must_use]
    pub fn permission_help(&self, node: &Path) -> String {
        let generic = self
            .rules
            .iter()
            .map(|folder| folder.join("60-fido-id.rules"))
            .find(|rule| rule.is_file());
        if let Some(rule) = generic {
            return format!(
                "{} opens keys to whoever sits at this machine; over ssh, or as a service, nobody \
                 does. Log in at the machine, or give your group a rule of its own",
                rule.display()
            );
        }
        let found = node
            .file_name()
            .and_then(|name| self.key(&name.to_string_lossy()));
        let which = match found.and_then(|found| found.usb) {
            Some((vendor, product)) => {
                format!(
                    "ATTRS{{idVendor}}==\"{vendor:04x}\", ATTRS{{idProduct}}==\"{product:04x}\""
                )
            }
            None => "ATTRS{idVendor}==\"VENDOR OF YOUR KEY\"".to_owned(),
        };
        format!(
            "no udev rule gives you the key. As root, put this line into \
             /etc/udev/rules.d/70-security-key.rules, run `udevadm control --reload`, and plug the \
             key in again:\n  KERNEL==\"hidraw*\", SUBSYSTEM==\"hidraw\", {which}, TAG+=\"uaccess\""
        )
    }
}

/// `0003:00001050:00000407`: bus, vendor, product.
fn usb_ids(id: &str) -> Option<(u16, u16)> {
    let mut parts = id.split(':').skip(1);
    let mut number = || u16::try_from(u32::from_str_radix(parts.next()?, 16).ok()?).ok();
    Some((number()?, number()?))
}

/// Whether a report descriptor has an application collection for FIDO (USB HID 1.11 §6.2.2).
fn is_fido(descriptor: &[u8]) -> bool {
    let (mut page, mut usages) = (0, Vec::new());
    let mut rest = descriptor;
    while let Some((&prefix, after)) = rest.split_first() {
        // A long item: length, tag, data. No tag is defined.
        if prefix == 0xFE {
            let length = after.first().map_or(0, |&n| usize::from(n) + 2);
            rest = after.get(length..).unwrap_or_default();
            continue;
        }
        let size = [0, 1, 2, 4][usize::from(prefix & 3)];
        let Some((data, after)) = after.split_at_checked(size) else {
            return false;
        };
        let value = data
            .iter()
            .rev()
            .fold(0_u32, |value, &byte| value << 8 | u32::from(byte));
        match (prefix >> 2) & 3 {
            // Main: a collection takes the usages before it, every other item clears them.
            0 => {
                let fido = usages.contains(&(USAGE_PAGE, USAGE));
                if prefix >> 4 == 0xA && value == 1 && fido {
                    return true;
                }
                usages.clear();
            }
            // Global: usage page.
            1 if prefix >> 4 == 0 => page = value,
            // Local: usage, with its page in front when it is long.
            2 if prefix >> 4 == 0 => {
                usages.push(if size == 4 {
                    (value >> 16, value & 0xFFFF)
                } else {
                    (page, value)
                });
            }
            _ => {}
        }
        rest = after;
    }
    false
}

/// An open hidraw node.
#[derive(Debug)]
pub struct HidrawPort {
    file: File,
}

impl HidrawPort {
    /// Opens a node.
    ///
    /// # Errors
    ///
    /// As the system has it.
    pub fn open(node: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(node)?;
        Ok(Self { file })
    }
}

impl ReportPort for HidrawPort {
    /// hidraw wants the number of the report in front: 0, since there is only one.
    fn write(&mut self, report: &Report) -> io::Result<()> {
        let mut numbered = [0; REPORT_SIZE + 1];
        numbered[1..].copy_from_slice(report);
        match self.file.write(&numbered)? {
            n if n == numbered.len() => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    fn read(&mut self, timeout: Duration) -> io::Result<Option<Report>> {
        let end = Instant::now() + timeout;
        while let Some(left) = left(end) {
            let mut fds = [PollFd::new(&self.file, PollFlags::IN)];
            let left = Timespec::try_from(left).ok();
            match poll(&mut fds, left.as_ref()) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(e) => return Err(e.into()),
            }
            let mut report = [0; REPORT_SIZE];
            match self.file.read(&mut report) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) if n == REPORT_SIZE => return Ok(Some(report)),
                // A report of another length is not for us.
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// CTAP 2.3 §11.2.8.1, the example.
    const KEY: [u8; 34] = [
        0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x20, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75,
        0x08, 0x95, 0x40, 0x81, 0x02, 0x09, 0x21, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95,
        0x40, 0x91, 0x02, 0xc0,
    ];
    /// A boot keyboard, cut.
    const KEYBOARD: [u8; 8] = [0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0xc0, 0xc0];

    fn place(dir: &Path, name: &str, descriptor: &[u8], uevent: &str) {
        let device = dir.join("class").join(name).join("device");
        fs::create_dir_all(&device).unwrap();
        fs::write(device.join("report_descriptor"), descriptor).unwrap();
        fs::write(device.join("uevent"), uevent).unwrap();
    }

    fn places(dir: &Path) -> Places {
        Places {
            class: dir.join("class"),
            nodes: dir.join("dev"),
            rules: vec![dir.join("rules")],
        }
    }

    #[test]
    fn only_the_fido_usage_makes_a_key() {
        assert!(is_fido(&KEY));
        assert!(!is_fido(&KEYBOARD));
        // A keyboard first, the key as second collection.
        assert!(is_fido(&[&KEYBOARD[..7], &KEY].concat()));
        // The usage with its page in one item; a long item in front.
        assert!(is_fido(&[
            0xFE, 2, 0xF0, 9, 9, 0x0B, 0x01, 0x00, 0xd0, 0xf1, 0xa1, 0x01
        ]));
        // The page on a physical collection, another usage of the page, nothing.
        assert!(!is_fido(&[0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x00]));
        assert!(!is_fido(&[0x06, 0xd0, 0xf1, 0x09, 0x02, 0xa1, 0x01]));
        assert!(!is_fido(&[]));
        for cut in 0..7 {
            assert!(!is_fido(&KEY[..cut]), "{cut}");
        }
    }

    #[test]
    fn keys_are_found_with_their_names_in_the_order_of_their_nodes() {
        let dir = tempfile::tempdir().unwrap();
        assert!(places(dir.path()).keys().is_empty(), "no hidraw at all");
        place(
            dir.path(),
            "hidraw10",
            &KEY,
            "HID_ID=0003:0000349E:00000022\nHID_NAME=Second Key\nHID_UNIQ=0042\nHID_PHYS=usb-1-2/input0\n",
        );
        place(dir.path(), "hidraw2", &KEY, "HID_UNIQ=\n");
        place(dir.path(), "hidraw1", &KEYBOARD, "HID_NAME=Keyboard\n");
        let keys = places(dir.path()).keys();
        let names: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names, ["hidraw2", "Second Key"]);
        assert_eq!(keys[0].serial, None);
        assert_eq!(keys[1].usb, Some((0x349E, 0x22)));
        assert_eq!(keys[1].serial.as_deref(), Some("0042"));
        assert_eq!(keys[1].position.as_deref(), Some("usb-1-2/input0"));
        assert_eq!(
            keys[1].address,
            Address::Hidraw(dir.path().join("dev/hidraw10"))
        );
    }

    #[test]
    fn help_about_permissions_names_the_rule_for_this_key() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path());
        place(
            dir.path(),
            "hidraw3",
            &KEY,
            "HID_ID=0003:0000349E:00000022\n",
        );
        let help = places.permission_help(&dir.path().join("dev/hidraw3"));
        assert!(
            help.contains("ATTRS{idVendor}==\"349e\", ATTRS{idProduct}==\"0022\""),
            "{help}"
        );
        fs::create_dir(dir.path().join("rules")).unwrap();
        fs::write(dir.path().join("rules/60-fido-id.rules"), "").unwrap();
        let help = places.permission_help(&dir.path().join("dev/hidraw3"));
        assert!(help.contains("60-fido-id.rules"), "{help}");
    }
}
