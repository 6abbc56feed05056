"""The metrics that nodes of an environment send, and the CloudFormation template that alarms on them. Pure.

A template is a document of plain data; CloudFormation takes JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from transcoder import shape, tags
from transcoder.alarmed import DIMENSIONS, FROM_EVENTS, HEARTBEAT, NAMESPACE, OTHERS, UNSENT
from transcoder.catalog.livepeer import NETWORKS
from transcoder.checks import BY_NAME, CHECKS, Check
from transcoder.errors import Refused
from transcoder.settings import Settings

PERIOD = 60
"""Seconds from one sending to the next, and of each look that an alarm takes."""
LEVELS = {"warn": 1, "alarm": 2}
"""The values of a metric; 0 is ok, and what is unknown is not sent."""
LARGEST_BYTES, MOST_RESOURCES = 51_200, 500
"""Of a template that is sent with the request (CloudFormation user guide, quotas)."""
WIDGET_WIDTH, WIDGET_HEIGHT = 12, 4
"""Of 24 columns."""
Json = dict[str, Any]


def stack_name(settings: Settings) -> str:
    """Return the name of the environment's stack, and the begin of the names of all that is in it."""
    return "transcoder-" + re.sub(r"[^A-Za-z0-9-]", "-", settings.name)


def has_check(check: Check, settings: Settings) -> bool:
    """Tell whether nodes of an environment have a check, so that its absence means something."""
    rpc = shape.contracts_rpc(settings)
    if check.on_chain and not NETWORKS[settings.livepeer.network].layer:
        return False
    if check.where != "everywhere":
        return shape.has_geth(settings) if check.where == "geth" else bool(rpc) and not shape.has_geth(settings)
    return bool(rpc) or check.name not in FROM_EVENTS


def own_metrics(settings: Settings) -> tuple[str, ...]:
    """Return the checks that have a metric of their own, of those that the environment's nodes have."""
    return tuple(name for name in settings.monitoring.checks if has_check(BY_NAME[name], settings))


def sending(settings: Settings) -> Json | None:
    """Return what a node is told of CloudWatch; None where it sends nothing."""
    if not settings.monitoring.cloudwatch:
        return None
    own = own_metrics(settings)
    return {
        "namespace": NAMESPACE,
        "endpoint": settings.monitoring.endpoint_url,
        "interval_seconds": PERIOD,
        "checks": list(own),
        "others": [check.name for check in CHECKS if check.name not in (*own, UNSENT)],
    }


def template(settings: Settings, nodes: Sequence[str]) -> Json:
    """Return the CloudFormation template: a topic, who gets mail, an alarm for every metric and node, a dashboard."""
    emails = settings.monitoring.emails
    resources: Json = {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": stack_name(settings)}}}
    resources |= {f"Mail{number}": _subscription(email) for number, email in enumerate(emails, 1)}
    metrics = (HEARTBEAT, *own_metrics(settings), OTHERS)
    resources |= {_logical(node, name): _alarm(settings, node, name) for node in nodes for name in metrics}
    if settings.monitoring.dashboard:
        body = json.dumps(dashboard(settings, metrics), separators=(",", ":"))
        properties = {"DashboardName": stack_name(settings), "DashboardBody": body}
        resources["Dashboard"] = {"Type": "AWS::CloudWatch::Dashboard", "Properties": properties}
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Alarms of the livepeer nodes of environment {settings.name}",
        "Resources": resources,
    }


def text_of(document: Json) -> str:
    """Return a template as it is sent.

    :raises Refused: when CloudFormation does not take one as large.
    """
    text, count = json.dumps(document, separators=(",", ":")), len(document["Resources"])
    size = len(text.encode())
    if size > LARGEST_BYTES or count > MOST_RESOURCES:
        raise Refused(
            f"the template has {size} bytes and {count} resources; CloudFormation takes {LARGEST_BYTES} bytes and "
            f"{MOST_RESOURCES} resources",
            hint="fewer monitoring.checks (the others still count in one metric), or Prometheus: docs/monitoring.md",
        )
    return text


def stack_tags(settings: Settings) -> dict[str, str]:
    """Return the tags of the stack, which CloudFormation passes on to what is in it."""
    return {tags.ENVIRONMENT: settings.name}


def runbook(settings: Settings, metric: str) -> str:
    """Return where the page of a metric's alarm is."""
    return f"{settings.watch.runbooks}{metric}.md"


def dashboard(settings: Settings, metrics: Sequence[str]) -> Json:
    """Return the body of the dashboard: a graph a metric, a line a node, nodes of later included."""
    columns = 24 // WIDGET_WIDTH
    return {
        "widgets": [
            {
                "type": "metric",
                "x": WIDGET_WIDTH * (number % columns),
                "y": WIDGET_HEIGHT * (number // columns),
                "width": WIDGET_WIDTH,
                "height": WIDGET_HEIGHT,
                "properties": _graph(settings, name),
            }
            for number, name in enumerate(metrics)
        ]
    }


def _graph(settings: Settings, name: str) -> Json:
    schema = ",".join((NAMESPACE, *DIMENSIONS))
    search = f"SEARCH('{{{schema}}} MetricName=\"{name}\" environment=\"{settings.name}\"', 'Maximum', {PERIOD})"
    return {
        "title": f"{name}: {_title(name)}",
        "region": settings.aws.region,
        "metrics": [[{"expression": search, "id": "e1", "label": "${PROP('Dim.node')}"}]],
        "yAxis": {"left": {"min": 0, "max": 2}},
    }


def _title(metric: str) -> str:
    if metric == HEARTBEAT:
        return "the node sends its readings"
    return "all other checks are well" if metric == OTHERS else BY_NAME[metric].title


def _subscription(email: str) -> Json:
    properties = {"TopicArn": {"Ref": "Topic"}, "Protocol": "email", "Endpoint": email}
    return {"Type": "AWS::SNS::Subscription", "Properties": properties}


def _logical(node: str, metric: str) -> str:
    """Return the name of a resource within the template, of letters and digits alone: a D for each dash.

    Names of nodes and metrics have no capital letters, so no two get the same.
    """
    return "Alarm" + "X".join(word.replace("-", "D") for word in (node, metric))


def _alarm(settings: Settings, node: str, metric: str) -> Json:
    """Return an alarm. Missing data breach: a node that is gone, or whose watch is, must not look well."""
    wanted, own = f"{node}: wanted: {_title(metric)}.", settings.monitoring
    values = {"environment": settings.name, "node": node}
    beats = metric == HEARTBEAT
    properties = {
        "AlarmName": f"{stack_name(settings)}-{node}-{metric}",
        "AlarmDescription": f"{wanted} Runbook: {runbook(settings, metric)}",
        "Namespace": NAMESPACE,
        "MetricName": metric,
        "Dimensions": [{"Name": name, "Value": values[name]} for name in DIMENSIONS],
        "Statistic": "Maximum",
        "Period": PERIOD,
        "EvaluationPeriods": own.minutes,
        "Threshold": 1 if beats else LEVELS[own.level],
        "ComparisonOperator": "LessThanThreshold" if beats else "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "breaching",
        "AlarmActions": [{"Ref": "Topic"}],
        "OKActions": [{"Ref": "Topic"}],
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}
