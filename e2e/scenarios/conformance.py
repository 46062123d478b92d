"""`pinward conformance` with a key in a card reader: pcscd and a virtual reader.

The same checks over the kernel's hidraw are in `e2e/guest/uhid.sh`; over sockets and in virtual time they are
tests of the suite itself.
"""

import json
import shlex

from harness import pcsc
from harness.key import PROGRAM
from harness.proc import run, wait_for
from harness.scenario import expect, main, scenario

READER = "Virtual PCD 00 00"


def card(t, profile):
    """Puts a key into the reader; its control socket is the answer."""
    t.use(pcsc.Reader(t.work))
    control = t.work / "control"
    t.key("card", wire="vpcd", profile=profile, extra=["--control", control])
    wait_for("the card", lambda: READER in run([PROGRAM, "list"])[0], 15)
    return control


def results(control, part):
    """The checks with this in their names, each with its outcome."""
    power_cycle = shlex.join([str(PROGRAM), "key", "power-cycle", "--control", str(control)])
    argv = [PROGRAM, "conformance", "--subject", f"pcsc:{READER}", "--filter", part, "--yes", "--json"]
    said = run([*argv, "--replug", power_cycle], ok=(0, 7), timeout=120)[0]
    return {row["check"]: row["verdict"] for row in json.loads(said)["checks"]}


@scenario
def a_card_passes(t):
    """ISO 7816, and what getInfo says of versions, of a card through a reader."""
    control = card(t, "nfc-card")
    for part, at_least in (("getinfo.version", 2), ("card.", 20)):
        outcomes = results(control, part)
        passed = [name for name, outcome in outcomes.items() if outcome == "pass"]
        failed = [name for name, outcome in outcomes.items() if outcome == "fail"]
        expect(not failed, f"failed: {failed}")
        expect(len(passed) >= at_least, f"of {part} only {passed} passed")


@scenario
def a_card_that_denies_is_found_out(t):
    """The suite fails a key that is wrong on purpose, through a reader too."""
    outcomes = results(card(t, "deviant-denies-uv"), "token.pin-set-needs-token")
    expect("fail" in outcomes.values(), f"nothing failed: {outcomes}")


if __name__ == "__main__":
    main()
