"""Tables in `launch_all`: the requests that are sent, and dry runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from libica.batch import LaunchesError

from .service import Service, is_launch, on, refuse

OPTIONS: dict[str, Any] = {"name_column": "run", "ignore_columns": ["notes"], "allow_empty": True}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "cohort.csv"
    path.write_text("sample,run,url,notes\n1,s1,gds://v/1,-\n2,s2,,-\n")
    return path


def test_a_table_is_sent_as_the_options_say(
    service: Service, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tqdm")
    service.before = on(range(1), is_launch, refuse(400))
    report = service.launch(table, progress=True, **OPTIONS)
    assert [each.name for each in report] == ["s1", "s2"]
    sent = {each.json["name"]: each.json["arguments"] for each in service.asked if is_launch(each)}
    assert sent == {"s1": {"sample": "1", "url": "gds://v/1"}, "s2": {"sample": "2", "url": ""}}
    shown = capsys.readouterr().err.rpartition("\r")[2]
    assert "2/2" in shown
    assert "1 failed]" in shown


def test_a_dry_run_checks_all_launches_and_sends_none(service: Service, table: Path) -> None:
    journal = table.with_name("journal")
    report = service.launch(table, journal=journal, dry_run=True, **OPTIONS)
    assert report.summary() == {"Not launched": 2}
    assert {each.error for each in report} == {"not sent: dry run"}
    with pytest.raises(LaunchesError, match=r"line 3 \('s2'\): url is empty"):
        service.launch(table, dry_run=True, **{**OPTIONS, "allow_empty": False})
    assert [each.method for each in service.asked] == ["GET", "GET"]
    assert not journal.exists()
