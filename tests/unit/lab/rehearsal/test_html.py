"""The report as a page that can be mailed: it needs nothing but itself."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from lab.rehearsal.html import CHART_WIDTH, LABEL_WIDTH, draw_gantt, render_html, tick_times
from tests.unit.lab.rehearsal import made_up

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Collects tags and attributes, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize("failed", [False, True])
def test_the_page_needs_nothing_from_outside(failed: bool) -> None:
    text = render_html(made_up.report(failed=failed))
    page = Page(text)
    assert page.open == []
    assert not {"script", "link", "img", "iframe", "object", "base", "use"} & set(page.tags)
    assert not {"src", "href", "xlink:href", "srcset", "action"} & {name for name, _ in page.attributes}
    assert "://" not in text
    assert "url(" not in text
    assert "@import" not in text


def test_the_page_tells_the_figures_the_steps_and_the_proofs() -> None:
    words = Page(render_html(made_up.report())).words
    for told in (
        "6.51 s",
        "5.00 s",
        "1.30",
        "invoke lab.up",
        "the node answers & serves",
        "down for <6.5 s>",
        "1.6.6; its builder amazon-ebs ran",
    ):
        assert told in words, told
    assert "stand-in: Version: 1.8.27" in words
    assert "the real one: 0.2.4" in words


def test_what_a_command_said_cannot_become_part_of_the_page() -> None:
    report = made_up.report(failed=True)
    text = render_html(replace(report, hints=("<script>alert(1)</script>",)))
    assert "<script>" not in text
    assert "`fab <migrate>` ended with 4" in Page(text).words


def test_a_rehearsal_that_broke_off_early_still_gets_its_page() -> None:
    early = replace(made_up.report(failed=True), bake=None, migration=None, records=None, programs=(), proofs=())
    page = Page(render_html(early))
    assert "svg" not in page.tags
    assert "rehearsal FAILED" in page.words


def test_bars_lie_in_the_drawing_and_in_proportion() -> None:
    migration = made_up.report().migration
    assert migration is not None
    gantt = draw_gantt(migration)
    bars = {bar.step.key: bar for bar in gantt.bars}
    assert all(bar.x >= LABEL_WIDTH and bar.x + bar.width <= LABEL_WIDTH + CHART_WIDTH + 1 for bar in gantt.bars)
    assert bars["geth/stop"].width == pytest.approx(3 * bars["livepeer/stop"].width)
    assert [bar.step.lane for bar in gantt.bars] == [
        "prepare",
        *["livepeer"] * 2,
        *["geth"] * 2,
        "address",
        "node",
        "node",
    ]
    assert gantt.down is not None
    assert gantt.down[0] + gantt.down[1] == pytest.approx(LABEL_WIDTH + CHART_WIDTH)


@pytest.mark.parametrize("seconds", [0.1, 0.7, 6.5, 10, 11, 59, 60, 3600])
def test_the_time_axis_has_a_few_ticks_at_round_times(seconds: float) -> None:
    ticks = tick_times(seconds)
    assert ticks[0] == 0
    assert 4 <= len(ticks) <= 11
    assert ticks[-1] <= seconds + 1e-9
