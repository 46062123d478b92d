"""A desktop nobody sees: an X server, a window manager, a session bus and its accessibility bus.

Chromium shows its security-key dialogs in native windows. They are read by their roles and names
through AT-SPI, as a screen reader does, buttons are pressed by their own action, and text is typed
with the keyboard, as a person does: password fields take nothing else.
"""

import os
import shutil
import subprocess

from .proc import Failed, Process, Skip, run, wait_for

LAUNCHERS = ["/usr/libexec/at-spi-bus-launcher", "/usr/lib/at-spi2-core/at-spi-bus-launcher"]


class Desktop:
    """`env` is what programs on this desktop are started with."""

    def __init__(self, work, base_env=None):
        for program in ("Xvfb", "openbox", "xdotool", "dbus-daemon"):
            if not shutil.which(program):
                raise Skip(f"{program} is not installed")
        launcher = next((path for path in LAUNCHERS if os.path.exists(path)), None)
        if not launcher:
            raise Skip("at-spi2-core is not installed")
        self.processes = []
        self.env = dict(base_env if base_env is not None else os.environ)
        try:
            self._start(work, launcher)
        except BaseException:
            self.close()
            raise

    def _start(self, work, launcher):
        # The mocked bus is for the browser alone: these helpers would gain nothing by it.
        plain = {k: v for k, v in self.env.items() if k not in ("LD_PRELOAD", "UMOCKDEV_DIR")}
        read, write = os.pipe()
        argv = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x1000x24", "-nolisten", "tcp"]
        self.processes.append(Process("xvfb", argv, work, env=plain, pass_fds=(write,)))
        os.close(write)
        with os.fdopen(read) as display:
            number = display.readline().strip()
        if not number:
            raise Failed(f"Xvfb gave no display:\n{self.processes[-1].text()}")
        bus = f"unix:path={work}/session-bus"
        here = {"DISPLAY": f":{number}", "DBUS_SESSION_BUS_ADDRESS": bus, "XDG_RUNTIME_DIR": str(work),
                "NO_AT_BRIDGE": "0", "GNOME_ACCESSIBILITY": "1", "ACCESSIBILITY_ENABLED": "1", "GTK_MODULES": "", "XDG_CURRENT_DESKTOP": "none"}
        self.env.update(here)
        plain.update(here)
        daemon = ["dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={bus}"]
        self.processes.append(Process("dbus", daemon, work, env=plain))
        wait_for("the session bus", lambda: os.path.exists(f"{work}/session-bus"))
        self.processes.append(Process("openbox", ["openbox", "--sm-disable"], work, env=plain))
        self.processes.append(Process("at-spi", [launcher, "--launch-immediately"], work, env=plain))
        os.environ.update(here)  # for the accessibility library in this process

    def dialogs(self):
        """The reader of this desktop's windows. The library connects once in a process."""
        return Dialogs(self.env)

    def picture(self, path):
        """A picture of the whole screen, where ImageMagick is at hand."""
        if shutil.which("import"):
            argv = ["import", "-window", "root", str(path)]
            subprocess.run(argv, env=self.env, check=False, timeout=20)

    def close(self):
        for process in reversed(self.processes):
            process.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Dialogs:
    """Finds widgets by what a person reads."""

    def __init__(self, env):
        try:
            import gi

            gi.require_version("Atspi", "2.0")
            from gi.repository import Atspi, GLib
        except (ImportError, ValueError) as e:
            raise Skip(f"python3-pyatspi is not installed ({e})") from None
        self.atspi = Atspi
        self.gone = GLib.Error  # what the library says of a widget that is gone by now
        self.env = {k: v for k, v in env.items() if k not in ("LD_PRELOAD", "UMOCKDEV_DIR")}
        Atspi.init()

    def widgets(self, limit=4000):
        """(role, name, widget) of everything on the desktop that is showing, web pages left out."""
        found, todo = [], [self.atspi.get_desktop(0)]
        while todo and len(found) < limit:
            widget = todo.pop()
            try:
                role, name = widget.get_role_name(), widget.get_name() or ""
                states = widget.get_state_set()
                if role in ("document web", "internal frame"):
                    continue
                if states.contains(self.atspi.StateType.SHOWING):
                    found.append((role, name, widget))
                todo.extend(widget.get_child_at_index(i) for i in range(min(widget.get_child_count(), 200)))
            except Exception:  # a widget that is gone by now
                continue
        return found

    def texts(self):
        """Every text that can be read in the windows at this moment."""
        return [name for _, name, _ in self.widgets() if name]

    def find(self, role, name):
        """A widget by its role and (a part of) its name."""
        for its_role, its_name, widget in self.widgets():
            if its_role == role and name in its_name:
                return widget
        return None

    def wait_for(self, role, name, seconds=15):
        try:
            return wait_for(f"a {role} that says {name!r}", lambda: self.find(role, name), seconds, every=0.1)
        except Failed as e:
            seen = "\n".join(f"  {r}: {n}" for r, n, _ in self.widgets() if n)
            raise Failed(f"{e}; the windows say:\n{seen[-3000:]}") from None

    def wait_for_text(self, text, seconds=15):
        """Waits until any widget says `text`."""
        try:
            return wait_for(f"a window that says {text!r}", lambda: self._says(text), seconds, every=0.1)
        except Failed as e:
            seen = "\n".join(f"  {r}: {n}" for r, n, _ in self.widgets() if n)
            raise Failed(f"{e}; the windows say:\n{seen[-3000:]}") from None

    def _says(self, text):
        return any(text in name for name in self.texts())

    def press(self, name, seconds=15):
        """Presses the button of this name until its dialog moves on.

        A browser ignores clicks on a dialog that has just come up, so that nobody hits by accident what
        was not there a moment ago. A person clicks again; so does this.
        """

        def moved_on(before):
            try:
                wait_for("the dialog to move on", lambda: self._written() != before, 1.5, every=0.1)
                return True
            except Failed:
                return False

        def pressed():
            for role, its_name, widget in self.widgets():
                if role in ("push button", "button") and its_name == name:
                    try:
                        if widget.get_state_set().contains(self.atspi.StateType.SENSITIVE):
                            before = self._written()
                            widget.do_action(0)
                            return moved_on(before)
                    except self.gone:
                        return False
            return False

        wait_for(f"a button {name!r} that does something", pressed, seconds, every=0.1)

    def _written(self):
        """How many characters stand in each password field; None for one that has just gone."""
        return [self._length(field) for field in self.passwords()]

    def _length(self, field):
        try:
            return self.atspi.Text.get_character_count(field)
        except self.gone:
            return None

    def passwords(self):
        return [w for role, _, w in self.widgets() if role == "password text"]

    def type_passwords(self, *texts, seconds=15):
        """Types into the dialog's password fields, one text each."""
        fields = wait_for(
            f"{len(texts)} password field(s)",
            lambda: (found := self.passwords()) and len(found) == len(texts) and found,
            seconds,
            every=0.1,
        )
        # The tree is walked from its end; fields stand in the order of the screen.
        fields.sort(key=lambda w: w.get_extents(self.atspi.CoordType.SCREEN).y)
        for field, text in zip(fields, texts):
            focused = self.atspi.StateType.FOCUSED
            wait_for(
                "the focus in a password field",
                lambda: field.grab_focus() and field.get_state_set().contains(focused),
                5,
            )
            run(["xdotool", "type", "--clearmodifiers", "--delay", "20", text], env=self.env)
            wait_for("the text in the password field", lambda: self._length(field) == len(text), 5)

    def key(self, *names):
        run(["xdotool", "key", *names], env=self.env)
