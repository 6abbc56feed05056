"""Who calls: the account's root, its users, and the roles that machines have taken on, by their access keys.

The users and their policies are moto's own: who asks the lab's IAM sees them, and may change them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from lab.faults.seams import OBSERVER
from lab.hooks import ACCOUNT_ID
from lab.iam.policies import check

PARTITION = "aws"
POLICY = "transcoder"
"""The name of the one policy that a user, or the role, has."""
ROOT_KEYS = frozenset({"lab", OBSERVER})
"""Access keys of the account's root, to whom no policy applies; any secret goes with them."""
USERS = {"operator": "lab-operator", "bake": "lab-bake"}
"""The account's users -> their access keys; any secret goes with them, too."""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}],
}

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Identity:
    """Somebody who calls. ``policies`` is None for the root."""

    name: str
    arn: str
    policies: tuple[Policy, ...] | None = None


@dataclass(frozen=True)
class Account:
    """What the account's IAM is to have: the users' policies by kind, and a role for machines with its own.

    ``profile``: the name of the role and of its instance profile; empty: there is none.
    """

    users: Mapping[str, Policy]
    profile: str = ""
    instance: Policy | None = None


ROOT = Identity("root", f"arn:aws:iam::{ACCOUNT_ID}:root")


def iam() -> Any:
    """Return moto's live IAM."""
    return iam_backends[ACCOUNT_ID][PARTITION]


def make(account: Account) -> None:
    """Make the users and the role with their policies.

    :raises UnknownCondition: a policy has something that would not be checked.
    """
    backend = iam()
    for name, policy in account.users.items():
        check(policy)
        backend.create_user("us-east-1", name, "/")
        backend.put_user_policy(name, POLICY, json.dumps(policy))
        backend.create_access_key(name).access_key_id = USERS[name]
    if account.profile:
        _make_role(backend, account)


def _make_role(backend: Any, account: Account) -> None:
    name = account.profile
    backend.create_role(name, json.dumps(TRUST), "/", None, "", [], 3600)
    if account.instance is not None:
        check(account.instance)
        backend.put_role_policy(name, POLICY, json.dumps(account.instance))
    backend.create_instance_profile(name, "/", [])
    backend.add_role_to_instance_profile(name, name)


def forget() -> None:
    """Leave moto's IAM and STS as empty as they were."""
    for backends in (iam_backends, sts_backends):
        backends[ACCOUNT_ID][PARTITION].reset()


def identify(access_key: str) -> Identity | None:
    """Return who has an access key; None when nobody has."""
    if access_key in ROOT_KEYS:
        return ROOT
    for user in iam().users.values():
        if any(key.access_key_id == access_key for key in user.access_keys):
            return Identity(user.name, user.arn, _documents(user.policies))
    for taken in sts_backends[ACCOUNT_ID][PARTITION].assumed_roles:
        if taken.access_key_id == access_key:
            role = iam().get_role_by_arn(taken.role_arn)
            arn = f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{role.name}/{taken.session_name}"
            return Identity(role.name, arn, _documents(role.policies))
    return None


def name_of(access_key: str) -> str:
    """Return the name of who has an access key, for the log; empty when nobody has."""
    found = identify(access_key)
    return found.name if found else ""


def _documents(policies: Mapping[str, str]) -> tuple[Policy, ...]:
    return tuple(json.loads(each) for each in policies.values())
