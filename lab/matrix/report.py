"""What a matrix found, for people and for programs: report.md, report.html and report.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

from lab.matrix.results import Result, totals

SCHEMA = 1
"""Raised when a key of the JSON goes away or changes its meaning; new keys may come without that."""
COLUMNS = ("step", "fault", "outcome", "more runs", "records lost", "two writers", "seconds")
STYLE = (
    "body{font:15px system-ui;margin:2rem;max-width:80rem}table{border-collapse:collapse}"
    "td,th{border:1px solid #ccc;padding:.2rem .5rem;text-align:left;vertical-align:top}"
    ".bad{background:#fdd}.more{background:#ffd}.ok{background:#dfd}pre{white-space:pre-wrap;background:#f4f4f4;padding:.5rem}"
)


def write(results: Sequence[Result], directory: Path) -> tuple[Path, ...]:
    """Write the report; return its files."""
    directory.mkdir(parents=True, exist_ok=True)
    data = {"schema": SCHEMA, "totals": totals(results), "cells": [_described(result) for result in results]}
    texts = {
        "report.md": render_markdown(results),
        "report.html": render_html(results),
        "report.json": json.dumps(data, indent=2, ensure_ascii=False) + "\n",
    }
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")
    return tuple(directory / name for name in texts)


def _described(result: Result) -> dict[str, object]:
    return {**asdict(result), "passed": result.passed, "verdict": result.verdict}


def render_totals(results: Sequence[Result]) -> str:
    """Return the sums as lines of text."""
    return "".join(f"{name.replace('_', ' ')}: {value}\n" for name, value in totals(results).items())


def row(result: Result) -> tuple[str, ...]:
    """Return a cell's line of the table."""
    lost, writers = str(len(result.lost)), str(len(result.writers))
    return result.step, result.trouble, result.verdict, str(result.reruns), lost, writers, f"{result.seconds:.0f}"


def render_markdown(results: Sequence[Result]) -> str:
    """Return the report as Markdown: the sums, what went wrong, the matrix, every cell."""
    lines = ["# Fault matrix", "", *(f"- {line}" for line in render_totals(results).splitlines()), ""]
    failed = [result for result in results if not result.passed]
    if failed:
        lines += ["## What went wrong", "", *(line for result in failed for line in _failure(result))]
    lines += ["## Step x fault", "", *_grid(results), "", "## Every cell", ""]
    lines += [_line(COLUMNS), _line(["---"] * len(COLUMNS)), *(_line(row(result)) for result in results), ""]
    return "\n".join(lines)


def _failure(result: Result) -> Iterator[str]:
    yield f"### {result.cell}: {result.verdict}"
    yield ""
    for text in (result.problem, *result.lost, *result.writers, *result.notes):
        if text:
            yield f"- {text}"
    for typed in result.typed:
        yield from ("", f"`{typed.command}` ended with {typed.exit_code} after {typed.seconds} s:", "", "```")
        yield from (typed.said, "```")
    yield ""


def _grid(results: Sequence[Result]) -> Iterator[str]:
    faults = list(dict.fromkeys(result.trouble for result in results))
    cells = {(result.step, result.trouble): result for result in results}
    yield _line(["", *faults])
    yield _line(["---"] * (len(faults) + 1))
    for step in dict.fromkeys(result.step for result in results):
        yield _line([step, *(_short(cells.get((step, fault))) for fault in faults)])


def _short(result: Result | None) -> str:
    """Return a cell of the grid: the number of further runs where all is well."""
    if result is None:
        return ""
    return str(result.reruns) if result.passed else f"**{result.verdict}**"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def render_html(results: Sequence[Result]) -> str:
    """Return the report as one page; each cell that needed another run, or failed, opens to what was typed."""
    head = f"<!doctype html><meta charset=utf-8><title>Fault matrix</title><style>{STYLE}</style><h1>Fault matrix</h1>"
    sums = "".join(f"<li>{escape(line)}</li>" for line in render_totals(results).splitlines())
    titles = "".join(f"<th>{title}</th>" for title in (*COLUMNS, "what was typed"))
    return f"{head}<ul>{sums}</ul><table><tr>{titles}</tr>{''.join(_row(result) for result in results)}</table>\n"


def _row(result: Result) -> str:
    kind = "bad" if not result.passed else "more" if result.reruns else "ok"
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in row(result))
    said = "\n\n".join(f"$ {typed.command}\n[{typed.exit_code}] {typed.said}" for typed in result.typed)
    problems = "\n".join(filter(None, (result.problem, *result.lost, *result.writers, *result.notes, *result.blind)))
    told = f"<details><summary>{len(result.typed)}</summary><pre>{escape(problems)}\n\n{escape(said)}</pre></details>"
    return f'<tr class="{kind}">{cells}<td>{told}</td></tr>'
