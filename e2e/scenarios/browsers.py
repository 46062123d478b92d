"""Debian's Chromium and Firefox before keys in each state: what `vectors/witness/` says they do, again.

`cargo xtask witness` measures all cells and writes that folder; `pinward matrix` is compared with it by the
tests of the lab.
"""

import json

from harness.proc import ROOT
from harness.scenario import expect, main, scenario
from harness.witness import Chromium, Firefox, Witness, cells, differences, name

# The cells that tell platforms apart, and one of each dialog.
CHOSEN = [
    "fido-2.1/no-pin/create/named/required",
    "fido-2.1/no-pin/get/named/preferred",
    "fido-2.1/pin-set/create/named/discouraged",
    "fido-2.1/pin-set/get/discoverable/discouraged",
    "fido-2.1/always-uv/get/named/discouraged",
    "fido-2.1/pin-change-forced/get/named/required",
    "fido-2.1/pin-blocked/get/named/required",
]


def measure_again(t, driver, platform, chosen):
    """Each cell has to go as it went when the file was written."""
    kept = json.loads((ROOT / "vectors/witness" / f"{platform}.json").read_text())
    before = {name(cell): cell for cell in kept["cells"]}
    bus = t.bus()
    witness = Witness(t, driver(t, bus), bus)
    wrong = []
    for cell in cells():
        if name(cell) in chosen:
            wrong += [f"{name(cell)}: {line}" for line in differences(witness.measure(cell), before[name(cell)])]
    expect(not wrong, f"{platform} {witness.driver.version()}, not as {kept['version']} on {kept['date']}:\n"
           + "\n".join(wrong))


@scenario
def chromium_does_as_written(t):
    """Seven cells in Chromium, its native dialogs answered by a person who accepts everything."""
    measure_again(t, Chromium, "chromium-linux", CHOSEN)


@scenario
def firefox_does_as_written(t):
    """The same seven in Firefox."""
    measure_again(t, Firefox, "firefox-linux", CHOSEN)


if __name__ == "__main__":
    main()
