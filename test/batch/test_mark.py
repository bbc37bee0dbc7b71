"""The mark: where it stands in a description, what it survives, and who goes without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libica.batch import BatchWarning, JournalError, LaunchesError, Report, launch_all
from libica.batch.mark import LONGEST_MARK, Mark, has_room, mark_in, marked, may_be_cut, new_batch

from .service import Service, cohort, is_launch, is_list, lose, on
from .unruly import UnrulyService

pytestmark = pytest.mark.usefixtures("hasty")
MARK = Mark("0123456789abcdef", 17)
marks = st.builds(Mark, st.just(new_batch()), st.integers(1, 10**9), st.integers(1, 10**4))


@given(st.text(), marks)
def test_a_mark_is_read_from_the_end_of_any_text(text: str, mark: Mark) -> None:
    assert mark_in(marked(text, mark)) == mark
    assert mark_in(marked(marked(text, MARK), mark)) == mark
    assert len(marked(text, mark)) <= len(text) + LONGEST_MARK


@given(st.text(min_size=1), marks, st.data())
def test_a_description_whose_end_was_cut_off_is_told_from_others(
    text: str, mark: Mark, data: st.DataObject
) -> None:
    sent = marked(text, mark)
    cut = sent[: data.draw(st.integers(1, len(sent) - 1))]
    assert may_be_cut(cut, text, mark) == (cut != text)
    assert not may_be_cut("\0" + text, text, mark)
    assert not may_be_cut(None, text, mark)


@pytest.mark.parametrize("text", [None, "", "a text", "[batch ", "[batch 0123-1]", "[batch x-1]"])
def test_a_text_without_a_mark_has_none(text: Any) -> None:
    assert mark_in(text) is None


def launch(service: Service, launches: Any = 5, **options: Any) -> Report:
    given = cohort(launches) if isinstance(launches, int) else launches
    return launch_all(service.client, *service.ids, given, **options)


def sent(service: Service) -> dict[str, str]:
    found = [each.json for each in service.asked if is_launch(each)]
    return {each["name"]: each.get("description") for each in found}


def describe(service: Service, text: str) -> None:
    service.tes._things[service.ids[1]]["description"] = text


def test_it_stands_behind_the_text_of_the_launch_or_else_of_the_version(service: Service) -> None:
    describe(service, "The version's.")
    launches = [{**cohort(2)[0], "description": "My own."}, *cohort(2)[1:]]
    report = launch(service, launches)
    assert sent(service) == {
        "s0": f"My own. [batch {report.batch}-1]",
        "s1": f"The version's. [batch {report.batch}-2]",
    }


def test_no_two_launches_have_the_same(service: Service) -> None:
    for _ in range(2):
        launch(service)
    found = [each.json["description"] for each in service.asked if is_launch(each)]
    assert len(set(found)) == len(found) == 10


def test_a_launch_that_is_sent_again_has_the_same(service: Service, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    service.before = on(range(1), is_launch, lose)
    service.after = on(range(4, 5), is_launch, lose)
    first = launch(service, journal=journal)
    found = [each.json for each in service.asked if is_launch(each)]
    assert len({each["description"] for each in found}) == 5
    assert launch(service, journal=journal).run_ids == first.run_ids


def test_a_mark_is_on_the_disk_before_it_is_sent(service: Service, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    seen: list[bool] = []

    def before(asked: Any) -> None:
        if is_launch(asked):
            mark = mark_in(asked.json["description"])
            assert mark is not None
            seen.append(mark.batch.encode() in journal.read_bytes().splitlines()[0])

    service.before = before
    launch(service, journal=journal)
    assert seen == [True] * 5


def test_descriptions_are_left_alone_if_so_wished(service: Service) -> None:
    report = launch(service, mark=False)
    assert set(sent(service).values()) == {None}
    assert report.batch is None
    assert not report.notes


def test_without_marks_the_first_run_has_to_be_listed_before_others_are_launched(
    service: Service,
) -> None:
    launch(service, mark=False)
    kinds = ["launch" if is_launch(each) else "list" for each in service.asked[1:]]
    assert kinds[:2] == ["launch", "list"]


@pytest.mark.parametrize("whose", ["launch", "version"])
def test_a_description_that_leaves_no_room_is_refused_before_anything_is_sent(
    service: Service, whose: str
) -> None:
    text = "x" * (4096 - LONGEST_MARK + 1)
    assert not has_room(text)
    assert has_room(text[1:])
    launches = cohort(2)
    if whose == "launch":
        launches[1]["description"] = text
    else:
        describe(service, text)
    with pytest.raises(LaunchesError, match=r"4,049 characters.*mark=False") as caught:
        launch(service, launches)
    assert len(caught.value.problems) == {"launch": 1, "version": 2}[whose]
    assert not service.launches
    assert launch(service, launches, mark=False).summary() == {"Pending": 2}


@pytest.mark.parametrize("kept", [0, 10, 60])
def test_a_service_that_cuts_descriptions_is_noticed(kept: int) -> None:
    for seed in range(3):
        with UnrulyService(seed, most_described=kept) as service:
            describe(service, "A text that is longer than that. " * 2)
            report = launch(service, 30)
            for each in report:
                made = service.runs_of(each.name)
                assert len(made) <= 1
                assert [each.run_id] == made or each.outcome == "Unsure"
            assert "does not keep marks" in report.notes[0]
            assert report.batch is None
            service.client.close()


def test_a_run_without_a_mark_is_never_adopted(service: Service) -> None:
    def by_another(asked: Any) -> Any:
        service.add_runs(["s0"])
        return lose(asked)

    service.before = on(range(1), is_launch, by_another)
    report = launch(service, concurrency=1)
    assert report[0].attempts == 2
    assert report[0].run_id != next(iter(service.runs))


def test_without_marks_no_run_is_adopted_for_a_launch_that_was_never_sent(service: Service) -> None:
    def by_another(asked: Any) -> Any:
        service.add_runs(["s9"])
        return lose(asked)

    service.before = on(range(1, 2), is_launch, by_another)
    with pytest.warns(BatchWarning, match="more than one run"):  # as far as names tell
        report = launch(service, 10, mark=False, concurrency=1)
    assert report.summary() == {"Pending": 10}
    assert service.launches.count("s9") == 1


def test_a_run_whose_mark_may_have_been_cut_off_leaves_its_launch_unsure(service: Service) -> None:
    def cut(asked: Any) -> Any:
        (run_id,) = service.add_runs(["s0"])
        service.tes._things[run_id]["description"] = asked.json["description"][:-3]
        return lose(asked)

    service.before = on(range(1), is_launch, cut)
    report = launch(service, concurrency=1)
    assert report.summary() == {"Pending": 4, "Unsure": 1}
    assert f"its run may be {next(iter(service.runs))}" in str(report[0].error)


def test_a_launch_without_a_witness_is_unsure_and_not_sent_again(service: Service) -> None:
    service.before = on(range(1), is_launch, lose)
    report = launch(service, 1)
    assert report.summary() == {"Unsure": 1}
    assert "nothing was launched after it" in str(report[0].error)
    assert len(service.launches) == 1


def test_a_list_that_is_not_complete_proves_nothing(service: Service) -> None:
    shown = service.tes._list

    def without_one(query: Any, owner: str) -> Any:
        page = shown(query, owner)
        page["items"] = [run for run in page["items"] if run["name"] != "s1"]
        return page

    service.tes._list = without_one  # type: ignore[method-assign]
    service.before = on(range(1), is_launch, lose)
    report = launch(service, concurrency=1)
    assert report.summary() == {"Pending": 4, "Unsure": 1}
    assert str(report[0].error).startswith("unsure: the list of runs is not complete; POST")


@pytest.mark.parametrize("mark", [True, False])
def test_a_journal_goes_on_with_marks_or_without_as_it_began(
    service: Service, tmp_path: Path, mark: bool
) -> None:
    launch(service, journal=tmp_path / "journal", mark=mark)
    with pytest.raises(JournalError, match=f"begun with mark={mark}"):
        launch(service, journal=tmp_path / "journal", mark=not mark)


def test_lists_are_walked_for_what_is_not_found_only(service: Service) -> None:
    service.after = on(range(1), is_launch, lose)
    service.add_runs(["old"] * 5000, age=60)
    launch(service, 3, concurrency=1)
    assert sum(map(is_list, service.asked)) <= 4
