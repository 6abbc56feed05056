from __future__ import annotations

import json
import time
from pathlib import Path

from lab.call_log import CallLog
from lab.control_plane import failure

FORM = {
    "CONTENT_TYPE": "application/x-www-form-urlencoded; charset=utf-8",
    "HTTP_AUTHORIZATION": "AWS4-HMAC-SHA256 Credential=lab/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host",
}
JSON = {"CONTENT_TYPE": "application/x-amz-json-1.1", "HTTP_X_AMZ_TARGET": "AmazonSSM.PutParameter"}


def logged(tmp_path: Path, environ: dict[str, str], body: bytes, status: str, answer: bytes) -> dict[str, object]:
    """Log one call and read it back."""
    log = CallLog(tmp_path / "calls.jsonl")
    log.write(environ, body, status, answer, time.monotonic())
    log.close()
    return dict(json.loads((tmp_path / "calls.jsonl").read_text()))


def test_a_call_is_logged_with_the_ids_it_names_and_nothing_else(tmp_path: Path) -> None:
    body = b"Action=RunInstances&ImageId=ami-0123456789abcdef0&UserData=c2VjcmV0&MinCount=1"
    line = logged(tmp_path, FORM, body, "200 OK", b"")
    assert (line["service"], line["action"], line["error"]) == ("ec2", "RunInstances", None)
    assert line["resources"] == {"ImageId": "ami-0123456789abcdef0"}


def test_a_parameter_is_logged_by_its_name_without_its_value(tmp_path: Path) -> None:
    body = json.dumps({"Name": "/node/key", "Value": "s3cret"}).encode()
    line = logged(tmp_path, JSON, body, "400 Bad Request", b'{"__type": "com.amazonaws#ParameterAlreadyExists"}')
    assert (line["action"], line["error"]) == ("PutParameter", "ParameterAlreadyExists")
    assert line["resources"] == {"Name": "/node/key"}


def test_an_ec2_error_is_logged_by_its_code(tmp_path: Path) -> None:
    answer = b"<Response><Errors><Error><Code>VolumeInUse</Code><Message>x</Message></Error></Errors></Response>"
    assert logged(tmp_path, FORM, b"Action=AttachVolume", "400 Bad Request", answer)["error"] == "VolumeInUse"


def test_what_breaks_in_the_lab_is_an_aws_error_in_the_services_own_format() -> None:
    status, _, xml = failure(FORM, NotImplementedError("describe_volume_status"))
    assert status.startswith("400")
    assert b"<Code>UnsupportedOperation</Code>" in xml
    status, _, document = failure(JSON, ValueError("a < b"))
    assert status.startswith("500")
    assert json.loads(document) == {"__type": "InternalError", "message": "ValueError: a < b"}
