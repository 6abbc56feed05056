"""The check before every answer: who calls, and do their policies allow all that the call has need of."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import BaseResponse
from moto.core.utils import camelcase_to_underscores

from lab.hooks import ACCOUNT_ID, Hooks, ec2_backend
from lab.iam.identities import Identity, identify
from lab.iam.needs import SIGNED_AS, Asked, needs
from lab.iam.policies import ANY, Need, allows

CREDENTIAL = re.compile(r"Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/")
UNKNOWN_KEY = {"ec2": "AuthFailure"}
"""What a service answers to an access key that nobody has; all others: ``InvalidClientTokenId``."""
JSON_SERVICES = frozenset({"ssm", "secretsmanager", "kms", "logs", "monitoring"})
"""Services that say AccessDeniedException; those with a Query API say AccessDenied."""
FREE = frozenset({"sts:GetCallerIdentity"})
"""Needs no permission (STS API reference)."""


class Denied(ServiceException):  # type: ignore[misc]  # moto has no types
    """No, with the code and the words of the service. They serve for a refusal that names what is missing."""


def install(hooks: Hooks) -> None:
    """Stand before every answer of moto's. Before other hooks of ``call_action``, which then are inside."""
    hooks.wrap(BaseResponse, "call_action", _guarded)


def _guarded(original: Any, response: Any) -> Any:
    """Answer, or let moto put the refusal into the service's own form, where the answer would have come from."""
    if denied := _denial(response):

        def refuse() -> Any:
            raise denied

        setattr(response, camelcase_to_underscores(response._get_action()), refuse)
    return original(response)


def _denial(response: Any) -> Denied | None:
    found = CREDENTIAL.search(str(response.headers.get("Authorization", "")))
    key, region, service = found.groups() if found else ("", "", "")
    caller = identify(key)
    if caller is None:
        code = UNKNOWN_KEY.get(service, "InvalidClientTokenId")
        return Denied(code, "AWS was not able to validate the provided access credentials")
    if caller.policies is None:
        return None
    asked = Asked(
        SIGNED_AS.get(service, service),
        str(response._get_action()),
        parameters_of(response),
        region,
        ACCOUNT_ID,
        lambda identity: dict(ec2_backend(region).tags.get(identity, {})),
    )
    return denial(caller, asked)


def denial(caller: Identity, asked: Asked) -> Denied | None:
    """Return the refusal of a call, or None when all is permitted."""
    if asked.name in FREE or caller.policies is None:
        return None
    lacking = next((need for need in needs(asked) if not allows(caller.policies, need)), None)
    return Denied(code_of(asked.service), words(caller, lacking)) if lacking else None


def code_of(service: str) -> str:
    """Return the code with which a service says that something is not permitted."""
    if service == "ec2":
        return "UnauthorizedOperation"
    return "AccessDeniedException" if service in JSON_SERVICES else "AccessDenied"


def words(caller: Identity, need: Need) -> str:
    """Return what is missing in AWS's words (IAM user guide, "Troubleshoot access denied error messages")."""
    resource = "*" if need.resource == ANY else need.resource
    first = "You are not authorized to perform this operation. " if need.action.startswith("ec2:") else ""
    return (
        f"{first}User: {caller.arn} is not authorized to perform: {need.action} on resource: {resource} "
        f"because no identity-based policy allows the {need.action} action"
    )


def parameters_of(response: Any) -> Mapping[str, Any]:
    """Return the parameters of a call: those that moto has parsed, or a document of JSON."""
    if parsed := getattr(response, "params", None):
        return dict(parsed)
    try:
        document = json.loads(response.body or "{}")
    except ValueError:
        document = {}
    if isinstance(document, dict) and document:
        return document
    return {key: values[0] for key, values in response.querystring.items()}
