"""The journal: how a batch resumes, and which journals are refused."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libica.batch import BatchError, JournalError, Report, journal, wait_all
from libica.batch.journal import Journal, report_of
from libica.batch.plan import Plan

from ..server import Answer, Asked
from .service import EVER, Service, cohort, is_launch, is_list, lose, on, refuse

pytestmark = pytest.mark.usefixtures("hasty")


@pytest.fixture
def service(service: Service, tmp_path: Path) -> Service:
    service.journal = tmp_path / "cohort.jsonl"
    return service


# Resuming


@pytest.mark.parametrize("step", [1, -1])
def test_a_stopped_batch_resumes_in_any_order(service: Service, step: int) -> None:
    service.stop(at=3)
    before = service.journal.read_bytes()
    service.asked.clear()
    report = service.launch(cohort(5)[::step])
    service.check(report)
    assert sorted(service.launches) == ["s3", "s4"]
    attempts = [(f"s{number}", 2 if number == 3 else 1) for number in range(5)]
    assert [(each.name, each.attempts) for each in report] == attempts[::step]
    # It is listed before and after, and the journal is only appended to.
    assert [is_list(each) for each in service.asked] == [False, True, False, False, True]
    assert service.journal.read_bytes().startswith(before)
    assert list(service.launch(cohort(5)[::step])) == list(report)
    assert len(service.launches) == 2


@pytest.mark.parametrize(
    ("lists", "launches", "summary", "sent"),
    [
        (None, refuse(400), {"Pending": 3, "Not launched": 2}, 7),
        (refuse(400), lose, {"Pending": 3, "Unsure": 2}, 5),  # however many calls it takes
    ],
)
def test_launches_without_a_run_get_one_by_later_calls(
    service: Service, lists: Any, launches: Any, summary: Any, sent: int
) -> None:
    failing = on(range(2), is_launch, launches)
    if lists:
        service.before, service.after = on(EVER, is_list, lists), failing
        service.launch(concurrency=1)
    else:
        service.before = failing
    assert service.launch(concurrency=1).summary() == summary
    service.before = None
    service.check(service.launch())
    assert len(service.launches) == sent


@pytest.mark.slow
def test_a_journal_that_lost_its_last_lines_leads_to_each_run_once(service: Service) -> None:
    service.launch()
    whole = service.journal.read_bytes()
    planned = whole.index(b"\n", whole.index(b'"planned"')) + 1
    for length in range(planned, len(whole), 61):  # the marks tell what the journal has lost
        service.journal.write_bytes(whole[:length])  # also within a line
        service.check(service.launch())
        for line in service.journal.read_bytes().splitlines():
            json.loads(line)


@pytest.mark.parametrize("share", [0, 0.01, 0.9])
def test_a_journal_that_ends_before_a_launch_starts_again(service: Service, share: float) -> None:
    service.launch()
    service.runs.clear()
    service.asked.clear()
    lines = service.journal.read_bytes().splitlines(keepends=True)
    planned = b"".join(line for line in lines if b'"plan' in line or b'"journal"' in line)
    service.journal.write_bytes(planned[: int(share * len(planned))])
    service.check(service.launch())
    assert len(service.launches) == 5


@pytest.mark.slow
@pytest.mark.parametrize("mark", [True, False])
@pytest.mark.parametrize("at", [1, 6])
def test_two_kills_leave_nothing_unsure(service: Service, at: int, mark: bool) -> None:
    left: list[bytes] = []

    def kill(asked: Asked) -> Answer:
        left.append(service.journal.read_bytes())
        return refuse(401)(asked)

    for _ in range(2):
        left.clear()
        service.before = on(EVER[at:], is_launch, kill)
        with pytest.raises(BatchError):
            service.launch(20, mark=mark, concurrency=4)
        service.journal.write_bytes(left[0])
    service.before = None
    service.check(service.launch(20, mark=mark))


# The file


def test_a_launch_is_first_on_disk(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(file), fsync(file)))

    def before(asked: Asked) -> None:
        if is_launch(asked):
            head, *lines = map(json.loads, service.journal.read_text().splitlines())
            assert head["batch"] in asked.json["description"]  # so the mark is on disk too
            noted.append({"send": asked.json["name"]} in lines)

    noted: list[bool] = []
    service.before = before
    service.launch(200, concurrency=4)
    assert noted == [True] * 200
    assert len(synced) < 20  # the disk is not waited for each time


def test_it_has_no_secret_and_is_private(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(service.journal.parent)
    service.launch(journal=service.journal.name)
    path = service.journal
    assert not [each for each in ("token", "secret", "gds") if each in path.read_text()]
    assert os.name != "posix" or path.stat().st_mode & 0o777 == 0o600


OTHER = {"sample": "1", "url": "another"}


def other(number: int, **changes: Any) -> list[dict[str, Any]]:
    """Return the cohort with another launch in one place."""
    launches = cohort(5)
    launches[number].update(changes)
    return launches


MISSING = "the launch 's2' is missing"
STARTED = "the batch was started with mark={} and must resume with that"


OTHERS: dict[str, tuple[Any, ...]] = {
    "one more": (cohort(6), [True, True], ["row 6 ('s5') is new"]),
    "fewer": (cohort(3), [True, True], [f"the launch 's{each}' is missing" for each in (3, 4)]),
    "other arguments": (other(1, arguments=OTHER), [True, True], ["row 2 ('s1') has changed"]),
    "another description": (other(4, description="x"), [True, True], ["row 5 ('s4') has changed"]),
    "another name": (other(2, name="x"), [True, True], ["row 3 ('x') is new", MISSING]),
    "another version": (cohort(5), [True, True], ["the version of the journal is {}, not {}"]),
    "no marks": (cohort(5), [True, False], [STARTED.format(True)]),
    "marks": (cohort(5), [False, True], [STARTED.format(False)]),
}


@pytest.mark.parametrize("case", OTHERS.values(), ids=OTHERS)
def test_a_journal_of_another_batch_is_refused_with_the_differences(
    service: Service, case: tuple[Any, ...]
) -> None:
    launches, marks, differences = case
    service.launch(mark=marks[0])
    kept = service.journal.read_bytes()
    with Service() as twin:
        caller = twin if "version" in differences[0] else service
        with pytest.raises(JournalError, match="another batch") as caught:
            caller.launch(launches, mark=marks[1], journal=service.journal)
    expected = [each.format(service.ids[1], twin.ids[1]) for each in differences]
    assert caught.value.differences == expected
    assert all(each in str(caught.value) for each in expected)
    assert "another\n" not in str(caught.value)
    assert len(service.launches) == 5
    assert service.journal.read_bytes() == kept


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"name,sample\na,b\n", "is not a journal"),
        (b"{}\n", "is not a journal"),
        (b'{"journal": "other"}\n', "is not a journal"),
        (b"\0", "is not a journal"),
        (b"\n", "is not a journal"),
        (b'{"journal": "libica.batch", "format": 3}\n', "has format 3, written by a later version"),
    ],
)
def test_a_file_that_is_no_journal_is_kept(service: Service, content: bytes, told: str) -> None:
    service.journal.write_bytes(content)
    with pytest.raises(JournalError, match=rf"cohort\.jsonl {told}"):
        service.launch()
    assert service.journal.read_bytes() == content
    assert not service.launches


LINES = [b"{", b"\xff", b"[]", b'"text"', b"{}", b'{"run": "trn.1"}', b'{"send": null', b""]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=st.sampled_from(LINES), at=st.integers(2, 22))
def test_a_malformed_line_is_refused_with_its_number(tmp_path: Path, line: bytes, at: int) -> None:
    lines = [b'{"journal": "libica.batch", "format": 2, "task": "a", "version": "b", "salt": ""}']
    lines += [b'{"plan": "s%d", "digest": ""}' % number for number in range(10)]
    lines += [b'{"planned": 10}', *(b'{"send": "s%d"}' % number for number in range(10))]
    path = tmp_path / "cohort.jsonl"
    path.write_bytes(b"\n".join(lines))
    report_of(path)
    lines[at - 1] = line
    path.write_bytes(b"\n".join([*lines, b""]))
    with pytest.raises(JournalError, match=f"line {at} is malformed"):
        report_of(path)


def test_a_report_is_read_from_a_journal_alone(service: Service) -> None:
    for use in (Report.from_journal, lambda path: service.launch(journal=path)):
        with pytest.raises(FileNotFoundError):
            use(service.journal.parent / "none" / "journal")
    service.stop(at=3)
    told = Report.from_journal(service.journal)
    assert told.run_ids == list(service.runs)
    assert told.summary() == {"Pending": 3, "Not launched": 2}
    service.set_status(service.runs)
    waited = wait_all(service.client, told, timeout=0)
    assert waited.summary() == {"Completed": 3, "Not launched": 2}
    service.journal.write_bytes(b"")
    assert len(Report.from_journal(service.journal)) == 0


# Locks and disks


def test_a_journal_in_use_is_refused(service: Service) -> None:
    def meanwhile(done: int, total: int) -> None:
        with pytest.raises(JournalError, match="is in use by another launch_all"):
            service.launch()
        refused.append(done)

    refused: list[int] = []
    service.check(service.launch(progress=meanwhile))
    assert refused


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, "the locks of the file system of .* have no effect: keep"),
        (OSError(95, "Operation not supported"), "does not support locks .*: keep"),
    ],
)
def test_a_file_system_without_working_locks_is_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch, error: Any, told: str
) -> None:
    def lock(_: object) -> None:
        if error:
            raise error

    monkeypatch.setattr(journal, "_take_lock", lock)
    with pytest.raises(JournalError, match=f"{told} the journal on a local disk"):
        service.launch()
    assert not service.launches


def test_two_calls_with_one_journal_stop(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_lock", lambda *_: None)
    service.before = lambda asked: time.sleep(0.002)

    def work() -> str:
        try:
            return repr(service.launch(150, concurrency=4))
        except (BatchError, JournalError) as error:
            return str(error)

    with ThreadPoolExecutor(2) as threads:
        told = [each.result() for each in [threads.submit(work) for _ in range(2)]]
    names = list(service.names.values())
    assert len(names) == len(set(names))
    assert sum("cohort.jsonl" in each for each in told) >= 1


@pytest.mark.parametrize("since", [b"journal", b'"send"'])
def test_a_full_disk_stops_the_batch(
    service: Service, monkeypatch: pytest.MonkeyPatch, since: bytes
) -> None:
    def full(file: int) -> None:
        if since in service.journal.read_bytes():
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BatchError, match=r"No space left.*cohort\.jsonl") as caught:
        service.launch()
    assert caught.value.report.summary() == {"Not launched": 5}
    assert not service.launches


def test_a_disk_that_becomes_full_stops_the_batch_with_the_report(service: Service) -> None:
    flush = Journal.flush

    def full(journal: Journal) -> None:
        if len(service.launches) >= 20:
            journal._failed = True
            raise OSError(28, "No space left on device")
        flush(journal)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "flush", full)
        with pytest.raises(BatchError, match="No space left") as caught:
            service.launch(300, concurrency=4)
    report = caught.value.report
    assert set(report.run_ids) == set(service.runs)
    assert 20 <= len(report.run_ids) < 300
    service.check(service.launch(300))


# Journals of format 1, which had no marks


def test_a_journal_of_format_1_resumes_by_names(service: Service) -> None:
    """The batch of the journal was killed after it had launched all but the last two."""
    head = {"journal": "libica.batch", "format": 1, "salt": "00" * 16}
    head.update(task=service.ids[0], version=service.ids[1])
    with Plan(service.client, cohort(5), ["sample", "url"]) as plan:
        digests = [journal._digest(plan, row, "00" * 16) for row in range(5)]
    lines = [head, *({"plan": f"s{row}", "digest": each} for row, each in enumerate(digests))]
    lines += [{"planned": 5}, {"began": None}, *({"send": f"s{row}"} for row in range(5))]
    told = {"attempts": 1, "status": "Pending", "created": "2021-03-08T04:05:54+00:00"}
    for name in ("s0", "s1", "s2"):
        lines.append({"run": service.add_runs([name])[0], "name": name, **told})
    service.journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run_id,) = service.add_runs(["s4"])
    assert Report.from_journal(service.journal).summary() == {"Pending": 3, "Unsure": 2}
    report = service.launch()
    # No launch is left that could prove that a list is fresh, and names alone prove nothing.
    assert report.summary() == {"Pending": 3, "Unsure": 2}
    assert "no later launch exists" in str(report[3].error)
    assert f"its run may be {run_id}" in str(report[4].error)
    assert report.batch is None
    assert not service.launches
