"""EC2 and SSM behind our own words. boto3 stays within the modules ``transcoder.aws*``; AWS dictionaries die in them.

`Aws` is put together from its nouns, a module each; `transcoder.aws_calls` makes the calls, and
`transcoder.aws_errors` knows what EC2's error codes mean. Every method that changes something says what happens when
its call is repeated because an answer was lost.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from transcoder.aws_calls import Calls, session
from transcoder.aws_images import Images
from transcoder.aws_instances import Instances
from transcoder.aws_locks import Locks
from transcoder.aws_network import Network
from transcoder.aws_shapes import tag_list
from transcoder.aws_snapshots import Snapshots
from transcoder.aws_stacks import AwsStacks
from transcoder.aws_volumes import Volumes
from transcoder.settings import Settings
from transcoder.world import ApiCall

__all__ = ["Aws", "session"]


class Aws(Instances, Volumes, Snapshots, Network, Images, Locks):
    """The cloud of one environment: implements `transcoder.world.Cloud`. Safe to use from several threads.

    Nothing is cached: every look asks EC2.

    :param calls: by default those of the environment, with boto3's clients.
    """

    def __init__(self, settings: Settings, calls: Calls | None = None) -> None:
        super().__init__(settings, calls or Calls(settings))
        self._elsewhere: dict[str, Aws] = {}
        self._opening = threading.Lock()

    def in_region(self, region: str) -> Aws:
        """Return the same account's EC2 in another region, for images and what is in use of them."""
        if region == self._settings.aws.region:
            return self
        with self._opening:  # once each: a client takes most of a second to be made
            if region not in self._elsewhere:
                self._elsewhere[region] = Aws(self._settings.in_region(region))
            return self._elsewhere[region]

    def stacks(self) -> AwsStacks:
        """Return CloudFormation of the same account and region."""
        return AwsStacks(self._settings, self._calls)

    def denial(self, call: ApiCall) -> str:
        """Return why a call is not permitted, in EC2's words, or nothing; see `Calls.denial`."""
        return self._calls.denial(call.action, call.arguments)

    def tag(self, resource_id: str, tags: Mapping[str, str]) -> None:
        """Set tags on a resource. Repeated: the values are the same."""
        if tags:
            self._calls.call("ec2", "create_tags", Resources=[resource_id], Tags=tag_list(tags))

    def untag(self, resource_id: str, keys: Sequence[str]) -> None:
        """Remove tags from a resource, whatever their values. Repeated: what is not there stays so."""
        if keys:  # a DeleteTags that names none removes them all
            self._calls.call("ec2", "delete_tags", Resources=[resource_id], Tags=[{"Key": key} for key in keys])
