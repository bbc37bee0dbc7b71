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
STATUSES = {each[0]: each for each in ("Completed", "Failed", "TimedOut", "Aborted", "Running")}


class Batch:
    """A batch of a table, with a journal in the same folder."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.service = service
        self.journal = folder / "cohort.jsonl"
        self.table = folder / "cohort.csv"
        with self.table.open("w", newline="") as file:
            rows = [[each["name"], *each["arguments"].values()] for each in cohort(5)]
            csv.writer(file).writerows([["name", "sample", "url"], *rows])

    def launch(self, statuses: str, launches: Any = None) -> Report:
        """Launch, and have the runs end with these statuses, by their first letters."""
        report = self.service.launch(launches or self.table, journal=self.journal, concurrency=1)
        for run_id, letter in zip(report.run_ids, statuses):
            self.service.set_status([run_id], STATUSES[letter])
        self.service.asked.clear()
        return report

    def again(self, *launches: Any, **options: Any) -> Report:
        return relaunch(self.service.client, self.journal, *launches, **options)

    def runs_of(self, name: str) -> set[str]:
        return {key for key, each in self.service.names.items() if each == name}


@pytest.fixture
def batch(service: Service, tmp_path: Path) -> Batch:
    return Batch(service, tmp_path)


@pytest.fixture
def unsure(service: Service, batch: Batch) -> Batch:
    """A batch whose first launch has a run that was neither in a response nor listed."""
    service.before = on(EVER, is_list, refuse(403))
    service.after = on(range(1), is_launch, lose)
    assert batch.launch("CCCC").summary() == {"Pending": 4, "Unsure": 1}
    service.before = service.after = None
    return batch


def test_failed_runs_are_launched_again_from_the_table(service: Service, batch: Batch) -> None:
    before = batch.launch("CFTAR")
    report = batch.again()
    assert service.launches == ["s1", "s2"]
    assert [each.name for each in report] == [f"s{number}" for number in range(5)]
    assert [each.tries for each in report] == [1, 2, 2, 1, 1]
    assert report.summary() == {"Completed": 1, "Aborted": 1, "Running": 1, "Pending": 2}
    (earlier,) = report[1].earlier
    assert (earlier.run_id, earlier.status) == (before[1].run_id, "Failed")
    assert report[1].run_id not in before.run_ids
    marks = [mark_in(each.json["description"]) for each in service.asked if is_launch(each)]
    assert sorted(map(str, marks)) == [f"[batch {before.batch}-{each}.2]" for each in (2, 3)]


def test_all_tries_are_reported(service: Service, batch: Batch) -> None:
    batch.launch("CFCCC")
    second = batch.again()
    service.set_status([str(second[1].run_id)], "TimedOut")
    third = batch.again()
    tries = [(each.name, each.status) for each in third.tries]
    expected = [("s1", "Failed"), ("s1", "TimedOut"), ("s1", "Pending")]
    assert tries == [("s0", "Completed"), *expected, *((f"s{n}", "Completed") for n in (2, 3, 4))]
    told = Report.from_journal(batch.journal)
    assert [each.run_id for each in told.tries] == [each.run_id for each in third.tries]
    assert told[1].earlier[0].status == "Failed"
    assert "'s1' (try 3)" not in str(third)
    waited = wait_all(service.client, third, timeout=0)
    assert [each.earlier for each in waited] == [each.earlier for each in third]


def test_the_run_of_a_try_without_a_response_is_found(service: Service, batch: Batch) -> None:
    batch.launch("FCCCC")
    service.after = on(range(1), is_launch, lose)
    report = batch.again()
    assert report[0].run_id == list(service.runs)[-1]
    assert len(service.launches) == 1
    assert not report.doubled


def test_a_batch_resumes_after_a_relaunch_that_was_stopped(service: Service, batch: Batch) -> None:
    batch.launch("FFCCC")
    service.after = on(range(1), is_launch, lose)
    service.before = on(EVER, is_list, refuse(403))
    with pytest.raises(libtes.ForbiddenException):
        batch.again()  # the statuses of the runs are not known
    service.before = on(EVER[1:], is_list, refuse(403))
    assert batch.again().summary() == {"Completed": 3, "Pending": 1, "Unsure": 1}
    service.before = None
    again = launch_all(service.client, *service.ids, batch.table, journal=batch.journal)
    assert [each.tries for each in again] == [2, 2, 1, 1, 1]
    assert set(again.run_ids) | {each.earlier[0].run_id for each in again[:2]} == set(service.runs)
    assert len(service.launches) == 2


def test_some_of_the_launches_can_be_passed_again(service: Service, batch: Batch) -> None:
    batch.launch("FFFFF", cohort(5))
    with pytest.raises(libtes.ApiValueError, match="pass `launches`"):
        batch.again()
    assert batch.again(cohort(5)[3:]).summary() == {"Failed": 3, "Pending": 2}
    assert service.launches == ["s3", "s4"]


def test_rows_that_differ_are_refused(service: Service, batch: Batch) -> None:
    batch.launch("FCCCC")
    batch.table.write_text(batch.table.read_text().replace("s0,0,", "s0,1,") + "new,1,2\n")
    with pytest.raises(JournalError) as caught:
        batch.again()
    assert caught.value.differences == ["row 1 ('s0') has changed", "row 6 ('new') is new"]
    assert not service.launches


@pytest.mark.parametrize(
    ("status", "names"), [("Aborted", ["s1"]), (("Completed", "Aborted"), ["s0", "s1"]), ((), [])]
)
def test_the_statuses_can_be_chosen(
    service: Service, batch: Batch, status: Any, names: list[str]
) -> None:
    batch.launch("CAFFR")
    with pytest.raises(libtes.ApiValueError, match="status must be 'Failed', not 'failed'"):
        batch.again(status="failed")
    batch.again(status=status)
    assert service.launches == names


def test_an_unsure_launch_can_be_launched_again(service: Service, unsure: Batch) -> None:
    """A run that lists do not have until then is reported afterwards."""
    service.hidden |= unsure.runs_of("s0")

    def show(asked: Asked) -> None:
        if is_launch(asked):
            service.hidden.clear()

    service.before = show
    with pytest.warns(UserWarning, match="more than one run"):
        report = unsure.again(status="Unsure")
    (launched,) = report.doubled
    assert {launched.run_id, *launched.doubles} == unsure.runs_of("s0")


@pytest.mark.parametrize("others", [0, 1500])
def test_an_unsure_launch_is_not_launched_again_if_lists_have_its_run_by_now(
    service: Service, unsure: Batch, others: int
) -> None:
    if others:
        service.runs[next(iter(service.runs))]["timeCreated"] = "2020-01-01T00:00:00Z"
        service.add_runs(["other"] * others, age=60)
    report = unsure.again(status="Unsure")
    assert not service.launches
    assert set(report.run_ids) == set(service.runs) - unsure.runs_of("other")
    assert Report.from_journal(unsure.journal).run_ids == report.run_ids


def test_a_refused_launch_has_no_second_try(service: Service, batch: Batch) -> None:
    service.before = on(range(1), is_launch, refuse(400))
    batch.launch("CCCC")
    assert batch.again(status="Not launched")[0].tries == 1
    assert service.launches == ["s0"]


def test_the_table_is_found_from_another_folder_unless_it_was_moved(
    service: Service, batch: Batch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    batch.launch("FFCCC", batch.table.name)
    service.hidden.update(service.runs)  # so the runs are requested one by one
    monkeypatch.chdir("/")
    report = batch.again()
    assert report.summary() == {"Completed": 3, "Pending": 2}
    service.set_status(report.run_ids[:1], "Failed")
    moved = batch.table.rename(batch.table.with_name("moved.csv"))
    with pytest.raises(libtes.ApiValueError, match=r"pass `launches`: .*cohort\.csv.* no longer"):
        batch.again()
    assert batch.again(moved)[0].tries == 3


def test_a_missing_or_empty_journal_is_refused(batch: Batch) -> None:
    with pytest.raises(JournalError, match=r"cohort\.jsonl does not exist"):
        batch.again()
    assert not batch.journal.exists()
    batch.journal.write_bytes(b"")
    with pytest.raises(JournalError, match="has no launches"):
        batch.again()
