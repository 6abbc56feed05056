"""EC2's network: Elastic IPs, the security group, the subnet to launch into."""

from __future__ import annotations

from collections.abc import Mapping

from transcoder import tags as tag_names
from transcoder.aws_calls import Calls
from transcoder.aws_errors import Answered
from transcoder.aws_noun import Noun
from transcoder.aws_shapes import permission, read_address, tag_filters, tagged
from transcoder.errors import Refused
from transcoder.model import ElasticIp
from transcoder.settings import Settings


class Network(Noun):
    """Addresses and the security group."""

    def addresses(self, *, tags: Mapping[str, str] | None = None) -> tuple[ElasticIp, ...]:
        """Return the Elastic IPs with these tags."""
        reply = self._calls.call("ec2", "describe_addresses", Filters=tag_filters(tags))
        return tuple(read_address(item) for item in reply["Addresses"])

    def allocate_address(self, tags: Mapping[str, str]) -> ElasticIp:
        """Allocate an Elastic IP. Never repeated: that would allocate and bill another one.

        When the answer is lost, an address with all of these tags is taken for it: they name the node, which has one.

        :raises LostAnswer: whether there is one now is not known.
        """
        spec = tagged("elastic-ip", tags)

        def look() -> ElasticIp | None:
            return next(iter(self.addresses(tags=tags)), None) if tags else None

        return self._calls.make("allocate_address", read_address, look, Domain="vpc", TagSpecifications=spec)

    def associate(self, allocation_id: str, instance_id: str) -> None:
        """Give an Elastic IP to an instance, whoever holds it now.

        Repeated: EC2 documents it as idempotent (EC2 developer guide, ensuring idempotency).
        """
        self._calls.call(
            "ec2", "associate_address", AllocationId=allocation_id, InstanceId=instance_id, AllowReassociation=True
        )

    def ensure_security_group(self) -> str:
        """Return the id of the environment's security group; create it with its rules where it is missing.

        Rules of a group that exists are the operator's business and are not touched. Repeated: a group's name is there
        once in a network, and a rule once in a group; what is there already when it is to be made is used.
        """
        zone = self._settings.aws.availability_zone
        chosen = subnet(self._settings, self._calls, zone)
        vpc = str(self._calls.call("ec2", "describe_subnets", SubnetIds=[chosen])["Subnets"][0]["VpcId"])
        if found := self._security_group(vpc):
            return found
        group = self._create_security_group(vpc)
        rules = [permission(rule) for rule in self._settings.aws.ingress]
        self._calls.call("ec2", "authorize_security_group_ingress", GroupId=group, IpPermissions=rules)
        return group

    def _security_group(self, vpc: str) -> str:
        filters = [
            {"Name": "group-name", "Values": [self._settings.aws.security_group]},
            {"Name": "vpc-id", "Values": [vpc]},
        ]
        found = self._calls.call("ec2", "describe_security_groups", Filters=filters)["SecurityGroups"]
        return str(found[0]["GroupId"]) if found else ""

    def _create_security_group(self, vpc: str) -> str:
        try:
            reply = self._calls.call(
                "ec2",
                "create_security_group",
                GroupName=self._settings.aws.security_group,
                Description="Livepeer node",
                VpcId=vpc,
                TagSpecifications=tagged("security-group", {tag_names.ENVIRONMENT: self._settings.name}),
            )
        except Answered as answer:
            # Made a moment ago: by a call whose answer was lost, or by somebody else.
            if answer.code != "InvalidGroup.Duplicate" or not (found := self._security_group(vpc)):
                raise
            return found
        return str(reply["GroupId"])


def subnet(settings: Settings, calls: Calls, zone: str) -> str:
    """Return the subnet to launch into: the environment's, else the only or the default one of the zone.

    :raises Refused: when there is none, or no single one.
    """
    if settings.aws.subnet_id and zone == settings.aws.availability_zone:
        return settings.aws.subnet_id
    filters = [{"Name": "availability-zone", "Values": [zone]}]
    subnets = calls.call("ec2", "describe_subnets", Filters=filters)["Subnets"]
    chosen = subnets if len(subnets) == 1 else [each for each in subnets if each.get("DefaultForAz")]
    if len(chosen) != 1:
        found = ", ".join(each["SubnetId"] for each in subnets) or "none"
        raise Refused(f"no single subnet to launch into in {zone}: found {found}", hint="set aws.subnet_id")
    return str(chosen[0]["SubnetId"])
