"""How a scenario file is run, and what each scenario is given.

A file under scenarios/ is a script: its functions marked with @scenario run one after the other,
each in a folder of its own, and one line says how each ended: `ok NAME`, `not ok NAME: why`, or
`skip NAME: what is missing`. Logs and pictures are kept under out/.
"""

import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from .key import Key
from .proc import OUT, Failed, Process, Skip

_scenarios = []


def scenario(function=None, *, full=False):
    """Marks a function as a scenario. `full`: only `cargo xtask e2e --full` runs it."""
    if function is None:
        return lambda f: scenario(f, full=full)
    _scenarios.append((function, full))
    return function


class T:
    """What a scenario works with. Leaving it ends everything that was started through it."""

    def __init__(self, name):
        self.name = name
        # Short: the path of a Unix socket has at most 108 bytes.
        self.work = Path(tempfile.mkdtemp(prefix="pinward-"))
        self.pictures = OUT / name
        self.pictures.mkdir(parents=True, exist_ok=True)
        self._things = []

    def use(self, thing):
        """Keeps something that must be closed, and gives it back."""
        self._things.append(thing)
        return thing

    def key(self, *args, **kwargs):
        """Starts a software key in this scenario's folder."""
        return self.use(Key(self.work, *args, **kwargs))

    def bus(self):
        """A mocked USB bus; `bus.attach(key.socket)` puts a key on it."""
        from .umockdev import Bus

        return self.use(Bus(self.work))

    def file(self, name, content=None):
        path = self.work / name
        if content is not None:
            path.write_text(content)
        return path

    def show(self, name):
        """Takes a picture of every desktop that is there, to see what went wrong."""
        for thing in self._things:
            if hasattr(thing, "picture"):
                thing.picture(self.pictures / name)

    def close(self):
        while self._things:
            thing = self._things.pop()
            try:
                thing.close()
            except Exception as e:  # one that fails must not keep the others alive
                print(f"  closing {type(thing).__name__}: {e}", flush=True)
        Process.stop_all()

    def keep(self):
        """Copies the logs to out/NAME/logs."""
        logs = OUT / self.name / "logs"
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir(parents=True, exist_ok=True)
        for path in self.work.glob("*.log"):
            shutil.copy(path, logs / path.name)


def expect(condition, what):
    """A claim. What it says is what the report shows when it does not hold."""
    if not condition:
        raise Failed(what)


def expect_in(needle, text, what=""):
    """A claim that a text has a part."""
    if needle not in text:
        raise Failed(f"{what or 'the text'} has no {needle!r}:\n{text[-1500:]}")


def main():
    """Runs the scenarios of the script that calls this. Arguments: --full, and parts of names or =NAME."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped: over its time"))
    args = sys.argv[1:]
    everything = "--full" in args
    parts = [a for a in args if a != "--full"]
    stem = Path(sys.argv[0]).stem
    failed = 0
    for function, full in _scenarios:
        name = f"{stem}.{function.__name__}"
        if parts and not any(part in name or part == f"={name}" for part in parts):
            continue
        if full and not everything:
            print(f"skip {name}: only with --full", flush=True)
            continue
        failed += not _run(name, function)
    sys.exit(1 if failed else 0)


def _run(name, function):
    start = time.monotonic()
    t = T(name)
    try:
        function(t)
        t.close()
        print(f"ok {name} ({time.monotonic() - start:.1f} s)", flush=True)
        return True
    except Skip as e:
        print(f"skip {name}: {e}", flush=True)
        return True
    except Failed as e:
        why = str(e)
        t.show("failed.png")
    except Exception:
        why = traceback.format_exc()
        t.show("failed.png")
    finally:
        t.close()
        t.keep()
        shutil.rmtree(t.work, ignore_errors=True)
    first, *rest = why.strip().splitlines() or ["no reason given"]
    print(f"not ok {name}: {first}", flush=True)
    for line in [*rest, f"logs: e2e/out/{name}/logs"]:
        print(f"    {line}", flush=True)
    return False
