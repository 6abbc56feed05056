"""Every EC2 request: the lab has its region, and a dry run ends before anything is done."""

from __future__ import annotations

from typing import Any

from moto.core.utils import get_service_model
from moto.ec2.exceptions import DryRunClientError
from moto.ec2.responses import EC2Response
from moto.ec2.responses._base_response import EC2BaseResponse

from lab.cloud import Cloud
from lab.hooks import Hooks, ec2_backend, ec2_error
from lab.strict import requests as strict
from lab.strict import volumes

DRY_RUN_STATUS = 412
"""HTTP's "Precondition Failed": EC2's answer to a dry run that would have succeeded; moto has 400."""


class Requests:
    """Wraps what moto does for all actions alike."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def install(self, hooks: Hooks) -> None:
        """Wrap moto's response classes."""
        hooks.wrap(EC2BaseResponse, "error_on_dryrun", self.end_dry_run)
        hooks.wrap(EC2Response, "serialized", serialized)
        hooks.replace(EC2BaseResponse, "ec2_backend", property(self.backend))

    def backend(self, response: Any) -> Any:
        """Return moto's live EC2 of the request's region, which must be one of the lab's."""
        regions = self.cloud.configuration.regions
        if response.region not in regions:
            raise ec2_error(
                "UnsupportedOperation",
                f"This lab has no region {response.region}, only {' and '.join(regions)} (second_region in [lab]).",
            )
        return ec2_backend(response.region)

    def end_dry_run(self, original: Any, response: Any) -> None:
        """Answer a dry run: with what is wrong with the request itself, or that it would have succeeded."""
        if str(response._get_param("DryRun", False)).lower() != "true":
            return
        action, parameters = response._get_action(), dict(response.params or {})
        shape = get_service_model("ec2").operation_model(action).input_shape
        strict.check(response.ec2_backend, action, list(shape.required_members), parameters)
        if action == "CopySnapshot":
            self.source(parameters["SourceRegion"], parameters["SourceSnapshotId"])
        original(response)

    def source(self, region: str, snapshot_id: str) -> Any:
        """Return the snapshot that a copy is made of."""
        volumes.check_region(self.cloud.configuration.regions, region)
        return volumes.find_snapshot(ec2_backend(region), snapshot_id)


def serialized(original: Any, response: Any, result: Any) -> Any:
    """Answer a dry run that would have succeeded with EC2's HTTP status."""
    status, headers, body = original(response, result)
    return (DRY_RUN_STATUS if isinstance(result.result, DryRunClientError) else status), headers, body
