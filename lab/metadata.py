"""IMDSv2: what an instance can ask about itself at 169.254.169.254, by its source address.

Paths, texts and status codes follow "Instance metadata categories" and "Use IMDSv2" of the EC2 user guide.
`answer` is pure but for the tokens; the server around it is in `MetadataHandler`.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from lab.cloud import Cloud
from lab.hooks import ACCOUNT_ID

log = logging.getLogger("lab.metadata")

ADDRESS = "169.254.169.254"
VERSIONS = ("1.0", "2009-04-04", "2016-09-02", "2019-10-01", "2021-03-23", "latest")
LONGEST_TTL_SECONDS = 21600
TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"
TOKEN_HEADER = "x-aws-ec2-metadata-token"  # noqa: S105 - a header's name

Tree = Mapping[str, Any]
"""Names to texts, to sub-trees, or to functions without arguments that make the text when it is asked for."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """What the service knows about the instance that asks."""

    instance_id: str
    tokens_required: bool
    enabled: bool
    tree: Tree
    """Everything below ``/latest``."""


class Metadata:
    """The service: tokens, and who is asking."""

    def __init__(self, find: Callable[[str], Facts | None], clock: Callable[[], float] = time.monotonic) -> None:
        self._find = find
        self._clock = clock
        self._tokens: dict[str, tuple[str, float]] = {}

    def answer(self, method: str, path: str, headers: Mapping[str, str], source: str) -> Answer:
        """Answer one request. ``headers`` has lower-case names; ``source`` is the address that it came from."""
        facts = self._find(source)
        if facts is None:
            return not_found(f"no instance has the address {source}")
        if not facts.enabled:
            return Answer(403, "the metadata service is disabled for this instance\n")
        if method == "PUT":
            return self._token(path, headers, facts)
        if method not in ("GET", "HEAD"):
            return Answer(405, "GET or PUT\n")
        if not self._allowed(headers, facts):
            return Answer(401, _page(401, "Unauthorized"))
        return look_up(path, facts.tree)

    def _token(self, path: str, headers: Mapping[str, str], facts: Facts) -> Answer:
        if path.strip("/") != "latest/api/token":
            return Answer(405, "only /latest/api/token takes a PUT\n")
        if "x-forwarded-for" in headers:  # a request that came through a proxy is not the instance's own
            return Answer(403, _page(403, "Forbidden"))
        ttl = headers.get(TTL_HEADER, "")
        if not ttl.isdigit() or not 1 <= int(ttl) <= LONGEST_TTL_SECONDS:
            return Answer(400, _page(400, "Bad Request"))
        token = secrets.token_urlsafe(40)
        now = self._clock()
        self._tokens = {known: owner for known, owner in self._tokens.items() if owner[1] > now}
        self._tokens[token] = (facts.instance_id, now + int(ttl))
        return Answer(200, token, {TTL_HEADER: ttl})

    def _allowed(self, headers: Mapping[str, str], facts: Facts) -> bool:
        token = headers.get(TOKEN_HEADER)
        if token is None:
            return not facts.tokens_required
        owner, expires = self._tokens.get(token, ("", 0.0))
        return owner == facts.instance_id and expires > self._clock()


def look_up(path: str, tree: Tree) -> Answer:
    """Return what a path names: a text, a list of names, or 404 with a body."""
    parts = [part for part in path.split("?", maxsplit=1)[0].split("/") if part]
    if not parts:
        return Answer(200, "\n".join(VERSIONS))
    if parts[0] not in VERSIONS:
        return not_found(path)
    node: Any = tree
    for part in parts[1:]:
        if not isinstance(node, Mapping) or part not in node:
            return not_found(path)
        node = node[part]
    if isinstance(node, Mapping):
        return Answer(200, listing(node))
    return Answer(200, node() if callable(node) else str(node))


def listing(node: Tree) -> str:
    """Return the names below a node. The list of public keys is EC2's oddity: ``0=name`` in place of ``0/``."""
    lines = []
    for name, child in node.items():
        label = child.get("=") if isinstance(child, Mapping) else None
        if name != "=":
            lines.append(f"{name}={label}" if label else name + ("/" if isinstance(child, Mapping) else ""))
    return "\n".join(lines)


def not_found(what: str) -> Answer:
    """Return a 404 that says what was not found."""
    log.debug("not found: %s", what)
    return Answer(404, _page(404, "Not Found"))


def instance_tree(instance: Any) -> Tree:
    """Return everything below ``/latest`` for an instance of moto's. The caller holds the lock."""
    tree: dict[str, Any] = {
        "meta-data": meta_data(instance),
        "dynamic": {"instance-identity": {"document": lambda: identity_document(instance)}},
    }
    if instance.user_data:
        tree["user-data"] = instance.user_data.decode()
    return tree


def meta_data(instance: Any) -> Tree:
    """Return the categories of ``meta-data``."""
    region, backend = instance.region_name, instance.ec2_backend
    nic = instance.nics[0]
    tree: dict[str, Any] = {
        "ami-id": instance.image_id,
        "ami-launch-index": instance.ami_launch_index,
        "block-device-mapping": block_devices(instance),
        "hostname": instance.private_dns_name,
        "instance-action": "none",
        "instance-id": instance.id,
        "instance-life-cycle": instance.lifecycle or "on-demand",
        "instance-type": instance.instance_type,
        "local-hostname": instance.private_dns_name,
        "local-ipv4": instance.private_ip,
        "mac": nic.mac_address,
        "network": {"interfaces": {"macs": {nic.mac_address: interface(instance, nic)}}},
        "placement": {"availability-zone": instance.availability_zone, "region": region},
        "reservation-id": reservation_id(backend, instance.id),
        "security-groups": "\n".join(group.name for group in instance.security_groups),
        "services": {"domain": "amazonaws.com", "partition": "aws"},
    }
    if nic.public_ip:
        tree |= {"public-ipv4": nic.public_ip, "public-hostname": instance.public_dns_name}
    if key := backend.key_pairs.get(instance.key_name):
        material = key.material_public
        text = material.decode() if isinstance(material, bytes) else str(material)
        tree["public-keys"] = {"0": {"=": instance.key_name, "openssh-key": text.strip() + "\n"}}
    if role := role_of(instance):
        tree["iam"] = {
            "info": lambda: profile_information(instance),
            "security-credentials": {role.name: lambda: role_credentials(role, instance.id, region)},
        }
    if instance.metadata_options.instance_metadata_tags == "enabled":
        tree["tags"] = {"instance": {tag["key"]: tag["value"] for tag in instance.get_tags()}}
    return tree


def block_devices(instance: Any) -> Tree:
    """Return the names that the devices had at launch, without ``/dev/``."""
    root = str(instance.root_device_name).removeprefix("/dev/")
    others = sorted(name for name in instance.block_device_mapping if name != instance.root_device_name)
    numbered = {f"ebs{number}": name.removeprefix("/dev/") for number, name in enumerate(others, 1)}
    return {"ami": root, **numbered, "root": f"/dev/{root}"}


def interface(instance: Any, nic: Any) -> Tree:
    """Return the categories of one network interface."""
    return {
        "device-number": 0,
        "interface-id": nic.id,
        "local-hostname": instance.private_dns_name,
        "local-ipv4s": nic.private_ip_address,
        "mac": nic.mac_address,
        "owner-id": instance.owner_id,
        "security-group-ids": "\n".join(group.id for group in instance.security_groups),
        "subnet-id": nic.subnet.id,
        "subnet-ipv4-cidr-block": nic.subnet.cidr_block,
        "vpc-id": nic.subnet.vpc_id,
        **({"public-ipv4s": nic.public_ip} if nic.public_ip else {}),
    }


def reservation_id(backend: Any, instance_id: str) -> str:
    """Return the id of the reservation that an instance was launched in."""
    for reservation in backend.reservations.values():
        if any(instance.id == instance_id for instance in reservation.instances):
            return str(reservation.id)
    return ""


def identity_document(instance: Any) -> str:
    """Return the instance identity document (unsigned here: there is no Amazon to sign it)."""
    document = {
        "accountId": instance.owner_id,
        "architecture": instance.architecture,
        "availabilityZone": instance.availability_zone,
        "imageId": instance.image_id,
        "instanceId": instance.id,
        "instanceType": instance.instance_type,
        "pendingTime": instance.launch_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "privateIp": instance.private_ip,
        "region": instance.region_name,
        "version": "2017-09-30",
    }
    return json.dumps(document, indent=2)


def role_of(instance: Any) -> Any | None:
    """Return the IAM role of an instance's profile, if it has one."""
    association = instance.ec2_backend.iam_instance_profile_associations.get(instance.id)
    roles = association.iam_instance_profile.roles if association else []
    return roles[0] if roles else None


def profile_information(instance: Any) -> str:
    """Return ``iam/info``."""
    profile = instance.ec2_backend.iam_instance_profile_associations[instance.id].iam_instance_profile
    updated = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    information = {"Code": "Success", "LastUpdated": updated, "InstanceProfileArn": profile.arn}
    return json.dumps(information | {"InstanceProfileId": profile.id}, indent=2)


def role_credentials(role: Any, session_name: str, region: str) -> str:
    """Return fresh credentials of a role, which moto's STS knows, as the metadata service words them."""
    from moto.sts.models import sts_backends  # noqa: PLC0415 - as slow to import as it is rarely asked for

    assumed = sts_backends[ACCOUNT_ID]["aws"].assume_role(
        region_name=region,
        role_session_name=session_name,
        role_arn=role.arn,
        policy="",
        duration=LONGEST_TTL_SECONDS,
        external_id="",
    )
    credentials = {
        "Code": "Success",
        "LastUpdated": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "Type": "AWS-HMAC",
        "AccessKeyId": assumed.access_key_id,
        "SecretAccessKey": assumed.secret_access_key,
        "Token": assumed.session_token,
        "Expiration": assumed.expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return json.dumps(credentials, indent=2)


def finder(cloud: Cloud) -> Callable[[str], Facts | None]:
    """Return the function that knows which instance has an address."""

    def find(source: str) -> Facts | None:
        with cloud.lock:
            for instance in cloud.instances():
                if instance.state != "terminated" and instance.private_ip == source:
                    options = instance.metadata_options
                    required, enabled = options.http_tokens == "required", options.http_endpoint != "disabled"
                    return Facts(instance.id, required, enabled, instance_tree(instance))
        return None

    return find


def handler(service: Metadata) -> type[BaseHTTPRequestHandler]:
    """Return an HTTP handler class for the service. What throws is answered with 500 at once: a boot waits for it."""

    class MetadataHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "EC2ws"
        timeout = 30

        def _respond(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                answer = service.answer(self.command, self.path, headers, str(self.client_address[0]))
            except Exception:  # the guest must not wait for a time-out
                log.exception("%s %s failed", self.command, self.path)
                answer = Answer(500, _page(500, "Internal Server Error"))
            self._send(answer)

        def _send(self, answer: Answer) -> None:
            body = answer.body.encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "text/plain", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _respond  # noqa: N815 - names of the standard library

        def log_message(self, format: str, *args: Any) -> None:
            log.debug("%s %s", self.client_address[0], format % args)

    return MetadataHandler


def _page(status: int, text: str) -> str:
    """Return the body of an error, in EC2's words."""
    head = f"<head><title>{status} - {text}</title></head>"
    return f'<?xml version="1.0" encoding="iso-8859-1"?>\n<html>{head}</html>\n'
