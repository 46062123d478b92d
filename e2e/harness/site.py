"""A site of one empty page on http://localhost, whose ceremonies are started from outside.

The options are those of `pinward matrix`: the same settings for every browser.
"""

import base64
import http.server
import json
import threading

from .states import RP_ID, USER

PAGE = b"<!doctype html><html lang=en><meta charset=utf-8><title>Witness</title><p>A page for ceremonies.</html>"

# Starts the ceremony and returns at once; `window.ended` is null until it has ended. UV is bit 2 of the
# flags, which are byte 32 of the authenticator data.
START = """
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const publicKey = JSON.parse(arguments[0]);
publicKey.challenge = bytes(publicKey.challenge);
if (publicKey.user) publicKey.user.id = bytes(publicKey.user.id);
for (const one of publicKey.allowCredentials ?? []) one.id = bytes(one.id);
const call = publicKey.user ? 'create' : 'get';
window.ended = null;
window.abort = new AbortController();
navigator.credentials[call]({publicKey, signal: window.abort.signal}).then((made) => {
  const data = new Uint8Array(made.response.getAuthenticatorData
    ? made.response.getAuthenticatorData() : made.response.authenticatorData);
  window.ended = {outcome: 'ok', error: null, uv: (data[32] & 4) !== 0};
}, (why) => { window.ended = {outcome: 'error', error: why.name, uv: null, said: String(why.message)}; });
"""
ENDED = "return window.ended;"


def options(ceremony, user_verification, discoverable, credential, timeout=25):
    """The options as JSON, byte strings in base64."""
    text = lambda data: base64.b64encode(data).decode()
    made = {"challenge": text(bytes(range(32))), "timeout": timeout * 1000}
    if ceremony == "create":
        made["rp"] = {"id": RP_ID, "name": "Example"}
        made["user"] = {**USER, "id": text(USER["id"])}
        made["pubKeyCredParams"] = [{"type": "public-key", "alg": -8}, {"type": "public-key", "alg": -7}]
        made["authenticatorSelection"] = {
            "authenticatorAttachment": "cross-platform",
            "userVerification": user_verification,
            "residentKey": "required" if discoverable else "discouraged",
            "requireResidentKey": discoverable,
        }
    else:
        made["rpId"] = RP_ID
        made["userVerification"] = user_verification
        if not discoverable:
            made["allowCredentials"] = [{"type": "public-key", "id": text(credential), "transports": ["usb"]}]
    return json.dumps(made)


class Site:
    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(PAGE)))
                self.end_headers()
                self.wfile.write(PAGE)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
