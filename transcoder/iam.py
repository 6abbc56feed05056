"""The IAM policies of ``templates/iam``, filled in for an environment.

A statement's ``When`` names the value without which it is left out; AWS never sees that key.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from transcoder import alarms
from transcoder.errors import Refused
from transcoder.grants import DIRECTORY, KINDS
from transcoder.settings import Settings

__all__ = ["BAKE_TASKS", "DIRECTORY", "KINDS", "actions", "render", "show"]

BAKE_TASKS = frozenset({"invoke amis", "invoke bake-ami", "invoke retire-amis", "invoke verify-ami"})
"""Tasks that are typed by who has the policy ``bake``; all others by who has ``operator``."""


def render(kind: str, settings: Settings, account: str = "") -> dict[str, Any]:
    """Return the policy of one kind for an environment.

    :param account: twelve digits; empty: ``*``, which in an identity's policy reaches no further than its own account.
    :raises Refused: when there is no such kind, or the account is none.
    """
    if kind not in KINDS:
        raise Refused(f"policy {kind!r} does not exist", hint=f"one of: {', '.join(KINDS)}")
    if account and not (account.isdecimal() and len(account) == 12):
        raise Refused(f"account {account!r} is not twelve digits", hint="aws sts get-caller-identity")
    values = _values(settings, account or "*")
    policy = json.loads((DIRECTORY / f"{kind}.json").read_text(encoding="utf-8"))
    wanted = [each for each in policy["Statement"] if "When" not in each or values[each["When"]]]
    statements = [{key: _filled(value, values) for key, value in each.items() if key != "When"} for each in wanted]
    return {"Version": policy["Version"], "Statement": statements}


def actions(policy: Mapping[str, Any]) -> set[str]:
    """Return the actions that a policy allows, such as ``ec2:AttachVolume``."""
    return {action for each in policy["Statement"] if each["Effect"] == "Allow" for action in each["Action"]}


def show(kind: str, settings: Settings, account: str = "", *, as_json: bool = False) -> None:
    """Print a policy, or all of them as one JSON document by kind where none is named.

    :param as_json: on one line, for a program.
    """
    found = render(kind, settings, account) if kind else {each: render(each, settings, account) for each in KINDS}
    sys.stdout.write(json.dumps(found, indent=None if as_json else 2) + "\n")


def _values(settings: Settings, account: str) -> dict[str, str]:
    aws, keys = settings.aws, settings.keys
    partition = {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(aws.region.rsplit("-", 2)[0], "aws")
    start = f"arn:{partition}:kms:{aws.region}:{account}:key/"
    own_key = _key(keys.kms_key_id, start)
    in_ssm, in_secrets_manager = (keys.passphrase_store == kind for kind in ("ssm", "secrets-manager"))
    disk = [key for key in (aws.kms_key_id, settings.image.kms_key_id) if key]
    return {
        "environment": settings.name,
        "region": aws.region,
        "account": account,
        "partition": partition,
        "instance_profile": aws.instance_profile,
        "keys": keys.prefix,
        "ssm": "yes" if keys.store == "ssm" else "",
        "secrets_manager": "yes" if keys.store == "secrets-manager" else "",
        "cloudwatch": "yes" if settings.monitoring.cloudwatch else "",
        "stack": alarms.stack_name(settings),
        "keys_key": own_key,
        "passphrases": settings.passphrase_path,
        "passphrase_in_ssm": "yes" if in_ssm else "",
        "passphrase_in_secrets_manager": "yes" if in_secrets_manager else "",
        "passphrase_key_in_ssm": own_key if in_ssm else "",
        "passphrase_key_in_secrets_manager": own_key if in_secrets_manager else "",
        "disk_key": _key(disk[0], start) if len(set(disk)) == 1 else (start + "*" if disk else ""),
    }


def _key(identity: str, start: str) -> str:
    """Return the ARN of a key; for an alias, which is no resource of these actions, all keys of the region."""
    if ":key/" in identity or not identity:
        return identity
    return start + ("*" if "alias/" in identity else identity)


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    if isinstance(value, dict):
        return {key: _filled(each, values) for key, each in value.items()}
    for name, text in values.items():
        value = value.replace("{" + name + "}", text)
    return value
