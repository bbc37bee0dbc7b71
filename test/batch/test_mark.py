"""Marks: their place in a description, what they survive, and batches without them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libica.batch import BatchWarning, LaunchesError
from libica.batch.mark import LONGEST_MARK, Mark, has_room, mark_in, marked, may_be_cut, new_batch

from ..server import Answer
from .service import EVER, Service, UnrulyService, cohort, is_launch, is_list, lose, on

pytestmark = pytest.mark.usefixtures("hasty")
MARK = Mark("0123456789abcdef", 17)
marks = st.builds(Mark, st.just(new_batch()), st.integers(1, 10**9), st.integers(1, 10**4))


@given(st.text(), marks)
def test_a_mark_is_read_from_the_end_of_any_text(text: str, mark: Mark) -> None:
    assert mark_in(marked(text, mark)) == mark
    assert mark_in(marked(marked(text, MARK), mark)) == mark
    assert len(marked(text, mark)) <= len(text) + LONGEST_MARK
    for other in (None, "", text[:9], "[batch ", "[batch 0123-1]", "[batch x-1]"):
        assert mark_in(other) is None


@given(st.text(min_size=1), marks, st.data())
def test_a_truncated_description_is_told_from_others(
    text: str, mark: Mark, data: st.DataObject
) -> None:
    sent = marked(text, mark)
    cut = sent[: data.draw(st.integers(1, len(sent) - 1))]
    assert may_be_cut(cut, text, mark) == (cut != text)
    assert not may_be_cut("\0" + text, text, mark)
    assert not may_be_cut(None, text, mark)


def sent(service: Service) -> list[tuple[str, str]]:
    found = [each.json for each in service.asked if is_launch(each)]
    return [(each["name"], each.get("description")) for each in found]


def test_it_follows_the_text_of_the_launch_or_else_of_the_version(service: Service) -> None:
    service.version["description"] = "The version's."
    launches = [{**cohort(2)[0], "description": "My own."}, *cohort(2)[1:]]
    report = service.launch(launches)
    assert dict(sent(service)) == {
        "s0": f"My own. [batch {report.batch}-1]",
        "s1": f"The version's. [batch {report.batch}-2]",
    }


def test_each_launch_keeps_its_own_when_it_is_sent_again(service: Service, tmp_path: Path) -> None:
    service.before = on(range(1), is_launch, lose)
    service.after = on(range(4, 5), is_launch, lose)
    first, second = (service.launch(journal=tmp_path / "journal") for _ in range(2))
    assert len(sent(service)) == 6
    assert len(set(sent(service))) == 5
    assert second.run_ids == first.run_ids
    service.launch()
    assert len({description for _, description in sent(service)}) == 10


@pytest.mark.parametrize("whose", ["launch", "version"])
def test_a_description_without_room_for_it_is_refused_before_anything_is_sent(
    service: Service, whose: str
) -> None:
    text = "x" * (4096 - LONGEST_MARK + 1)
    assert not has_room(text)
    assert has_room(text[1:])
    launches = cohort(2)
    if whose == "launch":
        launches[1]["description"] = text
    else:
        service.version["description"] = text
    with pytest.raises(LaunchesError, match=r"4,049 characters.*mark=False") as caught:
        service.launch(launches)
    assert len(caught.value.problems) == {"launch": 1, "version": 2}[whose]
    assert not service.launches
    assert service.launch(launches, mark=False).summary() == {"Pending": 2}


@pytest.mark.parametrize("kept", [0, 10, 60])
def test_a_service_that_cuts_descriptions_is_noticed(kept: int) -> None:
    for seed in range(2):
        with UnrulyService(seed, most_described=kept) as service:
            service.version["description"] = "A text that is longer than that. " * 2
            report = service.launch(30)
            for each in report:
                made = service.runs_of(each.name)
                assert len(made) <= 1
                assert [each.run_id] == made or each.outcome == "Unsure"
            assert "does not keep marks" in report.notes[0]
            assert report.batch is None


# Runs without marks


@pytest.mark.parametrize("listed", [True, False])
def test_without_marks_descriptions_are_kept_and_the_first_run_is_looked_for_before_others(
    service: Service, listed: bool
) -> None:
    if not listed:
        service.before = on(EVER, is_list, lambda _: Answer(200, {"items": []}))
    report = service.launch(mark=False)
    assert report.summary() == {"Pending": 5}
    assert {description for _, description in sent(service)} == {None}
    assert report.batch is None
    assert not (listed and report.notes)
    kinds = ["launch" if is_launch(each) else "list" for each in service.asked[1:]]
    assert kinds[:2] == ["launch", "list"]


@pytest.mark.parametrize("mark", [True, False])
def test_a_run_of_another_with_the_name_of_a_launch_is_not_adopted(
    service: Service, mark: bool
) -> None:
    def by_another(asked: Any) -> Any:
        service.add_runs(["s0" if mark else "s9"])  # without marks, before s9 was sent
        return lose(asked)

    service.before = on(
        range(1), lambda asked: is_launch(asked) and len(service.runs) == 1, by_another
    )
    with contextlib.nullcontext() if mark else pytest.warns(BatchWarning, match="than one run"):
        report = service.launch(10, mark=mark, concurrency=1)
    assert report.summary() == {"Pending": 10}
    assert service.launches.count("s1") == 2
    assert service.launches.count("s9") == 1
    assert not set(list(service.runs)[1:2]) & set(report.run_ids)


# Proof


def test_a_run_whose_mark_may_have_been_cut_off_leaves_its_launch_unsure(service: Service) -> None:
    def cut(asked: Any) -> Any:
        (run_id,) = service.add_runs(["s0"])
        service.runs[run_id]["description"] = asked.json["description"][:-3]
        return lose(asked)

    service.before = on(range(1), is_launch, cut)
    report = service.launch(concurrency=1)
    assert report.summary() == {"Pending": 4, "Unsure": 1}
    assert f"its run may be {next(iter(service.runs))}" in str(report[0].error)


def test_a_launch_without_a_witness_is_unsure_and_not_sent_again(service: Service) -> None:
    service.before = on(range(1), is_launch, lose)
    report = service.launch(1)
    assert report.summary() == {"Unsure": 1}
    assert "no later launch exists to prove" in str(report[0].error)
    assert len(service.launches) == 1


def test_an_incomplete_list_proves_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        service, "listed", lambda runs: [run for run in runs if run["name"] != "s1"]
    )
    service.before = on(range(1), is_launch, lose)
    report = service.launch(concurrency=1)
    assert report.summary() == {"Pending": 4, "Unsure": 1}
    assert str(report[0].error).startswith("unsure: the list of runs is incomplete; POST")


def test_whole_lists_are_read_only_for_runs_that_are_not_found(service: Service) -> None:
    service.after = on(range(1), is_launch, lose)
    service.add_runs(["old"] * 5000, age=60)
    service.launch(3, concurrency=1)
    assert sum(map(is_list, service.asked)) <= 4
