"""The software key as a process: `pinward key run`."""

import os
import subprocess
from pathlib import Path

from .proc import ROOT, Failed, Process, wait_for

PROGRAM = Path(os.environ.get("PINWARD", ROOT / "target/debug/pinward"))


class Key:
    """A key with a durable store. `restart()` is a power cycle: what was not stored is gone."""

    def __init__(self, work, name="key", *, profile=None, wire="unix", touch=True, passphrase=None,
                 env=None, extra=()):
        self.work, self.name = Path(work), name
        self.socket = self.work / f"{name}.sock"
        self.store = self.work / f"{name}.store"
        wires = {"unix": ["--unix", self.socket], "vpcd": ["--vpcd"], "pipe": ["--report-pipe", "new"]}
        if wire.startswith("vpcd:"):  # another slot of the virtual reader
            wires[wire] = ["--vpcd", f"127.0.0.1:{wire.removeprefix('vpcd:')}"]
        self.argv = [PROGRAM, "key", "run", *wires[wire], "--store", self.store]
        if passphrase is None:
            self.argv.append("--insecure-plaintext")
        else:
            self.argv += ["--passphrase-env", "PINWARD_E2E_PASSPHRASE"]
            env = {**(os.environ if env is None else env), "PINWARD_E2E_PASSPHRASE": passphrase}
        self.argv += extra
        self.touches_itself = touch
        if touch:
            self.argv.append("--auto-touch")
        if profile:
            self.argv += ["--profile", profile]
        self.env = env
        self.wire = wire
        self.process = None
        self.start()

    def start(self):
        if not PROGRAM.exists():
            raise Failed(f"{PROGRAM} is not built: `cargo build -p pinward`")
        self.socket.unlink(missing_ok=True)
        # A key that is touched by its user ends at the end of its input.
        stdin = subprocess.DEVNULL if self.touches_itself else subprocess.PIPE
        self.process = Process(self.name, self.argv, self.work, env=self.env, stdin=stdin)
        if self.wire == "unix":
            wait_for("the key's socket", self._listens, 15)

    def _listens(self):
        if not self.process.alive():
            raise Failed(f"the key ended at once:\n{self.process.text()}")
        return self.socket.exists()

    def address(self):
        """What comes after the scheme in the address where the key says that it is ready."""
        self.process.wait_text("pinward key ready: ", 15)
        ready = self.process.text().split("pinward key ready: ")[1].splitlines()[0]
        return ready.split(":", 1)[1]

    def press(self):
        """Touches a key that does not touch itself, as Enter in its terminal does."""
        self.process.child.stdin.write(b"\n")
        self.process.child.stdin.flush()

    def close(self):
        if self.process:
            self.process.stop()
            self.process = None

    def restart(self):
        """Cuts the power and gives it back."""
        self.close()
        self.start()
