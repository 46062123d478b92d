"""Debian's Chromium on the demo page, with the key and the platform that the page simulates.

Each is a running software key and a running client behind the page. What is asked is answered in the
page's panel, as a person would.
"""

from harness.demo import Demo
from harness.looks import fits, look
from harness.page import Page, by_id
from harness.proc import wait_for
from harness.scenario import expect, expect_in, main, scenario
from harness.webdriver import Browser

BEFORE = "windows-11-before-kb5065789"
AFTER = "windows-11-after-kb5068861"
WINDOWS_10 = "windows-10-22h2"
CHROMIUM = "chromium-linux"
KEY = "fido-2.1"
PIN = "Tr1angle"
# The one that the page gives to keys that come with a PIN, and says so.
GIVEN_PIN = "1234"


def open_page(t, **options):
    demo = t.use(Demo(t.work))
    browser = t.use(Browser(t.work, **options))
    return browser, Page(browser, demo)


def register_without_a_pin(page, name):
    """Gives the key a credential without giving it a PIN: the site says "never"."""
    page.answer_with(CHROMIUM, KEY, "no-pin")
    page.account(name)
    page.ask("never")
    before = page.start("register")
    page.touch()
    ceremony = page.result(before)
    expect(ceremony["outcome"] == "accepted", f"registering with \"never\": {ceremony['outcome']}")


@scenario
def before_the_update_nothing_is_asked(t):
    """Windows 11 before KB5065789, sign-in, "if set", a key without a PIN: a touch, and no PIN."""
    browser, page = open_page(t)
    register_without_a_pin(page, "kim")
    page.answer_with(BEFORE, KEY, "no-pin")
    page.ask("if-set")
    before = page.start("sign-in")
    page.dialog("touch")
    browser.screenshot(t.pictures / "1-touch.png", whole=True)
    page.touch()
    ceremony = page.result(before)
    browser.screenshot(t.pictures / "2-result.png", whole=True)
    expect(ceremony["outcome"] == "accepted", f"signing in: {ceremony['outcome']}")
    expect(ceremony["client"]["report"]["steps"] == ["touch"], f"steps: {ceremony['client']['report']['steps']}")
    expect_in("No PIN is asked", page.headline())
    expect(page.flags()["UV"] == "false", f"the page shows {page.flags()}")


@scenario
def after_the_update_a_pin_is_created(t):
    """Windows 11 after KB5068861, the same sign-in: a PIN has to be created in the middle of it."""
    browser, page = open_page(t)
    register_without_a_pin(page, "kim")
    page.answer_with(AFTER, KEY, "no-pin")
    page.ask("if-set")
    before = page.start("sign-in")
    page.dialog("create-pin")
    browser.screenshot(t.pictures / "1-create-pin.png", whole=True)
    page.reload()
    page.dialog("create-pin")  # the dialog survives a reload
    page.create_pin(PIN)
    page.touch()
    ceremony = page.result(before)
    browser.screenshot(t.pictures / "2-result.png", whole=True)
    expect(ceremony["outcome"] == "accepted", f"signing in: {ceremony['outcome']}")
    steps = ceremony["client"]["report"]["steps"]
    expect(steps == ["create-pin", "touch"], f"steps: {steps}")
    expect_in("A PIN has to be created", page.headline())
    expect_in("KB50", page.result_text(), "the reasons")
    expect(page.flags()["UV"] == "true", f"the page shows {page.flags()}")
    expect(PIN not in str(ceremony), "the PIN stands in the exchange that the page shows")
    # What the page says of the next time goes by the key as it is by now.
    expect_in("The PIN is asked", browser.text(by_id("answer")), "the answer at the top")


@scenario
def registering_on_windows_before_the_update(t):
    """Before the update Windows set a PIN up when registering with "if set", and asked nothing at sign-in."""
    browser, page = open_page(t)
    page.answer_with(BEFORE, KEY, "no-pin")
    page.account("kim")
    page.ask("if-set")
    before = page.start("register")
    page.create_pin(PIN)
    page.touch()
    ceremony = page.result(before)
    browser.screenshot(t.pictures / "result.png", whole=True)
    expect(ceremony["outcome"] == "accepted", f"registering: {ceremony['outcome']}")
    steps = ceremony["client"]["report"]["steps"]
    expect(steps == ["create-pin", "touch"], f"steps: {steps}")


@scenario
def windows_10_loops_with_always_uv(t):
    """Windows 10 22H2, "never", a key with alwaysUv and a PIN: touches for ever, found and named as a loop."""
    browser, page = open_page(t)
    page.answer_with(CHROMIUM, KEY, "always-uv-pin-set")
    page.account("kim")
    page.ask("never")
    before = page.start("register")
    answer_dialogs(page)
    expect(page.result(before)["outcome"] == "accepted", "registering failed")
    page.answer_with(WINDOWS_10, KEY, "always-uv-pin-set")
    before = page.start("sign-in")
    answered = answer_dialogs(page)
    ceremony = page.result(before)
    browser.screenshot(t.pictures / "loop.png", whole=True)
    report = ceremony["client"]["report"]
    expect(report["ended"] == "loop", f"it ended with {report['ended']} after {answered}")
    expect_in("repeat for ever", page.headline())
    reasons = " ".join(reason["fact"] for reason in report["reasons"])
    expect_in("loop", reasons.lower() + page.result_text().lower(), "the reasons")


def answer_dialogs(page, most=40):
    """Answers whatever is asked until nothing is; gives what that was."""
    answered = []
    number = None
    for _ in range(most):
        state = wait_for("a dialog or the end", lambda: dialog_or_end(page, number), 15, every=0.05)
        if state == "end":
            return answered
        kind, number = state
        answered.append(kind)
        if kind == "touch":
            page.touch()
        elif kind == "enter-pin":
            page.enter_pin(GIVEN_PIN)
        elif kind == "create-pin":
            page.create_pin(PIN)
        else:
            raise AssertionError(f"no answer to {kind}")
    return answered


def dialog_or_end(page, last):
    state = page.browser.run(
        "if (document.body.dataset.busy !== undefined) return null;"
        "const d = document.querySelector('[data-testid=\"dialog\"]');"
        "return d ? [d.dataset.prompt, d.dataset.number] : 'end';"
    )
    return None if state and state != "end" and state[1] == last else state


@scenario
def two_visitors_do_not_meet(t):
    """What one visitor has done is nowhere on another one's page."""
    demo = t.use(Demo(t.work))
    first = t.use(Browser(t.work))
    page = Page(first, demo)
    register_without_a_pin(page, "secret-name")
    second = t.use(Browser(t.work))
    other = Page(second, demo)
    session = other.session()
    expect(session["accounts"] == [] and session["ceremonies"] == [], f"another visitor sees {session}")
    expect("secret-name" not in second.run("return document.body.innerText"), "the name is on the other page")


def show_in(t, look_of, width, height, **how):
    """The story of the update in this look, each step a picture, and nothing wide, cut off or pale in it."""
    demo, browser = t.use(Demo(t.work)), t.use(Browser(t.work))
    browser.appear(width, height, **how)
    page = Page(browser, demo)

    def picture(name):
        browser.screenshot(t.pictures / f"{look_of}-{name}.png", whole=True)
        look(browser, f"{look_of}, {name}")

    def dialog(name):
        # The window as it is, before the picture of the whole page moves it.
        fits(browser, '[data-testid="dialog"]', f"{look_of}, {name}")
        browser.screenshot(t.pictures / f"{look_of}-{name}-window.png")
        picture(name)

    picture("1-start")
    register_without_a_pin(page, "kim")
    page.answer_with(AFTER, KEY, "no-pin")
    page.ask("if-set")
    before = page.start("sign-in")
    page.dialog("create-pin")
    dialog("2-create-pin")
    page.create_pin(PIN)
    page.dialog("touch")
    dialog("3-touch")
    page.touch()
    page.result(before)
    picture("4-accepted")
    before = page.start("sign-in")
    page.enter_pin("wrong one")
    browser.wait_for('[data-testid="dialog-error"]:not(:empty)')
    dialog("5-wrong-pin")
    browser.click('[data-testid="dialog-cancel"]')
    page.result(before)
    browser.run("for (const d of document.querySelectorAll('details')) d.open = true;")
    picture("6-cancelled-all-open")
    page.reload()
    page.answer_with_browser()
    picture("7-own-key")


@scenario
def on_a_desktop(t):
    """Pictures of each step on a desktop, light; nothing is too wide, cut off or too pale."""
    show_in(t, "desktop", 1280, 900)


@scenario
def on_a_desktop_in_the_dark(t):
    """The same in the dark."""
    show_in(t, "desktop-dark", 1280, 900, dark=True)


@scenario
def on_a_phone(t):
    """The same on a small phone; its dialogs fit its screen."""
    show_in(t, "phone", 360, 740, phone=True)


@scenario
def on_a_phone_in_the_dark(t):
    """The same on a phone in the dark."""
    show_in(t, "phone-dark", 390, 844, phone=True, dark=True)


if __name__ == "__main__":
    main()
