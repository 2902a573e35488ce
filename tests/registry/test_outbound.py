"""Where we let ourselves be sent: to public addresses alone, whatever they are called and whenever a name changes."""

import datetime
import socket
import ssl
import time

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from registry import outbound
from registry.refusals import Invalid, Unavailable
from tests.receiving import receiver

REFUSED = {
    "http://127.0.0.1/": "loopback",
    "http://localhost:8000/hook": "loopback",
    "https://[::1]/": "loopback",
    "https://10.1.2.3/": "private",
    "https://192.168.0.1/": "private",
    "https://[fd00::1]/": "private",
    "https://100.64.0.1/": "not public",
    "https://169.254.169.254/latest/meta-data": "link-local",
    "https://[fe80::1]/": "link-local",
    "https://224.0.0.1/": "multicast",
    "https://0.0.0.0/": "unspecified",
    "https://[::]/": "unspecified",
    "https://[::ffff:127.0.0.1]/": "loopback",  # IPv4 inside IPv6: mapped, 6to4, NAT64, compatible
    "https://[2002:7f00:1::]/": "loopback",
    "https://[64:ff9b::a9fe:a9fe]/": "link-local",
    "https://[::127.0.0.1]/": "reserved",
    "https://2130706433/": "no host",  # what other readers take for 127.0.0.1
    "https://0177.0.0.1/": "not an address",
    "https://0x7f.0.0.1/": "no host",
    "https://0x7f000001/": "no host",
    "https://127.1/": "no host",
    "https://%31%32%37.0.0.1/": "no host",
    "https://①②⑦.0.0.1/": "plain ASCII",
    "https://[fe80::1%25eth0]/": "no host",
    "https://ada:secret@hooks.example/": "username or password",
    "https://hooks.example\\@127.0.0.1/": "backslash",
    "https://hooks.example /": "no space",
    "https://hooks.example:0/": "no port",
    "https://hooks.example:70000/": "no port",
    "https://hooks..example/": "no host",
    "https:///hook": "no host",
    "ftp://hooks.example/": "begins with https:// or http://",
    "file:///etc/passwd": "begins with",
    "hooks.example": "begins with",
    "https://hooks.example/" + "x" * 2000: "at most 2000",
}


@pytest.mark.parametrize("address", REFUSED)
def test_what_only_we_can_reach_or_others_read_otherwise_is_refused(address):
    with pytest.raises(Invalid, match=REFUSED[address]):
        outbound.demand(address)


def test_public_addresses_and_names_that_do_not_resolve_yet_are_taken():
    for address in ("https://1.1.1.1/x", "https://[2606:4700::1111]:8443/", "https://hooks.invalid/x?y=1"):
        assert str(outbound.demand(address)) == address


def test_plain_http_may_be_left_to_hosts_that_are_listed():
    with pytest.raises(Invalid, match="unencrypted. Begin the address with https://"):
        outbound.demand("http://1.1.1.1/", plain=["hooks.example", "1.1.1.2"])
    for plain in ("1.1.1.1", "1.1.1.0/24"):
        outbound.demand("http://1.1.1.1/", plain=[plain])
    outbound.demand("http://hooks.invalid/", plain=["hooks.invalid"])


@pytest.mark.parametrize("allowed", ["localhost", "127.0.0.0/8", "127.0.0.1"])
def test_an_operator_may_allow_a_name_an_address_or_a_network(allowed):
    outbound.demand("http://localhost/", allowed=[allowed, "::1"])
    with pytest.raises(Invalid, match="private"):
        outbound.demand("http://10.0.0.1/", allowed=[allowed])


def test_the_client_refuses_what_demand_refuses_and_nothing_is_sent():
    with receiver() as here, outbound.client() as client:
        with pytest.raises(Invalid, match="loopback"):
            client.post(here.url)
        assert here.got == []


def test_no_redirect_is_followed():
    with receiver() as here, receiver() as elsewhere, outbound.client(allowed=["127.0.0.1"]) as client:
        here.statuses, here.headers = [307], {"Location": elsewhere.url}
        assert client.post(here.url).status_code == 307
        assert elsewhere.got == []


def resolver(monkeypatch, *answers):
    """Let the name hooks.example resolve to one address after the other; return how often it was asked for."""
    asked, real = [], socket.getaddrinfo

    def resolve(host, *given, **more):
        if host != "hooks.example":
            return real(host, *given, **more)
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [entry for address in found for entry in real(address, *given, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


def test_a_name_that_changes_its_mind_is_looked_at_again_and_never_between_look_and_connection(monkeypatch):
    asked = resolver(monkeypatch, ["1.1.1.1"], ["127.0.0.1"])
    with receiver() as here:
        address = here.url.replace("127.0.0.1", "hooks.example")
        outbound.demand(address)  # public, this once
        with outbound.client() as client, pytest.raises(Invalid, match="hooks.example is at 127.0.0.1"):
            client.post(address)
        assert here.got == []
    assert len(asked) == 2  # the connection did not ask a third time


def test_one_bad_address_among_good_ones_is_enough(monkeypatch):
    resolver(monkeypatch, ["1.1.1.1", "10.0.0.1"])
    with pytest.raises(Invalid, match="10.0.0.1, which is private"):
        outbound.demand("https://hooks.example/")


def test_a_name_that_does_not_resolve_cannot_be_connected_to():
    with outbound.client() as client, pytest.raises(Unavailable, match="does not resolve"):
        client.post("https://hooks.invalid/")


def certificate(folder, name):
    key, subject = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)  # noqa: TID251
    made = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(key, hashes.SHA256())
    path = folder / "certificate.pem"
    path.write_bytes(made.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "both.pem").write_bytes(private + path.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return path, context


@pytest.mark.parametrize("name", ["hooks.example", "other.example"])
def test_tls_is_verified_against_the_name_though_the_connection_goes_to_an_address(name, tmp_path, monkeypatch):
    path, context = certificate(tmp_path, name)
    resolver(monkeypatch, ["127.0.0.1"])
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    outbound._authorities.cache_clear()
    try:
        with receiver(context) as here, outbound.client(allowed=["hooks.example"]) as client:
            address = here.url.replace("127.0.0.1", "hooks.example")
            if name == "hooks.example":
                assert client.post(address).status_code == 200
                assert here.got[0][1]["Host"] == address.removeprefix("https://")
            else:
                with pytest.raises(httpx.ConnectError, match="hooks.example"):
                    client.post(address)
                assert here.got == []
    finally:
        outbound._authorities.cache_clear()


def test_whoever_answers_drop_by_drop_is_hung_up_on():
    with receiver() as here, outbound.client(allowed=["127.0.0.1"]) as client:
        here.answer, here.trickle = b"x" * 100, 0.1
        request = client.build_request("POST", here.url)
        began = time.monotonic()
        with pytest.raises(httpx.TransportError), outbound.deadline(request, 0.5):
            client.send(request)
        assert time.monotonic() - began < 5
