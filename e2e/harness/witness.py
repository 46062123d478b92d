"""What a browser does with a key in each state: measured by driving it, dialog by dialog.

A cell is one ceremony of `pinward matrix`: model, state, what the site asks, and a person who accepts
everything, closes the first dialog, or mistypes the PIN once. What is seen is written in the matrix's words:
the steps, the UV flag, the end.
"""

import json
import re
import time

from .proc import Failed, wait_for
from .site import ENDED, START, Site, options
from .states import DISCOVERABLE, NAMED, NEW_PIN, NOTHING, PIN, STATES, Shelf

SETTINGS = ["discouraged", "preferred", "required"]
CELL_SECONDS = 22
ACCEPTS, CANCELS, WRONG_PIN = "accepts", "cancels", "wrong-pin"
MISTYPED = "a wrong PIN"


def cells(model="fido-2.1", states=STATES, person=ACCEPTS):
    """All cells of a model, in the order of the matrix."""
    return [
        {"key": model, "key_state": state,
         "request": {"ceremony": ceremony, "userVerification": setting, "discoverable": discoverable},
         "user": person}
        for state in states
        for ceremony in ("create", "get")
        for discoverable in (False, True)
        for setting in SETTINGS
    ]


def name(cell):
    request = cell["request"]
    kind = "discoverable" if request["discoverable"] else "named"
    who = "" if cell["user"] == ACCEPTS else f"/{cell['user']}"
    return f"{cell['key']}/{cell['key_state']}/{request['ceremony']}/{kind}/{request['userVerification']}{who}"


class Seen:
    """The steps so far, and who takes them."""

    def __init__(self, person):
        self.steps, self.said, self.person = [], [], person

    def pin(self):
        """What is typed next where the PIN is asked."""
        first = "enter-pin" not in self.steps
        return MISTYPED if self.person == WRONG_PIN and first else PIN

    def step(self, *words):
        self.steps += words

    def say(self, text):
        if text and text not in self.said:
            self.said.append(text)


class Witness:
    """One browser with one USB port. `driver` has `begin(seen)`, `run(script, *args)`, `attend(seen)` (does what a dialog
    asks, and notes it; false if it could not look) and `rest()` (takes away what a ceremony left)."""

    def __init__(self, t, driver, bus):
        self.t, self.driver, self.bus = t, driver, bus
        self.shelves = {}

    def measure(self, cell):
        """Runs a cell and gives it back with what was seen."""
        model, request = cell["key"], cell["request"]
        shelf = self.shelves.setdefault(model, Shelf(self._folder(model), model))
        holds = NOTHING
        if request["ceremony"] == "get":
            holds = DISCOVERABLE if request["discoverable"] else NAMED
        key, credential = shelf.take(cell["key_state"], holds, "key")
        try:
            self.bus.attach(key.socket)
            asked = options(request["ceremony"], request["userVerification"], request["discoverable"], credential)
            seen, end = self._ceremony(key, asked, cell["user"])
            self.driver.rest()
        finally:
            self.bus.detach()
            key.close()
        said = {"said": seen.said} if seen.said else {}
        return {**cell, "steps": seen.steps, "uv": end["uv"], "outcome": end["outcome"],
                "error": end["error"], **said}

    def _folder(self, model):
        folder = self.t.work / model
        folder.mkdir(exist_ok=True)
        return folder

    def _ceremony(self, key, asked, person):
        seen, heard = Seen(person), 0
        self.driver.begin(seen)
        self.driver.run(START, asked)
        until = time.monotonic() + CELL_SECONDS
        while time.monotonic() < until:
            # A key asks for its touch after the dialogs before it: so what it says is heard first, and the
            # dialogs are noted before the touch.
            text, end = key.process.text(), self.driver.run(ENDED)
            if self.driver.attend(seen):
                heard = self._touch(key, seen, text, heard)
                if end:
                    return seen, end
            time.sleep(0.05)
        self.t.show(f"hang-{int(time.time())}.png")
        self.driver.run("window.abort.abort();")
        wait_for("the ceremony to end when it is aborted", lambda: self.driver.run(ENDED), 10)
        return seen, {"outcome": "hang", "error": None, "uv": None}

    @staticmethod
    def _touch(key, seen, text, heard):
        """Touches the key if it asks."""
        for line in text[heard:].splitlines(keepends=True):
            if not line.endswith("\n"):
                break
            heard += len(line)
            if line.startswith("Touch the key") and "(U2F)" in line:
                seen.step("u2f")
            if seen.person == CANCELS:
                continue
            if line.startswith("Touch the key"):
                seen.step("touch")
                key.press()
            elif line.startswith("Lay your finger"):
                seen.step("fingerprint")
                key.press()
        return heard


class Chromium:
    """Its dialogs are native windows, read as a screen reader does."""

    def __init__(self, t, bus):
        from .desktop import Desktop
        from .webdriver import Browser

        self.desktop = t.use(Desktop(t.work, bus.env))
        self.dialogs = self.desktop.dialogs()
        self.browser = t.use(Browser(t.work, env=self.desktop.env, headless=False,
                                     flags=["--force-renderer-accessibility"]))
        self.site = t.use(Site())
        self.browser.get(self.site.url)
        self.run = self.browser.run
        self.picking = False
        self.pressed = 0.0

    def version(self):
        from .proc import run

        return run(["chromium", "--version"])[0].split()[1]

    def begin(self, seen):
        self.picking = False

    def attend(self, seen):
        texts, buttons, fields = self._dialog()
        if not texts:
            self.picking = False
        elif seen.person == CANCELS and "Cancel" in buttons:
            self._press(buttons["Cancel"])
        elif len(fields) == 2:
            seen.step("create-pin" if any("Set up a new PIN" in text for text in texts) else "change-pin")
            self.dialogs.type_passwords(NEW_PIN, NEW_PIN)
            self.dialogs.press("Next")
        elif len(fields) == 1:
            self.dialogs.type_passwords(seen.pin())
            seen.step("enter-pin")
            self.dialogs.press("Next")
        elif "Continue" in buttons:
            if not self.picking:
                seen.step("pick-account")
            self.picking = True
            self._press(buttons["Continue"])
        elif "Close" in buttons:
            seen.say(" / ".join(dict.fromkeys(texts)))
            self._press(buttons["Close"])
        return True

    def _dialog(self):
        """Texts, buttons and password fields of the security-key dialog, if one is there."""
        texts, buttons, fields = [], {}, []
        todo = [widget for role, _, widget in self.dialogs.widgets() if role == "dialog"][:1]
        while todo:
            widget = todo.pop(0)
            if widget is None:  # it went while it was looked at
                continue
            try:
                role, text = widget.get_role_name(), widget.get_name() or ""
                todo += [widget.get_child_at_index(i) for i in range(widget.get_child_count())]
            except self.dialogs.gone:
                continue
            if role == "push button":
                buttons[text] = widget
            elif role == "password text":
                fields.append(widget)
            elif role in ("heading", "static") and text:
                texts.append(text)
        return texts, buttons, fields

    def _press(self, widget):
        """Chromium ignores clicks on a dialog that has just come up, and those in quick succession."""
        if time.monotonic() - self.pressed < 0.7:
            return
        try:
            widget.do_action(0)
        except self.dialogs.gone:
            pass
        self.pressed = time.monotonic()

    def rest(self):
        """Closes a dialog that outlives its ceremony."""

        def closed():
            texts, buttons, _ = self._dialog()
            for button in ("Close", "Cancel"):
                if button in buttons:
                    self._press(buttons[button])
                    return False
            return not texts

        wait_for("Chromium's dialog to go", closed, 10, every=0.2)


# What Firefox's person does, in the browser's own window: types the next of `window.pins`, takes the first
# account or, without pins, closes what comes up; and writes down what was asked. Marionette does not get a word in
# while a dialog is open.
PERSON = """
window.witnessed = [];
window.pins = [];
const observer = {observe: (_, topic, data) => {
  const prompt = JSON.parse(data).prompt;
  window.witnessed.push({event: prompt.type, retries: prompt.retries ?? null});
}};
Services.obs.addObserver(observer, 'webauthn-prompt');
window.setInterval(() => {
  const box = window.gBrowser.getTabDialogBox(window.gBrowser.selectedBrowser);
  for (const open of [...box.getTabDialogManager()._dialogs, ...box.getContentDialogManager()._dialogs]) {
    const page = open._frame?.contentDocument;
    const dialog = page?.querySelector('dialog');
    if (page?.readyState !== 'complete' || !dialog?.getButton || open.answered) continue;
    open.answered = true;
    const field = page.getElementById('password1Textbox');
    const asked = field && !page.getElementById('password1Container').hidden;
    if (window.pins.length === 0) {
      window.setTimeout(() => dialog.getButton('cancel').click(), 60);
      continue;
    }
    if (asked) field.value = window.pins.length > 1 ? window.pins.shift() : window.pins[0];
    window.witnessed.push({dialog: asked ? 'pin' : page.getElementById('list') ? 'list' : 'other',
      text: (page.getElementById('infoBody') ?? page.getElementById('info.txt'))?.textContent ?? ''});
    window.setTimeout(() => dialog.getButton('accept').click(), 60);
  }
  const [note] = window.pins.length === 0 ? window.PopupNotifications.panel.childNodes : [];
  if (note?.button && window.PopupNotifications.panel.state === 'open') note.button.click();
}, 40);
return true;
"""
WITNESSED = """
const panel = window.PopupNotifications.panel;
const shown = panel.state === 'open' ? [...panel.childNodes].map((one) => [one.id, one.getAttribute('label')]) : [];
return {events: window.witnessed, shown};
"""
# Notifications that say no more than "touch your key".
USUAL = ("webauthn-prompt-presence-notification",)


class Firefox:
    """Its dialogs are pages in its own window, and its notes are doorhangers."""

    def __init__(self, t, bus):
        from .marionette import Firefox as Browser

        self.browser = t.use(Browser(t.work, env=bus.env))
        self.site = t.use(Site())
        self.browser.get(self.site.url)
        self.run = self.browser.run
        self.browser.run_in_chrome(PERSON)
        self.heard = 0

    def version(self):
        return self.browser.version

    def begin(self, seen):
        pins = {ACCEPTS: [PIN], WRONG_PIN: [MISTYPED, PIN], CANCELS: []}[seen.person]
        self.browser.run_in_chrome("window.pins = arguments[0]; return true;", pins)

    def attend(self, seen):
        witnessed = self.browser.run_in_chrome(WITNESSED)
        if witnessed is None:  # a dialog is open
            return False
        # Nothing is taken out of the page: an answer is lost when a dialog comes up at that moment.
        new = witnessed["events"][self.heard:]
        self.heard += len(new)
        for event in new:
            dialog = event.get("dialog")
            if dialog == "pin":
                seen.step("enter-pin")
            elif dialog == "list":
                seen.step("pick-account")
            elif dialog:
                seen.say(event["text"])
            elif event["event"] in ("device-blocked", "pin-auth-blocked", "pin-not-set", "uv-blocked"):
                seen.say(event["event"])
        for note, label in witnessed["shown"]:
            if note not in USUAL:
                seen.say(label or note)
        return True

    def rest(self):
        """Takes away what was noted and shown after the end."""
        self.heard = 0
        self.browser.run_in_chrome(
            "window.witnessed.length = 0; for (const one of [...window.PopupNotifications._currentNotifications])"
            " window.PopupNotifications.remove(one); return true;")


def differences(observed, predicted):
    """Lines that say where the two part, for what is compared."""
    lines = []
    for word in ("steps", "uv", "outcome", "error"):
        if observed.get(word) != predicted.get(word):
            lines.append(f"{word}: seen {observed.get(word)!r}, predicted {predicted.get(word)!r}")
    return lines


def predictions(platform, models):
    """What `pinward matrix` says, by the name of the cell."""
    from .key import PROGRAM
    from .proc import run

    argv = [PROGRAM, "matrix", "--json", "--platform", platform, "--person", f"{ACCEPTS},{CANCELS},{WRONG_PIN}"]
    for model in models:
        argv += ["--key", model]
    rows = json.loads(run(argv, timeout=120)[0])
    return {name(row): {**row, "error": row.get("error")} for row in rows}
