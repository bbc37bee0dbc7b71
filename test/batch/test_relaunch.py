"""Launching again: which launches, with which arguments, and the report of all tries."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from libica.batch import JournalError, Report, relaunch, wait_all
from libica.batch.mark import mark_in
from libica.openapi import libtes

from ..server import Asked
from .service import EVER, Service, cohort, is_launch, is_list, lose, on, refuse

pytestmark = pytest.mark.usefixtures("hasty")
STATUSES = {each[0]: each for each in ("Completed", "Failed", "TimedOut", "Aborted", "Running")}


class Batch(Service):
    """A service with a batch of a table that has a journal in the same folder."""

    table: Path

    def begin(self, statuses: str, launches: Any = None) -> Report:
        """Launch, and have the runs end with these statuses, by their first letters."""
        report = self.launch(launches or self.table, concurrency=1)
        for run_id, letter in zip(report.run_ids, statuses):
            self.set_status([run_id], STATUSES[letter])
        self.asked.clear()
        return report

    def again(self, *launches: Any, **options: Any) -> Report:
        return relaunch(self.client, self.journal, *launches, **options)

    def runs_of(self, name: str) -> set[str]:
        return {key for key, each in self.names.items() if each == name}


@pytest.fixture
def batch(tmp_path: Path) -> Any:
    with Batch() as batch:
        batch.journal, batch.table = tmp_path / "cohort.jsonl", tmp_path / "cohort.csv"
        rows = [[each["name"], *each["arguments"].values()] for each in cohort(5)]
        with batch.table.open("w", newline="") as file:
            csv.writer(file).writerows([["name", "sample", "url"], *rows])
        yield batch


@pytest.fixture
def unsure(batch: Batch) -> Batch:
    """A batch whose first launch has a run that was neither in a response nor listed."""
    batch.before = on(EVER, is_list, refuse(403))
    batch.after = on(range(1), is_launch, lose)
    assert batch.begin("CCCC").summary() == {"Pending": 4, "Unsure": 1}
    batch.before = batch.after = None
    return batch


def test_failed_runs_are_launched_again_from_the_table(batch: Batch) -> None:
    before = batch.begin("CFTAR")
    report = batch.again()
    assert batch.launches == ["s1", "s2"]
    assert [each.name for each in report] == [each.name for each in before]
    assert [each.tries for each in report] == [1, 2, 2, 1, 1]
    assert report.summary() == {"Completed": 1, "Aborted": 1, "Running": 1, "Pending": 2}
    (earlier,) = report[1].earlier
    assert (earlier.run_id, earlier.status) == (before[1].run_id, "Failed")
    assert report[1].run_id not in before.run_ids
    marks = [mark_in(each.json["description"]) for each in batch.asked if is_launch(each)]
    assert sorted(map(str, marks)) == [f"[batch {before.batch}-{each}.2]" for each in (2, 3)]


def test_all_tries_are_reported(batch: Batch) -> None:
    batch.begin("CFCCC")
    batch.set_status([str(batch.again()[1].run_id)], "TimedOut")
    third = batch.again()
    tries = [(each.name, each.status) for each in third.tries]
    expected = [("s1", "Failed"), ("s1", "TimedOut"), ("s1", "Pending")]
    assert tries == [("s0", "Completed"), *expected, *((f"s{n}", "Completed") for n in (2, 3, 4))]
    told = Report.from_journal(batch.journal)
    assert [each.run_id for each in told.tries] == [each.run_id for each in third.tries]
    assert told[1].earlier[0].status == "Failed"
    assert "'s1' (try 3)" not in str(third)
    waited = wait_all(batch.client, third, timeout=0)
    assert [each.earlier for each in waited] == [each.earlier for each in third]


def test_a_batch_resumes_after_a_relaunch_that_was_stopped(batch: Batch) -> None:
    batch.begin("FFCCC")
    batch.after = on(range(1), is_launch, lose)
    batch.before = on(EVER, is_list, refuse(403))
    with pytest.raises(libtes.ForbiddenException):
        batch.again()  # the statuses of the runs are not known
    batch.before = on(EVER[1:], is_list, refuse(403))
    assert batch.again().summary() == {"Completed": 3, "Pending": 1, "Unsure": 1}
    batch.before = None
    again = batch.launch(batch.table)
    assert [each.tries for each in again] == [2, 2, 1, 1, 1]
    assert set(again.run_ids) | {each.earlier[0].run_id for each in again[:2]} == set(batch.runs)
    assert len(batch.launches) == 2


@pytest.mark.parametrize(
    ("launches", "options", "launched"),
    [
        ([], {"status": "Aborted"}, ["s1"]),
        ([], {"status": ("Completed", "Aborted")}, ["s0", "s1"]),
        ([], {"status": ()}, []),
        ([cohort(5)[3:]], {}, ["s3"]),
    ],
)
def test_the_statuses_and_launches_can_be_chosen(
    batch: Batch, launches: Any, options: Any, launched: list[str]
) -> None:
    batch.begin("CAFFR")
    batch.again(*launches, **options)
    assert batch.launches == launched


def test_a_status_that_does_not_exist_and_missing_launches_are_refused(batch: Batch) -> None:
    batch.begin("FFFFF", cohort(5))
    with pytest.raises(libtes.ApiValueError, match="pass `launches`"):
        batch.again()
    with pytest.raises(libtes.ApiValueError, match="status must be 'Failed', not 'failed'"):
        batch.again(cohort(5), status="failed")
    assert not batch.launches


def test_an_unsure_launch_can_be_launched_again(unsure: Batch) -> None:
    """A run that lists do not have until then is reported afterwards."""
    unsure.hidden |= unsure.runs_of("s0")

    def show(asked: Asked) -> None:
        if is_launch(asked):
            unsure.hidden.clear()

    unsure.before = show
    with pytest.warns(UserWarning, match="more than one run"):
        report = unsure.again(status="Unsure")
    (launched,) = report.doubled
    assert {launched.run_id, *launched.doubles} == unsure.runs_of("s0")


@pytest.mark.parametrize("others", [0, 1500])
def test_an_unsure_launch_is_not_launched_again_if_its_run_is_listed(
    unsure: Batch, others: int
) -> None:
    if others:
        unsure.runs[next(iter(unsure.runs))]["timeCreated"] = "2020-01-01T00:00:00Z"
        unsure.add_runs(["other"] * others, age=60)
    report = unsure.again(status="Unsure")
    assert not unsure.launches
    assert set(report.run_ids) == set(unsure.runs) - unsure.runs_of("other")
    assert Report.from_journal(unsure.journal).run_ids == report.run_ids


def test_a_refused_launch_has_no_second_try(batch: Batch) -> None:
    batch.before = on(range(1), is_launch, refuse(400))
    batch.begin("CCCC")
    assert batch.again(status="Not launched")[0].tries == 1
    assert batch.launches == ["s0"]


def test_the_table_is_found_if_not_moved(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(batch.table.parent)
    batch.begin("FFCCC", batch.table.name)
    batch.hidden.update(batch.runs)  # so the runs are requested one by one
    monkeypatch.chdir("/")
    report = batch.again()
    assert report.summary() == {"Completed": 3, "Pending": 2}
    batch.set_status(report.run_ids[:1], "Failed")
    moved = batch.table.rename(batch.table.with_name("moved.csv"))
    with pytest.raises(libtes.ApiValueError, match=r"pass `launches`: .*cohort\.csv.* no longer"):
        batch.again()
    assert batch.again(moved)[0].tries == 3


def test_rows_that_differ_and_a_missing_or_empty_journal_are_refused(batch: Batch) -> None:
    with pytest.raises(JournalError, match=r"cohort\.jsonl does not exist"):
        batch.again()
    assert not batch.journal.exists()
    batch.journal.write_bytes(b"")
    with pytest.raises(JournalError, match="has no launches"):
        batch.again()
    batch.begin("FCCCC")
    batch.table.write_text(batch.table.read_text().replace("s0,0,", "s0,1,") + "new,1,2\n")
    with pytest.raises(JournalError) as caught:
        batch.again()
    assert caught.value.differences == ["row 1 ('s0') has changed", "row 6 ('new') is new"]
    assert not batch.launches
