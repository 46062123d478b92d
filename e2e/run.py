#!/usr/bin/env python3
"""Runs the scenarios: `e2e/.venv/bin/python e2e/run.py [--full] [part of a name]`.

`cargo xtask e2e` does the same after it has installed what is missing. Each scenario runs in a process
of its own with a time limit; the last line is `scenarios: N passed, N failed, N skipped`.
"""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIMIT = 180  # seconds for one scenario


def main():
    args = sys.argv[1:]
    full = [a for a in args if a == "--full"]
    parts = [a for a in args if a != "--full"]
    passed = failed = skipped = 0
    for path in sorted((HERE / "scenarios").glob("*.py")):
        names = re.findall(r"^@scenario.*\ndef (\w+)", path.read_text(), re.MULTILINE)
        for name in (f"{path.stem}.{name}" for name in names):
            if parts and not any(part in name for part in parts):
                continue
            said, code = run(path, [*full, f"={name}"])
            passed += len(re.findall(r"^ok ", said, re.MULTILINE))
            skipped += len(re.findall(r"^skip ", said, re.MULTILINE))
            here = len(re.findall(r"^not ok ", said, re.MULTILINE))
            if code != 0 and here == 0:
                here = 1
                print(f"not ok {name}: ended with {code}", flush=True)
            failed += here
    if passed + failed + skipped == 0:
        print(f"no scenario is called {' '.join(parts)!r}")
        failed = 1
    print(f"scenarios: {passed} passed, {failed} failed, {skipped} skipped", flush=True)
    sys.exit(1 if failed else 0)


def run(path, args):
    """Runs one scenario, passing its output on. Whatever it left running is ended with it."""
    child = subprocess.Popen(
        [sys.executable, str(path), *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    said = []
    # TERM first: the scenario then ends what it has started. KILL if it does not hear.
    watchdogs = [threading.Timer(LIMIT, child.terminate), threading.Timer(LIMIT + 20, end, [child])]
    for watchdog in watchdogs:
        watchdog.start()
    for line in child.stdout:
        print(line, end="", flush=True)
        said.append(line)
    code = child.wait()
    for watchdog in watchdogs:
        watchdog.cancel()
    end(child)
    return "".join(said), code


def end(child):
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


if __name__ == "__main__":
    main()
