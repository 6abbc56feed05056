"""The lock of a node: an SSM parameter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from transcoder.aws_errors import AGAIN, Answered, AnsweredNotReady, LostAnswer
from transcoder.aws_noun import Noun
from transcoder.world import Lock

TRIES = 3
"""How often a lock is asked for that comes and goes, and freed when the answer was lost."""
PAGE = 10
EXISTS = "ParameterAlreadyExists"


class Locks(Noun):
    """Locks of nodes. Putting a parameter with ``Overwrite=False`` is atomic: one of two wins."""

    def take_lock(self, node: str, lock: Lock) -> Lock | None:
        """Take the node's lock; return its holder when somebody has it.

        Repeated: when the first answer was lost the second finds the lock taken, by us.

        :raises NotReady: it was taken and freed by others each time it was asked for.
        """
        for _ in range(TRIES):
            if self._put(node, lock):
                return None
            holder = self.lock_holder(node)
            if holder is not None:
                return None if holder == lock else holder
            self._calls.clock.sleep(0.5)
        raise AnsweredNotReady(f"the lock of node {node} is taken and freed by others all the time", code=EXISTS)

    def _put(self, node: str, lock: Lock) -> bool:
        value = json.dumps(asdict(lock))
        try:
            self._calls.call("ssm", "put_parameter", Name=self._name(node), Value=value, Type="String", Overwrite=False)
        except Answered as answer:
            if answer.code != EXISTS:
                raise
            return False
        return True

    def free_lock(self, node: str, lock: Lock | None = None) -> Lock | None:
        """Free the node's lock: only ``lock`` when given, whoever holds it otherwise. Return what was freed.

        Not repeated blindly: between a deletion whose answer was lost and a second one somebody else may have taken
        the lock. The holder is looked at again.

        :raises LostAnswer: whether it is free now is not known.
        """
        freed: Lock | None = None
        for _ in range(TRIES):
            holder = self.lock_holder(node)
            if holder is None or holder != (lock or holder):
                return freed
            lock = holder
            if self._delete(node):
                return holder
            freed = holder
        raise LostAnswer(f"whether the lock of node {node} is free now is not known", hint=AGAIN)

    def _delete(self, node: str) -> bool:
        try:
            self._calls.call_once("ssm", "delete_parameter", Name=self._name(node))
        except LostAnswer:
            return False
        return True

    def lock_holder(self, node: str) -> Lock | None:
        """Return who holds the node's lock, or None."""
        try:
            reply = self._calls.call("ssm", "get_parameter", Name=self._name(node))
        except Answered as answer:
            if answer.code == "ParameterNotFound":
                return None
            raise
        return Lock(**json.loads(reply["Parameter"]["Value"]))

    def lock_holders(self) -> Mapping[str, Lock]:
        """Return who holds which node of the environment: one call for every ten locks that are held, and one for none.

        A page of GetParametersByPath has ten parameters at most (SSM API reference).
        """
        request: dict[str, Any] = {"Path": self._name(""), "Recursive": True, "MaxResults": PAGE}
        found: dict[str, Lock] = {}
        while True:
            reply = self._calls.call("ssm", "get_parameters_by_path", **request)
            for parameter in reply["Parameters"]:
                *_, node, kind = parameter["Name"].split("/")
                if kind == "lock":
                    found[node] = Lock(**json.loads(parameter["Value"]))
            if not reply.get("NextToken"):
                return found
            request["NextToken"] = reply["NextToken"]

    def _name(self, node: str) -> str:
        """Return the name of a node's lock; without a node what the names of all of them begin with."""
        return f"/transcoder/{self._settings.name}" + (f"/{node}/lock" if node else "")
