"""Software keys in the states of `pinward matrix`, with the account's credential on them or not.

A key is brought into its state once; each cell works on a copy of its file.
"""

import os
import shutil
import socket

from .key import PROGRAM, Key
from .proc import Failed, run

PIN = "1234"
NEW_PIN = "567890"
RP_ID = "localhost"
USER = {"id": b"kim", "name": "kim@example.org", "displayName": "Kim"}
STATES = ["no-pin", "pin-set", "always-uv", "always-uv-pin-set", "pin-change-forced", "pin-auth-blocked", "pin-blocked"]
# What the account has on the key before the ceremony.
NOTHING, NAMED, DISCOVERABLE = "nothing", "named", "discoverable"


class Shelf:
    """Keys of one model. `take` gives a running key in a state and its credential ID."""

    def __init__(self, work, profile):
        self.work, self.profile = work, profile
        self.made = {}

    def take(self, state, holds, name):
        if (state, holds) not in self.made:
            self.made[state, holds] = self._make(state, holds)
        store, credential = self.made[state, holds]
        shutil.copy(store, self.work / f"{name}.store")
        # Each cell begins with the same copy: a rollback, and meant.
        key = Key(self.work, name, profile=self.profile, touch=False, extra=("--accept-rollback",))
        if state == "pin-auth-blocked":  # a power cycle ends it
            _wrong_pins(key, 3)
        return key, credential

    def _make(self, state, holds):
        name = f"shelf-{state}-{holds}"
        key = Key(self.work, name, profile=self.profile)
        try:
            credential = None if holds == NOTHING else _register(key, holds == DISCOVERABLE)
            if state not in ("no-pin", "always-uv"):
                _pinward(key, "pin", "set", "--new-pin", "env:PINWARD_E2E_PIN")
            if state.startswith("always-uv"):
                _pinward(key, "always-uv", "on", *_pin_if("pin-set" in state))
            if state == "pin-change-forced":
                _pinward(key, "pin", "force-change", "--pin", "env:PINWARD_E2E_PIN")
            while state == "pin-blocked" and "blocked" not in _wrong_pins(key, 3):
                key.restart()
        finally:
            key.close()
        return key.store, credential


def _pin_if(has_pin):
    return ["--pin", "env:PINWARD_E2E_PIN"] if has_pin else []


def _pinward(key, *args, pin=PIN, ok=(0,)):
    env = {**os.environ, "PINWARD_E2E_PIN": pin}
    out, err, code = run([PROGRAM, *args, "--device", f"unix:{key.socket}"], env=env, ok=ok)
    return out + err, code


def _wrong_pins(key, times):
    """Mistypes, and gives what the last try brought."""
    said = ""
    for _ in range(times):
        said, code = _pinward(key, "pin", "verify", "--pin", "env:PINWARD_E2E_PIN", pin="0000", ok=None)
        if code == 0:
            raise Failed("a wrong PIN was taken")
    return said


def _register(key, discoverable):
    """The account's credential, made with python-fido2 before the key is brought into its state."""
    from fido2.ctap2 import Ctap2
    from fido2.hid import CtapHidDevice
    from fido2.hid.base import CtapHidConnection, HidDescriptor

    class Connection(CtapHidConnection):
        def __init__(self):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(10)
            self.socket.connect(str(key.socket))

        def read_packet(self):
            packet = b""
            while len(packet) < 64:
                packet += self.socket.recv(64 - len(packet))
            return packet

        def write_packet(self, data):
            self.socket.sendall(data)

        def close(self):
            self.socket.close()

    device = CtapHidDevice(HidDescriptor(str(key.socket), 0x1209, 1, 64, 64, None, None), Connection())
    try:
        ctap = Ctap2(device)
        # A key with a finger enrolled is protected, and verifies by itself.
        wanted = {"rk": discoverable, "uv": ctap.info.options.get("uv") is True}
        made = ctap.make_credential(
            bytes(32), {"id": RP_ID, "name": "Example"}, USER, [{"type": "public-key", "alg": -7}],
            options={option: True for option, on in wanted.items() if on} or None)
        return made.auth_data.credential_data.credential_id
    finally:
        device.close()
