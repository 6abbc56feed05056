"""Can work reach the node: its port, its certificate, and the address that it tells others.

From inside it can be seen that the port is served, that the certificate is in time, and that the address told is that
of this machine. It cannot be seen whether security groups, the provider or a firewall let others through.
"""

import re
import socket
import ssl
from datetime import datetime, timezone
from typing import Iterator, NamedTuple, Optional
from urllib.parse import urlsplit

from instance_role import Metadata
from transcoder_node import NotYet

from .livepeer import own_record
from .model import ALARM, DAY, OK, WARN, Item, NoAnswer, Node, Reading, below

TIMES = re.compile(rb"\x30.(?:\x17\x0d(\d{12})Z|\x18\x0f(\d{14})Z)(?:\x17\x0d(\d{12})Z|\x18\x0f(\d{14})Z)", re.DOTALL)
"""A certificate's validity in DER (RFC 5280, 4.1.2.5): a sequence of two times, each a UTCTime or a GeneralizedTime."""


def look(node: Node) -> Iterator[Item]:
    """Yield the readings of the work port."""
    api = node.config["livepeer"]
    try:
        socket.create_connection(("127.0.0.1", api["work_port"]), timeout=5).close()
    except OSError as error:
        message = "nothing answers on port {} ({})".format(api["work_port"], error)
        yield Reading("service-port", "", ALARM, 0.0, message)
        raise NoAnswer(message) from None
    yield Reading("service-port", "", OK, 1.0, "port {} is served".format(api["work_port"]))
    if api["work_tls"]:
        yield _certificate(node, api["work_port"])
    if api["on_chain"] and api["service_uri"]:
        yield _address(node)
    elif api["on_chain"] and api["announced"]:
        yield _announced(node, api["announced"])


def _certificate(node: Node, port: int) -> Reading:
    end = ends(shown_certificate(port))
    if end is None:
        raise NoAnswer("the certificate of port {} has no end that can be read".format(port))
    days = (end - node.now()) / DAY
    level = below(days, node.limit("certificate_warn_days"), node.limit("certificate_alarm_days"))
    return Reading("certificate", "", level, days, "the certificate ends in {:.0f} days".format(days))


def shown_certificate(port: int) -> bytes:
    """Return the certificate (DER) that a port of this machine shows. Whoever signed it: livepeer does so itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, context.wrap_socket(plain) as secure:
            return secure.getpeercert(binary_form=True) or b""
    except OSError as error:
        raise NoAnswer("port {} shows no certificate: {}".format(port, error)) from None


def ends(certificate: bytes) -> Optional[float]:
    """Return when a certificate (DER) ends, in Unix seconds.

    Two-digit years are of 1950 to 2049 (RFC 5280). The standard library reads these of trusted certificates alone.
    """
    match = TIMES.search(certificate)
    if match is None:
        return None
    short, full = match.group(3), match.group(4)
    if short is not None:
        full = (b"19" if int(short[:2]) >= 50 else b"20") + short
    moment = datetime.strptime(full.decode("ascii"), "%Y%m%d%H%M%S")
    return moment.replace(tzinfo=timezone.utc).timestamp()


def _address(node: Node) -> Reading:
    """Compare what the chain tells others with what this machine is."""
    uri = str(own_record(node.config["livepeer"]).get("ServiceURI") or "")
    parts = urlsplit(uri)
    if not parts.hostname:
        return Reading("service-address", "", WARN, 0.0, "the chain has no service address of this node")
    told = "{}:{}".format(parts.hostname, parts.port or 443)
    expected = node.config["livepeer"]["service_address"]
    if expected:
        if told != expected:
            return _elsewhere("the chain", told, "the environment says {}".format(expected))
        return Reading("service-address", "", OK, 1.0, "the chain tells others {}".format(told))
    own = own_address(node.config["metadata"])
    if not own.public or own.public not in _addresses(parts.hostname):
        return _elsewhere("the chain", told, own.told)
    return Reading("service-address", "", OK, 1.0, "the chain tells others {}, which is this machine".format(told))


def _announced(node: Node, flag: str) -> Reading:
    """Compare what livepeer was started with, which it tells others until it ends, with what this machine is now."""
    told = _argument(node, flag)
    own = own_address(node.config["metadata"])
    if told.partition(":")[0] != (own.public or own.private):
        return _elsewhere("livepeer", told, own.told)
    return Reading("service-address", "", OK, 1.0, "livepeer tells others {}, which is this machine".format(told))


def _argument(node: Node, flag: str) -> str:
    """Return an argument of the livepeer that runs."""
    unit = node.config["units"]["livepeer"]
    shown = node.run(["systemctl", "show", "-p", "MainPID", "--", unit])
    found = re.search(r"^MainPID=([1-9]\d*)$", shown, re.MULTILINE)
    words = node.read("/proc/{}/cmdline".format(found.group(1))).split("\0") if found else []
    if flag not in words[:-1]:
        raise NoAnswer("{} does not run with {}".format(unit, flag))
    return words[words.index(flag) + 1]


def _elsewhere(who: str, told: str, instead: str) -> Reading:
    return Reading("service-address", "", ALARM, 0.0, "{} tells others {}, but {}".format(who, told, instead))


def _addresses(host: str) -> "set[str]":
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise NoAnswer("{} is no name that can be looked up: {}".format(host, error)) from None


class Own(NamedTuple):
    """The addresses of this machine; ``public`` is empty where it has none."""

    public: str
    private: str

    @property
    def told(self) -> str:
        """Say what this machine is."""
        if self.public:
            return "this machine is {}".format(self.public)
        return "this machine is {} and has no public address".format(self.private)


def own_address(metadata: str) -> Own:
    """Return the addresses that the instance metadata service (HOST:PORT) knows."""
    service = Metadata(metadata)
    try:
        return Own(service.item("public-ipv4").strip(), service.item("local-ipv4").strip())
    except NotYet as error:
        raise NoAnswer(str(error)) from None
