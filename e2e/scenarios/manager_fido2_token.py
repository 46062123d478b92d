"""The manager and Debian's fido2-token on one key: each reads back what the other has set.

fido2-token speaks to the key over a mocked USB bus, pinward over its socket.
"""

import json
import os

from harness.key import PROGRAM
from harness.libfido2 import info, set_pin
from harness.proc import run, run_on_terminal
from harness.scenario import expect, expect_in, main, scenario
from harness.umockdev import NODE

PIN = "Tr1angle"


def pinward(key, bus, line):
    """Runs `pinward LINE --device ...`; gives what it prints and says.

    The bus lets go of the key meanwhile: a key that is on two wires answers on both.
    """
    bus.detach()
    words = [PROGRAM, *line.split(), "--device", f"unix:{key.socket}"]
    said = run(words, env={**os.environ, "PIN": PIN})
    bus.attach(key.socket)
    return said


def shown(key, bus):
    return json.loads(pinward(key, bus, "show --json")[0])


@scenario
def fido2_token_reads_what_the_manager_set(t):
    """PIN, least length, forced change and alwaysUv, set by pinward, are what fido2-token -I says."""
    key, bus = t.key(), t.bus()
    bus.attach(key.socket)
    pinward(key, bus, "pin set --new-pin env:PIN")
    pinward(key, bus, "always-uv on --pin env:PIN")
    pinward(key, bus, "pin min-length 6 --yes --pin env:PIN")
    said = info(bus)
    expect_in("clientPin", said)
    expect("noclientPin" not in said and "noalwaysUv" not in said and "alwaysUv" in said, said)
    expect_in("minpinlen: 6", said)
    expect_in("pin change required: false", said)
    pinward(key, bus, "pin force-change --pin env:PIN")
    expect_in("pin change required: true", info(bus))


@scenario
def the_manager_reads_what_fido2_token_set(t):
    """PIN, alwaysUv and least length, set by fido2-token, are what pinward show says."""
    key, bus = t.key(), t.bus()
    bus.attach(key.socket)
    set_pin(bus, PIN)
    expect(shown(key, bus)["pin"]["state"] == "set", "pinward sees no PIN")
    run_on_terminal(["fido2-token", "-S", "-u", NODE], [("Enter PIN", PIN)], env=bus.env)
    run_on_terminal(["fido2-token", "-S", "-l", "7", NODE], [("Enter PIN", PIN)], env=bus.env)
    said = shown(key, bus)
    expect(said["pin"]["minLength"] == 7, f"the least length is {said['pin']['minLength']}")
    expect_in("always UV is on already", pinward(key, bus, "always-uv on")[1])


if __name__ == "__main__":
    main()
