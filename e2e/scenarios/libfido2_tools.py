"""Debian's libfido2 tools with the software key on a mocked USB bus.

Everything that fido2-token, fido2-cred and fido2-assert do here they do with their own Linux HID
code and their own CTAP implementation (libfido2 1.12).
"""

import base64
import hashlib
import os

from harness.libfido2 import info, set_pin
from harness.proc import run, run_on_terminal
from harness.scenario import expect, expect_in, main, scenario
from harness.umockdev import NODE

PIN = "Tr1angle"
RP = "pinward.example"


def key_on_bus(t, **options):
    key, bus = t.key(**options), t.bus()
    bus.attach(key.socket)
    return key, bus


def challenge():
    return base64.b64encode(hashlib.sha256(os.urandom(16)).digest()).decode()


def register(t, bus, *, flags="", pin=None, algorithm="es256"):
    """fido2-cred -M, then fido2-cred -V. Gives (credential id, file with the public key)."""
    user = base64.b64encode(os.urandom(16)).decode()
    request = t.file("cred_param", f"{challenge()}\n{RP}\nanna\n{user}\n")
    made = t.file("cred_made")
    argv = ["fido2-cred", "-M", *flags.split(), "-i", request, "-o", made, NODE, algorithm]
    if pin is None:
        run(argv, env=bus.env)
    else:
        run_on_terminal(argv, [("Enter PIN", pin)], env=bus.env)
    verify = ["-v"] if pin is not None else []
    run(["fido2-cred", "-V", *verify, "-i", made, "-o", t.file("cred"), algorithm])
    lines = t.file("cred").read_text().splitlines()
    t.file("pubkey", "\n".join(lines[1:]) + "\n")
    return lines[0], t.file("pubkey")


def sign_in(t, bus, credential, *, flags="", pin=None, algorithm="es256"):
    """fido2-assert -G, then fido2-assert -V with the public key of the registration."""
    lines = [challenge(), RP] + ([credential] if credential else [])
    request = t.file("assert_param", "\n".join(lines) + "\n")
    made = t.file("assertion")
    argv = ["fido2-assert", "-G", *flags.split(), "-i", request, "-o", made, NODE]
    if pin is None:
        run(argv, env=bus.env)
    else:
        run_on_terminal(argv, [("Enter PIN", pin)], env=bus.env)
    verify = ["-v"] if pin is not None else []
    run(["fido2-assert", "-V", *verify, "-i", made, t.file("pubkey"), algorithm])


@scenario
def lists_and_describes_the_key(t):
    """fido2-token -L finds the key, -I reads its authenticatorGetInfo."""
    _, bus = key_on_bus(t)
    expect_in(NODE, run(["fido2-token", "-L"], env=bus.env)[0], "fido2-token -L")
    said = info(bus)
    for part in ("FIDO_2_1", "FIDO_2_0", "U2F_V2", "es256", "noclientPin", "rk", "pin protocols: ", "credProtect"):
        expect_in(part, said, "fido2-token -I")


@scenario
def sets_and_changes_the_pin(t):
    """fido2-token -S sets a PIN, -C changes it; the new one counts after a power cycle too."""
    key, bus = key_on_bus(t)
    set_pin(bus, PIN)
    said = info(bus)
    expect("noclientPin" not in said and "clientPin" in said, f"the key has no PIN after -S:\n{said}")
    expect_in("pin retries: 8", said)
    new = "Sun-flower 7"
    run_on_terminal(
        ["fido2-token", "-C", NODE],
        [("Enter current PIN", PIN), ("Enter new PIN", new), ("Enter the same PIN again", new)],
        env=bus.env,
    )
    bus.detach()
    key.restart()
    bus.attach(key.socket)
    register(t, bus, flags="-r", pin=new)


@scenario
def short_pin_is_refused(t):
    """A PIN of three characters is against the key's policy: FIDO_ERR_PIN_POLICY_VIOLATION."""
    _, bus = key_on_bus(t)
    said, code = run_on_terminal(
        ["fido2-token", "-S", NODE],
        [("Enter new PIN", "abc"), ("Enter the same PIN again", "abc")],
        env=bus.env,
        ok=None,
    )
    expect(code != 0, f"three characters were taken for a PIN:\n{said}")
    expect_in("noclientPin", info(bus))


@scenario
def registers_and_signs_in_without_a_pin(t):
    """No PIN on the key: es256 and eddsa credentials, not resident and resident, with presence alone."""
    _, bus = key_on_bus(t)
    for algorithm in ("es256", "eddsa"):
        credential, _ = register(t, bus, algorithm=algorithm)
        sign_in(t, bus, credential, flags="-p", algorithm=algorithm)
    register(t, bus, flags="-r")
    sign_in(t, bus, None, flags="-r -p")


@scenario
def registers_and_signs_in_with_a_pin(t):
    """PIN set: the tool asks for it, and the UV flag of both answers is checked by -V -v."""
    _, bus = key_on_bus(t)
    set_pin(bus, PIN)
    credential, _ = register(t, bus, flags="-v", pin=PIN)
    sign_in(t, bus, credential, flags="-v", pin=PIN)
    register(t, bus, flags="-r -v", pin=PIN)
    sign_in(t, bus, None, flags="-r -v", pin=PIN)


@scenario
def a_sealed_key_serves_the_node_itself(t):
    """No bridge: the key is the other side of the node's terminal. Its file is sealed by a passphrase."""
    key, bus = t.key(wire="pipe", passphrase="correct horse"), t.bus()
    bus.point_at(key.address())
    set_pin(bus, PIN)
    register(t, bus, flags="-r -v", pin=PIN)
    key.restart()
    bus.point_at(key.address())
    sign_in(t, bus, None, flags="-r -v", pin=PIN)
    content = key.store.read_bytes()
    expect(RP.encode() not in content and b"anna" not in content, "the sealed file shows who has a passkey where")


@scenario
def a_signature_of_another_key_is_refused(t):
    """The check of -V is a real one: an assertion does not verify under another credential's key."""
    _, bus = key_on_bus(t)
    first, _ = register(t, bus)
    other = t.file("cred").read_text()
    register(t, bus)
    t.file("assert_param", f"{challenge()}\n{RP}\n{first}\n")
    run(["fido2-assert", "-G", "-i", t.file("assert_param"), "-o", t.file("assertion"), NODE], env=bus.env)
    _, _, code = run(["fido2-assert", "-V", "-i", t.file("assertion"), t.file("pubkey"), "es256"], ok=None)
    expect(code != 0, "an assertion verified under the key of another credential")
    t.file("pubkey", "\n".join(other.splitlines()[1:]) + "\n")
    run(["fido2-assert", "-V", "-i", t.file("assertion"), t.file("pubkey"), "es256"])


@scenario
def three_wrong_pins_then_a_power_cycle(t):
    """Three wrong PINs lock the key until it has lost power, and the count survives that."""
    key, bus = key_on_bus(t)
    set_pin(bus, PIN)

    def change(current, ok):
        return run_on_terminal(
            ["fido2-token", "-C", NODE],
            [("Enter current PIN", current), ("Enter new PIN", PIN), ("Enter the same PIN again", PIN)],
            env=bus.env,
            ok=ok,
        )[0]

    for left in (7, 6):
        expect_in("FIDO_ERR_PIN_INVALID", change("wrong one", None), "a wrong PIN")
        expect_in(f"pin retries: {left}", info(bus))
    expect_in("FIDO_ERR_PIN_AUTH_BLOCKED", change("wrong one", None), "the third wrong PIN")
    expect_in("pin retries: 5", info(bus))
    expect_in("FIDO_ERR_PIN_AUTH_BLOCKED", change(PIN, None), "the right PIN while locked")
    expect_in("pin retries: 5", info(bus), "locked attempts cost nothing:")

    bus.detach()
    key.restart()
    bus.attach(key.socket)
    expect_in("pin retries: 5", info(bus), "after the power cycle")
    change(PIN, (0,))
    expect_in("pin retries: 8", info(bus), "after the right PIN")


if __name__ == "__main__":
    main()
