"""The demo page, as a person uses it: by its controls and its dialogs."""

from .proc import Failed, wait_for


def by_id(testid):
    return f'[data-testid="{testid}"]'


class Page:
    def __init__(self, browser, demo):
        self.browser = browser
        browser.get(demo.url + "/")
        browser.wait_for("body[data-ready]", 20)

    def reload(self):
        self.browser.reload()
        self.browser.wait_for("body[data-ready]", 20)

    def pick(self, testid):
        """Chooses a radio button or switches a switch; its own label is what a person hits."""
        ok = self.browser.run(
            "const e = document.querySelector(arguments[0]); if (!e) return false; e.click(); return true;",
            by_id(testid),
        )
        if not ok:
            raise Failed(f"the page has no {testid}")

    def ask(self, policy, *, discoverable=False):
        """The site's part: never, if-set or always; discoverable or not."""
        self.pick(f"policy-{policy}")
        if self.browser.run(f"return document.querySelector('{by_id('discoverable')}').checked") != discoverable:
            self.pick("discoverable")

    def answer_with_browser(self):
        self.pick("way-browser")

    def answer_with(self, platform, key, state):
        """The key and the platform that the page simulates."""
        self.pick("way-simulation")
        self.browser.select(by_id("key"), key)
        self.browser.select(by_id("key-state"), state)
        self.browser.select(by_id("platform"), platform)

    def account(self, name):
        self.browser.type(by_id("user-name"), name)

    def start(self, button):
        """Presses `register` or `sign-in` and gives what tells its result from earlier ones."""
        before = [c["id"] for c in self.session()["ceremonies"]]
        self.browser.click(by_id(button))
        return before

    def session(self):
        return self.browser.run_async("return await (await fetch('/api/session')).json()")

    def result(self, before, seconds=30):
        """The ceremony as the service keeps it, once it has ended and the page shows it."""

        def ended():
            for ceremony in self.session()["ceremonies"]:
                if ceremony["id"] not in before and ceremony["outcome"] in ("accepted", "refused", "failed"):
                    return ceremony["id"]
            notice = self.browser.text(by_id("notice"))
            if notice and self.browser.run("return document.body.dataset.busy === undefined"):
                raise Failed(f"the page says: {notice}")
            return None

        found = wait_for("the ceremony to end", ended, seconds, every=0.1)
        wait_for("the result on the page", lambda: self.browser.run(
            "return document.body.dataset.busy === undefined"
            " && document.querySelector('[data-testid=\"headline\"]') !== null"), 10)
        return self.browser.run_async(
            "return await (await fetch('/api/ceremonies/' + encodeURIComponent(arguments[0]))).json()", found
        )

    def headline(self):
        return self.browser.text(by_id("headline"))

    def result_text(self):
        return self.browser.text(by_id("result-body"))

    def flags(self):
        """What the page shows of the flags: {"UP": "true", "UV": "false", ...}."""
        return self.browser.run(
            "return Object.fromEntries([...document.querySelectorAll('[data-testid=\"verdict\"] [data-flag]')]"
            ".map((e) => [e.dataset.flag, e.dataset.set]))"
        )

    def accepted(self):
        """Whether the page says that the relying party accepts."""
        return self.browser.run(
            "return document.querySelector('[data-testid=\"verdict\"]')?.dataset.accepted === 'true'"
        )

    # The simulated system dialog.

    def dialog(self, kind, seconds=15):
        self.browser.wait_for(f'[data-testid="dialog"][data-prompt="{kind}"]', seconds)

    def touch(self):
        self.dialog("touch")
        self.browser.click(by_id("dialog-touch"))

    def enter_pin(self, pin):
        self.dialog("enter-pin")
        self.browser.type(by_id("dialog-pin"), pin)
        self.browser.click(by_id("dialog-ok"))

    def create_pin(self, pin):
        self.dialog("create-pin")
        self.browser.type(by_id("dialog-new-pin"), pin)
        self.browser.type(by_id("dialog-repeat-pin"), pin)
        self.browser.click(by_id("dialog-ok"))

    def dialog_kind(self):
        """The kind of the open dialog, or None."""
        return self.browser.run("return document.querySelector('[data-testid=\"dialog\"]')?.dataset.prompt ?? null")
