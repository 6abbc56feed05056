from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from lab import serving
from lab.metadata import ADDRESS, Answer, Facts, Metadata, handler, look_up

ME, STRANGER = "172.31.210.10", "172.31.210.99"
TREE: dict[str, Any] = {
    "meta-data": {
        "instance-id": "i-0abc",
        "placement": {"availability-zone": "us-east-1a", "region": "us-east-1"},
        "public-keys": {"0": {"=": "lab", "openssh-key": "ssh-ed25519 AAAA lab\n"}},
        "iam": {"security-credentials": {"node": lambda: '{"Code": "Success"}'}},
    },
    "user-data": "#!/bin/sh\n",
}
STRICT = Facts("i-0abc", tokens_required=True, enabled=True, tree=TREE)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def service(facts: Facts = STRICT, clock: Clock | None = None) -> Metadata:
    other = replace(facts, instance_id="i-0other")
    return Metadata({ME: facts, "172.31.210.11": other}.get, clock or Clock())


def token(metadata: Metadata, ttl: str = "60", source: str = ME) -> str:
    answer = metadata.answer("PUT", "/latest/api/token", {"x-aws-ec2-metadata-token-ttl-seconds": ttl}, source)
    assert answer.status == 200
    assert answer.headers["x-aws-ec2-metadata-token-ttl-seconds"] == ttl
    return answer.body


def get(metadata: Metadata, path: str, used: str | None, source: str = ME) -> Answer:
    headers: Mapping[str, str] = {} if used is None else {"x-aws-ec2-metadata-token": used}
    return metadata.answer("GET", path, headers, source)


def test_a_token_opens_the_metadata() -> None:
    metadata = service()
    assert get(metadata, "/latest/meta-data/instance-id", token(metadata)).body == "i-0abc"


def test_without_a_token_the_answer_is_401_where_tokens_are_required() -> None:
    assert get(service(), "/latest/meta-data/instance-id", None).status == 401


def test_without_a_token_the_answer_is_given_where_tokens_are_optional() -> None:
    metadata = service(replace(STRICT, tokens_required=False))
    assert get(metadata, "/latest/meta-data/instance-id", None).body == "i-0abc"
    assert get(metadata, "/latest/meta-data/instance-id", "made-up").status == 401


def test_a_token_ends_with_its_time() -> None:
    clock = Clock()
    metadata = service(clock=clock)
    used = token(metadata, ttl="60")
    clock.now += 59
    assert get(metadata, "/latest/meta-data/instance-id", used).status == 200
    clock.now += 2
    assert get(metadata, "/latest/meta-data/instance-id", used).status == 401


def test_a_token_of_another_instance_opens_nothing() -> None:
    metadata = service()
    assert get(metadata, "/latest/meta-data/instance-id", token(metadata, source="172.31.210.11")).status == 401


@pytest.mark.parametrize("ttl", ["", "0", "21601", "an hour"])
def test_a_token_needs_a_time_of_one_second_to_six_hours(ttl: str) -> None:
    headers = {"x-aws-ec2-metadata-token-ttl-seconds": ttl}
    assert service().answer("PUT", "/latest/api/token", headers, ME).status == 400


def test_a_forwarded_request_gets_no_token() -> None:
    headers = {"x-aws-ec2-metadata-token-ttl-seconds": "60", "x-forwarded-for": "1.2.3.4"}
    assert service().answer("PUT", "/latest/api/token", headers, ME).status == 403


def test_an_address_without_an_instance_gets_nothing() -> None:
    assert get(service(), "/latest/meta-data/instance-id", None, STRANGER).status == 404


def test_a_disabled_service_answers_403() -> None:
    assert get(service(replace(STRICT, enabled=False)), "/latest/meta-data/instance-id", None).status == 403


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/latest/meta-data/", "instance-id\nplacement/\npublic-keys/\niam/"),
        ("/latest/meta-data", "instance-id\nplacement/\npublic-keys/\niam/"),
        ("/latest/meta-data/placement/", "availability-zone\nregion"),
        ("/2021-03-23/meta-data/placement/region", "us-east-1"),
        ("/latest/meta-data/public-keys/", "0=lab"),
        ("/latest/meta-data/public-keys/0/", "openssh-key"),
        ("/latest/meta-data/public-keys/0/openssh-key", "ssh-ed25519 AAAA lab\n"),
        ("/latest/meta-data/iam/security-credentials/", "node"),
        ("/latest/meta-data/iam/security-credentials/node", '{"Code": "Success"}'),
        ("/latest/user-data", "#!/bin/sh\n"),
        ("/latest", "meta-data/\nuser-data"),
    ],
)
def test_a_path_names_a_text_or_a_list(path: str, text: str) -> None:
    assert look_up(path, TREE) == Answer(200, text)


@pytest.mark.parametrize("path", ["/latest/meta-data/spot", "/latest/user-data/x", "/nonsense", "/latest/dynamic"])
def test_an_unknown_path_is_404_with_a_body(path: str) -> None:
    answer = look_up(path, TREE)
    assert answer.status == 404
    assert "Not Found" in answer.body


def test_the_versions_are_listed() -> None:
    assert "latest" in look_up("/", TREE).body.splitlines()


@pytest.fixture
def broken_server() -> Iterator[tuple[str, int]]:
    """Serve a metadata service whose every look-up throws."""

    def find(source: str) -> Facts | None:
        raise ZeroDivisionError(source)

    listening = socket.create_server(("127.0.0.1", 0))
    address = listening.getsockname()
    server = serving.SocketServer(listening, handler(Metadata(find)))
    serving.serve(server, "metadata")
    yield address
    server.shutdown()
    server.server_close()


def test_what_throws_is_answered_with_500_at_once(broken_server: tuple[str, int]) -> None:
    connection = http.client.HTTPConnection(*broken_server, timeout=2)
    connection.request("GET", "/latest/meta-data/", headers={"Host": ADDRESS})
    answer = connection.getresponse()
    assert answer.status == 500
    assert b"Internal Server Error" in answer.read()
    connection.close()
