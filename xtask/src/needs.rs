//! What the tests need from the machine, and how it gets there: Debian's packages and one Python
//! environment. Where everything is present nothing is done.

use std::path::Path;
use std::process::Command;

use crate::{files, shell};

/// Debian packages of the real clients, by what they are for.
const PACKAGES: [(&str, &[&str]); 10] = [
    ("a mocked USB bus", &["umockdev"]),
    (
        "libfido2's tools and OpenSSH",
        &["fido2-tools", "openssh-client", "openssh-server"],
    ),
    ("logins by PAM", &["libpam-u2f", "pamu2fcfg", "pamtester"]),
    ("encrypted disks", &["cryptsetup-bin", "systemd"]),
    (
        "a virtual card reader",
        &[
            "pcscd",
            "libpcsclite-dev",
            "vsmartcard-vpcd",
            "python3-pyscard",
            "iproute2",
        ],
    ),
    (
        "browsers that nobody here wrote",
        &["chromium", "chromium-driver", "firefox-esr"],
    ),
    (
        "its dialogs",
        &[
            "xvfb",
            "openbox",
            "xdotool",
            "imagemagick",
            "dbus-x11",
            "at-spi2-core",
            "python3-pyatspi",
            "python3-gi",
        ],
    ),
    ("a database for several nodes", &["postgresql"]),
    ("a terminal to read", &["tmux"]),
    ("the scenarios themselves", &["python3", "python3-venv"]),
];

const STAMP: &str = "e2e/.venv/requirements.installed";

/// Makes sure that the real clients can run. The error says what is missing and how to get it.
pub(crate) fn for_real_clients() -> Result<(), String> {
    packages()?;
    python_environment()
}

fn packages() -> Result<(), String> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .flat_map(|(_, names)| names.iter().copied())
        .filter(|name| !installed(name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!(
        "apt-get install --no-install-recommends {}",
        missing.join(" ")
    );
    if std::env::var_os("PINWARD_NO_INSTALL").is_some() {
        return Err(format!(
            "PINWARD_NO_INSTALL is set and packages are missing; `{by_hand}`"
        ));
    }
    if shell::quiet("apt-get", &["--version"]).is_none() {
        return Err(
            "the real clients are driven with Debian's packages, and there is no apt-get here"
                .to_owned(),
        );
    }
    if shell::quiet("id", &["-u"]).as_deref().map(str::trim) != Some("0") {
        return Err(format!(
            "packages are missing and this is not root; as root: `{by_hand}`"
        ));
    }
    println!("installing what the real clients need:");
    for (what, names) in PACKAGES {
        let names: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| missing.contains(name))
            .collect();
        if !names.is_empty() {
            println!("  {what}: {}", names.join(" "));
        }
    }
    // apt-get update ends well without a network, so that the second one tells.
    let mut install = vec!["install", "-q", "-y", "--no-install-recommends"];
    install.extend(missing);
    let done = apt(&["update", "-q"]) && apt(&install);
    done.then_some(()).ok_or_else(|| {
        format!(
            "Debian's packages could not be installed: is the package server reachable? `{by_hand}`"
        )
    })
}

fn installed(package: &str) -> bool {
    shell::quiet("dpkg-query", &["-W", "-f", "${db:Status-Status}", package]).as_deref()
        == Some("installed")
}

/// Whether it did what it was asked.
fn apt(args: &[&str]) -> bool {
    let mut command = Command::new("apt-get");
    command
        .args(["-o", "Acquire::Retries=3"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive");
    match shell::run(&mut command, 15) {
        Ok(ended) => ended.ok,
        Err(why) => {
            println!("{why}");
            false
        }
    }
}

/// `e2e/.venv` with what `e2e/requirements.txt` pins. It sees Debian's python3-pyscard, which has no
/// wheel for every machine.
fn python_environment() -> Result<(), String> {
    let root = files::root();
    let wanted =
        std::fs::read_to_string(root.join("e2e/requirements.txt")).map_err(|e| e.to_string())?;
    if std::fs::read_to_string(root.join(STAMP)).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    println!("making e2e/.venv from e2e/requirements.txt");
    let python = if Path::new("/usr/bin/python3").exists() {
        "/usr/bin/python3"
    } else {
        "python3"
    };
    let made = shell::run(
        Command::new(python).args([
            "-m",
            "venv",
            "--clear",
            "--system-site-packages",
            "e2e/.venv",
        ]),
        5,
    )?;
    if !made.ok {
        return Err("e2e/.venv could not be made".to_owned());
    }
    let got = shell::run(
        Command::new("e2e/.venv/bin/pip").args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
            "e2e/requirements.txt",
        ]),
        10,
    )?;
    if !got.ok {
        return Err(
            "pip could not install e2e/requirements.txt: is the Python package index reachable?"
                .to_owned(),
        );
    }
    std::fs::write(root.join(STAMP), wanted).map_err(|e| e.to_string())
}
