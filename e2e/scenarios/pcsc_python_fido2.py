"""PyPI's fido2 (python-fido2) with the software key as a card: pcscd and a virtual reader between them.

The client's own client API does everything: Fido2Client, Fido2Server for the relying party's side,
CredentialManagement for the list.
"""

from harness import pcsc
from harness.proc import wait_for
from harness.scenario import expect, main, scenario

PIN = "Tr1angle"
ORIGIN = "https://pinward.example"


class Person:
    """Answers what the client asks for, and remembers what that was."""

    def __init__(self, pin=PIN):
        self.pin, self.asked = pin, []

    def prompt_up(self):
        self.asked.append("touch")

    def request_pin(self, permissions, rp_id):
        self.asked.append("pin")
        return self.pin

    def request_uv(self, permissions, rp_id):
        self.asked.append("uv")
        return True


def card(t):
    """Puts the key into the reader and gives the client's device for it."""
    return card_and_key(t)[0]


def card_and_key(t, **options):
    from fido2.pcsc import CtapPcscDevice

    t.use(pcsc.Reader(t.work))
    key = t.key(wire="vpcd", **options)
    device = wait_for("a card in the reader", lambda: next(CtapPcscDevice.list_devices("Virtual PCD"), None), 15)
    return t.use(device), key


def client_for(device, person):
    from fido2.client import DefaultClientDataCollector, Fido2Client, UserInteraction

    class Interaction(UserInteraction):
        prompt_up = staticmethod(person.prompt_up)
        request_pin = staticmethod(person.request_pin)
        request_uv = staticmethod(person.request_uv)

    return Fido2Client(device, DefaultClientDataCollector(ORIGIN), user_interaction=Interaction())


def server():
    from fido2.server import Fido2Server
    from fido2.webauthn import PublicKeyCredentialRpEntity

    return Fido2Server(PublicKeyCredentialRpEntity(id="pinward.example", name="Pinward"), attestation="direct")


def register(client, rp, uv, rk="required", user=b"anna"):
    from fido2.webauthn import PublicKeyCredentialUserEntity

    who = PublicKeyCredentialUserEntity(id=user, name=user.decode(), display_name=user.decode().title())
    options, state = rp.register_begin(who, user_verification=uv, resident_key_requirement=rk)
    return rp.register_complete(state, client.make_credential(options.public_key)).credential_data


def sign_in(client, rp, credentials, uv, allow=True):
    options, state = rp.authenticate_begin(credentials if allow else None, user_verification=uv)
    response = client.get_assertion(options.public_key).get_response(0)
    rp.authenticate_complete(state, credentials, response)
    return response.response.authenticator_data


@scenario
def without_a_pin(t):
    """No PIN, "never": the client asks for a touch only. "If set" it refuses on a key that could have a PIN."""
    from fido2.client import ClientError

    device = card(t)
    person = Person()
    client, rp = client_for(device, person), server()
    credential = register(client, rp, "discouraged", rk="discouraged")
    data = sign_in(client, rp, [credential], "discouraged")
    expect(not data.is_user_verified(), "the UV flag is set and nobody was verified")
    expect(data.is_user_present(), "the UP flag is not set")
    try:
        sign_in(client, rp, [credential], "preferred")
        code = None
    except ClientError as e:
        code = e.code
    expect(code == ClientError.ERR.CONFIGURATION_UNSUPPORTED, f"\"if set\" without a PIN gave {code!r}")
    expect("pin" not in person.asked, f"the client asked for {person.asked}")


@scenario
def with_a_pin_and_the_list_of_passkeys(t):
    """Sets a PIN, registers two passkeys, signs in with both flags, lists and deletes passkeys."""
    from fido2.ctap2 import ClientPin, CredentialManagement, Ctap2

    device = card(t)
    ctap = Ctap2(device)
    ClientPin(ctap).set_pin(PIN)
    person = Person()
    client, rp = client_for(device, person), server()
    anna = register(client, rp, "required", user=b"anna")
    register(client, rp, "required", user=b"bela")
    data = sign_in(client, rp, [anna], "required")
    expect(data.is_user_verified(), "the UV flag is not set after the PIN")
    expect(person.asked.count("pin") == 3, f"the client asked for {person.asked}")

    def manager():
        client_pin = ClientPin(ctap)
        token = client_pin.get_pin_token(PIN, ClientPin.PERMISSION.CREDENTIAL_MGMT)
        return CredentialManagement(ctap, client_pin.protocol, token)

    manage = manager()
    rps = manage.enumerate_rps()
    expect([r[3]["id"] for r in rps] == ["pinward.example"], f"the key lists {rps}")
    found = manage.enumerate_creds(rps[0][4])
    names = sorted(c[6]["name"] for c in found)
    expect(names == ["anna", "bela"], f"the key lists the passkeys of {names}")
    bela = next(c for c in found if c[6]["name"] == "bela")
    manage.delete_cred(bela[7])
    left = manager().enumerate_creds(rps[0][4])
    expect([c[6]["name"] for c in left] == ["anna"], f"after a deletion the key lists {left}")


@scenario
def a_waiting_card_says_so_and_can_be_cancelled(t):
    """The card answers "still waiting" until it is touched (NFCCTAP_GETRESPONSE), or the client cancels."""
    import threading

    from fido2.ctap import CtapError
    from fido2.ctap2 import Ctap2

    device, key = card_and_key(t, touch=False)
    ctap = Ctap2(device)
    said = []

    def touch(status):
        said.append(int(status))
        key.press()

    ctap.selection(on_keepalive=touch)
    expect(said == [2], f"the card said {said}, not that it waits for the user")
    cancel = threading.Event()
    try:
        ctap.selection(event=cancel, on_keepalive=lambda _: cancel.set())
        code = None
    except CtapError as e:
        code = e.code
    expect(code == CtapError.ERR.KEEPALIVE_CANCEL, f"a cancelled wait ended with {code!r}")
    # Long requests and answers, chained and in extended APDUs.
    for extended in (False, True):
        device.use_ext_apdu = extended
        made = ctap.make_credential(
            b"\0" * 32,
            {"id": "pinward.example", "name": "Pinward"},
            {"id": b"anna", "name": "anna"},
            [{"type": "public-key", "alg": -7}],
            exclude_list=[{"type": "public-key", "id": bytes([n]) * 100} for n in range(6)],
            on_keepalive=touch,
        )
        expect(made.auth_data.credential_data is not None, "no credential came back")


@scenario
def a_wrong_pin_is_told_as_such(t):
    """A wrong PIN costs a try and nothing else."""
    from fido2.ctap import CtapError
    from fido2.ctap2 import ClientPin, Ctap2

    device = card(t)
    pin = ClientPin(Ctap2(device))
    pin.set_pin(PIN)
    try:
        pin.get_pin_token("wrong one", ClientPin.PERMISSION.GET_ASSERTION, "pinward.example")
        code = None
    except CtapError as e:
        code = e.code
    expect(code == CtapError.ERR.PIN_INVALID, f"a wrong PIN gave {code!r}")
    expect(pin.get_pin_retries()[0] == 7, "the try was not counted")
    pin.get_pin_token(PIN, ClientPin.PERMISSION.GET_ASSERTION, "pinward.example")
    expect(pin.get_pin_retries()[0] == 8, "the right PIN did not give the tries back")


if __name__ == "__main__":
    pcsc.in_namespace()
    main()
