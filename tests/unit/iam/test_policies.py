"""The policies grant what is called, and no more."""

from __future__ import annotations

import json
import warnings
from fnmatch import fnmatchcase
from typing import Any

import pytest

from lab.rehearsal.actions import policy_of
from tests.unit.iam import derived
from transcoder import iam
from transcoder import settings as settings_module
from transcoder.alarmed import NAMESPACE
from transcoder.errors import Refused
from transcoder.settings import ROOT, Settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ResourceWarning)  # it leaves its own files open
    import parliament  # type: ignore[import-untyped]

EXCEPTIONS: dict[str, str] = json.loads((iam.DIRECTORY / "exceptions.json").read_text(encoding="utf-8"))
SETTINGS = settings_module.load("lab")


def full(store: str = "ssm") -> Settings:
    """Return an environment that has need of every statement."""
    aws = SETTINGS.aws.model_copy(update={"instance_profile": "node", "kms_key_id": "disk"})
    keys = SETTINGS.keys.model_copy(update={"kms_key_id": "keys", "store": store, "passphrase_store": store})
    monitoring = SETTINGS.monitoring.model_copy(update={"cloudwatch": True})
    return SETTINGS.model_copy(update={"aws": aws, "keys": keys, "monitoring": monitoring})


def granted(kind: str) -> set[str]:
    return iam.actions(iam.render(kind, full())) | iam.actions(iam.render(kind, full("secrets-manager")))


def reached(kind: str) -> set[str]:
    tasks = derived.by_task().items()
    return {action for task, found in tasks if (task in iam.BAKE_TASKS) == (kind == "bake") for action in found}


@pytest.mark.parametrize("kind", ["operator", "bake"])
def test_what_is_called_is_granted(kind: str) -> None:
    assert reached(kind) - granted(kind) == set()


def called(kind: str) -> set[str]:
    """Return what was really called by those who have a policy."""
    return {a for who, found in derived.seen().items() if policy_of(who) == kind for a in found}


@pytest.mark.parametrize("kind", iam.KINDS)
def test_what_was_really_called_is_granted(kind: str) -> None:
    assert called(kind) - granted(kind) == set()


@pytest.mark.parametrize("kind", iam.KINDS)
def test_what_is_granted_was_called_or_is_an_exception_with_a_reason(kind: str) -> None:
    hint = "a line in tests/contract/iam/scenarios.py, or a rehearsal; else templates/iam/exceptions.json"
    assert granted(kind) - called(kind) - set(EXCEPTIONS) == set(), hint


def test_every_task_that_reaches_aws_was_seen_to_call_it() -> None:
    assert set(derived.by_task()) - set(derived.seen()) == set()


def test_no_call_stands_outside_of_the_tasks() -> None:
    assert derived.everything() - reached("operator") - reached("bake") == set()


def test_every_exception_is_granted_has_a_reason_and_was_not_called() -> None:
    assert set(EXCEPTIONS) <= {action for kind in iam.KINDS for action in granted(kind)}
    assert all(len(reason) > 20 for reason in EXCEPTIONS.values())
    assert not (set(EXCEPTIONS) & {action for actions in derived.seen().values() for action in actions})


def test_the_machine_is_granted_what_it_calls_and_nothing_where_it_calls_nothing() -> None:
    fetching = {"kms:Decrypt", "secretsmanager:GetSecretValue", "ssm:GetParameter"}
    assert granted("instance") == {"cloudwatch:PutMetricData", *fetching}
    assert iam.actions(iam.render("instance", SETTINGS)) == set()


def test_the_machine_is_denied_everything_else_whatever_is_attached() -> None:
    for settings in (SETTINGS, full()):
        (deny,) = [each for each in iam.render("instance", settings)["Statement"] if each["Effect"] == "Deny"]
        assert set(deny["NotAction"]) == granted("instance")


def test_the_machine_writes_into_the_namespace_of_its_watch_alone() -> None:
    allow = next(each for each in iam.render("instance", full())["Statement"] if each["Sid"] == "SendReadings")
    assert allow["Condition"] == {"StringEquals": {"cloudwatch:namespace": NAMESPACE}}


def test_alarms_may_be_changed_where_there_are_any_and_these_alone() -> None:
    assert not [each for each in iam.actions(iam.render("operator", SETTINGS)) if each.startswith("cloudformation:")]
    statements = {each["Sid"]: each for each in iam.render("operator", full(), "123456789012")["Statement"]}
    assert statements["AlarmStack"]["Resource"].endswith(":123456789012:stack/transcoder-lab/*")
    assert statements["Alarms"]["Resource"].endswith(":alarm:transcoder-lab-*")
    assert statements["AlarmTopic"]["Resource"].endswith(":transcoder-lab")


@pytest.mark.parametrize("store", ["ssm", "secrets-manager"])
def test_the_machine_may_read_what_its_script_asks_for_and_what_aws_does_for_that(store: str) -> None:
    text = (ROOT / "files/rootfs/usr/local/lib/transcoder/fetch-passphrase").read_text(encoding="utf-8")
    called = {"ssm": "ssm:GetParameter", "secrets-manager": "secretsmanager:GetSecretValue"}[store]
    assert f'"{store}": "{called}"' in text
    assert iam.actions(iam.render("instance", full(store))) == {called, "kms:Decrypt", "cloudwatch:PutMetricData"}


@pytest.mark.parametrize("store", ["ssm", "secrets-manager"])
def test_the_machine_may_read_its_environments_passphrases_and_no_backup_of_a_key(store: str) -> None:
    settings = full(store)
    own = [each for each in iam.render("instance", settings)["Statement"] if "Passphrase" in each["Sid"]]
    reading, decrypting = own
    assert reading["Resource"].endswith(f"transcoder/passphrases/{settings.name}/*")
    assert settings.keys.prefix not in json.dumps(own)
    assert list(decrypting["Condition"]["StringLike"].values()) == [reading["Resource"]]
    assert decrypting["Condition"]["StringEquals"]["kms:ViaService"].endswith(".amazonaws.com")


def covered(policy: dict[str, Any], action: str, form: str) -> bool:
    """Tell whether any statement allows an action on a kind of resource: parliament looks at one at a time."""
    kind = form.rsplit(":", 1)[1]
    resources = [r for s in policy["Statement"] if action in s.get("Action", ()) for r in s["Resource"]]
    return any(fnmatchcase(resource.rsplit(":", 1)[1], kind) for resource in resources)


@pytest.mark.parametrize("store", ["ssm", "secrets-manager"])
@pytest.mark.parametrize("kind", iam.KINDS)
def test_parliament_finds_nothing(kind: str, store: str) -> None:
    policy = iam.render(kind, full(store), "123456789012")
    found = parliament.analyze_policy_string(json.dumps(policy)).findings
    left = [
        f"{finding.issue} {finding.detail}"
        for finding in found
        if finding.issue != "RESOURCE_MISMATCH"
        or not all(covered(policy, each["action"], each["required_format"]) for each in finding.detail)
    ]
    assert left == []


@pytest.mark.parametrize("kind", iam.KINDS)
def test_nothing_is_left_to_be_filled_in_and_no_action_has_a_wildcard(kind: str) -> None:
    policy = iam.render(kind, full(), "123456789012")
    assert not any("{" in str(value) for value in _texts(policy))
    assert not any("*" in action for action in iam.actions(policy))


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    return [text for each in value for text in _texts(each)] if isinstance(value, list) else [value]


@pytest.mark.parametrize("action", ["DeleteVolume", "DeleteSnapshot", "TerminateInstances", "StopInstances"])
def test_what_destroys_needs_the_tag_of_the_environment(action: str) -> None:
    statements = [s for s in iam.render("operator", SETTINGS)["Statement"] if f"ec2:{action}" in s["Action"]]
    wanted = {"StringEquals": {"aws:ResourceTag/transcoder:environment": SETTINGS.name}}
    assert statements and all(each["Condition"] == wanted for each in statements)


def test_a_role_is_passed_only_where_a_profile_is_configured() -> None:
    without = SETTINGS.aws.model_copy(update={"instance_profile": ""})
    policy = iam.render("operator", SETTINGS.model_copy(update={"aws": without}))
    assert "iam:PassRole" not in iam.actions(policy)
    assert "iam:PassRole" in granted("operator")


def test_the_lock_is_this_environments_alone() -> None:
    statements = iam.render("operator", SETTINGS)["Statement"]
    resource = next(each["Resource"] for each in statements if each["Sid"] == "Lock")
    assert resource.endswith(f":parameter/transcoder/{SETTINGS.name}/*")


def test_a_policy_that_does_not_exist_and_an_account_that_is_none_are_refused() -> None:
    with pytest.raises(Refused, match="policy 'admin' does not exist"):
        iam.render("admin", SETTINGS)
    with pytest.raises(Refused, match="account '12' is not twelve digits"):
        iam.render("bake", SETTINGS, "12")


def test_the_table_in_the_docs_is_what_the_code_says() -> None:
    hint = "python -m tests.unit.iam.derived"
    assert derived.table() in (ROOT / "docs" / "iam.md").read_text(encoding="utf-8"), hint


def test_invoke_iam_prints_the_policy(capsys: pytest.CaptureFixture[str]) -> None:
    iam.show("operator", SETTINGS, as_json=True)
    assert json.loads(capsys.readouterr().out) == iam.render("operator", SETTINGS)
