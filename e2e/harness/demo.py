"""The relying party with its demo page: `pinward demo`."""

import json
import urllib.error
import urllib.request
from pathlib import Path

from .key import PROGRAM
from .proc import Failed, Process, free_port, port_open, wait_for


class Demo:
    def __init__(self, work, extra=()):
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        argv = [PROGRAM, "demo", "--listen", f"127.0.0.1:{self.port}", "--ephemeral", *extra]
        self.process = Process("demo", argv, Path(work))
        wait_for("the demo page", self._up, 30)

    def _up(self):
        if not self.process.alive():
            raise Failed(f"the demo ended at once:\n{self.process.text()}")
        return port_open(self.port)

    def request(self, method, path, body=None, headers=None):
        """A plain HTTP request: (status, headers, body as text)."""
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data=data, method=method,
            headers={"Content-Type": "application/json", **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.headers, e.read().decode(errors="replace")

    def close(self):
        self.process.stop()
