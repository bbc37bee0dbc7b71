"""What a release promises: its version, its changes, and what it was tested with."""

from __future__ import annotations

import configparser
import re
import subprocess

import pytest

from libica.openapi import libtes

from .helpers import ROOT

CHANGES = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]


def test_the_changelog_has_the_form_of_keep_a_changelog() -> None:
    assert "https://keepachangelog.com/en/1.1.0/" in CHANGES
    unreleased, *releases = re.findall(r"^## (.+)$", CHANGES, re.MULTILINE)
    assert unreleased == "[Unreleased]"
    dated = [re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - \d{4}-\d\d-\d\d", each) for each in releases]
    versions = [tuple(map(int, each.groups())) if each else each for each in dated]
    assert None not in versions
    assert versions == sorted(set(versions), reverse=True)
    for section in re.split(r"^## ", CHANGES, flags=re.MULTILINE)[1:]:
        _, *parts = re.split(r"^### ", section, flags=re.MULTILINE)
        kinds = [part.partition("\n")[0] for part in parts]
        assert kinds == [kind for kind in KINDS if kind in kinds]
        assert all("\n- " in part for part in parts)


def test_a_tag_of_this_commit_is_its_version_which_the_changelog_describes() -> None:
    command = ["git", "tag", "--points-at", "HEAD", "--list", "v[0-9]*"]
    try:
        tags = subprocess.check_output(command, cwd=ROOT, stderr=subprocess.DEVNULL, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no repository of git, or git is not installed")
    for tag in tags.split():
        assert tag == f"v{libtes.__version__}"
        assert f"\n## [{libtes.__version__}] - " in CHANGES


def test_the_support_table_is_what_ci_tests() -> None:
    text = (ROOT / "docs" / "reference" / "support.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\S.*?) \| (.+?) \|$", text, re.MULTILINE))
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    pythons = re.findall(r"\bpy(\d)(\d+)\b", tox["tox"]["env_list"])
    assert rows["Python (CPython)"] == ", ".join(".".join(each) for each in pythons)
    metadata = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = re.findall(r'"Programming Language :: Python :: (\d)\.(\d+)"', metadata)
    assert named == pythons

    oldest = re.findall(r"^urllib3==(\S+)$", tox["testenv:lowest"]["deps"], re.MULTILINE)
    lines = re.findall(r'"urllib3(?:==([\d.]+)\.\*|<2)"', tox["testenv:urllib3"]["commands"])
    tested = [*oldest, *(each or "1.26" for each in lines), "newest"]
    assert rows["urllib3"] == ", ".join(tested)
