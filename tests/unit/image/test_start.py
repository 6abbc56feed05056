"""wait-for-geth and run-livepeer, against small servers in the place of geth and the metadata service."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.unit.image.rendered import SCRIPTS

ADDRESS = "0x" + "ab" * 20


class Metadata(BaseHTTPRequestHandler):
    """The metadata service with IMDSv2 only; an item that is None is not there."""

    items: dict[str, str | None] = {}  # noqa: RUF012 - each test makes its own class

    def do_PUT(self) -> None:
        asked = self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self.answer(200 if self.path == "/latest/api/token" and asked else 400, "token")

    def do_GET(self) -> None:
        item = self.items.get(self.path.removeprefix("/latest/meta-data/"))
        if self.headers["X-aws-ec2-metadata-token"] != "token":
            self.answer(401, "")
        else:
            self.answer(200 if item else 404, item or "no such item")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        known = self.headers["Content-Type"] == "application/json"
        self.answer(200 if known else 415, json.dumps({"jsonrpc": "2.0", "id": 1, "result": "Geth/v1.8.27"}))

    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def serving(**items: str | None) -> Iterator[str]:
    handler = type("Handler", (Metadata,), {"items": {name.replace("_", "-"): text for name, text in items.items()}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def run(script: str, *arguments: str, notify: str = "") -> tuple[int, str, str]:
    result = subprocess.run(
        [sys.executable, "-B", str(SCRIPTS / script), *arguments],
        env={"NOTIFY_SOCKET": notify},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout, result.stderr


def volume(tmp_path: Path, address: str = ADDRESS) -> str:
    (tmp_path / "d1").mkdir()
    marker = {"node": "tc001", "role": "livepeer", "address": address}
    (tmp_path / "d1/.transcoder.json").write_text(json.dumps(marker))
    return str(tmp_path)


def closed_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{found.getsockname()[1]}"


def test_livepeer_gets_the_public_address_and_the_account_of_the_volume(tmp_path: Path) -> None:
    with serving(public_ipv4="198.51.100.7", local_ipv4="10.0.0.5") as metadata:
        arguments = ("--root", volume(tmp_path), "--metadata", metadata, "--", "/bin/echo", "-transcoder")
        status, said, _ = run("run-livepeer", *arguments)

    assert (status, said) == (0, f"-transcoder -publicIP 198.51.100.7 -ethAcctAddr {ADDRESS}\n")


def test_livepeer_gets_the_private_address_when_there_is_no_other_and_the_log_says_so(tmp_path: Path) -> None:
    with serving(public_ipv4=None, local_ipv4="10.0.0.5") as metadata:
        status, said, log = run("run-livepeer", "--root", volume(tmp_path), "--metadata", metadata, "--", "/bin/echo")

    assert (status, said) == (0, f"-publicIP 10.0.0.5 -ethAcctAddr {ADDRESS}\n")
    assert "no public address" in log


def test_a_later_livepeer_gets_the_address_with_its_own_flag_and_port(tmp_path: Path) -> None:
    with serving(public_ipv4="198.51.100.7") as metadata:
        own = ("--root", volume(tmp_path), "--metadata", metadata, "--announce", "serviceAddr:8935")
        status, said, _ = run("run-livepeer", *own, "--", "/bin/echo", "-orchestrator")

    assert (status, said) == (0, f"-orchestrator -serviceAddr 198.51.100.7:8935 -ethAcctAddr {ADDRESS}\n")


def test_an_address_that_is_given_is_asked_of_nobody(tmp_path: Path) -> None:
    own = ("--root", volume(tmp_path), "--metadata", closed_port(), "--announce", "none")
    status, said, _ = run("run-livepeer", *own, "--", "/bin/echo", "-serviceAddr", "n.example:8935")

    assert (status, said) == (0, f"-serviceAddr n.example:8935 -ethAcctAddr {ADDRESS}\n")


def private(tmp_path: Path) -> tuple[int, str, str]:
    own = ("--root", str(tmp_path), "--announce", "none", "--private", "/d1/livepeer/private.conf")
    return run("run-livepeer", *own, "--", "/bin/echo", "started")


def test_livepeer_does_not_start_without_its_private_options(tmp_path: Path) -> None:
    volume(tmp_path)
    status, said, log = private(tmp_path)

    assert (status, said) == (78, "")
    assert "/d1/livepeer/private.conf cannot be read" in log
    assert "ethUrl" in log


def test_private_options_that_others_can_read_are_refused_and_their_owners_are_read(tmp_path: Path) -> None:
    volume(tmp_path)
    (tmp_path / "d1/livepeer").mkdir()
    path = tmp_path / "d1/livepeer/private.conf"
    path.write_text("ethUrl https://rpc.example/very-secret\n")

    path.chmod(0o640)
    status, said, log = private(tmp_path)
    assert (status, said) == (78, "")
    assert "chmod 0600" in log

    path.chmod(0o600)
    status, said, log = private(tmp_path)
    assert (status, said) == (0, f"started -ethAcctAddr {ADDRESS}\n")
    assert "very-secret" not in log


def with_password(tmp_path: Path, value: str, *, private: str = "") -> tuple[int, str, str]:
    volume(tmp_path)
    (tmp_path / "d1/livepeer").mkdir()
    path = tmp_path / "d1/livepeer/private.conf"
    path.write_text(private)
    path.chmod(0o600)
    own = ["--root", str(tmp_path), "--announce", "none"]
    own += ["--private", "/d1/livepeer/private.conf"] if private else []
    return run("run-livepeer", *own, "--", "/bin/echo", *(["-ethPassword", value] if value else ["started"]))


def password_file(tmp_path: Path, mode: int = 0o400) -> None:
    (tmp_path / "password").write_text("hunter22")
    (tmp_path / "password").chmod(mode)


def test_a_passphrase_in_a_file_is_told_to_livepeer_by_the_path(tmp_path: Path) -> None:
    password_file(tmp_path)
    status, said, log = with_password(tmp_path, "/password")

    assert (status, said) == (0, f"-ethPassword /password -ethAcctAddr {ADDRESS}\n")
    assert "hunter22" not in log


@pytest.mark.parametrize("private", ["", "ethPassword hunter22 # mine\n", "-ethPassword  hunter22\n"])
def test_a_passphrase_that_is_in_no_file_is_refused_and_not_repeated(tmp_path: Path, private: str) -> None:
    status, said, log = with_password(tmp_path, "" if private else "hunter22", private=private)

    assert (status, said) == (78, "")
    assert "is not the path of a file" in log
    assert "hunter22" not in log


@pytest.mark.parametrize("private", ["", "ethPassword /password\n"])
def test_a_file_that_is_not_there_would_be_taken_for_the_passphrase_and_is_refused(
    tmp_path: Path, private: str
) -> None:
    status, said, log = with_password(tmp_path, "" if private else "/password", private=private)

    assert (status, said) == (78, "")
    assert "take its name for the passphrase" in log


def test_a_passphrase_that_others_can_read_is_refused(tmp_path: Path) -> None:
    password_file(tmp_path, 0o440)
    status, said, log = with_password(tmp_path, "/password")

    assert (status, said) == (78, "")
    assert "chmod 0400 /password" in log


def test_two_places_of_a_passphrase_are_refused(tmp_path: Path) -> None:
    password_file(tmp_path)
    status, said, log = with_password(tmp_path, "/password", private="ethPassword /password\n")

    assert (status, said) == (78, "")
    assert "delete that line" in log


def test_livepeer_does_not_start_without_the_metadata_service_but_may_be_tried_again(tmp_path: Path) -> None:
    status, said, log = run("run-livepeer", "--root", volume(tmp_path), "--metadata", closed_port(), "--", "/bin/echo")

    assert (status, said) == (1, "")
    assert "metadata service" in log


def test_livepeer_does_not_start_without_an_account(tmp_path: Path) -> None:
    status, said, log = run("run-livepeer", "--root", volume(tmp_path, address=""), "--", "/bin/echo")

    assert (status, said) == (78, "")
    assert "fab create-key" in log


def test_systemd_is_told_when_livepeer_is_about_to_run(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, serving(public_ipv4="192.0.2.1") as metadata:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(5)
        arguments = ("--root", volume(tmp_path), "--metadata", metadata, "--", "/bin/true")
        run("run-livepeer", *arguments, notify=str(tmp_path / "notify"))

        assert systemd.recv(1000).decode() == f"READY=1\nSTATUS=running as {ADDRESS}"


def test_systemd_is_told_the_reason_of_a_refusal(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(5)
        run("run-livepeer", "--root", str(tmp_path), "--", "/bin/true", notify=str(tmp_path / "notify"))

        assert systemd.recv(1000).decode().startswith("STATUS=refused: /d1/.transcoder.json is missing")


def test_the_wait_ends_when_geth_answers_on_both_ports() -> None:
    with serving() as geth:
        status, said, log = run("wait-for-geth", "--rpc", geth, "--websocket", geth, "--", "/bin/echo", "go")

    assert (status, said) == (0, "go\n")
    assert "Geth/v1.8.27 answers" in log


def test_the_wait_is_over_after_its_budget_and_says_for_what() -> None:
    with serving() as geth:
        port = closed_port()
        arguments = ("--rpc", geth, "--websocket", port, "--budget", "0.2", "--", "/bin/echo", "go")
        status, said, log = run("wait-for-geth", *arguments)

    assert (status, said) == (1, "")
    assert f"geth does not answer at {geth} and {port} after 0.2 s" in log
