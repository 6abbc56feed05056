"""What is written as HCL is read back as it was."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import unicodedata
from pathlib import Path
from typing import Any

import hcl2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packer.hcl import Block, Expression, quote, unquote, write

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).map(
    lambda text: unicodedata.normalize("NFC", text)
)
PIECES = ("${", "%{", "$", "%", "{", "}", '"', "\\", "\n", "n", "é", "#", "'")
SHELLISH = TEXT | st.lists(st.sampled_from(PIECES)).map("".join)
VALUES = st.recursive(
    st.one_of(SHELLISH, st.integers(0, 10**9), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(SHELLISH, inner, max_size=4)),
    max_leaves=12,
)


def read(python: Any) -> Any:
    """Turn what python-hcl2 loads back into the Python values that were written."""
    match python:
        case str():
            return unquote(python) if python.startswith('"') else python
        case list():
            return [read(item) for item in python]
        case dict():
            return {read(key): read(item) for key, item in python.items()}
    return python


@given(SHELLISH)
def test_a_quoted_string_is_unquoted_to_itself(text: str) -> None:
    assert unquote(quote(text)) == text


@given(VALUES)
def test_a_document_is_read_back_with_the_values_that_were_written(value: Any) -> None:
    written = write([Block("locals", attributes={"value": value})])

    assert read(hcl2.loads(written)["locals"][0]["value"]) == value


def test_an_expression_is_written_bare() -> None:
    assert "sources = [\n    source.x.y," in write([Block("build", attributes={"sources": [Expression("source.x.y")]})])


def test_blocks_of_one_kind_keep_their_order() -> None:
    build = Block("build")
    for name in ("one", "two", "one"):
        build.block("provisioner", name)

    written = write([build])

    assert [line.split('"')[1] for line in written.splitlines() if "provisioner" in line] == ["one", "two", "one"]


@pytest.mark.parametrize("text", ["\ud800", "a\0b", "e\u0301"])
def test_text_that_hcl_would_change_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        quote(text)


@pytest.mark.skipif(shutil.which("packer") is None, reason="packer is not installed (apt-get install packer)")
def test_packer_itself_reads_awkward_strings_as_they_were_written(tmp_path: Path) -> None:
    awkward = ["".join(pieces) for length in (1, 2, 3) for pieces in itertools.product(PIECES, repeat=length)]
    awkward += ["\b\f\x01\x7f\u2028 😀 {{ .x }}"]
    (tmp_path / "x.pkr.hcl").write_text(write([Block("variable", ("awkward",), {"default": awkward})]))

    command = ["packer", "console", str(tmp_path / "x.pkr.hcl")]
    result = subprocess.run(command, input="jsonencode(var.awkward)\n", capture_output=True, text=True, check=False)

    assert json.loads(result.stdout) == awkward


@pytest.mark.skipif(shutil.which("packer") is None, reason="packer is not installed (apt-get install packer)")
def test_packer_fmt_has_nothing_to_change_whatever_the_strings_hold(tmp_path: Path) -> None:
    block = Block("locals", attributes={"a": '= "x" {', "longer": "[", "map": {"k = v": "{", 'q"=': "a", "n": []}})
    block.attributes |= {
        "list": ["b = c", {"x": 1, "yyy": "é ${z}"}],
        "none": {},
        "after_all_of_these": Expression("1 + 2"),
    }
    (tmp_path / "x.pkr.hcl").write_text(write([block]))

    command = ["packer", "fmt", "-check", "-diff", "-write=false", str(tmp_path / "x.pkr.hcl")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stdout) == (0, "")
