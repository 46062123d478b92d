"""Debian's pam_u2f with the software key on a mocked USB bus: pamu2fcfg enrols, pamtester logs in."""

import getpass
import shutil

from harness.libfido2 import set_pin
from harness.proc import Skip, run
from harness.scenario import expect, expect_in, main, scenario

PIN = "Tr1angle"


class Pam:
    """A PAM service of our own. PAM reads /etc/pam.d: the command sees another folder there, in a mount
    namespace of its own."""

    def __init__(self, t, bus):
        for program in ("pamu2fcfg", "pamtester"):
            if not shutil.which(program):
                raise Skip(f"{program} is not installed")
        self.t, self.bus, self.user = t, bus, getpass.getuser()
        self.services = t.file("pam.d")
        self.services.mkdir()

    def enrol(self, *options, answer=None):
        argv = ["pamu2fcfg", "-o", "pam://pinward", "-i", "pam://pinward", "-u", self.user, *options]
        self.t.file("keys", run(argv, env=self.bus.env, stdin=answer)[0])

    def login(self, *options, answer=None):
        """Whether pam_u2f lets the user in, and what it said."""
        words = [f"authfile={self.t.work}/keys", "origin=pam://pinward", "appid=pam://pinward", "cue", *options]
        (self.services / "pinward").write_text(
            f"auth required pam_u2f.so {' '.join(words)}\naccount required pam_permit.so\n")
        script = f"mount --bind {self.services} /etc/pam.d && exec pamtester pinward {self.user} authenticate"
        out, err, code = run(["unshare", "--mount", "sh", "-c", script], env=self.bus.env, ok=None, stdin=answer)
        return code == 0, out + err


@scenario
def a_touch_logs_in(t):
    """Enrolled with pamu2fcfg, then a touch is enough; another key is not let in."""
    key, other, bus = t.key(), t.key("other"), t.bus()
    bus.attach(key.socket)
    pam = Pam(t, bus)
    pam.enrol()
    expect_in("es256,+presence", t.file("keys").read_text())
    entered, said = pam.login()
    expect(entered, f"not let in: {said}")
    expect_in("Please touch the device", said)
    bus.attach(other.socket)
    expect(not pam.login()[0], "another key was let in")


@scenario
def a_pin_is_insisted_on(t):
    """pinverification=1: a wrong PIN stays outside, the right one enters; a key without a PIN does not."""
    key, bus = t.key(), t.bus()
    bus.attach(key.socket)
    pam = Pam(t, bus)
    pam.enrol()
    expect(not pam.login("pinverification=1")[0], "a key without a PIN was let in where one is demanded")
    set_pin(bus, PIN)
    expect(not pam.login("pinverification=1", answer="wrong one\n")[0], "a wrong PIN was let in")
    entered, said = pam.login("pinverification=1", answer=f"{PIN}\n")
    expect(entered, f"the right PIN was not let in: {said}")
    expect_in("Please enter the PIN", said)


if __name__ == "__main__":
    main()
