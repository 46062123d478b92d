"""Debian's systemd-cryptenroll and cryptsetup: a LUKS2 volume in a file, unlocked by the software key.

The secret comes from the key's hmac-secret extension. The kernel's device mapper does not take part: the
volume is unlocked, not mapped.
"""

import shutil

from harness.libfido2 import set_pin
from harness.proc import Skip, run, run_on_terminal
from harness.scenario import expect, expect_in, main, scenario
from harness.umockdev import NODE

PIN = "Tr1angle"


def volume(t):
    for program in ("cryptsetup", "systemd-cryptenroll"):
        if not shutil.which(program):
            raise Skip(f"{program} is not installed")
    disk, passphrase = t.work / "disk", t.file("passphrase", "a passphrase")
    run(["truncate", "-s", "20M", disk])
    run(["cryptsetup", "luksFormat", "-q", "--type", "luks2", "--pbkdf", "pbkdf2",
         "--pbkdf-force-iterations", "1000", disk, passphrase])
    return disk


def enrol(bus, disk, pin=None):
    """systemd-cryptenroll asks for PINs on its terminal only."""
    with_pin = "yes" if pin else "no"
    argv = ["systemd-cryptenroll", f"--fido2-device={NODE}", f"--fido2-with-client-pin={with_pin}", disk]
    said, _ = run_on_terminal(argv, [("PIN", pin)] if pin else [], env={**bus.env, "PASSWORD": "a passphrase"})
    expect_in("New FIDO2 token enrolled", said, "systemd-cryptenroll")


def unlock(bus, disk, pin=""):
    """Whether the key opens the volume, and what was said."""
    argv = ["cryptsetup", "open", "--test-passphrase", "--token-only", "--token-id", "0", "-v", disk]
    out, err, code = run(argv, env=bus.env, ok=None, stdin=f"{pin}\n")
    return code == 0, out + err


@scenario
def a_touch_unlocks_the_volume(t):
    """Enrolled without a PIN; after a power cycle the same key opens the volume, and another one does not."""
    key, other, bus = t.key(), t.key("other"), t.bus()
    bus.attach(key.socket)
    disk = volume(t)
    enrol(bus, disk)
    bus.detach()
    key.restart()
    bus.attach(key.socket)
    opened, said = unlock(bus, disk)
    expect(opened, f"the key does not open what it was enrolled for: {said}")
    bus.attach(other.socket)
    expect(not unlock(bus, disk)[0], "another key opened the volume")


@scenario
def a_pin_unlocks_the_volume(t):
    """Enrolled with the PIN: it has to be typed again, and a wrong one opens nothing."""
    key, bus = t.key(), t.bus()
    bus.attach(key.socket)
    set_pin(bus, PIN)
    disk = volume(t)
    enrol(bus, disk, PIN)
    expect_in("fido2-clientPin-required:\n\t            true", run(["cryptsetup", "luksDump", disk])[0])
    expect(not unlock(bus, disk, "wrong one")[0], "a wrong PIN opened the volume")
    opened, said = unlock(bus, disk, PIN)
    expect(opened, f"the right PIN did not open the volume: {said}")


if __name__ == "__main__":
    main()
