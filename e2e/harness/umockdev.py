"""A USB bus with one security key on it, as the clients' own Linux code sees it.

umockdev preloads a library into the client that answers for /sys, udev and the hidraw ioctls; the
device node itself is a pseudo-terminal. A client writes 65 bytes (report number 0 and a report) and
reads 64; `Bus` passes the reports on to the key's Unix socket. What runs is the unmodified client.

Only one client may have the node open at a time: two openers would steal each other's reports.
"""

import os
import select
import shutil
import socket
import subprocess
import termios
import threading
import tty
from pathlib import Path

from .proc import Failed, Process, Skip, wait_for

REPORT = 64
PRELOAD = "libumockdev-preload.so.0"

# CTAP 2.3 §11.2.8.1: usage page 0xF1D0, usage 1, one 64-byte input and one 64-byte output report.
REPORT_DESCRIPTOR = bytes.fromhex(
    "06d0f1 0901 a101 0920 1500 26ff00 7508 9540 8102 0921 1500 26ff00 7508 9540 9102 c0"
)
# A test id of pid.codes: no product on the market has it.
VENDOR, PRODUCT = 0x1209, 0x0001
NODE = "/dev/hidraw0"


def description():
    """The bus in umockdev's format: host controller, device, interface, HID device, hidraw node."""
    usb = "/devices/pci0000:00/0000:00:01.0/usb1/1-1"
    hid = f"{usb}/1-1:1.0/0003:{VENDOR:04X}:{PRODUCT:04X}.0001"
    configuration = "0902290001010080320904000002030000000921110100012222000705810340000507050103400005"
    device = f"12010002000000400912{PRODUCT & 0xFF:02x}{PRODUCT >> 8:02x}0001010203 01".replace(" ", "")
    return f"""\
P: {hid}/hidraw/hidraw0
N: hidraw0
E: DEVNAME={NODE}
E: MAJOR=240
E: MINOR=0
E: SUBSYSTEM=hidraw
E: ID_FIDO_TOKEN=1
E: ID_SECURITY_TOKEN=1
E: TAGS=:seat:uaccess:security-device:
A: dev=240:0\\n
L: device=../../../0003:{VENDOR:04X}:{PRODUCT:04X}.0001

P: {hid}
E: DRIVER=hid-generic
E: HID_ID=0003:{VENDOR:08X}:{PRODUCT:08X}
E: HID_NAME=Pinward Software Key
E: HID_PHYS=usb-0000:00:01.0-1/input0
E: HID_UNIQ=
E: MODALIAS=hid:b0003g0001v{VENDOR:08X}p{PRODUCT:08X}
E: SUBSYSTEM=hid
H: report_descriptor={REPORT_DESCRIPTOR.hex().upper()}

P: {usb}/1-1:1.0
E: DEVTYPE=usb_interface
E: DRIVER=usbhid
E: PRODUCT={VENDOR:x}/{PRODUCT:x}/100
E: TYPE=0/0/0
E: INTERFACE=3/0/0
E: SUBSYSTEM=usb
A: bInterfaceClass=03\\n
A: bInterfaceNumber=00\\n
A: bInterfaceProtocol=00\\n
A: bInterfaceSubClass=00\\n
A: bNumEndpoints=02\\n

P: {usb}
N: bus/usb/001/002={device}{configuration}
E: DEVNAME=/dev/bus/usb/001/002
E: DEVTYPE=usb_device
E: DRIVER=usb
E: PRODUCT={VENDOR:x}/{PRODUCT:x}/100
E: TYPE=0/0/0
E: BUSNUM=001
E: DEVNUM=002
E: MAJOR=189
E: MINOR=1
E: SUBSYSTEM=usb
E: ID_VENDOR=Pinward
E: ID_MODEL=Software_Key
A: bcdDevice=0100\\n
A: busnum=1\\n
A: devnum=2\\n
A: idVendor={VENDOR:04x}\\n
A: idProduct={PRODUCT:04x}\\n
A: manufacturer=Pinward\\n
A: product=Software Key\\n
A: speed=12\\n
"""


def ioctls():
    """What the hidraw ioctls answer. umockdev copies the whole structure of HIDIOCGRDESC (4100 bytes)."""
    size = len(REPORT_DESCRIPTOR).to_bytes(4, "little")
    info = (3).to_bytes(4, "little") + VENDOR.to_bytes(2, "little") + PRODUCT.to_bytes(2, "little")
    lines = [
        f"@DEV {NODE}",
        f"HIDIOCGRDESCSIZE 0 {size.hex().upper()}",
        f"HIDIOCGRDESC 0 {(size + REPORT_DESCRIPTOR.ljust(4096, bytes(1))).hex().upper()}",
        f"HIDIOCGRAWINFO 0 {info.hex().upper()}",
    ]
    return "\n".join(lines) + "\n"


class Bus:
    """The mocked bus. `env` is what a client must be started with; `attach` puts a key on it."""

    def __init__(self, work):
        if not shutil.which("umockdev-run"):
            raise Skip("umockdev is not installed")
        self.work = Path(work)
        (self.work / "key.umockdev").write_text(description())
        (self.work / "key.ioctl").write_text(ioctls())
        # The test bed lives as long as this child's standard input is open.
        self.bed = Process(
            "umockdev",
            ["umockdev-run", "-d", self.work / "key.umockdev", "-i", f"{NODE}={self.work / 'key.ioctl'}",
             "--", "sh", "-c", 'printf "%s\\n" "$UMOCKDEV_DIR"; cat >/dev/null'],
            self.work,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        line = self.bed.child.stdout.readline().decode().strip()
        if not line:
            raise Failed(f"umockdev-run gave no test bed:\n{self.bed.text()}")
        self.dir = line
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        mode = termios.tcgetattr(self.slave)
        # One read gives one report, as a hidraw node does.
        mode[6][termios.VMIN] = REPORT
        mode[6][termios.VTIME] = 0
        termios.tcsetattr(self.slave, termios.TCSANOW, mode)
        self._link(os.ttyname(self.slave))
        self._stop_read, self._stop_write = os.pipe()
        self._relay = None
        self.reports = [0, 0]  # client to key, key to client

    @property
    def env(self):
        return {**os.environ, "LD_PRELOAD": PRELOAD, "UMOCKDEV_DIR": self.dir, "LC_ALL": "C.UTF-8"}

    def attach(self, socket_path):
        """Connects the node with a key that takes bare reports on a Unix socket."""
        self.detach()
        termios.tcflush(self.slave, termios.TCIOFLUSH)
        key = socket.socket(socket.AF_UNIX)
        wait_for(f"the key's socket {socket_path}", lambda: _connect(key, socket_path))
        self._relay = threading.Thread(target=self._pump, args=(key,), daemon=True)
        self._relay.start()

    def point_at(self, terminal):
        """Makes the node a terminal that the key serves itself (`--report-pipe`)."""
        self.detach()
        self._link(terminal)

    def _link(self, terminal):
        node = Path(self.dir) / "dev" / Path(NODE).name
        node.unlink(missing_ok=True)
        node.symlink_to(terminal)

    def detach(self):
        if self._relay:
            os.write(self._stop_write, b".")
            self._relay.join(5)
            os.read(self._stop_read, 1)
            self._relay = None

    def _pump(self, key):
        from_client, from_key = b"", b""
        with key:
            while True:
                ready, _, _ = select.select([self.master, key, self._stop_read], [], [])
                if self._stop_read in ready:
                    return
                if self.master in ready:
                    from_client += os.read(self.master, 4096)
                    while len(from_client) >= REPORT + 1:
                        key.sendall(from_client[1 : REPORT + 1])
                        from_client = from_client[REPORT + 1 :]
                        self.reports[0] += 1
                if key in ready:
                    got = key.recv(4096)
                    if not got:  # the key has gone; wait to be told so
                        select.select([self._stop_read], [], [])
                        return
                    from_key += got
                    while len(from_key) >= REPORT:
                        os.write(self.master, from_key[:REPORT])
                        from_key = from_key[REPORT:]
                        self.reports[1] += 1

    def close(self):
        self.detach()
        self.bed.child.stdin.close()
        self.bed.child.stdout.close()
        self.bed.stop()
        for fd in (self.master, self.slave, self._stop_read, self._stop_write):
            os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _connect(key, path):
    try:
        key.connect(str(path))
        return True
    except (FileNotFoundError, ConnectionRefusedError):
        return False
