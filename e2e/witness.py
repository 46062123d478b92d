#!/usr/bin/env python3
"""Measures what a browser does, and compares it with what `pinward matrix` predicts.

    cargo xtask witness chromium-linux            all cells of the model fido-2.1
    cargo xtask witness chromium-linux --write    ... and keep them in vectors/witness/
    cargo xtask witness chromium-linux pin-set    cells with this in their name

A cell is called MODEL/STATE/CEREMONY/named or discoverable/USERVERIFICATION. `--key MODEL` measures
another model of `pinward key profiles`; `--person cancels` closes the first dialog, `--person wrong-pin`
mistypes the PIN once. The exit code is 1 if a cell is not as predicted.
"""

import argparse
import datetime
import json
import os
import platform as machine
import signal
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from harness import witness  # noqa: E402
from harness.proc import ROOT, Failed  # noqa: E402
from harness.scenario import T  # noqa: E402

BROWSERS = {"chromium-linux": ("Chromium", "Chromium"), "firefox-linux": ("Firefox ESR", "Firefox")}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("platform", choices=BROWSERS)
    arguments.add_argument("parts", nargs="*", metavar="PART")
    arguments.add_argument("--key", action="append", metavar="MODEL")
    arguments.add_argument("--person", default="accepts", choices=["accepts", "cancels", "wrong-pin"])
    arguments.add_argument("--write", action="store_true")
    asked = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    models = asked.key or ["fido-2.1"]
    cells = [cell for model in models for cell in witness.cells(model, person=asked.person)]
    cells = [cell for cell in cells if all(part in witness.name(cell) for part in asked.parts)]
    predicted = witness.predictions(asked.platform, models)
    cells = [cell for cell in cells if witness.name(cell) in predicted]
    t = T(f"witness-{asked.platform}")
    try:
        seen, version, parted = measure(t, asked.platform, cells, predicted)
    finally:
        t.close()
    print(f"witness: {len(seen)} cells, {parted} not as predicted")
    if asked.write:
        print(f"kept in {write(asked.platform, version, seen)}")
    sys.exit(1 if parted else 0)


def measure(t, platform, cells, predicted):
    bus = t.bus()
    driver = getattr(witness, BROWSERS[platform][1])(t, bus)
    browser = witness.Witness(t, driver, bus)
    seen, parted = [], 0
    for cell in cells:
        name = witness.name(cell)
        try:
            observed = browser.measure(cell)
        except Failed as why:
            print(f"not measured {name}: {why}", flush=True)
            parted += 1
            continue
        seen.append(observed)
        lines = witness.differences(observed, predicted[name])
        parted += bool(lines)
        print(f"{'not as predicted' if lines else 'ok'} {name}: {'+'.join(observed['steps']) or 'none'}", flush=True)
        for line in lines:
            print(f"    {line}", flush=True)
    return seen, driver.version(), parted


def write(platform, version, seen):
    """Keeps the cells, in place of those of the same name. One cell is one line."""
    path = ROOT / "vectors" / "witness" / f"{platform}.json"
    path.parent.mkdir(exist_ok=True)
    kept = {}
    if path.exists():
        old = json.loads(path.read_text())
        if old["version"] == version:
            kept = {witness.name(cell): cell for cell in old["cells"]}
    kept.update((witness.name(cell), cell) for cell in seen)
    head = {
        "schema": "pinward.witness/1",
        "platform": platform,
        "client": BROWSERS[platform][0],
        "version": version,
        "system": system(),
        "date": datetime.date.today().isoformat(),
        "way": "USB HID on a mocked bus (umockdev); the key is `pinward key run`",
    }
    lines = [f"  {json.dumps(k)}: {json.dumps(v)}," for k, v in head.items()]
    cells = ",\n".join("    " + json.dumps(cell) for cell in kept.values())
    path.write_text("{\n" + "\n".join(lines) + '\n  "cells": [\n' + cells + "\n  ]\n}\n")
    return os.path.relpath(path, ROOT)


def system():
    release = machine.freedesktop_os_release()
    return f"{release['NAME']} {release.get('VERSION_ID', '')}".strip()


if __name__ == "__main__":
    main()
