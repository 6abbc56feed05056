"""SSM parameters: nothing to make, only limits that moto does not know."""

from __future__ import annotations

import inspect
from typing import Any

from moto.ssm.models import SimpleSystemManagerBackend

from lab.hooks import Hooks
from lab.strict import parameters as strict


class Parameters:
    """Wraps PutParameter."""

    def install(self, hooks: Hooks) -> None:
        """Wrap moto's model."""
        hooks.wrap(SimpleSystemManagerBackend, "put_parameter", put_parameter)


def put_parameter(original: Any, *arguments: Any, **keywords: Any) -> Any:
    """Put a parameter whose value is not too long."""
    asked = inspect.signature(original).bind(*arguments, **keywords).arguments
    strict.check_value(str(asked["value"] or ""), asked.get("tier") or "Standard")
    return original(*arguments, **keywords)
