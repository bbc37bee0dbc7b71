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
from .service import EVER, Service, cohort, is_launch, is_list, lose, on

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
def test_a_truncated_description_is_told_from_others(text: str, mark: Mark, data: Any) -> None:
    sent = marked(text, mark)
    cut = sent[: data.draw(st.integers(1, len(sent) - 1))]
    assert may_be_cut(cut, text, mark) == (cut != text)
    assert not may_be_cut("\0" + text, text, mark)
    assert not may_be_cut(None, text, mark)


def sent(service: Service) -> list[tuple[str, str]]:
    """Return the names and descriptions in the launch requests."""
    found = [each.json for each in service.asked if is_launch(each)]
    return [(each["name"], each.get("description")) for each in found]


def test_it_follows_the_text_of_the_launch_or_else_of_the_version(service: Service) -> None:
    service.version["description"] = "The version's."
    launches = [{**cohort(2)[0], "description": "My own."}, cohort(2)[1]]
    batch = service.launch(launches).batch
    texts = {"s0": f"My own. [batch {batch}-1]", "s1": f"The version's. [batch {batch}-2]"}
    assert dict(sent(service)) == texts


def test_each_launch_keeps_its_own_when_it_is_sent_again(service: Service, tmp_path: Path) -> None:
    service.before = on(range(1), is_launch, lose)
    service.after = on(range(4, 5), is_launch, lose)
    first, second = (service.launch(journal=tmp_path / "journal") for _ in range(2))
    assert (len(sent(service)), len(set(sent(service)))) == (6, 5)
    assert second.run_ids == first.run_ids
    service.launch()
    assert len({description for _, description in sent(service)}) == 10


@pytest.mark.parametrize(("of_launch", "of_version", "problems"), [(1, 0, 1), (0, 1, 2)])
def test_a_description_without_room_for_it_is_refused_before_anything_is_sent(
    service: Service, of_launch: int, of_version: int, problems: int
) -> None:
    text = "x" * (4096 - LONGEST_MARK + 1)
    assert not has_room(text)
    assert has_room(text[1:])
    launches = cohort(2)
    launches[1].update({"description": text} if of_launch else {})
    service.version["description"] = text * of_version
    with pytest.raises(LaunchesError, match=r"4,049 characters.*mark=False") as caught:
        service.launch(launches)
    assert len(caught.value.problems) == problems
    assert not service.launches
    assert service.launch(launches, mark=False).summary() == {"Pending": 2}


@pytest.mark.parametrize("listed", [True, False])
def test_without_marks_the_first_run_is_found_before_others(service: Service, listed: bool) -> None:
    service.before = None if listed else on(EVER, is_list, lambda _: Answer(200, {"items": []}))
    report = service.launch(mark=False)
    assert report.summary() == {"Pending": 5}
    assert {description for _, description in sent(service)} == {None}
    assert report.batch is None
    assert not (listed and report.notes)
    assert list(map(is_list, service.asked))[1:3] == [False, True]


@pytest.mark.parametrize("mark", [True, False])
def test_a_run_of_another_with_its_name_is_not_adopted(service: Service, mark: bool) -> None:
    def by_another(asked: Any) -> Any:
        if is_launch(asked) and len(service.runs) == 1:
            service.add_runs(["s0" if mark else "s9"])  # without marks, before s9 was sent
            return lose(asked)
        return None

    service.before = by_another
    with contextlib.nullcontext() if mark else pytest.warns(BatchWarning, match="than one run"):
        report = service.launch(10, mark=mark, concurrency=1)
    assert report.summary() == {"Pending": 10}
    assert (service.launches.count("s1"), service.launches.count("s9")) == (2, 1)
    assert list(service.runs)[1] not in report.run_ids


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


def test_a_partial_list_proves_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    without = lambda runs: [run for run in runs if run["name"] != "s1"]  # noqa: E731
    monkeypatch.setattr(service, "listed", without)
    service.before = on(range(1), is_launch, lose)
    report = service.launch(concurrency=1)
    assert report.summary() == {"Pending": 4, "Unsure": 1}
    assert str(report[0].error).startswith("unsure: the list of runs is incomplete; POST")


def test_whole_lists_are_read_only_for_runs_that_are_not_found(service: Service) -> None:
    service.after = on(range(1), is_launch, lose)
    service.add_runs(["old"] * 5000, age=60)
    service.launch(3, concurrency=1)
    assert sum(map(is_list, service.asked)) <= 4
