"""The CloudFormation template of every shipped environment: right for AWS, complete, with a page for each alarm."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cfnlint import api  # type: ignore[import-untyped]

from transcoder import alarms
from transcoder.alarmed import ALARMED, EXCLUDED, HEARTBEAT, NAMESPACE, OTHERS, UNSENT
from transcoder.checks import BY_NAME, CHECKS
from transcoder.errors import Refused
from transcoder.settings import ROOT, Settings, load, names

NODES = ("tc001", "tc002-b")
MONITORING = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")


def switched_on(settings: Settings, **more: object) -> Settings:
    told = {"cloudwatch": True, "emails": ["a@example.org", "ops@example.org"], **more}
    aws = settings.aws.model_copy(update={"instance_profile": "node"})
    return settings.model_copy(update={"monitoring": settings.monitoring.model_copy(update=told), "aws": aws})


@cache
def template(environment: str) -> dict[str, Any]:
    return alarms.template(switched_on(load(environment)), NODES)


def alarms_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    resources = document["Resources"].values()
    return [each["Properties"] for each in resources if each["Type"] == "AWS::CloudWatch::Alarm"]


@pytest.mark.parametrize("environment", names())
def test_cfn_lint_finds_no_error_and_nothing_to_warn_of(environment: str) -> None:
    settings = switched_on(load(environment))
    text = alarms.text_of(alarms.template(settings, NODES[:1]))

    assert [str(each) for each in api.lint(text, None, [settings.aws.region])] == []


def test_cfn_lint_would_find_something() -> None:
    broken = alarms.template(switched_on(load("lab"), checks=[]), NODES[:1])
    next(iter(alarms_of(broken)))["TreatMissingData"] = "breaks"
    broken["Resources"]["Mail1"]["Properties"]["TopicArn"] = {"Ref": "Topick"}

    assert {each.rule.id for each in api.lint(alarms.text_of(broken))} == {"E1020", "E3030"}


@pytest.mark.parametrize("environment", names())
def test_every_alarm_names_a_page_that_there_is_and_rings_when_data_are_missing(environment: str) -> None:
    found = alarms_of(template(environment))

    for alarm in found:
        page = f"docs/runbooks/{alarm['MetricName']}.md"
        assert alarm["AlarmDescription"].endswith(f"Runbook: {page}")
        assert (ROOT / page).is_file()
        assert alarm["TreatMissingData"] == "breaching"
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "Topic"}]
        assert alarm["Namespace"] == NAMESPACE
    assert len({alarm["AlarmName"] for alarm in found}) == len(found)


@pytest.mark.parametrize("environment", names())
def test_every_node_has_an_alarm_for_each_metric_that_it_sends(environment: str) -> None:
    settings = switched_on(load(environment))
    told = alarms.sending(settings)
    assert told is not None
    sent = {HEARTBEAT, OTHERS, *told["checks"]}

    found = alarms_of(template(environment))

    for node in NODES:
        dimensions = [{"Name": "environment", "Value": environment}, {"Name": "node", "Value": node}]
        assert {alarm["MetricName"] for alarm in found if alarm["Dimensions"] == dimensions} == sent
    assert len(found) == len(NODES) * len(sent)


@pytest.mark.parametrize("check", [check.name for check in CHECKS])
def test_every_check_has_an_alarm_of_its_own_or_a_reason_why_not(check: str) -> None:
    assert (check in ALARMED) != (check in EXCLUDED)
    assert check in ALARMED or len(EXCLUDED[check]) > 12


def test_nothing_is_alarmed_or_excluded_that_is_no_check() -> None:
    assert {*ALARMED, *EXCLUDED} == set(BY_NAME)


@pytest.mark.parametrize("environment", names())
def test_every_check_is_sent_by_itself_or_counts_among_the_others(environment: str) -> None:
    told = alarms.sending(switched_on(load(environment)))
    assert told is not None
    assert {*told["checks"], *told["others"]} == set(BY_NAME) - {UNSENT}
    assert not {*told["checks"]} & {*told["others"]}


@pytest.mark.parametrize(
    ("environment", "here", "not_here"),
    [
        ("lab", {"geth-advancing", "slashed", "reward"}, {"rpc"}),
        ("bionic-2018", {"geth-advancing", "slashed", "reward"}, {"rpc"}),
        ("arbitrum", {"rpc", "slashed", "reward"}, {"geth-advancing"}),
    ],
)
def test_no_alarm_waits_for_what_nodes_of_the_environment_never_say(
    environment: str, here: set[str], not_here: set[str]
) -> None:
    own = set(alarms.own_metrics(switched_on(load(environment))))
    assert here <= own
    assert not own & not_here


def test_a_node_that_cannot_read_events_has_no_alarm_for_them() -> None:
    settings = load("arbitrum")
    hidden = settings.livepeer.model_copy(update={"eth_url": "", "private_options": True})
    own = alarms.own_metrics(switched_on(settings.model_copy(update={"livepeer": hidden})))
    assert not {"slashed", "deactivated", "rpc"} & set(own)
    assert "reward" in own


def test_a_node_without_a_chain_has_no_alarm_about_one() -> None:
    settings = load("lab")
    off = settings.livepeer.model_copy(update={"network": "offchain"})
    own = alarms.own_metrics(switched_on(settings.model_copy(update={"livepeer": off})))
    assert not [name for name in own if BY_NAME[name].on_chain]
    assert "livepeer-api" in own


def test_level_and_minutes_are_the_environments() -> None:
    document = alarms.template(switched_on(load("lab"), level="warn", minutes=2, checks=["clock"]), ["tc001"])
    found = {alarm["MetricName"]: alarm for alarm in alarms_of(document)}
    assert {name: (a["Threshold"], a["ComparisonOperator"]) for name, a in found.items()} == {
        HEARTBEAT: (1, "LessThanThreshold"),
        "clock": (1, "GreaterThanOrEqualToThreshold"),
        OTHERS: (1, "GreaterThanOrEqualToThreshold"),
    }
    assert {alarm["EvaluationPeriods"] * alarm["Period"] for alarm in found.values()} == {120}


def test_a_place_of_ones_own_for_the_pages_is_in_the_description() -> None:
    settings = switched_on(load("lab"))
    watch = settings.watch.model_copy(update={"runbooks": "https://example.org/runbooks/"})
    document = alarms.template(settings.model_copy(update={"watch": watch}), ["tc001"])
    assert all("Runbook: https://example.org/runbooks/" in each["AlarmDescription"] for each in alarms_of(document))


def test_the_dashboard_has_a_graph_for_each_metric_with_a_line_a_node() -> None:
    settings = switched_on(load("lab"))
    body = json.loads(template("lab")["Resources"]["Dashboard"]["Properties"]["DashboardBody"])
    searches = [str(each["properties"]["metrics"]) for each in body["widgets"]]
    for name in (HEARTBEAT, *alarms.own_metrics(settings), OTHERS):
        (search,) = [each for each in searches if f'MetricName="{name}"' in each]
        assert "{Transcoder,environment,node}" in search
        assert 'environment="lab"' in search
    places = {(each["x"], each["y"]) for each in body["widgets"]}
    assert len(places) == len(body["widgets"])
    assert "Dashboard" not in alarms.template(switched_on(load("lab"), dashboard=False), NODES)["Resources"]


def test_names_in_the_template_differ_whatever_nodes_are_called() -> None:
    nodes = ["a-b", "ab", "a-1", "a1", "axb", "adb", "a"]
    document = alarms.template(switched_on(load("lab")), nodes)
    own = len(alarms.own_metrics(switched_on(load("lab")))) + 2
    assert len(alarms_of(document)) == own * len(nodes)
    assert all(name.isalnum() for name in document["Resources"])


def test_a_name_that_cloudformation_does_not_take_is_made_one_that_it_takes() -> None:
    settings = load("lab").model_copy(update={"name": "my_fleet.2"})
    assert alarms.stack_name(settings) == "transcoder-my-fleet-2"


def test_more_nodes_than_fit_are_refused_with_the_numbers() -> None:
    nodes = [f"tc{number:03}" for number in range(40)]
    with pytest.raises(Refused, match="CloudFormation takes 51200 bytes and 500 resources") as caught:
        alarms.text_of(alarms.template(switched_on(load("lab")), nodes))
    assert "monitoring.checks" in caught.value.hint


@pytest.mark.parametrize(("checks", "most"), [(None, 5), (["unit"], 25), ([], 40)])
def test_as_many_nodes_fit_as_the_docs_say(checks: list[str] | None, most: int) -> None:
    nodes = [f"tc{number:03}" for number in range(most)]
    for environment in names():
        more = {} if checks is None else {"checks": checks}
        assert alarms.text_of(alarms.template(switched_on(load(environment), **more), nodes))
    assert f"{most} nodes" in MONITORING or f"{most} with" in MONITORING


def test_what_it_costs_in_the_docs_is_what_is_sent() -> None:
    count = max(len(alarms.own_metrics(switched_on(load(name)))) for name in names()) + 2
    assert f"{count} metrics" in MONITORING
    assert f"{count * 0.30:.2f} USD" in MONITORING
    assert f"{count * 0.10:.2f} USD" in MONITORING


def test_an_environment_ships_with_it_switched_off() -> None:
    for name in names():
        assert not load(name).monitoring.cloudwatch
        assert alarms.sending(load(name)) is None
        assert "[monitoring]" in Path(load(name).path).read_text(encoding="utf-8"), "as a comment: what could be set"
