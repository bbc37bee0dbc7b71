"""Launching again: which launches, with which arguments, and the report of all tries."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from libica.batch import JournalError, Report, launch_all, relaunch, wait_all
from libica.batch.mark import mark_in
from libica.openapi import libtes

from ..server import Asked
from .service import EVER, Service, cohort, is_launch, is_list, lose, on, refuse

pytestmark = pytest.mark.usefixtures("hasty")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cohort.jsonl"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "cohort.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "sample", "url"])
        rows.writerows([each["name"], *each["arguments"].values()] for each in cohort(5))
    return path


def launch(service: Service, path: Path, launches: Any, statuses: str) -> Report:
    """Launch, and have the runs end with these statuses, by their first letters."""
    report = launch_all(service.client, *service.ids, launches, journal=path, concurrency=1)
    names = {"C": "Completed", "F": "Failed", "T": "TimedOut", "A": "Aborted", "R": "Running"}
    for run_id, letter in zip(report.run_ids, statuses):
        service.set_status([run_id], names[letter])
    service.asked.clear()
    return report


@pytest.fixture
def unsure(service: Service, path: Path, table: Path) -> None:
    """Launch a batch whose first launch has a run that was neither in a response nor listed."""
    service.before = on(EVER, is_list, refuse(403))
    service.after = on(range(1), is_launch, lose)
    assert launch(service, path, table, "CCCC").summary() == {"Pending": 4, "Unsure": 1}
    service.before = service.after = None


def test_failed_runs_are_launched_again_from_the_table(
    service: Service, path: Path, table: Path
) -> None:
    before = launch(service, path, table, "CFTAR")
    report = relaunch(service.client, path)
    assert service.launches == ["s1", "s2"]
    assert [each.name for each in report] == [f"s{number}" for number in range(5)]
    assert [each.tries for each in report] == [1, 2, 2, 1, 1]
    assert report.summary() == {"Completed": 1, "Aborted": 1, "Running": 1, "Pending": 2}
    (earlier,) = report[1].earlier
    assert (earlier.run_id, earlier.status) == (before[1].run_id, "Failed")
    assert report[1].run_id not in before.run_ids
    marks = [mark_in(each.json["description"]) for each in service.asked if is_launch(each)]
    assert sorted(str(each) for each in marks) == [
        f"[batch {before.batch}-{number}.2]" for number in (2, 3)
    ]


def test_all_tries_are_reported(service: Service, path: Path, table: Path) -> None:
    launch(service, path, table, "CFCCC")
    second = relaunch(service.client, path)
    service.set_status([str(second[1].run_id)], "TimedOut")
    third = relaunch(service.client, path)
    tries = [(each.name, each.status) for each in third.tries]
    expected = [("s1", "Failed"), ("s1", "TimedOut"), ("s1", "Pending")]
    assert tries == [("s0", "Completed"), *expected, *((f"s{n}", "Completed") for n in (2, 3, 4))]
    told = Report.from_journal(path)
    assert [each.run_id for each in told.tries] == [each.run_id for each in third.tries]
    assert told[1].earlier[0].status == "Failed"
    assert "'s1' (try 3)" not in str(third)
    waited = wait_all(service.client, third, timeout=0)
    assert [each.earlier for each in waited] == [each.earlier for each in third]


def test_the_run_of_a_try_without_a_response_is_found(
    service: Service, path: Path, table: Path
) -> None:
    launch(service, path, table, "FCCCC")
    service.after = on(range(1), is_launch, lose)
    report = relaunch(service.client, path)
    assert report[0].run_id == list(service.runs)[-1]
    assert len(service.launches) == 1
    assert not report.doubled


def test_a_batch_resumes_after_a_relaunch_that_was_stopped(
    service: Service, path: Path, table: Path
) -> None:
    launch(service, path, table, "FFCCC")
    service.after = on(range(1), is_launch, lose)
    service.before = on(EVER, is_list, refuse(403))
    with pytest.raises(libtes.ForbiddenException):
        relaunch(service.client, path)  # the statuses of the runs are not known
    service.before = on(EVER[1:], is_list, refuse(403))
    report = relaunch(service.client, path)
    assert report.summary() == {"Completed": 3, "Pending": 1, "Unsure": 1}
    service.before = None
    again = launch_all(service.client, *service.ids, table, journal=path)
    assert [each.tries for each in again] == [2, 2, 1, 1, 1]
    assert set(again.run_ids) | {each.earlier[0].run_id for each in again[:2]} == set(service.runs)
    assert len(service.launches) == 2


def test_some_of_the_launches_can_be_passed_again(service: Service, path: Path) -> None:
    launch(service, path, cohort(5), "FFFFF")
    with pytest.raises(libtes.ApiValueError, match="pass `launches`"):
        relaunch(service.client, path)
    report = relaunch(service.client, path, cohort(5)[3:])
    assert service.launches == ["s3", "s4"]
    assert report.summary() == {"Failed": 3, "Pending": 2}


def test_rows_that_differ_are_refused(service: Service, path: Path, table: Path) -> None:
    launch(service, path, table, "FCCCC")
    table.write_text(table.read_text().replace("s0,0,", "s0,1,") + "new,1,2\n")
    with pytest.raises(JournalError) as caught:
        relaunch(service.client, path)
    assert caught.value.differences == ["row 1 ('s0') has changed", "row 6 ('new') is new"]
    assert not service.launches


@pytest.mark.parametrize(
    ("status", "names"), [("Aborted", ["s1"]), (("Completed", "Aborted"), ["s0", "s1"]), ((), [])]
)
def test_the_statuses_can_be_chosen(
    service: Service, path: Path, table: Path, status: Any, names: list[str]
) -> None:
    launch(service, path, table, "CAFFR")
    with pytest.raises(libtes.ApiValueError, match="status must be 'Failed', not 'failed'"):
        relaunch(service.client, path, status="failed")
    relaunch(service.client, path, status=status)
    assert service.launches == names


@pytest.mark.usefixtures("unsure")
def test_an_unsure_launch_can_be_launched_again(service: Service, path: Path) -> None:
    """A run that lists do not have until then is reported afterwards."""
    (hidden,) = [key for key, name in service.names.items() if name == "s0"]
    service.hidden.add(hidden)

    def show(asked: Asked) -> None:
        if is_launch(asked):
            service.hidden.clear()

    service.before = show
    with pytest.warns(UserWarning, match="more than one run"):
        report = relaunch(service.client, path, status="Unsure")
    (launched,) = report.doubled
    assert {launched.run_id, *launched.doubles} == {
        key for key, name in service.names.items() if name == "s0"
    }


@pytest.mark.usefixtures("unsure")
@pytest.mark.parametrize("others", [0, 1500])
def test_an_unsure_launch_is_not_launched_again_if_lists_have_its_run_by_now(
    service: Service, path: Path, others: int
) -> None:
    if others:
        service.runs[next(iter(service.runs))]["timeCreated"] = "2020-01-01T00:00:00Z"
        service.add_runs(["other"] * others, age=60)
    report = relaunch(service.client, path, status="Unsure")
    assert not service.launches
    assert set(report.run_ids) == {key for key, name in service.names.items() if name != "other"}
    assert Report.from_journal(path).run_ids == report.run_ids


def test_a_refused_launch_has_no_second_try(service: Service, path: Path, table: Path) -> None:
    service.before = on(range(1), is_launch, refuse(400))
    launch(service, path, table, "CCCC")
    report = relaunch(service.client, path, status="Not launched")
    assert service.launches == ["s0"]
    assert report[0].tries == 1


def test_runs_missing_from_lists_are_requested_one_by_one(
    service: Service, path: Path, table: Path
) -> None:
    launch(service, path, table, "FFCCC")
    service.hidden.update(service.runs)
    relaunch(service.client, path)
    assert service.launches == ["s0", "s1"]


def test_the_table_is_found_from_another_folder_unless_it_was_moved(
    service: Service, path: Path, table: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    launch(service, path, table.name, "FFCCC")
    monkeypatch.chdir("/")
    report = relaunch(service.client, path)
    assert report.summary() == {"Completed": 3, "Pending": 2}
    service.set_status(report.run_ids[:1], "Failed")
    moved = table.rename(table.with_name("moved.csv"))
    with pytest.raises(libtes.ApiValueError, match=r"pass `launches`: .*cohort\.csv.* no longer"):
        relaunch(service.client, path)
    assert relaunch(service.client, path, moved)[0].tries == 3


def test_a_missing_or_empty_journal_is_refused(service: Service, path: Path) -> None:
    with pytest.raises(JournalError, match=r"cohort\.jsonl does not exist"):
        relaunch(service.client, path)
    assert not path.exists()
    path.write_bytes(b"")
    with pytest.raises(JournalError, match="has no launches"):
        relaunch(service.client, path)
