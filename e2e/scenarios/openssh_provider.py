"""Debian's OpenSSH with `libpinward_sk.so` as its SecurityKeyProvider: no USB, the key is on a Unix socket."""

import os
from pathlib import Path

from harness.key import PROGRAM
from harness.proc import Failed, Process, run, wait_for
from harness.scenario import expect, expect_in, main, scenario
from harness.sshd import Sshd

PROVIDER = Path(os.environ.get("PINWARD_SK", PROGRAM.parent / "libpinward_sk.so"))
PIN = "Tr1angle"


class Ssh:
    """OpenSSH's programs in front of one key. Their questions are answered by an askpass program, which
    takes one line of a file for each and keeps what it was asked."""

    def __init__(self, t, key):
        if not PROVIDER.exists():
            raise Failed(f"{PROVIDER} is not built: `cargo build -p sk`")
        self.t, self.key = t, key
        program = t.file("askpass", (
            # ssh also has it show "Confirm user presence", which is no question.
            "#!/bin/sh\n[ \"$SSH_ASKPASS_PROMPT\" = none ] && exit\n"
            f"printf '%s\\n' \"$1\" >>{t.work}/asked\n"
            f"head -n 1 {t.work}/answers\nsed -i 1d {t.work}/answers\n"
        ))
        program.chmod(0o700)
        self.env = {
            **os.environ, "SSH_SK_PROVIDER": str(PROVIDER), "PINWARD_KEYS": f"unix:{key.socket}",
            "SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":none", "LC_ALL": "C.UTF-8",
        }
        self.answer()

    def answer(self, *lines):
        """What is typed from now on."""
        self.t.file("answers", "".join(f"{line}\n" for line in lines)).chmod(0o600)
        self.t.file("asked", "")

    def asked(self):
        return self.t.file("asked").read_text().splitlines()

    def keygen(self, *options, type_="ed25519-sk", ok=(0,)):
        """ssh-keygen; gives (the identity file, the public key, what it said, its exit code)."""
        identity = self.t.file("id")
        for old in (identity, self.t.file("id.pub")):
            old.unlink(missing_ok=True)
        argv = ["ssh-keygen", "-t", type_, "-N", "", "-f", identity]
        for option in options:
            argv += ["-O", option]
        out, err, code = run(argv, env=self.env, ok=ok)
        public = self.t.file("id.pub").read_text().strip() if code == 0 else None
        return identity, public, out + err, code

    def login(self, sshd, identity, ok=(0,)):
        extra = ["-o", f"SecurityKeyProvider={PROVIDER}"]
        return sshd.login(identity, "echo logged in", env=self.env, ok=ok, extra=extra)


def pin_set(key, pin):
    """`pinward pin set`, as its user would."""
    run([PROGRAM, "pin", "set", "--device", f"unix:{key.socket}", "--new-pin", "stdin"], stdin=f"{pin}\n")


@scenario
def logs_in_with_a_touch(t):
    """Both types of key, made and used over the provider; -O no-touch-required spares the touch."""
    key, sshd = t.key(), t.use(Sshd(t.work))
    ssh = Ssh(t, key)
    for type_ in ("ed25519-sk", "ecdsa-sk"):
        identity, public, _, _ = ssh.keygen(f"device=unix:{key.socket}", type_=type_)
        expect_in("sk-", public)
        sshd.authorize(public)
        expect_in("logged in", ssh.login(sshd, identity)[0], type_)
    identity, public, _, _ = ssh.keygen("no-touch-required")
    sshd.authorize(public)
    expect(ssh.login(sshd, identity, ok=None)[2] != 0, "sshd let in without a touch, and was not told to")
    sshd.authorize(public, "no-touch-required")
    expect_in("logged in", ssh.login(sshd, identity)[0], "no-touch-required")
    expect(ssh.asked() == [], f"somebody was asked: {ssh.asked()}")
    key.close()
    _, why, code = ssh.login(sshd, identity, ok=None)
    expect(code != 0, "logged in without the key")
    expect_in("there is no security key", why)


@scenario
def a_pin_just_created_logs_in(t):
    """-O verify-required on a key without a PIN: one is created on the spot, and opens the login."""
    key, sshd = t.key(), t.use(Sshd(t.work))
    ssh = Ssh(t, key)
    ssh.answer(PIN, "Tr1angel")
    _, _, said, code = ssh.keygen("verify-required", ok=None)
    expect(code != 0, "a PIN was set from two entries that differ")
    expect_in("the two entries differ", said)
    ssh.answer(PIN, PIN)
    identity, public, _, _ = ssh.keygen("verify-required")
    asked = ssh.asked()
    expect(len(asked) == 2 and "has no PIN yet" in asked[0] and "again" in asked[1], f"asked: {asked}")
    sshd.authorize(public, "verify-required")
    ssh.answer(PIN)
    expect_in("logged in", ssh.login(sshd, identity)[0], "ssh")
    expect(len(ssh.asked()) == 1, f"asked: {ssh.asked()}")
    # A power cycle later it is still that key's PIN.
    key.restart()
    ssh.answer(PIN)
    expect_in("logged in", ssh.login(sshd, identity)[0], "ssh after a power cycle")


@scenario
def the_pin_of_a_key_is_asked_for(t):
    """A key with a PIN: ssh-keygen and ssh ask, a wrong PIN is told with the tries left and asked again."""
    key, sshd = t.key(), t.use(Sshd(t.work))
    pin_set(key, PIN)
    ssh = Ssh(t, key)
    ssh.answer("wrong one", PIN)
    identity, public, said, _ = ssh.keygen("verify-required")
    expect_in("wrong PIN; tries left: 7", said)
    expect(len(ssh.asked()) == 2 and all("PIN" in line for line in ssh.asked()), f"asked: {ssh.asked()}")
    sshd.authorize(public, "verify-required")
    ssh.answer("wrong one", "wrong one")
    _, why, code = ssh.login(sshd, identity, ok=None)
    expect(code != 0, "a wrong PIN logged in")
    expect_in("tries left", why)
    ssh.answer(PIN)
    expect_in("logged in", ssh.login(sshd, identity)[0], "ssh")
    # A signature without its user verified does not pass where authorized_keys insists on it.
    ssh.answer(PIN)
    identity, public, _, _ = ssh.keygen("application=ssh:plain")
    sshd.authorize(public, "verify-required")
    expect(ssh.login(sshd, identity, ok=None)[2] != 0, "sshd let an unverified signature in")


@scenario
def resident_keys_come_back(t):
    """-O resident, then on another machine ssh-keygen -K and ssh-add -K: the agent logs in with them."""
    key, sshd = t.key(), t.use(Sshd(t.work))
    pin_set(key, PIN)
    ssh = Ssh(t, key)
    ssh.answer(PIN)
    _, public, _, _ = ssh.keygen("resident", "user=kim")
    # A second one for the same application and user would replace the first: ssh-keygen asks.
    ssh.answer(PIN)
    _, _, said, code = ssh.keygen("resident", "user=kim", ok=None)
    expect(code != 0, "a resident key was replaced without a question")
    sshd.authorize(public)
    elsewhere = t.file("elsewhere")
    elsewhere.mkdir()
    ssh.answer(PIN, "", "")
    run(["ssh-keygen", "-K", "-N", ""], env=ssh.env, cwd=elsewhere)
    found = [path.read_text().split() for path in elsewhere.glob("*.pub")]
    expect(len(found) == 1 and found[0][1] == public.split()[1], f"ssh-keygen -K brought {found}, not {public}")
    identity = next(path for path in elsewhere.iterdir() if path.suffix != ".pub")
    expect_in("kim", identity.name)
    expect_in("logged in", ssh.login(sshd, identity)[0], "ssh with the key of ssh-keygen -K")
    _agent_logs_in(t, ssh, sshd, public)


def _agent_logs_in(t, ssh, sshd, public):
    """ssh-add -K puts the key into an agent, which signs with it."""
    socket = t.file("agent")
    argv = ["ssh-agent", "-D", "-a", socket, "-P", str(PROVIDER.resolve())]
    t.use(_Closing(Process("ssh-agent", argv, t.work, env=ssh.env)))
    wait_for("the agent's socket", socket.exists)
    env = {**ssh.env, "SSH_AUTH_SOCK": str(socket)}
    ssh.answer("wrong one")
    expect(run(["ssh-add", "-K"], env=env, ok=None)[2] != 0, "a wrong PIN opened the list of resident keys")
    ssh.answer(PIN)
    run(["ssh-add", "-K"], env=env)
    expect_in(public.split()[1], run(["ssh-add", "-L"], env=env)[0], "ssh-add -L")
    said, _, _ = run(
        ["ssh", "-F", "none", "-p", str(sshd.port), "-o", "IdentityAgent=SSH_AUTH_SOCK",
         "-o", "PreferredAuthentications=publickey", "-o", f"UserKnownHostsFile={sshd.work}/known_hosts",
         "-i", "none", f"{sshd.user}@127.0.0.1", "echo logged in"], env=env, timeout=40)
    expect_in("logged in", said, "ssh with the agent")


class _Closing:
    def __init__(self, process):
        self.close = process.stop


if __name__ == "__main__":
    main()
