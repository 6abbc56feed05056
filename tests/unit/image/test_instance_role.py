"""The instance's own calls to AWS: its signature against botocore's, the metadata service's answers, the refusals."""

from __future__ import annotations

from collections.abc import Iterator

import instance_role  # type: ignore[import-not-found, unused-ignore]
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from transcoder_node import NotYet, Refusal  # type: ignore[import-not-found, unused-ignore]

from tests.simulated import metadata_service
from tests.simulated.metadata_service import Service

MOMENT = "20150830T123600Z"
CREDENTIALS = instance_role.Credentials("ASIAEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "a/token+=")


@pytest.fixture
def service() -> Iterator[Service]:
    with metadata_service.serving() as made:
        yield made


def botocore_signature(service: str, region: str, body: bytes, headers: dict[str, str], url: str) -> str:
    request = AWSRequest("POST", url + "/", headers=headers, data=body)
    request.headers["X-Amz-Date"] = MOMENT
    request.context["timestamp"] = MOMENT
    signer = SigV4Auth(Credentials(*CREDENTIALS), service, region)
    request.headers["X-Amz-Security-Token"] = CREDENTIALS.token
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return str(signer.signature(text, request))


@given(
    service=st.sampled_from(["ssm", "secretsmanager", "monitoring"]),
    region=st.sampled_from(["us-east-1", "eu-central-1"]),
    body=st.binary(max_size=200),
    target=st.text(alphabet="abcXYZ._1", min_size=1, max_size=30),
)
def test_the_signature_is_botocores(service: str, region: str, body: bytes, target: str) -> None:
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
    url = instance_role.endpoint(service, region)
    host = url.removeprefix("https://")
    ours = instance_role.sign(service, region, CREDENTIALS, host, body, headers, MOMENT)
    assert ours["authorization"].endswith(botocore_signature(service, region, body, headers, url))


def test_credentials_and_region_come_from_the_metadata_service(service: Service) -> None:
    service.items = metadata_service.items({**metadata_service.CREDENTIALS, "Code": "Success"})
    metadata = instance_role.Metadata(service.address)
    assert metadata.credentials() == ("ASIA1", "s", "t")
    assert metadata.region() == "eu-central-1"


def test_an_instance_without_a_role_is_told_what_to_do(service: Service) -> None:
    with pytest.raises(Refusal, match="instance profile"):
        instance_role.Metadata(service.address).credentials()


def test_a_metadata_service_that_is_not_there_may_come() -> None:
    with pytest.raises(NotYet, match="does not answer"):
        instance_role.Metadata("127.0.0.1:1").item("public-ipv4")


def test_a_post_carries_body_and_signature(service: Service) -> None:
    service.answer = (200, b'{"Parameter": {}}')
    headers = {"X-Amz-Target": "AmazonSSM.GetParameter"}
    answer = instance_role.post("ssm", "us-east-1", CREDENTIALS, b"{}", headers, "http://" + service.address)
    assert answer == b'{"Parameter": {}}'
    [(sent, body)] = service.posted
    assert body == b"{}"
    assert sent["x-amz-target"] == "AmazonSSM.GetParameter"
    assert sent["x-amz-security-token"] == CREDENTIALS.token
    assert sent["authorization"].startswith("AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE/")
    assert CREDENTIALS.secret_key not in str(sent)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, b'{"__type": "AccessDeniedException", "Message": "no"}', "AccessDeniedException"),
        (400, b'{"__type": "com.amazonaws.ssm#ParameterNotFound"}', "ParameterNotFound"),
        (403, b"<html>away", "HTTP 403"),
        (403, b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>", "AccessDenied"),
    ],
)
def test_a_refusal_has_its_code(service: Service, status: int, body: bytes, code: str) -> None:
    service.answer = (status, body)
    with pytest.raises(instance_role.Denied) as caught:
        instance_role.post("ssm", "us-east-1", CREDENTIALS, b"{}", {}, "http://" + service.address)
    assert caught.value.code == code


def test_a_refusal_in_xml_has_its_words(service: Service) -> None:
    text = b"<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate &lt; 1</Message></Error>"
    service.answer = (400, text)
    with pytest.raises(instance_role.Denied) as caught:
        instance_role.post("monitoring", "us-east-1", CREDENTIALS, b"", {}, "http://" + service.address)
    assert str(caught.value) == "Throttling: Rate < 1"


def test_a_broken_service_may_recover(service: Service) -> None:
    service.answer = (503, b"")
    with pytest.raises(NotYet, match="503"):
        instance_role.post("ssm", "us-east-1", CREDENTIALS, b"{}", {}, "http://" + service.address)
