"""A client of Marionette, Firefox's own remote protocol, and Debian's Firefox with it.

https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html: JSON with its length in front, over
TCP. In its chrome context scripts run in the browser's own windows, which no WebDriver reaches: its
security-key dialogs are there.
"""

import json
import shutil
import socket
from pathlib import Path

from .proc import Failed, Process, Skip, free_port, port_open, wait_for

PREFERENCES = {
    "app.update.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}


class MarionetteError(Failed):
    def __init__(self, error):
        self.name = error["error"]
        super().__init__(f"{self.name}: {error['message']}")


class Firefox:
    """One headless Firefox with a fresh profile."""

    def __init__(self, work, *, env):
        if not shutil.which("firefox-esr"):
            raise Skip("firefox-esr is not installed")
        self.work, port = Path(work), free_port()
        profile = self.work / "firefox"
        profile.mkdir()
        preferences = {**PREFERENCES, "marionette.port": port}
        (profile / "user.js").write_text(
            "".join(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in preferences.items()))
        argv = ["firefox-esr", "--headless", "--marionette", "--remote-allow-system-access", "--no-remote",
                "--profile", profile, "about:blank"]
        self.process = Process("firefox", argv, self.work, env={**env, "HOME": str(self.work)})
        self.socket, self.number = None, 0
        try:
            wait_for("Firefox", lambda: port_open(port), 40)
            self.socket = socket.create_connection(("127.0.0.1", port), 60)
            self.answers = self.socket.makefile("rb")
            self._receive()  # it says hello
            # A dialog that is open is not Marionette's to close.
            session = self.call("WebDriver:NewSession", unhandledPromptBehavior="ignore")
            self.version = session["capabilities"]["browserVersion"]
        except BaseException:
            self.close()
            raise

    def call(self, command, **parameters):
        self.number += 1
        message = json.dumps([0, self.number, command, parameters]).encode()
        self.socket.sendall(str(len(message)).encode() + b":" + message)
        _, _, error, result = self._receive()
        if error:
            raise MarionetteError(error)
        return result

    def _receive(self):
        length = b""
        while not length.endswith(b":"):
            byte = self.answers.read(1)
            if not byte:
                raise Failed(f"Firefox hung up:\n{self.process.text()[-1000:]}")
            length += byte
        return json.loads(self.answers.read(int(length[:-1])))

    def get(self, url):
        self.call("WebDriver:Navigate", url=url)

    def run(self, script, *args):
        """Runs the body of a function in the page. With a dialog over the page there is no answer: None."""
        try:
            return self.call("WebDriver:ExecuteScript", script=script, args=list(args), sandbox=None)["value"]
        except MarionetteError as e:
            if e.name == "unexpected alert open":
                return None
            raise

    def run_in_chrome(self, script, *args):
        """The same in the browser's own window, which is `window` there."""
        self.call("Marionette:SetContext", value="chrome")
        try:
            return self.run(script, *args)
        finally:
            self.call("Marionette:SetContext", value="content")

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None
        self.process.stop()
