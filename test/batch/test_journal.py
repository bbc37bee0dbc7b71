"""The journal: how a batch goes on where it was, and which journals it does not go on with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from libica.batch import BatchError, JournalError, Report, calling, journal, launch_all, wait_all
from libica.batch.journal import Journal
from libica.batch.plan import Plan

from ..conftest import TOKEN
from ..helpers import ROOT
from ..server import Answer, Asked
from ..small_tes import SmallTes
from .conftest import HASTY
from .service import EVER, Service, cohort, is_launch, is_list, lose, on, refuse

pytestmark = pytest.mark.usefixtures("hasty")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cohort.jsonl"


def launch(service: Service, path: Path, launches: Any = 5, **options: Any) -> Report:
    given = cohort(launches) if isinstance(launches, int) else launches
    return launch_all(service.client, *service.ids, given, journal=path, **options)


def check(service: Service, report: Report) -> None:
    assert {each.run_id: each.name for each in report} == service.runs
    assert len(report) == len(service.runs)


def stop(service: Service, path: Path, at: int, launches: int = 5) -> None:
    """Launch so many, and have the batch stopped there."""
    service.before = on(range(at, at + 1), is_launch, refuse(401))
    with pytest.raises(BatchError):
        launch(service, path, launches, concurrency=1)
    service.before = None


# Going on


def test_what_was_launched_is_not_launched_again(service: Service, path: Path) -> None:
    reports = [launch(service, path) for _ in range(3)]
    assert len(service.launches) == 5
    assert list(reports[0]) == list(reports[1]) == list(reports[2])
    check(service, reports[2])


def test_a_batch_goes_on_where_it_was_stopped(service: Service, path: Path) -> None:
    stop(service, path, 3)
    assert len(service.runs) == 3
    report = launch(service, path, concurrency=1)
    check(service, report)
    assert service.launches == ["s0", "s1", "s2", "s3", "s3", "s4"]
    assert [each.attempts for each in report] == [1, 1, 1, 2, 1]


def test_a_resumed_batch_is_listed_before_and_after(service: Service, path: Path) -> None:
    stop(service, path, 3)
    service.asked.clear()
    launch(service, path)
    assert [is_list(each) for each in service.asked] == [False, True, False, False, True]


def test_the_order_of_the_launches_may_change(service: Service, path: Path) -> None:
    stop(service, path, 3)
    report = launch(service, path, cohort(5)[::-1])
    check(service, report)
    assert [each.name for each in report] == ["s4", "s3", "s2", "s1", "s0"]


def test_refused_launches_are_sent_again(service: Service, path: Path) -> None:
    service.before = on(range(2), is_launch, refuse(400))
    assert launch(service, path, concurrency=1).summary() == {"Pending": 3, "Not launched": 2}
    check(service, launch(service, path))


def test_what_was_unsure_is_looked_for_before_it_is_sent(service: Service, path: Path) -> None:
    service.before = on(EVER, is_list, refuse(400))
    service.after = on(range(2), is_launch, lose)
    assert launch(service, path, concurrency=1).summary() == {"Pending": 3, "Unsure": 2}
    service.before = service.after = None
    check(service, launch(service, path))
    assert len(service.launches) == 5


def test_a_run_is_found_however_many_calls_later(service: Service, path: Path) -> None:
    service.after = on(range(1), is_launch, lose)
    for _ in range(2):
        service.before = on(EVER, is_list, refuse(400))
        assert launch(service, path, 1).summary() == {"Unsure": 1}
        service.add_runs(["other"])
    service.before = None
    (launched,) = launch(service, path, 1).run_ids
    assert service.runs[launched] == "s0"
    assert len(service.launches) == 1


@pytest.mark.parametrize("cut", [1, 20, 10**6])
def test_a_last_line_that_is_torn_is_passed_over(service: Service, path: Path, cut: int) -> None:
    stop(service, path, 3)
    whole = path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    path.write_bytes(whole[: -min(cut, len(last) - 1)])
    check(service, launch(service, path))
    check(service, launch(service, path))
    for line in path.read_bytes().splitlines():
        json.loads(line)


def test_a_journal_cut_anywhere_leads_to_each_run_once(service: Service, path: Path) -> None:
    launch(service, path)
    lines = path.read_bytes().splitlines(keepends=True)
    begun = next(number for number, line in enumerate(lines) if b'"planned"' in line)
    for count in range(begun + 1, len(lines)):  # the marks tell what the journal has lost
        path.write_bytes(b"".join(lines[:count]))
        check(service, launch(service, path))


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.9])
def test_a_journal_that_was_cut_before_anything_was_sent_begins_anew(
    service: Service, path: Path, share: float
) -> None:
    launch(service, path)
    version = service.tes
    service.tes = SmallTes()
    service.tes._things = {k: v for k, v in version._things.items() if not k.startswith("trn.")}
    service.tes._owners = {k: version._owners[k] for k in service.tes._things}
    service.asked.clear()
    lines = path.read_bytes().splitlines(keepends=True)
    planned = b"".join(line for line in lines if b'"plan' in line or b'"journal"' in line)
    path.write_bytes(planned[: int(share * len(planned))])
    check(service, launch(service, path))
    assert len(service.launches) == 5


def test_a_process_that_is_killed_loses_nothing(service: Service, path: Path) -> None:
    code = """
import os, signal, sys
from libica.batch import launch_all
from libica.openapi import libtes
from test.batch.service import cohort

url, token, task, version, path = sys.argv[1:]
client = libtes.ApiClient(libtes.Configuration(url, {"Authorization": "Bearer " + token}))
kill = lambda done, total: done >= 5 and os.kill(os.getpid(), signal.SIGKILL)
launch_all(client, task, version, cohort(300), journal=path, concurrency=4, progress=kill)
"""
    command = [sys.executable, "-c", code, service.url, TOKEN, *service.ids, str(path)]
    assert subprocess.run(command, cwd=ROOT, timeout=60).returncode == -9
    assert service.runs
    check(service, launch(service, path, 300))


@pytest.mark.parametrize("mark", [True, False])
@pytest.mark.parametrize("at", [1, 6])
def test_being_killed_twice_leaves_nothing_unsure(
    service: Service, path: Path, at: int, mark: bool
) -> None:
    for _ in range(2):
        left: list[bytes] = []

        def kill(asked: Asked, left: list[bytes] = left) -> Answer:
            left.append(path.read_bytes())
            return refuse(401)(asked) or Answer()

        service.before = on(EVER[at:], is_launch, kill)
        with pytest.raises(BatchError):
            launch(service, path, 20, mark=mark, concurrency=4)
        path.write_bytes(left[0])
    service.before = None
    check(service, launch(service, path, 20, mark=mark))


def test_ctrl_c_loses_nothing(service: Service, path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(service, path, 300, progress=interrupt)
    assert len(service.runs) < 300
    check(service, launch(service, path, 300))
    assert len(service.launches) == 300


# What it is, and what it is not


def test_a_launch_is_on_the_disk_before_it_is_sent(service: Service, path: Path) -> None:
    def before(asked: Asked) -> None:
        if is_launch(asked):
            lines = map(json.loads, path.read_text().splitlines())
            noted.append({"send": asked.json["name"]} in lines)

    noted: list[bool] = []
    service.before = before
    launch(service, path, 200, concurrency=4)
    assert noted == [True] * 200


def test_the_disk_is_not_waited_for_each_time(
    service: Service, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(file), fsync(file)))
    launch(service, path, 200, concurrency=4)
    assert len(synced) < 20


def test_it_holds_no_arguments_and_no_token(service: Service, path: Path) -> None:
    launch(service, path)
    text = path.read_text()
    assert TOKEN not in text
    assert "secret" not in text
    assert "gds" not in text


@pytest.mark.skipif(os.name != "posix", reason="POSIX has modes")
def test_nobody_else_can_read_it(service: Service, path: Path) -> None:
    launch(service, path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_is_only_added_to(service: Service, path: Path) -> None:
    stop(service, path, 3)
    before = path.read_bytes()
    launch(service, path)
    assert path.read_bytes().startswith(before)


def test_a_relative_path_will_do(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    launch(service, Path("cohort.jsonl"))
    assert Path("cohort.jsonl").is_file()


def other(number: int, **changes: Any) -> list[dict[str, Any]]:
    """Return the cohort with another launch in one place."""
    launches = cohort(5)
    launches[number].update(changes)
    return launches


@pytest.mark.parametrize(
    ("launches", "differences"),
    [
        (cohort(6), ["row 6 ('s5') is new"]),
        (cohort(3), ["'s3' is not among the launches", "'s4' is not among the launches"]),
        (
            other(1, arguments={"sample": "1", "url": "another"}),
            ["row 2 ('s1') was something else"],
        ),
        (other(4, description="new"), ["row 5 ('s4') was something else"]),
        (other(2, name="x"), ["row 3 ('x') is new", "'s2' is not among the launches"]),
    ],
)
def test_a_journal_of_other_launches_is_refused_with_what_differs(
    service: Service, path: Path, launches: Any, differences: list[str]
) -> None:
    launch(service, path)
    kept = path.read_bytes()
    with pytest.raises(JournalError, match="is the journal of another batch") as caught:
        launch(service, path, launches)
    assert caught.value.differences == differences
    assert all(each in str(caught.value) for each in differences)
    assert "another\n" not in str(caught.value).replace("another batch", "")
    assert len(service.launches) == 5
    assert path.read_bytes() == kept


def test_a_journal_of_another_version_is_refused(service: Service, path: Path) -> None:
    launch(service, path)
    twin = Service()
    with twin, pytest.raises(JournalError) as caught:
        launch(twin, path)
    assert caught.value.differences == [
        f"it is of task {service.ids[0]}, not of {twin.ids[0]}",
        f"it is of version {service.ids[1]}, not of {twin.ids[1]}",
    ]
    twin.client.close()


@pytest.mark.parametrize(
    "content", [b"name,sample\na,b\n", b"{}\n", b'{"journal": "other"}\n', b"\0" * 100, b"\n"]
)
def test_a_file_that_is_no_journal_is_refused_and_kept(
    service: Service, path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    with pytest.raises(JournalError, match=r"cohort\.jsonl is no journal"):
        launch(service, path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "line", [b"{", b"\xff", b"[]", b'"text"', b"{}", b'{"run": "trn.1"}', b'{"send": null', b""]
)
@pytest.mark.parametrize("place", [0.4, 0.99])
def test_a_line_that_is_broken_is_refused_by_its_number(
    service: Service, path: Path, line: bytes, place: float
) -> None:
    launch(service, path)
    lines = path.read_bytes().splitlines()
    number = int(place * len(lines))
    lines[number] = line
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(JournalError, match=f"line {number + 1} is broken"):
        launch(service, path)


def test_a_journal_in_use_is_refused(service: Service, path: Path) -> None:
    refused: list[str] = []

    def meanwhile(done: int, total: int) -> None:
        if not refused:
            with pytest.raises(JournalError, match="is in use by another") as caught:
                launch(service, path)
            refused.append(str(caught.value))

    check(service, launch(service, path, progress=meanwhile))
    assert refused


def test_a_folder_that_is_not_there_is_an_error_before_anything_is_sent(
    service: Service, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        launch(service, tmp_path / "none" / "journal")
    assert not service.launches


def test_a_disk_that_is_full_stops_the_batch(
    service: Service, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        if b'"send"' in path.read_bytes():
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BatchError, match=r"No space left.*cohort\.jsonl") as caught:
        launch(service, path)
    assert caught.value.report.summary() == {"Not launched": 5}
    assert not service.launches


def test_a_disk_that_is_full_on_the_way_stops_the_batch_with_the_report(
    service: Service, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = Journal.flush

    def full(journal: Journal) -> None:
        if len(service.launches) >= 20:
            journal._failed = True
            raise OSError(28, "No space left on device")
        flush(journal)

    monkeypatch.setattr(Journal, "flush", full)
    with pytest.raises(BatchError, match="No space left") as caught:
        launch(service, path, 300, concurrency=4)
    report = caught.value.report
    assert set(report.run_ids) == set(service.runs)
    assert 20 <= len(report.run_ids) < 300
    monkeypatch.undo()
    monkeypatch.setattr(calling, "WAITS", HASTY)
    check(service, launch(service, path, 300))


def test_a_disk_that_is_full_from_the_start_is_a_batch_error(
    service: Service, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BatchError, match=r"No space left.*cohort\.jsonl") as caught:
        launch(service, path)
    assert caught.value.report.summary() == {"Not launched": 5}
    assert not service.launches


def test_locks_that_do_nothing_are_noticed(
    service: Service, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_take_lock", lambda _: None)
    with pytest.raises(JournalError, match=r"locks of the file system of .* do nothing"):
        launch(service, path)
    assert not service.launches


def test_locks_that_are_not_supported_are_refused(
    service: Service, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(journal, "_take_lock", unsupported)
    with pytest.raises(JournalError, match=r"has no locks .*keep the journal on a local disk"):
        launch(service, path)


def test_two_calls_whose_locks_hold_on_their_own_machines_only_stop_each_other(
    service: Service, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_lock", lambda *_: None)
    service.before = lambda asked: time.sleep(0.002)  # type: ignore[func-returns-value]

    def work() -> str:
        try:
            return repr(launch(service, path, 300, concurrency=4))
        except (BatchError, JournalError) as error:
            return str(error)

    with ThreadPoolExecutor(2) as threads:
        told = [each.result() for each in [threads.submit(work) for _ in range(2)]]
    names = list(service.runs.values())
    assert len(names) == len(set(names))
    assert sum("cohort.jsonl" in each for each in told) >= 1


# Journals of format 1, which had no marks


def first_format(service: Service, path: Path, launches: int) -> None:
    """Write the journal of a batch that was killed after it had launched all but the last two."""
    with Plan(service.client, cohort(launches), ["sample", "url"]) as plan:
        lines: list[dict[str, Any]] = [
            {
                "journal": "libica.batch",
                "format": 1,
                "task": service.ids[0],
                "version": service.ids[1],
                "salt": "00" * 16,
            }
        ]
        digest = journal._digest
        lines += [
            {"plan": name, "digest": digest(plan, row, "00" * 16)}
            for row, name in enumerate(plan.names)
        ]
        lines += [{"planned": launches}, {"began": None}]
        lines += [{"send": name} for name in plan.names]
        created = "2021-03-08T04:05:54+00:00"
        for name in plan.names[:-2]:
            (run_id,) = service.add_runs([name])
            told = {"name": name, "attempts": 1, "status": "Pending", "created": created}
            lines.append({"run": run_id, **told})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_journal_of_format_1_goes_on_by_names(service: Service, path: Path) -> None:
    first_format(service, path, 5)
    assert Report.from_journal(path).summary() == {"Pending": 3, "Unsure": 2}
    report = launch(service, path)
    # Nothing was left to be launched, which could prove that a list is fresh.
    assert report.summary() == {"Pending": 3, "Unsure": 2}
    assert report.batch is None
    assert not service.launches


def test_a_run_by_the_name_of_a_launch_in_doubt_of_format_1_is_not_adopted(
    service: Service, path: Path
) -> None:
    first_format(service, path, 5)
    (run_id,) = service.add_runs(["s4"])
    report = launch(service, path)
    assert report.summary() == {"Pending": 3, "Unsure": 2}
    assert f"its run may be {run_id}" in str(report[4].error)


def test_a_journal_of_a_later_format_is_refused(service: Service, path: Path) -> None:
    launch(service, path)
    path.write_bytes(path.read_bytes().replace(b'"format": 2', b'"format": 3', 1))
    with pytest.raises(JournalError, match="has format 3: a later version"):
        launch(service, path)


# Without a service


def test_a_report_is_read_from_a_journal_alone(service: Service, path: Path) -> None:
    stop(service, path, 3)
    told = Report.from_journal(path)
    assert told.run_ids == list(service.runs)
    assert told.summary() == {"Pending": 3, "Not launched": 2}
    service.set_status(service.runs)
    waited = wait_all(service.client, told, timeout=0)
    assert waited.summary() == {"Completed": 3, "Not launched": 2}


def test_a_report_of_no_journal_is_an_error(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Report.from_journal(path)
    path.write_text("name,sample\n")
    with pytest.raises(JournalError, match="is no journal"):
        Report.from_journal(path)
