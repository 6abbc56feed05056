"""CloudWatch's alarms and SNS' subscriptions for moto's CloudFormation, which leaves both out in silence.

moto finds what a stack may have by the subclasses of `CloudFormationModel`. An alarm made here is moto's own: its state
is never evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from moto.cloudformation import parsing
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.common_models import CloudFormationModel
from moto.sns.models import sns_backends

Json = dict[str, Any]


@dataclass
class StackAlarm(CloudFormationModel):  # type: ignore[misc]  # moto has no types
    """An ``AWS::CloudWatch::Alarm`` of a stack."""

    name: str
    cf_resource_type: str = field(default="", init=False)
    logical_resource_id: str = field(default="", init=False)

    @property
    def physical_resource_id(self) -> str:
        """What ``Ref`` gives."""
        return self.name

    @staticmethod
    def cloudformation_name_type() -> str:
        return "AlarmName"

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::CloudWatch::Alarm"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr == "Arn"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Json, account_id: str, region_name: str, **_: Any
    ) -> StackAlarm:
        wanted = cloudformation_json["Properties"]
        cloudwatch_backends[account_id][region_name].put_metric_alarm(
            name=resource_name,
            namespace=wanted["Namespace"],
            metric_name=wanted["MetricName"],
            comparison_operator=wanted["ComparisonOperator"],
            evaluation_periods=int(wanted["EvaluationPeriods"]),
            period=int(wanted["Period"]),
            threshold=float(wanted["Threshold"]),
            statistic=wanted["Statistic"],
            description=wanted.get("AlarmDescription", ""),
            dimensions=wanted.get("Dimensions", []),
            alarm_actions=wanted.get("AlarmActions", []),
            ok_actions=wanted.get("OKActions", []),
            treat_missing_data=wanted.get("TreatMissingData"),
        )
        return cls(resource_name)

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: StackAlarm,
        new_resource_name: str,
        cloudformation_json: Json,
        account_id: str,
        region_name: str,
    ) -> StackAlarm:
        cls.delete_from_cloudformation_json(original_resource.name, cloudformation_json, account_id, region_name)
        return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)

    @classmethod
    def delete_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: Json,  # noqa: ARG003 - moto's interface
        account_id: str,
        region_name: str,
    ) -> None:
        cloudwatch_backends[account_id][region_name].delete_alarms([resource_name])


@dataclass
class StackSubscription(CloudFormationModel):  # type: ignore[misc]  # moto has no types
    """An ``AWS::SNS::Subscription`` of a stack. moto takes it as confirmed at once."""

    arn: str
    cf_resource_type: str = field(default="", init=False)
    logical_resource_id: str = field(default="", init=False)

    @property
    def physical_resource_id(self) -> str:
        """What ``Ref`` gives."""
        return self.arn

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::SNS::Subscription"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:  # noqa: ARG003 - moto's interface
        return False

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,  # noqa: ARG003 - moto's interface
        cloudformation_json: Json,
        account_id: str,
        region_name: str,
        **_: Any,
    ) -> StackSubscription:
        wanted, sns = cloudformation_json["Properties"], sns_backends[account_id][region_name]
        return cls(sns.subscribe(wanted["TopicArn"], wanted["Endpoint"], wanted["Protocol"]).arn)

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: StackSubscription,
        new_resource_name: str,
        cloudformation_json: Json,
        account_id: str,
        region_name: str,
    ) -> StackSubscription:
        cls.delete_from_cloudformation_json(original_resource.arn, cloudformation_json, account_id, region_name)
        return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)

    @classmethod
    def delete_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: Json,  # noqa: ARG003 - moto's interface
        account_id: str,
        region_name: str,
    ) -> None:
        sns_backends[account_id][region_name].unsubscribe(resource_name)


def install() -> None:
    """Let moto's CloudFormation know of both. Again: nothing."""
    if StackAlarm.cloudformation_type() not in parsing.get_model_map():
        for remembered in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
            remembered.cache_clear()
