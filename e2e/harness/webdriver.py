"""A WebDriver client for Debian's chromedriver: W3C WebDriver and WebAuthn's virtual authenticators.

https://www.w3.org/TR/webdriver2/ and https://www.w3.org/TR/webauthn-3/#sctn-automation; a few
commands over HTTP, which is all that the scenarios need.
"""

import base64
import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from .proc import Failed, Process, Skip, free_port, port_open, wait_for

# Found by many runs: with these a start hangs in none of 120 cases, with the defaults in 7.
FLAGS = [
    "--no-sandbox", "--no-first-run", "--no-default-browser-check", "--disable-gpu",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--password-store=basic", "--enable-features=NetworkServiceInProcess2", "--in-process-gpu",
    "--disable-extensions", "--disable-component-extensions-with-background-pages",
    "--disable-vulkan", "--disable-breakpad", "--disable-dev-shm-usage",
    "--disable-features=OptimizationGuideOnDeviceModel,Translate,MediaRouter,SpareRendererForSitePerProcess",
]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class WebDriverError(Failed):
    """An error that the browser reports, with WebDriver's own name for it."""

    def __init__(self, name, message):
        self.name = name
        super().__init__(f"{name}: {message.splitlines()[0] if message else ''}")


class Browser:
    """One Chromium with a fresh profile, driven by one chromedriver of its own."""

    def __init__(self, work, *, env=None, headless=True, size=(1280, 900), flags=()):
        if not shutil.which("chromedriver") or not shutil.which("chromium"):
            raise Skip("chromium and chromium-driver are not installed")
        self.work = Path(work)
        self.env, self.headless, self.size, self.flags = env, headless, size, list(flags)
        self.session = None
        self.driver = None
        for last in (False, True):  # a start that hangs is tried once more
            try:
                self._start()
                return
            except Failed:
                self.close()
                if last:
                    raise

    def _start(self):
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.driver = Process("chromedriver", ["chromedriver", f"--port={port}"], self.work, env=self.env)
        wait_for("chromedriver", lambda: port_open(port), 15)
        profile = self.work / f"profile-{port}"
        args = [*FLAGS, *self.flags, f"--window-size={self.size[0]},{self.size[1]}", f"--user-data-dir={profile}"]
        if self.headless:
            args.append("--headless=new")
        capabilities = {
            "alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": {"binary": shutil.which("chromium"), "args": args},
                "timeouts": {"script": 30000, "pageLoad": 30000},
            }
        }
        answer = self._call("POST", "/session", {"capabilities": capabilities}, timeout=40)
        self.session = f"/session/{answer['sessionId']}"

    def _call(self, method, path, body=None, timeout=60):
        data = None if method in ("GET", "DELETE") else json.dumps(body or {}).encode()
        request = urllib.request.Request(
            self.base + path, data=data, method=method, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as e:
            value = json.load(e)["value"]
            raise WebDriverError(value["error"], value["message"]) from None
        except OSError as e:
            raise Failed(f"chromedriver does not answer {method} {path}: {e}") from None

    def get(self, url):
        self._call("POST", f"{self.session}/url", {"url": url})

    def reload(self):
        self._call("POST", f"{self.session}/refresh")

    def run(self, script, *args):
        """Runs the body of a function in the page and gives what it returns."""
        return self._call("POST", f"{self.session}/execute/sync", {"script": script, "args": list(args)})

    def run_async(self, script, *args):
        """Runs the body of an async function in the page and gives what it resolves to.

        A rejection comes back as {"error": name, "message": text}.
        """
        wrapped = (
            "const done = arguments[arguments.length - 1];"
            f"(async function() {{ {script} }}).apply(null, Array.prototype.slice.call(arguments, 0, -1))"
            ".then(done, (e) => done({error: e.name, message: String(e.message)}));"
        )
        return self._call("POST", f"{self.session}/execute/async", {"script": wrapped, "args": list(args)})

    def find(self, css):
        """The one element that a CSS selector names, or None."""
        try:
            return self._call("POST", f"{self.session}/element", {"using": "css selector", "value": css})[ELEMENT]
        except WebDriverError as e:
            if e.name == "no such element":
                return None
            raise

    def wait_for(self, css, seconds=15):
        """Waits for an element that is shown."""
        return wait_for(f"`{css}` on the page", lambda: self._shown(css), seconds)

    def _shown(self, css):
        element = self.find(css)
        try:
            shown = element and self._call("GET", f"{self.session}/element/{element}/displayed")
        except WebDriverError:  # replaced in between
            return None
        return element if shown else None

    def click(self, css, seconds=15):
        element = self.wait_for(css, seconds)
        self._call("POST", f"{self.session}/element/{element}/click")

    def type(self, css, text):
        element = self.wait_for(css)
        self._call("POST", f"{self.session}/element/{element}/clear")
        self._call("POST", f"{self.session}/element/{element}/value", {"text": text})

    def select(self, css, value):
        """Chooses an option of a select element by its value, as a person would: with an event."""
        self.wait_for(css)
        ok = self.run(
            "const e = document.querySelector(arguments[0]); e.value = arguments[1];"
            "e.dispatchEvent(new Event('input', {bubbles: true}));"
            "e.dispatchEvent(new Event('change', {bubbles: true})); return e.value === arguments[1];",
            css,
            value,
        )
        if not ok:
            raise Failed(f"`{css}` has no option {value!r}")

    def text(self, css):
        element = self.find(css)
        if element is None:
            raise Failed(f"no `{css}` on the page")
        return self._call("GET", f"{self.session}/element/{element}/text")

    def devtools(self, command, **parameters):
        """A command of the DevTools protocol, for what WebDriver has no words for."""
        return self._call("POST", f"{self.session}/goog/cdp/execute", {"cmd": command, "params": parameters})

    def appear(self, width, height, *, dark=False, phone=False):
        """Shows pages as on a screen of this size, light or dark; a phone is one that is touched."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=2 if phone else 1, mobile=phone)
        self.devtools("Emulation.setTouchEmulationEnabled", enabled=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path, *, whole=False):
        """Keeps a picture of the window, or of the whole page."""
        part = {"captureBeyondViewport": True, "clip": self._whole()} if whole else {}
        image = self.devtools("Page.captureScreenshot", **part)["data"]
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(image))
        return path

    def _whole(self):
        size = self.devtools("Page.getLayoutMetrics")["cssContentSize"]
        # One pixel for one of CSS: a picture may have 16384 rows at most.
        scale = 1 / self.run("return devicePixelRatio")
        return {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": scale}

    def console(self):
        """What the page's console said (errors of scripts among it)."""
        return self._call("POST", f"{self.session}/se/log", {"type": "browser"})

    # WebAuthn §11: automation.

    def add_authenticator(self, **options):
        """Adds the browser's own virtual authenticator, e.g. hasUserVerification, isUserVerified."""
        options = {"protocol": "ctap2", "transport": "usb", "hasResidentKey": True, **options}
        return self._call("POST", f"{self.session}/webauthn/authenticator", options)

    def remove_authenticator(self, authenticator):
        self._call("DELETE", f"{self.session}/webauthn/authenticator/{authenticator}")

    def credentials(self, authenticator):
        return self._call("GET", f"{self.session}/webauthn/authenticator/{authenticator}/credentials")

    def close(self):
        if self.session:
            try:
                self._call("DELETE", self.session, timeout=10)
            except Failed:
                pass
            self.session = None
        if self.driver:
            self.driver.stop()
            self.driver = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
