"""Alerts, runbooks, checks and the dashboard belong together: none is without the others."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from transcoder.alarmed import HEARTBEAT, OTHERS
from transcoder.checks import CHECKS
from transcoder.settings import ROOT

MONITORING = ROOT / "templates/monitoring"
RULES = MONITORING / "prometheus/transcoder.rules.yml"
RUNBOOKS = ROOT / "docs/runbooks"
WATCH = ROOT / "files/rootfs/usr/local/lib/transcoder/watch"
GROUPS = yaml.safe_load(RULES.read_text())["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
OF_THE_WATCH_ITSELF = {"TranscoderWatchDown": "watch-down", "TranscoderUnknown": "unknown"}
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="script/bootstrap installs prometheus")


def alert_of(check: str) -> str:
    return "Transcoder" + "".join(part.capitalize() for part in check.split("-"))


@pytest.mark.parametrize("check", [check.name for check in CHECKS])
def test_every_check_has_an_alert_and_the_alert_names_its_page(check: str) -> None:
    rule = ALERTS[alert_of(check)]

    assert f'check="{check}"' in rule["expr"]
    assert rule["annotations"]["runbook"] == f"docs/runbooks/{check}.md"
    assert (RUNBOOKS / f"{check}.md").exists()


def test_there_is_no_alert_without_a_check() -> None:
    assert set(ALERTS) == {alert_of(check.name) for check in CHECKS} | set(OF_THE_WATCH_ITSELF)


def test_every_page_has_an_alert_and_every_alert_a_page() -> None:
    pages = {f"docs/runbooks/{path.name}" for path in RUNBOOKS.glob("*.md")}
    of_cloudwatch = {f"docs/runbooks/{metric}.md" for metric in (HEARTBEAT, OTHERS)}

    assert {rule["annotations"]["runbook"] for rule in ALERTS.values()} | of_cloudwatch == pages


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_a_page_says_what_it_means_what_to_look_at_and_what_to_type(page: Path) -> None:
    text = page.read_text()

    assert text.startswith(f"# {page.stem}\n\n")
    parts = [text.index(f"**{title}") for title in ("What it means.", "What to look at", "What to do")]
    assert parts == sorted(parts)
    assert re.search(r"^```\n(fab|invoke) ", text, re.MULTILINE)


def test_every_check_that_the_watch_yields_is_in_the_table_and_the_other_way_round() -> None:
    source = "\n".join(path.read_text() for path in WATCH.glob("*.py"))
    direct = set(re.findall(r'Reading\(\s*"([a-z-]+)"', source))
    passed_on = {"geth-head", "geth-advancing", "rpc", "slashed", "deactivated", "watch", "cloudwatch"}

    assert direct | passed_on == {check.name for check in CHECKS}
    assert all(f'"{name}"' in source for name in passed_on)


@needs_promtool
def test_promtool_finds_the_rules_right() -> None:
    result = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=False)

    assert (result.returncode, f"{len(ALERTS)} rules found" in result.stdout) == (0, True), result.stdout


def promtool_test(path: Path) -> subprocess.CompletedProcess[str]:
    command = ["promtool", "test", "rules", path.name]
    return subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=False)


@needs_promtool
def test_the_unit_tests_of_the_rules_pass() -> None:
    result = promtool_test(RULES.with_name("transcoder.rules_test.yml"))

    assert result.returncode == 0, result.stdout + result.stderr


@needs_promtool
def test_the_unit_tests_of_the_rules_can_fail(tmp_path: Path) -> None:
    tests = RULES.with_name("transcoder.rules_test.yml")
    (tmp_path / tests.name).write_text(tests.read_text())
    (tmp_path / RULES.name).write_text(RULES.read_text().replace('check="reward"} >= 2', 'check="reward"} >= 3'))

    assert promtool_test(tmp_path / tests.name).returncode != 0


def case(check: str, state: int) -> dict[str, object]:
    """Return a test of promtool's: this check alone is in this state."""
    severity = {2: "warning", 3: "critical"}
    labels = {"instance": "tc001", "check": check, "severity": severity[state]}
    summary = f"tc001: {check} is not well; wanted: {next(c.title for c in CHECKS if c.name == check)}"
    expected = {"exp_labels": labels, "exp_annotations": {"summary": summary, "runbook": f"docs/runbooks/{check}.md"}}
    series = f'transcoder_check_state{{instance="tc001", check="{check}"}}'
    return {
        "interval": "15s",
        "input_series": [{"series": series, "values": f"0x3 {state}x3"}],
        "alert_rule_test": [
            {"eval_time": "30s", "alertname": alert_of(check), "exp_alerts": []},
            {"eval_time": "75s", "alertname": alert_of(check), "exp_alerts": [expected]},
        ],
    }


@needs_promtool
def test_every_alert_fires_as_a_warning_and_as_critical_and_is_silent_before(tmp_path: Path) -> None:
    (tmp_path / RULES.name).write_text(RULES.read_text())
    tests = [case(check.name, state) for check in CHECKS for state in (2, 3)]
    document = {"rule_files": [RULES.name], "evaluation_interval": "15s", "tests": tests}
    (tmp_path / "all.yml").write_text(yaml.safe_dump(document))

    result = promtool_test(tmp_path / "all.yml")

    assert result.returncode == 0, result.stdout + result.stderr


@needs_promtool
def test_the_scrape_configuration_is_right() -> None:
    path = MONITORING / "prometheus/prometheus.yml"
    result = subprocess.run(["promtool", "check", "config", str(path)], capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr


def test_the_dashboard_asks_for_numbers_that_the_watch_has() -> None:
    dashboard = json.loads((MONITORING / "grafana/livepeer-nodes.json").read_text())
    source = "\n".join(path.read_text() for path in WATCH.glob("*.py"))
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"transcoder_(\w+)", target["expr"])
    }

    assert len(dashboard["panels"]) > 10
    assert not [name for name in asked if f'"{name}"' not in source]
