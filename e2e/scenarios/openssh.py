"""Debian's OpenSSH with the software key on a mocked USB bus: make a key, log in with it."""

from harness.libfido2 import set_pin
from harness.proc import run
from harness.scenario import expect, expect_in, main, scenario
from harness.sshd import Sshd
from harness.umockdev import NODE

PIN = "Tr1angle"


def askpass(t, bus, answer):
    """The environment in which ssh gets `answer` to each of its questions. SSH_ASKPASS reads a file."""
    t.file("answer", answer + "\n").chmod(0o600)
    program = t.file("askpass", f"#!/bin/sh\nexec cat {t.work}/answer\n")
    program.chmod(0o700)
    return {**bus.env, "SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":none"}


def make(t, env, *options):
    identity = t.file("id")
    for old in (identity, t.file("id.pub")):
        old.unlink(missing_ok=True)
    argv = ["ssh-keygen", "-vvv", "-t", "ed25519-sk", "-N", "", "-f", identity]
    for option in (f"device={NODE}", *options):
        argv += ["-O", option]
    run(argv, env=env)
    return identity, t.file("id.pub").read_text().strip()


@scenario
def logs_in_with_a_touch(t):
    """ssh-keygen -t ed25519-sk, then a login to sshd that nothing but the key allows."""
    key, bus, sshd = t.key(), t.bus(), t.use(Sshd(t.work))
    bus.attach(key.socket)
    identity, public = make(t, bus.env)
    expect_in("sk-ssh-ed25519@openssh.com", public)
    said, why, code = sshd.login(identity, "echo logged in", env=bus.env, ok=None)
    expect(code != 0 and "Permission denied" in why, f"sshd let an unknown key in: {said}{why}")
    sshd.authorize(public)
    said, _, _ = sshd.login(identity, "echo logged in", env=bus.env)
    expect_in("logged in", said, "ssh")


@scenario
def logs_in_with_a_pin(t):
    """-O verify-required: ssh asks for the PIN, and sshd insists on the verified flag."""
    key, bus, sshd = t.key(), t.bus(), t.use(Sshd(t.work))
    bus.attach(key.socket)
    env = askpass(t, bus, PIN)
    set_pin(bus, PIN)
    identity, public = make(t, env, "verify-required")
    sshd.authorize(public, "verify-required")
    said, _, _ = sshd.login(identity, "echo logged in", env=env)
    expect_in("logged in", said, "ssh")
    _, _, code = sshd.login(identity, "echo logged in", env=askpass(t, bus, "wrong one"), ok=None)
    expect(code != 0, "a wrong PIN logged in")


@scenario
def a_verified_login_is_insisted_on(t):
    """A key made without verify-required cannot log in where authorized_keys demands it."""
    key, bus, sshd = t.key(), t.bus(), t.use(Sshd(t.work))
    bus.attach(key.socket)
    identity, public = make(t, bus.env)
    sshd.authorize(public, "verify-required")
    said, why, code = sshd.login(identity, "echo logged in", env=bus.env, ok=None)
    expect(code != 0, f"sshd let an unverified signature in: {said}{why}")


if __name__ == "__main__":
    main()
