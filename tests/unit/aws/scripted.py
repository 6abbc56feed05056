"""boto3 clients that answer from a script, and an `Aws` that calls them in simulated time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

from tests.simulated.clock import SimulatedClock
from tests.simulated.world import settings
from transcoder.aws import Aws
from transcoder.aws_calls import Calls, action_of

URL = "https://ec2.us-east-1.amazonaws.com"
Answer = Mapping[str, Any] | Exception | Callable[[Mapping[str, Any]], Mapping[str, Any]]


def error(code: str, message: str = "in EC2's words", status: int = 400) -> ClientError:
    """Return what boto3 raises for an answer with this code."""
    reply = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(reply, "Operation")


def lost() -> Exception:
    """Return what boto3 raises when the connection closes before the answer is there."""
    closed: Exception = ConnectionClosedError(endpoint_url=URL)
    return closed


def refused() -> Exception:
    """Return what boto3 raises when nobody listens."""
    nobody: Exception = EndpointConnectionError(endpoint_url=URL)
    return nobody


class Client:
    """Answers each method from its own script; the last answer of a script is given again and again."""

    def __init__(self, scripts: Mapping[str, list[Answer]]) -> None:
        self.scripts = {name: list(answers) for name, answers in scripts.items()}
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.meta = SimpleNamespace(method_to_api_mapping={name: action_of(name) for name in scripts})

    def __getattr__(self, name: str) -> Callable[..., Mapping[str, Any]]:
        if name not in self.scripts:
            raise AssertionError(f"{name} is not in the script")

        def method(**request: Any) -> Mapping[str, Any]:
            self.calls.append((name, request))
            script = self.scripts[name]
            answer = script.pop(0) if len(script) > 1 else script[0]
            if isinstance(answer, Exception):
                raise answer
            return answer(request) if callable(answer) else answer

        return method

    def count(self, name: str) -> int:
        """Return how often a method was called."""
        return [called for called, _ in self.calls].count(name)

    def request(self, name: str) -> Mapping[str, Any]:
        """Return the last request of a method."""
        return [request for called, request in self.calls if called == name][-1]


class Rig:
    """An `Aws` on scripted clients. Pauses are as long as they can be, with a jitter of 1; None is the real one."""

    def __init__(self, jitter: float | None = 1.0, kms: str = "", **scripts: list[Answer]) -> None:
        self.client = Client(scripts)
        self.clock = SimulatedClock()
        environment = settings(aws={"kms_key_id": kms})
        fixed = None if jitter is None else lambda: jitter
        calls = Calls(environment, connect=lambda _service: self.client, clock=self.clock, jitter=fixed)
        self.aws = Aws(environment, calls)
