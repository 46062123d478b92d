"""What several scenarios do with Debian's fido2-tools (libfido2 1.12)."""

from .proc import run, run_on_terminal
from .umockdev import NODE


def set_pin(bus, pin):
    """fido2-token -S"""
    run_on_terminal(
        ["fido2-token", "-S", NODE],
        [("Enter new PIN", pin), ("Enter the same PIN again", pin)],
        env=bus.env,
    )


def info(bus):
    """fido2-token -I: authenticatorGetInfo and the PIN tries left, as text."""
    return run(["fido2-token", "-I", NODE], env=bus.env)[0]
