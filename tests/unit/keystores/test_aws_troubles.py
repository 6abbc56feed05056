"""What the stores at AWS make of its errors: each its own refusal, with what to do, and never with content."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.simulated.clock import SimulatedClock
from tests.simulated.world import settings
from tests.unit.aws.scripted import Answer, Client, error, lost
from transcoder.aws_calls import Calls
from transcoder.errors import Refused, Unreachable
from transcoder.keystores import by_name, configured
from transcoder.keystores.secrets_manager import SecretsManagerStore
from transcoder.keystores.ssm import SsmStore
from transcoder.secret import Secret
from transcoder.world import KeyStore

NAME, CANARY = "0xab/backup", "canary-3c4d"
STORES: dict[str, Any] = {"ssm": SsmStore, "secretsmanager": SecretsManagerStore}
WORDS = {
    "ssm": SimpleNamespace(put="put_parameter", get="get_parameter", create="put_parameter", named="ssm:PutParameter"),
    "secretsmanager": SimpleNamespace(
        put="put_secret_value", get="get_secret_value", create="create_secret", named="secretsmanager:PutSecretValue"
    ),
}
ACCOUNT = "User: arn:aws:iam::123456789012:user/ada is not authorized to perform: {} on resource: *"


def store(service: str, scripts: dict[str, list[Answer]], kms: str = "") -> tuple[KeyStore, Client]:
    client, environment = Client(scripts), settings(keys={"kms_key_id": kms})
    calls = Calls(environment, connect=lambda _service: client, clock=SimulatedClock(), jitter=lambda: 1.0)
    return STORES[service](environment, calls), client


@pytest.mark.parametrize("service", STORES)
def test_a_missing_permission_is_named(service: str) -> None:
    words = WORDS[service]
    denied = error("AccessDeniedException", ACCOUNT.format(words.named))
    own, _ = store(service, {words.put: [denied]})
    with pytest.raises(Refused, match=f"{words.named} is not permitted") as caught:
        own.put(NAME, Secret(CANARY))
    assert CANARY not in str(caught.value)
    assert "policy" in caught.value.hint


@pytest.mark.parametrize("service", STORES)
def test_a_missing_permission_for_the_kms_key_is_named_as_kms_own(service: str) -> None:
    denied = error("AccessDeniedException", ACCOUNT.format("kms:Decrypt"))
    own, _ = store(service, {WORDS[service].get: [denied]})
    with pytest.raises(Refused, match="kms:Decrypt is not permitted"):
        own.get(NAME)


@pytest.mark.parametrize(
    ("service", "code"), [("ssm", "InvalidKeyId"), ("secretsmanager", "DecryptionFailure")], ids=["ssm", "secrets"]
)
@pytest.mark.parametrize("what", ["put", "get"])
def test_a_wrong_kms_key_is_refused_at_once_and_named(service: str, code: str, what: str) -> None:
    method = getattr(WORDS[service], what)
    own, client = store(service, {method: [error(code, "Alias arn:... is not found.")]}, "alias/gone")
    with pytest.raises(Refused, match=r"the KMS key \(alias/gone\) cannot be used") as caught:
        own.put(NAME, Secret(CANARY)) if what == "put" else own.get(NAME)
    assert "keys.kms_key_id" in caught.value.hint
    assert client.count(method) == 1


@pytest.mark.parametrize("service", STORES)
def test_throttling_is_waited_out(service: str) -> None:
    words = WORDS[service]
    answer = {"Version": 2, "VersionId": "2"}
    own, client = store(service, {words.put: [error("ThrottlingException"), error("ThrottlingException"), answer]})
    assert own.put(NAME, Secret("x")) == "2"
    assert client.count(words.put) == 3


@pytest.mark.parametrize("service", STORES)
def test_throttling_without_end_is_unreachable(service: str) -> None:
    own, _ = store(service, {WORDS[service].put: [error("ThrottlingException")]})
    with pytest.raises(Unreachable, match="busy"):
        own.put(NAME, Secret(CANARY))


@pytest.mark.parametrize("service", STORES)
def test_the_kms_key_is_named_by_its_id(service: str) -> None:
    absent = error("ResourceNotFoundException")
    scripts: dict[str, list[Answer]] = {"put_parameter": [{"Version": 1}], "put_secret_value": [absent]}
    own, client = store(service, {**scripts, "create_secret": [{"VersionId": "1"}]}, "1234abcd-12ab")
    own.put(NAME, Secret("x"))
    request = client.request("put_parameter" if service == "ssm" else "create_secret")
    assert request["KeyId" if service == "ssm" else "KmsKeyId"] == "1234abcd-12ab"


def test_a_value_at_ssm_is_always_encrypted() -> None:
    own, client = store("ssm", {"put_parameter": [{"Version": 1}]})
    own.put(NAME, Secret("x"))
    own.create(NAME, Secret("x"))
    assert {request["Type"] for _, request in client.calls} == {"SecureString"}


def test_a_claim_whose_answer_was_lost_is_ours_when_it_holds_our_words() -> None:
    taken = error("ParameterAlreadyExists")
    mine: Answer = {"Parameter": {"Value": "mine"}}
    own, _ = store("ssm", {"put_parameter": [lost(), taken], "get_parameter": [mine]})
    assert own.create(NAME, Secret("mine"))
    own, _ = store("ssm", {"put_parameter": [taken], "get_parameter": [{"Parameter": {"Value": "theirs"}}]})
    assert not own.create(NAME, Secret("mine"))


def test_the_advanced_tier_takes_twice_as_much() -> None:
    environment = settings(keys={"ssm_tier": "Advanced"})
    client = Client({"put_parameter": [{"Version": 1}]})
    own = SsmStore(environment, Calls(environment, connect=lambda _service: client, clock=SimulatedClock()))
    own.put(NAME, Secret("x" * 8192))
    assert client.request("put_parameter")["Tier"] == "Advanced"
    with pytest.raises(Refused, match="8193 bytes are too large"):
        own.put(NAME, Secret("x" * 8193))


def test_a_secret_that_is_scheduled_for_deletion_is_told() -> None:
    deleted = error("InvalidRequestException", "You can't perform this operation, it was marked for deletion.")
    own, _ = store("secretsmanager", {"get_secret_value": [deleted]})
    with pytest.raises(Refused, match="marked for deletion"):
        own.get(NAME)


def test_a_store_that_the_environment_does_not_describe_is_refused() -> None:
    for kind in ("vault", "age"):
        with pytest.raises(Refused, match="this environment has no"):
            by_name(kind, settings())


def test_the_stores_to_look_into_are_those_that_the_environment_describes() -> None:
    assert configured(settings()) == ("ssm",)
    assert configured(settings(keys={"vault_url": "https://vault.example"})) == ("ssm", "vault")
    assert configured(settings(keys={"store": "secrets-manager"})) == ("secrets-manager",)


@pytest.mark.parametrize(
    "keys",
    [
        {"store": "vault"},
        {"store": "age", "age_directory": "/safe"},
        {"store": "floppy"},
        {"vault_url": "http://vault.example"},
        {"prefix": "/leading"},
        {"vault_token": "hvs.literal"},
    ],
)
def test_a_wrong_table_of_keys_is_refused_when_it_is_read(keys: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="keys"):
        settings(keys=keys)
