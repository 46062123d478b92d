"""A card reader without hardware: Debian's pcscd with the virtual reader of vsmartcard.

The reader listens on a fixed port (35963) and the daemon on a fixed socket, so that the whole
scenario moves into network and mount namespaces of its own, where nobody else has either.
"""

import gc
import os
import shutil
import socket
import subprocess
import sys

from .proc import Process, Skip, port_open, wait_for

PORT = 35963
SOCKET = "/run/pcscd/pcscd.comm"
_INSIDE = "PINWARD_E2E_NAMESPACE"


def in_namespace():
    """Starts this script again where the reader's port and socket are free. Call it first."""
    if os.environ.get(_INSIDE):
        return
    if subprocess.run(["unshare", "-n", "-m", "true"], capture_output=True, check=False).returncode != 0:
        return  # not allowed here; `Reader` says so if the port is taken
    script = 'ip link set lo up && mkdir -p /run/pcscd && mount -t tmpfs tmpfs /run/pcscd && exec "$@"'
    argv = ["unshare", "-n", "-m", "--propagation", "private", "sh", "-c", script, "sh", sys.executable, *sys.argv]
    os.execvpe(argv[0], argv, {**os.environ, _INSIDE: "1"})


class Reader:
    def __init__(self, work):
        if not shutil.which("pcscd") or not os.path.exists("/etc/reader.conf.d/vpcd"):
            raise Skip("pcscd and vsmartcard-vpcd are not installed")
        if port_open(PORT):
            raise Skip(f"somebody else has port {PORT}, and there are no private namespaces here")
        self.daemon = Process("pcscd", ["pcscd", "--foreground", "--info"], work)
        # The reader's port is open before the daemon takes clients.
        wait_for("the virtual reader", lambda: port_open(PORT), 10)
        wait_for("pcscd to take clients", _takes_clients, 10)

    def close(self):
        gc.collect()  # the card library says goodbye to the daemon when its objects go
        self.daemon.stop()


def _takes_clients():
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(SOCKET) == 0
