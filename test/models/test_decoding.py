"""How answers become models: what is passed over, what is refused, and what a refusal says."""

from __future__ import annotations

import traceback
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libica.openapi.libtes import (
    ApiTypeError,
    ApiValueError,
    Credentials,
    Environment,
    ErrorResponse,
    Execution,
    HeartbeatTaskRunRequest,
    Image,
    InputStreamSettings,
    Resources,
    Task,
    TaskRun,
    TaskRunSummaryPagedItems,
    TaskVersion,
    TaskVersionSummaryPagedItems,
)
from libica.openapi.libtes._redaction import clear_frames
from libica.openapi.libtes.models.decoding import Mismatch, converter, decoder
from libica.openapi.libtes.models.encoding import encode

from ..helpers import TIME, decode, each_model, few_examples, json_values, many_examples, samples

# What is passed over


@each_model
def test_an_empty_object_gives_a_model_without_values(cls: Any) -> None:
    assert set(decode(cls, {}).to_dict().values()) == {None}


@each_model
def test_null_reads_none_in_every_field(cls: Any) -> None:
    assert decode(cls, dict.fromkeys(cls.attribute_map.values())) == decode(cls, {})


@each_model
def test_unknown_fields_are_passed_over(cls: Any) -> None:
    data = encode(cls(**samples(cls)))
    unknown = {"fromTheFuture": {"a": [1]}, "local_vars_configuration": 5, "__class__": "x", "": 0}
    assert decode(cls, {**data, **unknown}) == decode(cls, data)


@each_model
def test_python_names_are_not_taken_for_names_of_the_json(cls: Any) -> None:
    names = {name for name, json in cls.attribute_map.items() if name != json}
    assert decode(cls, dict.fromkeys(names, "x")) == decode(cls, {})


@each_model
def test_a_decoded_object_is_of_the_class_itself(cls: Any) -> None:
    assert type(decode(cls, {})) is cls


@each_model
def test_what_is_decoded_equals_what_a_user_builds(cls: Any) -> None:
    model = cls(**samples(cls))
    assert decode(cls, encode(model)) == model


@pytest.mark.parametrize("status", ["Teleported", "", "pending", "RUNNING"])
def test_an_unknown_status_is_kept(status: str) -> None:
    assert decode(TaskRun, {"status": status}).status == status


def test_null_may_stand_in_lists_and_dicts() -> None:
    task = decode(Task, {"acl": ["a", None], "taskVersions": [None, {"id": "tvn.1"}]})
    assert (task.acl, task.task_versions) == (["a", None], [None, TaskVersion(id="tvn.1")])
    assert decode(Environment, {"variables": {"A": None}}).variables == {"A": None}


def test_details_of_an_error_may_be_anything() -> None:
    details = [None, 1, "x", {"a": [True]}, [[]]]
    assert decode(ErrorResponse, {"details": details}).details == details


def test_models_within_models_are_decoded() -> None:
    page = decode(
        TaskVersionSummaryPagedItems,
        {"items": [{"timeCreated": "2021-03-08T04:05:54.6454838Z"}], "totalItemCount": 1},
    )
    assert page.items[0].time_created == TIME
    assert page.total_item_count == 1


# What is refused

MISMATCHES = [
    (Image, [], "$ must be an object, not list"),
    (Image, "x", "$ must be an object, not str"),
    (Image, None, "$ must be an object, not None"),
    (Image, {"name": 5}, "$.name must be a string, not int"),
    (Image, {"name": True}, "$.name must be a string, not bool"),
    (Image, {"name": ["x"]}, "$.name must be a string, not list"),
    (Image, {"credentials": "x"}, "$.credentials must be an object, not str"),
    (Image, {"credentials": []}, "$.credentials must be an object, not list"),
    (Image, {"credentials": {"password": 5}}, "$.credentials.password must be a string, not int"),
    (HeartbeatTaskRunRequest, {"podUID": 5}, "$.podUID must be a string, not int"),
    (
        HeartbeatTaskRunRequest,
        {"lastHeartbeat": 1},
        "$.lastHeartbeat must be true or false, not int",
    ),
    (
        HeartbeatTaskRunRequest,
        {"lastHeartbeat": "true"},
        "$.lastHeartbeat must be true or false, not str",
    ),
    (Execution, {"retryLimit": "3"}, "$.retryLimit must be a whole number of 64 bit, not str"),
    (Execution, {"retryLimit": True}, "$.retryLimit must be a whole number of 64 bit, not bool"),
    (Execution, {"retryLimit": 3.5}, "$.retryLimit must be a whole number of 64 bit, not float"),
    (Resources, {"cpuCores": "4"}, "$.cpuCores must be a number, not str"),
    (Resources, {"cpuCores": True}, "$.cpuCores must be a number, not bool"),
    (Resources, {"cpuCores": {}}, "$.cpuCores must be a number, not dict"),
    (Resources, {"cpuCores": 1e400}, "$.cpuCores must be a number of 64 bit, not float"),
    (Resources, {"cpuCores": -1e400}, "$.cpuCores must be a number of 64 bit, not float"),
    (Task, {"acl": "x"}, "$.acl must be an array, not str"),
    (Task, {"acl": {}}, "$.acl must be an array, not dict"),
    (Task, {"acl": ["a", 5]}, "$.acl[1] must be a string, not int"),
    (Environment, {"variables": []}, "$.variables must be an object, not list"),
    (Environment, {"variables": {"A": "x", "B": 5}}, "$.variables.B must be a string, not int"),
    (Task, {"taskVersions": {}}, "$.taskVersions must be an array, not dict"),
    (Task, {"taskVersions": [{}, "x"]}, "$.taskVersions[1] must be an object, not str"),
    (ErrorResponse, {"details": {}}, "$.details must be an array, not dict"),
    (
        Task,
        {"taskVersions": [None, {"execution": {"image": {"name": 5}}}]},
        "$.taskVersions[1].execution.image.name must be a string, not int",
    ),
    (
        TaskRunSummaryPagedItems,
        {"items": [{}, {}, {"timeCreated": "soon"}]},
        "$.items[2].timeCreated must be a date and time as in ISO 8601, not str",
    ),
    (
        TaskRunSummaryPagedItems,
        {"items": [{"taskVersionSummary": {"acl": [None, 5]}}]},
        "$.items[0].taskVersionSummary.acl[1] must be a string, not int",
    ),
]


@pytest.mark.parametrize(("cls", "data", "message"), MISMATCHES)
def test_a_wrong_type_is_a_mismatch_that_names_the_place(cls: Any, data: Any, message: str) -> None:
    with pytest.raises(Mismatch) as caught:
        decode(cls, data)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "data",
    [
        {"taskVersions": [{"execution": {"image": {"name": 5}}}]},
        {"taskVersions": [{"timeCreated": "soon"}]},
    ],
)
def test_a_mismatch_is_one_error_and_no_chain_of_them(data: Any) -> None:
    with pytest.raises(Mismatch) as caught:
        decode(Task, data)
    shown = traceback.format_exception(caught.type, caught.value, caught.tb)
    assert "another exception" not in "".join(shown)
    assert caught.value.__cause__ is None


def test_a_mismatch_does_not_show_the_value() -> None:
    with pytest.raises(Mismatch) as caught:
        decode(Credentials, {"password": ["hunter2"]})
    assert "hunter2" not in str(caught.value)


def test_the_frames_of_compiled_code_can_be_emptied() -> None:
    secret = ["hunter2"]
    with pytest.raises(Mismatch) as caught:
        decoder(Credentials)({"password": secret})
    compiled = [
        frame
        for frame, _ in traceback.walk_tb(caught.tb)
        if frame.f_code.co_name == decoder(Credentials).__name__
    ]
    assert compiled
    assert all(frame.f_locals["data"] == {"password": secret} for frame in compiled)
    clear_frames(caught.value)
    assert not any(frame.f_locals for frame in compiled)


def test_a_mismatch_is_found_anew_each_time() -> None:
    for _ in range(3):
        with pytest.raises(Mismatch, match=r"^\$\.acl\[0\] must"):
            decode(Task, {"acl": [5]})


@few_examples
@given(data=st.data())
@each_model
def test_any_json_gives_a_model_or_a_mismatch(cls: Any, data: Any) -> None:
    name = data.draw(st.sampled_from(list(cls.attribute_map.values())))
    value = data.draw(json_values | st.lists(json_values, min_size=4, max_size=7))
    try:
        outcome = type(decode(cls, {name: value})).__name__
    except Mismatch as mismatch:
        outcome = str(mismatch)
    assert outcome == cls.__name__ or outcome.startswith(f"$.{name}")


# Numbers


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (-1, -1),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (3.0, 3),
        (-0.0, 0),
        (1e3, 1000),
    ],
)
def test_a_whole_number_is_an_int(value: Any, expected: int) -> None:
    count = decode(TaskRunSummaryPagedItems, {"totalItemCount": value}).total_item_count
    assert (count, type(count)) == (expected, int)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**400, 1e19, 1e400, -1e400, 0.5])
def test_what_is_no_whole_number_of_64_bit_is_refused(value: Any) -> None:
    with pytest.raises(Mismatch, match=r"\$\.totalItemCount must be a whole number of 64 bit"):
        decode(TaskRunSummaryPagedItems, {"totalItemCount": value})


@pytest.mark.parametrize(("value", "expected"), [(4, 4.0), (0, 0.0), (-1, -1.0), (1.5, 1.5)])
def test_a_number_is_a_float(value: Any, expected: float) -> None:
    cores = decode(Resources, {"cpuCores": value}).cpu_cores
    assert (cores, type(cores)) == (expected, float)


# Times

DIGITS = ["", ".6", ".64", ".645", ".6454", ".64548", ".645483", ".6454838"]
ZONES = [
    ("", None),
    ("Z", timedelta(0)),
    ("+00:00", timedelta(0)),
    ("-00:00", timedelta(0)),
    ("+05:30", timedelta(hours=5, minutes=30)),
    ("-11:45", -timedelta(hours=11, minutes=45)),
    ("+0530", timedelta(hours=5, minutes=30)),
    ("-0330", -timedelta(hours=3, minutes=30)),
    ("+14", timedelta(hours=14)),
    ("-08", -timedelta(hours=8)),
    ("+23:59", timedelta(hours=23, minutes=59)),
]


@pytest.mark.parametrize("digits", DIGITS)
@pytest.mark.parametrize(("zone", "offset"), ZONES)
def test_a_time_may_have_0_to_7_fractional_digits_and_any_offset(
    digits: str, zone: str, offset: Any
) -> None:
    moment = decode(TaskRun, {"timeCreated": f"2021-03-08T04:05:54{digits}{zone}"}).time_created
    microseconds = int(digits[1:7].ljust(6, "0"))
    assert moment.replace(tzinfo=None) == datetime(2021, 3, 8, 4, 5, 54, microseconds)
    assert moment.utcoffset() == offset


@many_examples
@given(
    local=st.datetimes(),
    fraction=st.text("0123456789", max_size=7),
    minutes=st.none() | st.integers(-1439, 1439),
)
def test_any_time_with_0_to_7_fractional_digits_and_any_offset_is_read(
    local: datetime, fraction: str, minutes: Any
) -> None:
    zone = None if minutes is None else timezone(timedelta(minutes=minutes))
    sign = "+" if minutes is not None and minutes >= 0 else "-"
    suffix = "" if minutes is None else "{}{:02}:{:02}".format(sign, *divmod(abs(minutes), 60))
    text = f"{local.replace(microsecond=0).isoformat()}{'.' if fraction else ''}{fraction}{suffix}"
    expected = local.replace(microsecond=int(fraction[:6].ljust(6, "0")), tzinfo=zone)
    moment = decode(TaskRun, {"timeCreated": text}).time_created
    assert (moment.replace(tzinfo=None), moment.utcoffset()) == (
        expected.replace(tzinfo=None),
        expected.utcoffset(),
    )


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("2021-03-08T04:05:54+05:30:15", timedelta(hours=5, minutes=30, seconds=15)),
        ("2021-03-08T04:05:54.645483-00:00:01", -timedelta(seconds=1)),
        (
            "2021-03-08T04:05:54.645483+05:30:15.000001",
            timedelta(hours=5, minutes=30, seconds=15, microseconds=1),
        ),
    ],
)
def test_a_time_may_have_an_offset_with_seconds(text: str, offset: timedelta) -> None:
    assert decode(TaskRun, {"timeCreated": text}).time_created.utcoffset() == offset


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0001-01-01T00:00:00", datetime(1, 1, 1)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=timezone.utc)),
        ("9999-12-31T23:59:59.9999999", datetime(9999, 12, 31, 23, 59, 59, 999999)),
        ("2020-02-29T00:00:00Z", datetime(2020, 2, 29, tzinfo=timezone.utc)),
        ("2021-03-08", datetime(2021, 3, 8)),
        ("2021-03-08T04:05Z", datetime(2021, 3, 8, 4, 5, tzinfo=timezone.utc)),
        ("2021-03-08 04:05:54", datetime(2021, 3, 8, 4, 5, 54)),
    ],
)
def test_a_time_may_be_early_late_or_short(text: str, expected: datetime) -> None:
    assert decode(TaskRun, {"timeCreated": text}).time_created == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "yesterday",
        "Z",
        "T04:05:54Z",
        "04:05:54",
        "1615176354",
        "Mon, 08 Mar 2021 04:05:54 GMT",
        "2021-13-01T00:00:00Z",
        "2021-02-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2021-03-08T25:00:00Z",
        "2021-03-08T04:60:00Z",
        "2021-03-08T04:05:54+25:00",
        "2021-03-08T04:05:54Z and more",
        " 2021-03-08T04:05:54Z",
        "2021-03-08T04:05:54Z\n",
        "9999-12-31T24:00:00Z",
        "\uff12021-03-08T04:05:54Z",
        "\ud800",
        "\x00",
        1615176354,
        0,
        1615176354.5,
        1e400,
        True,
        False,
        [],
        ["2021", "03", "08", "T"],
        [2021, 3, 8, 4, 5, 54, 0],
        {},
        {"seconds": 1615176354},
        {"year": 2021, "month": 3, "day": 8, "hour": 4, "minute": 5, "second": 54, "zone": "Z"},
    ],
    ids=ascii,
)
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(Mismatch, match=r"^\$\.timeCreated must be a date and time as in ISO 8601"):
        decode(TaskRun, {"timeCreated": value})


# After decoding


@pytest.mark.parametrize(
    ("cls", "data", "name"),
    [
        (Image, {"name": ""}, "name"),
        (Image, {}, "name"),
        (TaskRun, {"name": "x" * 300}, "name"),
        (TaskRun, {"description": "x" * 5000}, "description"),
        (InputStreamSettings, {"cacheSizeGB": 1}, "cache_size_gb"),
        (InputStreamSettings, {"prefetchBlocks": 100}, "prefetch_blocks"),
        (InputStreamSettings, {"blockSizeMB": -1.5}, "block_size_mb"),
    ],
)
def test_limits_do_not_hold_for_answers_but_for_what_is_set_afterwards(
    cls: Any, data: Any, name: str
) -> None:
    model = decode(cls, data)
    assert encode(model) == data
    with pytest.raises(ApiValueError, match=f"{cls.__name__}.{name}"):
        setattr(model, name, getattr(model, name))


@pytest.mark.parametrize(
    ("name", "value"), [("name", 0.5), ("acl", ["a", 0.5]), ("execution", "x")]
)
def test_types_are_checked_when_a_decoded_object_is_changed(name: str, value: Any) -> None:
    with pytest.raises(ApiTypeError, match=f"TaskRun.{name}"):
        setattr(decode(TaskRun, {}), name, value)


def test_a_decoded_object_takes_no_unknown_attribute() -> None:
    with pytest.raises(AttributeError, match="TaskRun has no field 'colour'"):
        decode(TaskRun, {}).colour = "red"


@each_model
def test_a_decoder_is_compiled_once(cls: Any) -> None:
    assert decoder(cls) is decoder(cls) is converter(cls)


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
