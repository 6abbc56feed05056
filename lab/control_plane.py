"""moto's server as one WSGI application: one request at a time, every call logged, every error an AWS error."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape

import moto.settings
from moto.ec2.models import ec2_backends
from moto.ec2.responses import EC2Response
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from lab import kept_images, reconcile
from lab.bootstrap import Bootstrap
from lab.call_log import CallLog
from lab.cloud import Cloud
from lab.configuration import LabConfiguration
from lab.drivers import MachineDriver, StockImage
from lab.hooks import ACCOUNT_ID, Hooks, ec2_error
from lab.reconcile.keeping import Keeping

log = logging.getLogger("lab")

StartResponse = Callable[..., Any]
STATUS_PATH = "/lab/status"
"""Not AWS's: what the lab knows beyond the API, as JSON."""


class ControlPlane:
    """EC2 and the other AWS services of one lab."""

    def __init__(self, configuration: LabConfiguration, driver: MachineDriver) -> None:
        self.cloud = Cloud(configuration, driver)
        self.hooks = Hooks()
        self._prepare_moto()
        self._reconciler = reconcile.install(self.cloud, self.hooks)
        self.hooks.wrap(EC2Response, "call_action", self._with_parameters)
        self.hooks.wrap(EC2Response, "create_tags", self._tag)
        self._keeping = Keeping(self.cloud, kept_images.of_lab(configuration))
        self._stock_id = ""
        self.restored: tuple[str, ...] = ()
        """The baked AMIs of an earlier lab of this name that are registered again."""
        self._application = DomainDispatcherApplication(create_backend_app)
        configuration.state_directory.mkdir(parents=True, exist_ok=True)
        self._calls = CallLog(configuration.state_directory / "calls.jsonl")

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
        answered: dict[str, Any] = {}

        def start(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            answered.update(status=status, headers=headers)

        with self.cloud.lock:
            try:
                answer = b"".join(self._application(environ, start))
                self._reconciler.wires.refresh()
            except Exception as error:  # moto leaves the HTML of a traceback, which no SDK can read
                log.exception("a request failed")
                status, headers, answer = failure(environ, error)
                answered = {"status": status, "headers": headers}
        self._calls.write(environ, body, answered["status"], answer, started)
        start_response(answered["status"], answered["headers"])
        return [answer]

    def close(self) -> None:
        """End the jobs, cut every machine's power, remove the network, and leave moto as it was."""
        self.cloud.closing.set()
        self.cloud.driver.close()
        self.cloud.close()
        self.hooks.undo()
        self._calls.close()

    def _with_parameters(self, original: Any, response: Any) -> Any:
        with self.cloud.request(dict(response.params or {})):
            return original(response)

    def _tag(self, original: Any, response: Any) -> Any:
        """Refuse to tag what does not exist, and tags that are AWS's own."""
        backend, parameters = self.cloud.backend, self.cloud.parameters
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
                for instance in self.cloud.backend.all_instances()
            }
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"machines": machines}).encode()]


def check_exists(backend: Any, resource_id: str) -> None:
    """Refuse an id of an instance, volume, snapshot, image or Elastic IP that is not there."""
    prefix = resource_id.rsplit("-", 1)[0]
    known: dict[str, tuple[Callable[[], Iterable[str]], str]] = {
        "i": (lambda: [instance.id for instance in backend.all_instances()], "InvalidInstanceID.NotFound"),
        "vol": (lambda: backend.volumes, "InvalidVolume.NotFound"),
        "snap": (lambda: backend.snapshots, "InvalidSnapshot.NotFound"),
        "ami": (lambda: backend.amis, "InvalidAMIID.NotFound"),
        "eipalloc": (lambda: [a.allocation_id for a in backend.addresses], "InvalidAllocationID.NotFound"),
    }
    if prefix in known and resource_id not in known[prefix][0]():
        raise ec2_error(known[prefix][1], f"The ID '{resource_id}' does not exist")


def failure(environ: Mapping[str, Any], error: Exception) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return an AWS answer for what went wrong in the lab: unsupported where moto lacks it, else an internal error.

    Unsupported is a client error, so that no SDK tries it again.
    """
    lacking = isinstance(error, NotImplementedError)
    status = "400 Bad Request" if lacking else "500 Internal Server Error"
    code = "UnsupportedOperation" if lacking else "InternalError"
    text = f"{'The lab does not do this' if lacking else type(error).__name__}: {error}"
    if str(environ.get("CONTENT_TYPE", "")).startswith("application/x-amz-json"):
        answer = json.dumps({"__type": code, "message": text}).encode()
        return status, [("Content-Type", "application/x-amz-json-1.1")], answer
    xml = (
        f"<?xml version='1.0' encoding='UTF-8'?><Response><Errors><Error><Code>{code}</Code>"
        f"<Message>{escape(text)}</Message></Error></Errors><RequestID>lab</RequestID></Response>"
    )
    return status, [("Content-Type", "text/xml;charset=UTF-8")], xml.encode()


def _read(environ: dict[str, Any]) -> bytes:
    """Read the body and leave it in ``environ`` to be read again."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    if length:
        environ["wsgi.input"] = io.BytesIO(body)
    return body
