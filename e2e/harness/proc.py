"""Processes that are always ended, and waits that always end."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
E2E = ROOT / "e2e"
OUT = E2E / "out"


class Failed(AssertionError):
    """A claim of a scenario that did not hold."""


class Skip(Exception):
    """The scenario cannot run here; the text says what is missing."""


def wait_for(what, check, seconds=10.0, every=0.05):
    """Calls `check` until it gives something true, and gives that back."""
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"waited {seconds:g} s in vain for {what}")
        time.sleep(every)


def free_port():
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def port_open(port):
    """Whether somebody accepts connections on 127.0.0.1:port."""
    with socket.socket() as s:
        s.settimeout(0.5)
        return s.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A background process in a session of its own, with its output in a file.

    Use it as a context manager: leaving the block ends the process and its children. `stop_all` ends
    those that nobody has, because what started them failed half-way.
    """

    running = []

    def __init__(self, name, argv, log_dir, env=None, cwd=None, **popen):
        self.name = name
        self.log = Path(log_dir) / f"{name}.log"
        self._out = open(self.log, "wb")
        self.child = subprocess.Popen(
            [str(a) for a in argv],
            stdin=popen.pop("stdin", subprocess.DEVNULL),
            stdout=popen.pop("stdout", self._out),
            stderr=self._out,
            env=env,
            cwd=cwd,
            start_new_session=True,
            **popen,
        )
        Process.running.append(self)

    @classmethod
    def stop_all(cls):
        while cls.running:
            cls.running[-1].stop()

    @property
    def pid(self):
        return self.child.pid

    def alive(self):
        return self.child.poll() is None

    def text(self):
        self._out.flush()
        return self.log.read_text(errors="replace")

    def wait_text(self, needle, seconds=10.0):
        """Waits until the process has printed `needle`; says what it printed if it never does."""

        def check():
            if needle in self.text():
                return True
            if not self.alive():
                raise Failed(
                    f"{self.name} ended with {self.child.returncode} before it said "
                    f"{needle!r}:\n{self.text()[-2000:]}"
                )
            return False

        try:
            wait_for(f"{needle!r} from {self.name}", check, seconds)
        except Failed as e:
            raise Failed(f"{e}\n{self.text()[-2000:]}") from None

    def stop(self, seconds=5.0):
        """TERM to the session's processes, then KILL to what is left of them."""
        for sig in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.child.pid, sig)
            except ProcessLookupError:
                break
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
            if not _group_alive(self.child.pid, 1.0):
                break
        self.child.poll()
        self._out.close()
        if self in Process.running:
            Process.running.remove(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def _group_alive(pgid, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.killpg(pgid, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.02)
    return True


def run(argv, *, ok=(0,), timeout=30.0, env=None, stdin=None, cwd=None):
    """Runs a command to its end and gives (stdout, stderr, code).

    An exit code that is not in `ok` (None: any will do) fails the scenario with the command's own words.
    """
    argv = [str(a) for a in argv]
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            timeout=timeout,
            env=env,
            cwd=cwd,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as e:
        said = (e.stdout or b"").decode(errors="replace") + (e.stderr or b"").decode(errors="replace")
        raise Failed(f"`{' '.join(argv)}` did not end within {timeout:g} s:\n{said[-2000:]}") from None
    if ok is not None and done.returncode not in ok:
        raise Failed(
            f"`{' '.join(argv)}` ended with {done.returncode}:\n"
            f"{done.stdout[-1500:]}{done.stderr[-1500:]}"
        )
    return done.stdout, done.stderr, done.returncode


def run_on_terminal(argv, answers, *, ok=(0,), timeout=30.0, env=None, cwd=None):
    """Runs a command with a terminal of its own and answers its questions.

    `answers` is a list of (what the command asks, what to type). libfido2's tools read PINs from
    the controlling terminal only. Gives (everything that was printed, exit code).
    """
    import pty
    import select

    argv = [str(a) for a in argv]
    pid, master = pty.fork()
    if pid == 0:
        if cwd:
            os.chdir(cwd)
        os.execvpe(argv[0], argv, env if env is not None else dict(os.environ))
    said = b""
    seen = 0
    pending = list(answers)
    end = time.monotonic() + timeout
    status = None
    while True:
        ready, _, _ = select.select([master], [], [], 0.1)
        if ready:
            try:
                chunk = os.read(master, 4096)
            except OSError:
                chunk = b""
            if not chunk:
                break
            said += chunk
        if pending:
            at = said.find(pending[0][0].encode(), seen)
            if at >= 0:
                seen = at + len(pending[0][0])
                time.sleep(0.05)  # the tool switches echo off after it has asked
                os.write(master, pending.pop(0)[1].encode() + b"\n")
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(master)
            raise Failed(
                f"`{' '.join(argv)}` did not end within {timeout:g} s:\n{said.decode(errors='replace')[-2000:]}"
            )
    _, status = os.waitpid(pid, 0)
    os.close(master)
    code = os.waitstatus_to_exitcode(status)
    text = said.decode(errors="replace").replace("\r\n", "\n")
    if ok is not None and code not in ok:
        raise Failed(f"`{' '.join(argv)}` ended with {code}:\n{text[-2000:]}")
    if pending:
        raise Failed(f"`{' '.join(argv)}` never asked {pending[0][0]!r}:\n{text[-2000:]}")
    return text, code
