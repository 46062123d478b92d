"""Debian's Chromium on the demo page, with the virtual authenticator that is built into it.

WebDriver's virtual authenticators know user verification, but no PIN: they show what the relying party
concludes, not when a person is asked.
"""

from harness.demo import Demo
from harness.page import Page
from harness.scenario import expect, main, scenario
from harness.webdriver import Browser


def open_page(t):
    demo = t.use(Demo(t.work))
    browser = t.use(Browser(t.work))
    page = Page(browser, demo)
    page.answer_with_browser()
    return browser, page


def run(t, browser, page, name, policy, button):
    before = page.start(button)
    ceremony = page.result(before)
    browser.screenshot(t.pictures / f"{name}-{policy}-{button}.png", whole=True)
    return ceremony


@scenario
def a_verifying_authenticator(t):
    """It can verify and does: UV for "if set" and "always"; everything is accepted.

    "Never" does without when signing in. When registering it cannot: this authenticator has no
    makeCredUvNotRqd, so it wants its user verified for every new credential, and the relying party does
    not mind.
    """
    browser, page = open_page(t)
    browser.add_authenticator(hasUserVerification=True, isUserVerified=True)
    for policy, at_sign_in in (("never", "false"), ("if-set", "true"), ("always", "true")):
        page.account(f"kim-{policy}")
        page.ask(policy)
        for button, verified in (("register", "true"), ("sign-in", at_sign_in)):
            ceremony = run(t, browser, page, "verifying", policy, button)
            expect(ceremony["outcome"] == "accepted", f"{policy} {button}: {ceremony['outcome']} {ceremony}")
            flags = page.flags()
            expect(flags["UP"] == "true", f"{policy} {button}: the page shows {flags}")
            expect(flags["UV"] == verified, f"{policy} {button}: UV should be {verified}, the page shows {flags}")
            expect(page.accepted(), f"{policy} {button}: the page does not say that it was accepted")


@scenario
def an_authenticator_without_verification(t):
    """It cannot verify: "never" and "if set" are accepted without UV, "always" gets no credential."""
    browser, page = open_page(t)
    browser.add_authenticator(hasUserVerification=False)
    for policy in ("never", "if-set"):
        page.account(f"lee-{policy}")
        page.ask(policy)
        for button in ("register", "sign-in"):
            ceremony = run(t, browser, page, "without", policy, button)
            expect(ceremony["outcome"] == "accepted", f"{policy} {button}: {ceremony['outcome']}")
            expect(page.flags()["UV"] == "false", f"{policy} {button}: the page shows {page.flags()}")
    page.account("lee-always")
    page.ask("always")
    ceremony = run(t, browser, page, "without", "always", "register")
    expect(ceremony["outcome"] == "failed", f"always: {ceremony['outcome']}")
    expect(not page.accepted(), "the page says accepted, and there was no credential")


@scenario
def always_is_enforced_on_the_answer(t):
    """The policy is on the server: a page that quietly asks for less is refused, whatever it sends."""
    browser, page = open_page(t)
    browser.add_authenticator(hasUserVerification=False)
    # A tampered page: it hands the browser "discouraged" where the site said "required".
    browser.run(
        "const create = navigator.credentials.create.bind(navigator.credentials);"
        "navigator.credentials.create = (o) => {"
        " o.publicKey.authenticatorSelection = {...o.publicKey.authenticatorSelection, userVerification: 'discouraged'};"
        " return create(o); };"
    )
    page.account("mallory")
    page.ask("always")
    ceremony = run(t, browser, page, "tampered", "always", "register")
    expect(ceremony["outcome"] == "refused", f"a registration without UV was {ceremony['outcome']}")
    expect(not page.accepted(), "the page says accepted")
    expect(page.session()["accounts"] == [], f"an account was kept: {page.session()['accounts']}")


if __name__ == "__main__":
    main()
