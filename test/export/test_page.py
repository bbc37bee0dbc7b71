"""The page on exports shows what they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ..helpers import ROOT

PAGE = ROOT / "docs" / "how-to" / "export.md"


def block(language: str) -> str:
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    return str(found)


def test_the_example_writes_the_tool_that_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block("python"), str(PAGE), "exec", dont_inherit=True), {})
    assert Path("count-reads.cwl").read_text("utf-8") == block("yaml")
    printed = capsys.readouterr().out
    assert "samtools flagstat /data/in/NA12878.bam >/data/out/NA12878.txt" in printed
    for line in re.findall(r"^# - (.*)$", block("yaml"), re.M):
        assert f"{line}\n" in printed
