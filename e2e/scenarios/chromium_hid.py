"""Debian's Chromium, unmodified, with the software key as its USB security key, on the demo page.

Chromium's own Linux HID code and its own CTAP speak with the key over a mocked bus. Its PIN dialogs are
native windows, read through AT-SPI and typed into with the keyboard.
"""

from harness.demo import Demo
from harness.desktop import Desktop
from harness.libfido2 import set_pin
from harness.page import Page
from harness.scenario import expect, main, scenario
from harness.webdriver import Browser

PIN = "Tr1angle"


@scenario
def without_a_pin(t):
    """A key without a PIN, "if set": a touch is enough for registering and signing in (headless)."""
    key, bus, demo = t.key(), t.bus(), t.use(Demo(t.work))
    bus.attach(key.socket)
    browser = t.use(Browser(t.work, env=bus.env))
    page = Page(browser, demo)
    page.answer_with_browser()
    page.account("kim")
    page.ask("if-set")
    for button in ("register", "sign-in"):
        ceremony = page.result(page.start(button))
        browser.screenshot(t.pictures / f"{button}.png", whole=True)
        expect(ceremony["outcome"] == "accepted", f"{button}: {ceremony['outcome']}: {page.result_text()}")
        flags = page.flags()
        expect((flags["UP"], flags["UV"]) == ("true", "false"), f"{button}: the page shows {flags}")
    expect(min(bus.reports) > 0, f"no reports passed: {bus.reports}")


@scenario
def with_a_pin(t):
    """A key with a PIN, "always": Chromium asks for the PIN in its own dialog, a wrong one too."""
    key, bus, demo = t.key(), t.bus(), t.use(Demo(t.work))
    bus.attach(key.socket)
    set_pin(bus, PIN)
    desktop = t.use(Desktop(t.work, bus.env))
    dialogs = desktop.dialogs()
    browser = t.use(Browser(t.work, env=desktop.env, headless=False, flags=["--force-renderer-accessibility"]))
    page = Page(browser, demo)
    page.answer_with_browser()
    page.account("kim")
    page.ask("always")

    before = page.start("register")
    dialogs.wait_for_text("Enter the PIN for your security key")
    desktop.picture(t.pictures / "1-register-pin.png")
    dialogs.type_passwords(PIN)
    dialogs.press("Next")
    ceremony = page.result(before)
    expect(ceremony["outcome"] == "accepted", f"registering: {ceremony['outcome']}: {page.result_text()}")
    expect(page.flags()["UV"] == "true", f"registering: the page shows {page.flags()}")

    before = page.start("sign-in")
    dialogs.wait_for_text("Enter the PIN for your security key")
    dialogs.type_passwords("wrong one")
    dialogs.press("Next")
    dialogs.wait_for_text("Incorrect PIN")
    desktop.picture(t.pictures / "2-sign-in-wrong-pin.png")
    dialogs.type_passwords(PIN)
    dialogs.press("Next")
    ceremony = page.result(before)
    desktop.picture(t.pictures / "3-signed-in.png")
    expect(ceremony["outcome"] == "accepted", f"signing in: {ceremony['outcome']}: {page.result_text()}")
    expect(page.flags()["UV"] == "true", f"signing in: the page shows {page.flags()}")


@scenario
def a_pin_is_created_in_the_flow(t):
    """A key without a PIN, "always": Chromium has one made while registering, in its own dialog."""
    key, bus, demo = t.key(), t.bus(), t.use(Demo(t.work))
    bus.attach(key.socket)
    desktop = t.use(Desktop(t.work, bus.env))
    dialogs = desktop.dialogs()
    browser = t.use(Browser(t.work, env=desktop.env, headless=False, flags=["--force-renderer-accessibility"]))
    page = Page(browser, demo)
    page.answer_with_browser()
    page.account("kim")
    page.ask("always")
    before = page.start("register")
    dialogs.wait_for_text("Set up a new PIN for your security key")
    desktop.picture(t.pictures / "1-create-pin.png")
    dialogs.type_passwords(PIN, PIN)
    dialogs.press("Next")
    ceremony = page.result(before)
    expect(ceremony["outcome"] == "accepted", f"registering: {ceremony['outcome']}: {page.result_text()}")
    expect(page.flags()["UV"] == "true", f"the page shows {page.flags()}")


if __name__ == "__main__":
    main()
