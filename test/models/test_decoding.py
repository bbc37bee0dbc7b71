"""How responses become models: what is ignored, what is refused, and what a refusal says."""

from __future__ import annotations

import traceback
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libica.openapi import libtes
from libica.openapi.libtes import (
    Credentials,
    Environment,
    ErrorResponse,
    Image,
    Resources,
    Task,
    TaskRun,
    TaskRunSummaryPagedItems,
    TaskVersion,
)
from libica.openapi.libtes._redaction import clear_frames
from libica.openapi.libtes.models.decoding import Mismatch, converter, decoder
from libica.openapi.libtes.models.encoding import encode

from ..contract import facts
from ..helpers import MODELS, TIME, decode, each_model, json_values, many_examples, samples
from .values import FIELDS, mismatches


@each_model
def test_null_and_absent_fields_read_none_and_unknown_ones_are_ignored(cls: Any) -> None:
    assert set(decode(cls, {}).to_dict().values()) == {None}
    assert decode(cls, dict.fromkeys(cls.attribute_map.values())) == decode(cls, {})
    names = {name for name, json in cls.attribute_map.items() if name != json}
    assert decode(cls, dict.fromkeys(names, "x")) == decode(cls, {})  # Python names
    data = encode(cls(**samples(cls)))
    unknown = {"fromTheFuture": {"a": [1]}, "local_vars_configuration": 5, "__class__": "x", "": 0}
    assert decode(cls, {**data, **unknown}) == decode(cls, data)


def test_unknown_values_are_kept_and_null_may_stand_in_lists_and_dicts() -> None:
    for status in ("Teleported", "", "pending", "RUNNING"):
        assert decode(TaskRun, {"status": status}).status == status
    task = decode(Task, {"acl": ["a", None], "taskVersions": [None, {"id": "tvn.1"}]})
    assert (task.acl, task.task_versions) == (["a", None], [None, TaskVersion(id="tvn.1")])
    assert decode(Environment, {"variables": {"A": None}}).variables == {"A": None}
    details = [None, 1, "x", {"a": [True]}, [[]]]
    assert decode(ErrorResponse, {"details": details}).details == details


@pytest.mark.parametrize("name", ["index-alignment", "manifest-to-s3"])
def test_a_request_is_read_whole_as_a_run(name: str) -> None:
    request = facts.requests()[name]
    assert encode(decode(TaskRun, request)) == request


@each_model
def test_a_decoder_is_compiled_once(cls: Any) -> None:
    assert decoder(cls) is decoder(cls) is converter(cls)
    assert type(decode(cls, {})) is cls


@pytest.mark.parametrize(
    ("declared", "data", "expected"),
    [
        (str, "x", "x"),
        (bool, False, False),
        (object, {"a": None}, {"a": None}),
        (list[str], ["a"], ["a"]),
        (list[int], [1, 2.0], [1, 2]),
        (list[Image], [{"name": "a"}], [Image("a")]),
        (dict[str, str], {"a": "b"}, {"a": "b"}),
        (dict[str, Image], {"a": {"name": "b"}}, {"a": Image("b")}),
    ],
)
def test_every_kind_of_type_can_be_decoded_alone(declared: Any, data: Any, expected: Any) -> None:
    assert converter(declared)(data) == expected


# What is refused


def test_a_wrong_type_in_any_field_is_a_mismatch_that_names_the_place() -> None:
    for schema, field in FIELDS:
        for value, complaint in mismatches(field.type):
            for _ in range(2):
                with pytest.raises(Mismatch) as caught:
                    decode(getattr(libtes, schema), {field.name: value})
                assert str(caught.value) == f"$.{field.name}{complaint}"


@pytest.mark.parametrize(
    ("cls", "data", "message"),
    [
        (Image, [], "$ must be an object, not list"),
        (Image, None, "$ must be an object, not None"),
        (
            Image,
            {"credentials": {"password": 5}},
            "$.credentials.password must be a string, not int",
        ),
        (Task, {"taskVersions": [{}, "x"]}, "$.taskVersions[1] must be an object, not str"),
        (
            Task,
            {"taskVersions": [None, {"execution": {"image": {"name": 5}}}]},
            "$.taskVersions[1].execution.image.name must be a string, not int",
        ),
        (
            TaskRunSummaryPagedItems,
            {"items": [{}, {}, {"taskVersionSummary": {"acl": [None, 5]}}]},
            "$.items[2].taskVersionSummary.acl[1] must be a string, not int",
        ),
        (
            TaskRunSummaryPagedItems,
            {"items": [{}, {"timeCreated": "soon"}]},
            "$.items[1].timeCreated must be a date and time as in ISO 8601, not str",
        ),
    ],
)
def test_a_mismatch_names_its_place_at_any_depth(cls: Any, data: Any, message: str) -> None:
    with pytest.raises(Mismatch) as caught:
        decode(cls, data)
    assert str(caught.value) == message


@many_examples
@given(st.sampled_from(MODELS), st.data())
def test_any_json_gives_a_model_or_a_mismatch(cls: Any, data: Any) -> None:
    name = data.draw(st.sampled_from(list(cls.attribute_map.values())))
    value = data.draw(json_values | st.lists(json_values, min_size=4, max_size=7))
    try:
        outcome = type(decode(cls, {name: value})).__name__
    except Mismatch as mismatch:
        outcome = str(mismatch)
    assert outcome == cls.__name__ or outcome.startswith(f"$.{name}")


def test_a_mismatch_is_one_error_without_the_value_and_its_frames_can_be_emptied() -> None:
    secret = ["hunter2"]
    for data, place in (
        ({"taskVersions": [{"execution": {"image": {"name": secret}}}]}, "image.name must be"),
        ({"taskVersions": [{"timeCreated": "hunter2"}]}, "timeCreated must be"),
    ):
        with pytest.raises(Mismatch, match=place) as caught:
            decoder(Task)(data)
        shown = "".join(traceback.format_exception(caught.type, caught.value, caught.tb))
        assert "another exception" not in shown
        assert caught.value.__cause__ is None
        assert "hunter2" not in shown
    with pytest.raises(Mismatch) as caught:
        decoder(Credentials)({"password": secret})
    frames = [frame for frame, _ in traceback.walk_tb(caught.tb)]
    name = decoder(Credentials).__name__
    compiled = [frame for frame in frames if frame.f_code.co_name == name]
    assert compiled
    assert all(frame.f_locals["data"] == {"password": secret} for frame in compiled)
    clear_frames(caught.value)
    assert all(dict(frame.f_locals) == {"__tracebackhide__": True} for frame in compiled)


# Numbers


def test_whole_numbers_of_64_bit_are_ints() -> None:
    for value in (0, -1, 2**63 - 1, -(2**63), 3.0, -0.0, 1e3, 2.0**53, -(2.0**53)):
        count = decode(TaskRunSummaryPagedItems, {"totalItemCount": value}).total_item_count
        assert (count, type(count)) == (int(value), int)
    for value in (2**63, -(2**63) - 1, 10**400, 2.0**53 + 2, 1e19, 1e400, -1e400, 0.5):
        with pytest.raises(Mismatch, match=r"\$\.totalItemCount must be a whole number of 64 bit"):
            decode(TaskRunSummaryPagedItems, {"totalItemCount": value})


def test_numbers_of_64_bit_are_floats() -> None:
    for value in (4, 0, -1, 1.5, -1e308):
        cores = decode(Resources, {"cpuCores": value}).cpu_cores
        assert (cores, type(cores)) == (value, float)
    for value in (1e400, -1e400, 10**400):
        with pytest.raises(Mismatch, match=r"\$\.cpuCores must be a number of 64 bit"):
            decode(Resources, {"cpuCores": value})


# Times


def read(text: Any) -> Any:
    return decode(TaskRun, {"timeCreated": text}).time_created


@many_examples
@given(
    local=st.datetimes(),
    fraction=st.text("0123456789", max_size=7),
    minutes=st.none() | st.integers(-1439, 1439),
    form=st.sampled_from(["{}{:02}:{:02}", "{}{:02}{:02}"]),
)
@example(datetime(2021, 3, 8, 4, 5, 54), "6454838", None, "")
def test_any_time_with_0_to_7_fractional_digits_and_any_offset_is_read(
    local: datetime, fraction: str, minutes: Any, form: str
) -> None:
    zone = None if minutes is None else timezone(timedelta(minutes=minutes))
    sign = "+" if minutes is not None and minutes >= 0 else "-"
    suffix = "" if minutes is None else form.format(sign, *divmod(abs(minutes), 60))
    text = f"{local.replace(microsecond=0).isoformat()}{'.' if fraction else ''}{fraction}{suffix}"
    expected = local.replace(microsecond=int(fraction[:6].ljust(6, "0")), tzinfo=zone)
    moment = read(text)
    assert moment.replace(tzinfo=None) == expected.replace(tzinfo=None)
    assert moment.utcoffset() == expected.utcoffset()


@pytest.mark.parametrize(
    ("zone", "offset"),
    [
        ("Z", timedelta(0)),
        ("-00:00", timedelta(0)),
        ("+14", timedelta(hours=14)),
        ("-08", -timedelta(hours=8)),
        ("+05:30:15", timedelta(hours=5, minutes=30, seconds=15)),
        ("-00:00:01", -timedelta(seconds=1)),
        ("+05:30:15.000001", timedelta(hours=5, minutes=30, seconds=15, microseconds=1)),
    ],
)
@pytest.mark.parametrize("fraction", ["", ".645483"])
def test_an_offset_may_be_short_or_have_seconds(
    zone: str, offset: timedelta, fraction: str
) -> None:
    moment = read(f"2021-03-08T04:05:54{fraction}{zone}")
    assert moment.utcoffset() == offset
    assert moment.replace(microsecond=0, tzinfo=None) == datetime(2021, 3, 8, 4, 5, 54)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0001-01-01T00:00:00", datetime(1, 1, 1)),
        ("9999-12-31T23:59:59.9999999", datetime(9999, 12, 31, 23, 59, 59, 999999)),
        ("2020-02-29T00:00:00Z", datetime(2020, 2, 29, tzinfo=timezone.utc)),
        ("2021-03-08", datetime(2021, 3, 8)),
        ("2021-03-08T04:05Z", datetime(2021, 3, 8, 4, 5, tzinfo=timezone.utc)),
        ("2021-03-08 04:05:54", datetime(2021, 3, 8, 4, 5, 54)),
        ("2021-03-08T04:05:54.6454838Z", TIME),
        ("2021-03-08T24:00:00", datetime(2021, 3, 9)),
    ],
)
def test_a_time_may_be_early_late_or_short(text: str, expected: datetime) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "yesterday", "Z", "T04:05:54Z", "04:05:54", "1615176354"),
        *("Mon, 08 Mar 2021 04:05:54 GMT", "2021-13-01T00:00:00Z", "2021-02-30T00:00:00Z"),
        *("0000-01-01T00:00:00Z", "2021-03-08T25:00:00Z", "2021-03-08T04:60:00Z"),
        *("2021-03-08T04:05:54+25:00", "2021-03-08T04:05:54Z and more", " 2021-03-08T04:05:54Z"),
        *("2021-03-08T04:05:54Z\n", "9999-12-31T24:00:00Z", "\uff12021-03-08T04:05:54Z"),
        *("\ud800", "\x00", 1615176354, 0, 1615176354.5, 1e400, True, False, [], {}),
        *(["2021", "03", "08", "T"], [2021, 3, 8, 4, 5, 54, 0], {"seconds": 1615176354}),
    ],
    ids=ascii,
)
def test_what_is_not_a_time_is_refused(value: Any) -> None:
    with pytest.raises(Mismatch, match=r"^\$\.timeCreated must be a date and time as in ISO 8601"):
        read(value)
