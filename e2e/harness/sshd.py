"""An sshd of our own: on loopback, from a folder of its own, for one key."""

import getpass
import os
import shutil
from pathlib import Path

from .proc import Process, Skip, free_port, port_open, run, wait_for


class Sshd:
    def __init__(self, work):
        program = shutil.which("sshd") or "/usr/sbin/sshd"
        if not os.path.exists(program):
            raise Skip("openssh-server is not installed")
        self.work = Path(work)
        self.port = free_port()
        self.user = getpass.getuser()
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)  # sshd wants its empty folder when it is root
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.work / "host"])
        self.authorized = self.work / "authorized_keys"
        self.authorized.write_text("")
        (self.work / "known_hosts").write_text(
            f"[127.0.0.1]:{self.port} {(self.work / 'host.pub').read_text()}"
        )
        config = self.work / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.work}/host\n"
            f"AuthorizedKeysFile {self.authorized}\nPidFile none\nUsePAM no\nStrictModes no\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
            "LogLevel VERBOSE\n"
        )
        self.process = Process("sshd", [program, "-D", "-e", "-f", config], self.work)
        wait_for("sshd", lambda: port_open(self.port), 10)

    def authorize(self, public_key, options=""):
        """Lets this key in, with the options of authorized_keys(5), e.g. verify-required."""
        line = f"{options} {public_key}".strip()
        self.authorized.write_text(line + "\n")

    def login(self, identity, command, *, env, ok=(0,), extra=()):
        """Logs in with this key and no other way, and runs a command. Gives (stdout, stderr, code)."""
        return run(
            ["ssh", "-F", "none", "-p", str(self.port), "-i", identity,
             "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=no",
             "-o", "PreferredAuthentications=publickey", "-o", "StrictHostKeyChecking=yes",
             "-o", f"UserKnownHostsFile={self.work}/known_hosts", "-o", "ConnectTimeout=10", *extra,
             f"{self.user}@127.0.0.1", command],
            env=env,
            ok=ok,
            timeout=40,
        )

    def close(self):
        self.process.stop()
