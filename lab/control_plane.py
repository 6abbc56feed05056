"""moto's server as one WSGI application: one request at a time, every call logged, every error an AWS error."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import moto.settings
from moto.ec2.models import ec2_backends
from moto.ec2.responses import EC2Response
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from lab import kept_images, reconcile
from lab.bootstrap import Bootstrap
from lab.call_log import CallLog, action_of, fields_of, service_of
from lab.cloud import Cloud
from lab.configuration import LabConfiguration
from lab.drivers import MachineDriver, StockImage
from lab.faults import answers
from lab.faults.seams import Asked, Verdict, asked_by
from lab.faults.switchboard import FAULTS_PATH, Switchboard, describe
from lab.hooks import ACCOUNT_ID, Hooks, ec2_error
from lab.iam import guard, identities
from lab.reconcile.keeping import Keeping
from lab.strict.requests import check_exists

log = logging.getLogger("lab")

StartResponse = Callable[..., Any]
STATUS_PATH = "/lab/status"
"""Not AWS's: what the lab knows beyond the API, as JSON."""


class ControlPlane:
    """EC2 and the other AWS services of one lab.

    :param account: whom IAM knows from the start.
    """

    def __init__(
        self, configuration: LabConfiguration, driver: MachineDriver, account: identities.Account | None = None
    ) -> None:
        self.cloud = Cloud(configuration, driver)
        self.hooks = Hooks()
        self._prepare_moto()
        identities.make(account or identities.Account({}))
        if configuration.iam:
            guard.install(self.hooks)
        self._reconciler = reconcile.install(self.cloud, self.hooks)
        self.hooks.wrap(EC2Response, "call_action", self._with_parameters)
        self.hooks.wrap(EC2Response, "create_tags", self._tag)
        self.faults = Switchboard(self.cloud, self._reconciler)
        self._keeping = Keeping(self.cloud, kept_images.of_lab(configuration))
        self._stock_id = ""
        self.restored: tuple[str, ...] = ()
        """The baked AMIs of an earlier lab of this name that are registered again."""
        self._application = DomainDispatcherApplication(create_backend_app)
        configuration.state_directory.mkdir(parents=True, exist_ok=True)
        self._calls = CallLog(configuration.state_directory / "calls.jsonl", identities.name_of)

    def _prepare_moto(self) -> None:
        # moto's own images would be 1300 snapshots owned by "self", each with a disk of ours.
        self.hooks.replace(moto.settings, "ec2_load_default_amis", lambda: False)
        ec2_backends[ACCOUNT_ID].clear()

    def bootstrap(self, stock: StockImage, public_key: bytes) -> str:
        """Make what an account has from the start: a default VPC, the stock AMI, the operator's key pair.

        The AMIs that an earlier lab of this name has kept are registered again. Returns the stock AMI's id.
        """
        with self.cloud.lock:
            Bootstrap(self.cloud).account(public_key)
            self._stock_id = str(self._reconciler.images.register_stock(stock).id)
            self.restored = self._keeping.restore()
        return self._stock_id

    def keep_images(self) -> None:
        """Keep the baked AMIs for the next lab of this name."""
        with self.cloud.lock:
            self._keeping.keep(self._stock_id)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        started, body = time.monotonic(), _read(environ)
        if environ.get("PATH_INFO") == STATUS_PATH:
            return self._status(start_response)
        if environ.get("PATH_INFO") == FAULTS_PATH:
            return self._switch_faults(environ, body, start_response)
        asked = asked_of(environ, body)
        verdict = self.cloud.seams.judge(asked)
        answered: dict[str, Any] = {}

        def start(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            answered.update(status=status, headers=headers)

        with self.cloud.lock:
            try:
                answer = self._answer(environ, asked, verdict, start)
            except Exception as error:  # moto leaves the HTML of a traceback, which no SDK can read
                log.exception("a request failed")
                status, headers, answer = failure(environ, error)
                answered = {"status": status, "headers": headers}
        if verdict.lost:
            self._calls.write(environ, body, answers.LOST, b"", started)
            raise ConnectionAbortedError("a fault of the lab: done, but the answer is lost")
        self._calls.write(environ, body, answered["status"], answer, started)
        start_response(answered["status"], answered["headers"])
        return [answer]

    def _answer(self, environ: dict[str, Any], asked: Asked, verdict: Verdict, start: StartResponse) -> bytes:
        """Let moto answer, as far as no fault is in the way. The caller holds the lock."""
        if verdict.code:
            status, headers, answer = answers.error(environ, verdict.code, answers.text_of(verdict.code))
            start(status, headers)
            return answer
        if asked.service == "cloudformation":
            from lab import alarms  # noqa: PLC0415 - moto's CloudFormation loads many of its services

            alarms.install()
        with self.cloud.seams.view(asked):
            answer = b"".join(self._application(environ, start))
        self._reconciler.wires.refresh()
        return answer

    def _switch_faults(self, environ: dict[str, Any], body: bytes, start_response: StartResponse) -> list[bytes]:
        status, answer = self.faults.answer(environ["REQUEST_METHOD"], str(environ.get("REMOTE_ADDR", "")), body)
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
        return [answer]

    def close(self) -> None:
        """End the jobs, cut every machine's power, remove the network, and leave moto as it was."""
        self.cloud.closing.set()
        self.cloud.driver.close()
        self.cloud.close()
        self.hooks.undo()
        identities.forget()
        self._calls.close()

    def _with_parameters(self, original: Any, response: Any) -> Any:
        with self.cloud.request(dict(response.params or {}), response.region):
            return original(response)

    def _tag(self, original: Any, response: Any) -> Any:
        """Refuse to tag what does not exist, and tags that are AWS's own."""
        backend, parameters = response.ec2_backend, self.cloud.parameters
        for resource_id in parameters.get("Resources") or []:
            check_exists(backend, str(resource_id))
        for tag in parameters.get("Tags") or []:
            if str(tag.get("Key", "")).startswith("aws:"):
                raise ec2_error("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
        return original(response)

    def _status(self, start_response: StartResponse) -> list[bytes]:
        with self.cloud.lock:
            machines = {
                instance.id: {
                    "running": self.cloud.driver.running(instance.id),
                    "impaired": bool(getattr(instance, "lab_impaired", False)),
                    "reason": instance.state_reason.message,
                }
                for instance in self.cloud.instances()
            }
        start_response("200 OK", [("Content-Type", "application/json")])
        faults = [describe(each) for each in self.faults.active()]
        return [json.dumps({"machines": machines, "faults": faults}).encode()]


def asked_of(environ: Mapping[str, Any], body: bytes) -> Asked:
    """Return a request as the faults see it."""
    authorization = str(environ.get("HTTP_AUTHORIZATION", ""))
    return asked_by(service_of(environ), action_of(environ, body), dict(fields_of(environ, body)), authorization)


def failure(environ: Mapping[str, Any], error: Exception) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return an AWS answer for what went wrong in the lab: unsupported where moto lacks it, else an internal error.

    Unsupported is a client error, so that no SDK tries it again.
    """
    lacking = isinstance(error, NotImplementedError)
    status = "400 Bad Request" if lacking else "500 Internal Server Error"
    code = "UnsupportedOperation" if lacking else "InternalError"
    text = f"{'The lab does not do this' if lacking else type(error).__name__}: {error}"
    return answers.error(environ, code, text, status)


def _read(environ: dict[str, Any]) -> bytes:
    """Read the body and leave it in ``environ`` to be read again."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    if length:
        environ["wsgi.input"] = io.BytesIO(body)
    return body
