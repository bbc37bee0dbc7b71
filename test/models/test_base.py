"""Models as users build, change, show, compare, copy and send them."""

from __future__ import annotations

import copy
import decimal
import gc
import inspect
import json
import math
import pickle
import types
import weakref
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

import pytest

from libica.openapi import libtes
from libica.openapi.libtes import (
    ApiTypeError,
    ApiValueError,
    Configuration,
    CreateTaskRequest,
    CreateTaskRunRequest,
    CreateTaskVersionRequest,
    Credentials,
    Environment,
    ErrorResponse,
    Execution,
    HeartbeatTaskRunRequest,
    Image,
    InputMountMappingWithCreds,
    InputStreamSettings,
    LaunchTaskRequest,
    MountMappingWithCreds,
    Resources,
    SystemFiles,
    Task,
    TaskRun,
    TaskRunHeartbeat,
    TaskRunLogs,
    TaskVersion,
)
from libica.openapi.libtes.models.encoding import encode

from ..helpers import TIME, decode, each_model, samples

SECRET = "what-nobody-may-see"
SIGNED = f"https://bucket.example.org/reads.bam?X-Amz-Signature={SECRET}"


def without_limits() -> Configuration:
    configuration = Configuration()
    configuration.client_side_validation = False
    return configuration


def shown(model: Any) -> str:
    """Return all the texts that a model gives of itself."""
    return "\n".join((repr(model), str(model), model.to_str(), f"{model}"))


# Declaration


@each_model
def test_arguments_may_come_by_position_in_the_order_of_the_fields(cls: Any) -> None:
    values = samples(cls)
    model = cls(*values.values())
    assert {name: getattr(model, name) for name in values} == values


@each_model
def test_arguments_may_come_by_keyword_in_any_order(cls: Any) -> None:
    values = samples(cls)
    model = cls(**dict(reversed(values.items())))
    assert {name: getattr(model, name) for name in values} == values


def test_arguments_may_come_by_position_and_keyword() -> None:
    image = Image("nginx", "1.17", credentials=Credentials(username="u"))
    assert (image.name, image.tag, image.digest) == ("nginx", "1.17", None)
    assert image.credentials == Credentials("u")


@each_model
def test_fields_that_are_not_given_read_none(cls: Any) -> None:
    model = cls(local_vars_configuration=without_limits())
    assert {getattr(model, name) for name in cls.openapi_types} == {None}


@each_model
def test_the_tables_name_the_same_fields_in_the_same_order(cls: Any) -> None:
    assert list(cls.openapi_types) == list(cls.attribute_map) == list(samples(cls))


def test_openapi_types_has_the_names_of_the_types() -> None:
    assert Execution.openapi_types == {
        "image": "Image",
        "command": "str",
        "args": "list[str]",
        "inputs": "list[InputMountMappingWithCreds]",
        "outputs": "list[MountMappingWithCreds]",
        "system_files": "SystemFiles",
        "environment": "Environment",
        "working_directory": "str",
        "retry_limit": "int",
        "retry_count": "int",
    }


@pytest.mark.parametrize(
    ("cls", "name", "declared"),
    [
        (Environment, "variables", "dict(str, str)"),
        (Resources, "cpu_cores", "float"),
        (HeartbeatTaskRunRequest, "last_heartbeat", "bool"),
        (TaskRun, "time_created", "datetime"),
        (ErrorResponse, "details", "list[object]"),
        (libtes.TaskVersionSummaryPagedItems, "items", "list[TaskVersionSummary]"),
    ],
)
def test_openapi_types_names_each_kind_of_type(cls: Any, name: str, declared: str) -> None:
    assert cls.openapi_types[name] == declared


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (
            InputStreamSettings,
            {
                "access_pattern": "accessPattern",
                "cache_size_gb": "cacheSizeGB",
                "block_size_mb": "blockSizeMB",
                "prefetch_blocks": "prefetchBlocks",
            },
        ),
        (
            HeartbeatTaskRunRequest,
            {
                "last_heartbeat": "lastHeartbeat",
                "pod_name": "podName",
                "pod_uid": "podUID",
                "pod_hardware_details": "podHardwareDetails",
                "job_retry_count": "jobRetryCount",
                "nonce": "nonce",
                "container_status": "containerStatus",
            },
        ),
    ],
)
def test_attribute_map_has_the_names_of_the_json(cls: Any, expected: dict[str, str]) -> None:
    assert cls.attribute_map == expected


@each_model
def test_the_signature_shows_the_fields_and_their_defaults(cls: Any) -> None:
    parameters = inspect.signature(cls).parameters
    assert list(parameters) == [*cls.openapi_types, "local_vars_configuration"]
    assert {each.default for each in parameters.values()} == {None}
    assert {each.kind for each in parameters.values()} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}


@each_model
def test_vars_gives_the_fields_and_their_values(cls: Any) -> None:
    values = samples(cls)
    model = cls(**values)
    assert vars(model) == values
    assert list(vars(model)) == list(cls.openapi_types)
    vars(model).clear()  # a copy: models have slots
    assert vars(model) == values


@each_model
def test_a_weak_reference_to_a_model_ends_with_it(cls: Any) -> None:
    made, decoded = cls(**samples(cls)), decode(cls, {})
    references = [weakref.ref(made), weakref.ref(decoded)]
    assert [each() is not None for each in references] == [True, True]
    del made, decoded
    gc.collect()
    assert [each() for each in references] == [None, None]


@each_model
def test_every_model_has_a_docstring_of_its_own(cls: Any) -> None:
    assert vars(cls)["__doc__"].strip().endswith((".", "digits.", "`."))


# Arguments that do not fit


@each_model
def test_too_many_positional_arguments_are_refused(cls: Any) -> None:
    most = len(cls.openapi_types) + 1
    with pytest.raises(ApiTypeError, match=f"{cls.__name__} takes at most {most} positional"):
        cls(*[None] * (most + 1))


@each_model
def test_an_unknown_keyword_is_refused(cls: Any) -> None:
    with pytest.raises(ApiTypeError, match=f"{cls.__name__} got an unexpected keyword.*'colour'"):
        cls(**samples(cls), colour="red")


def test_an_argument_that_comes_twice_is_refused() -> None:
    Image("nginx")
    with pytest.raises(TypeError, match=r"__init__\(\) got multiple values for argument 'name'"):
        Image("nginx", name="nginx")


def test_an_unknown_keyword_close_to_a_field_is_answered_with_that_field() -> None:
    with pytest.raises(ApiTypeError, match="did you mean 'retry_limit'"):
        Execution(retrylimit=3)


@pytest.mark.parametrize("name", ["imagename", "Name", "_name", "nmae"])
def test_setting_an_unknown_attribute_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=f"Image has no field '{name}'"):
        setattr(Image("nginx"), name, "x")


def test_setting_a_misspelt_attribute_is_answered_with_the_field() -> None:
    with pytest.raises(AttributeError, match="did you mean 'command'"):
        Execution().comand = "sh"


def test_reading_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        _ = Image("nginx").colour


# Types

WRONG_TYPES = [
    (Image, "name", 5.0, "Image.name"),
    (Image, "name", True, "Image.name"),
    (Image, "name", b"nginx", "Image.name"),
    (Image, "name", ["nginx"], "Image.name"),
    (Image, "credentials", "secret", "Image.credentials"),
    (Image, "credentials", [], "Image.credentials"),
    (Image, "credentials", Resources(), "Image.credentials"),
    (CreateTaskRunRequest, "execution", TaskVersion(), "CreateTaskRunRequest.execution"),
    (Execution, "retry_limit", True, "Execution.retry_limit"),
    (Execution, "retry_limit", 3.5, "Execution.retry_limit"),
    (Execution, "retry_limit", 2.0**53 + 2, "Execution.retry_limit"),
    (Execution, "retry_limit", math.inf, "Execution.retry_limit"),
    (Execution, "retry_limit", math.nan, "Execution.retry_limit"),
    (Execution, "retry_limit", "3", "Execution.retry_limit"),
    (Resources, "cpu_cores", True, "Resources.cpu_cores"),
    (Resources, "cpu_cores", "4", "Resources.cpu_cores"),
    (Resources, "cpu_cores", decimal.Decimal(4), "Resources.cpu_cores"),
    (HeartbeatTaskRunRequest, "last_heartbeat", 1, "HeartbeatTaskRunRequest.last_heartbeat"),
    (HeartbeatTaskRunRequest, "last_heartbeat", "true", "HeartbeatTaskRunRequest.last_heartbeat"),
    (TaskRunLogs, "start_time", "2021-03-08T04:05:54Z", "TaskRunLogs.start_time"),
    (TaskRunLogs, "start_time", date(2021, 3, 8), "TaskRunLogs.start_time"),
    (TaskRunLogs, "start_time", 1615176354, "TaskRunLogs.start_time"),
    (Execution, "args", "--all", "Execution.args"),
    (Execution, "args", {"--all"}, "Execution.args"),
    (Execution, "args", {"--all": "x"}, "Execution.args"),
    (Execution, "args", iter(["--all"]), "Execution.args"),
    (Execution, "args", ["--threads", 5.0], "Execution.args[1]"),
    (Execution, "args", [None], "Execution.args[0]"),
    (Execution, "inputs", InputMountMappingWithCreds(), "Execution.inputs"),
    (Execution, "inputs", [{}, MountMappingWithCreds()], "Execution.inputs[1]"),
    (Execution, "inputs", [None], "Execution.inputs[0]"),
    (LaunchTaskRequest, "acl", "tid:x", "LaunchTaskRequest.acl"),
    (LaunchTaskRequest, "acl", ["tid:x", False], "LaunchTaskRequest.acl[1]"),
    (LaunchTaskRequest, "arguments", [("a", "b")], "LaunchTaskRequest.arguments"),
    (LaunchTaskRequest, "arguments", {"a": "x", "b": 5.0}, "LaunchTaskRequest.arguments['b']"),
    (LaunchTaskRequest, "arguments", {"a": None}, "LaunchTaskRequest.arguments['a']"),
    (LaunchTaskRequest, "arguments", {"a": ["x"]}, "LaunchTaskRequest.arguments['a']"),
    (LaunchTaskRequest, "arguments", {1: "x"}, "LaunchTaskRequest.arguments: key"),
    (ErrorResponse, "details", {}, "ErrorResponse.details"),
]
wrong_types = pytest.mark.parametrize(("cls", "name", "value", "place"), WRONG_TYPES)


@wrong_types
def test_a_wrong_type_is_refused_when_built(cls: Any, name: str, value: Any, place: str) -> None:
    with pytest.raises(ApiTypeError) as caught:
        cls(**{**samples(cls), name: value})
    assert f"`{place}`" in str(caught.value)


@wrong_types
def test_a_wrong_type_is_refused_when_set(cls: Any, name: str, value: Any, place: str) -> None:
    model = cls(**samples(cls))
    with pytest.raises(ApiTypeError) as caught:
        setattr(model, name, value)
    assert f"`{place}`" in str(caught.value)


@wrong_types
def test_a_wrong_type_is_refused_with_limits_off(
    cls: Any, name: str, value: Any, place: str
) -> None:
    with pytest.raises(ApiTypeError) as caught:
        cls(**{name: value}, local_vars_configuration=without_limits())
    assert f"`{place}`" in str(caught.value)


def test_a_refused_type_is_named_beside_what_is_accepted() -> None:
    with pytest.raises(ApiTypeError, match="must be a list, not str"):
        Execution(args="--all")


def test_a_refused_value_is_not_shown() -> None:
    with pytest.raises(ApiTypeError) as caught:
        Credentials(password=SECRET.encode())
    assert SECRET not in str(caught.value)


def test_a_refused_value_leaves_the_field_as_it_was() -> None:
    image = Image("nginx")
    with pytest.raises(ApiTypeError):
        image.name = 5.0
    assert image.name == "nginx"


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, 10**400],
    ids=["not a number", "infinite", "minus infinite", "beyond floats"],
)
@pytest.mark.parametrize("configuration", [None, without_limits()], ids=["limits on", "limits off"])
def test_a_number_that_json_has_not_is_refused(value: float, configuration: Any) -> None:
    with pytest.raises(ApiValueError, match=r"Resources\.cpu_cores"):
        Resources(cpu_cores=value, local_vars_configuration=configuration)


def test_a_whole_number_may_stand_for_a_number() -> None:
    assert Resources(cpu_cores=4).cpu_cores == 4


def test_a_tuple_may_stand_for_a_list() -> None:
    execution = Execution(args=("a", "b"), inputs=(InputMountMappingWithCreds(path="/x"),))
    assert encode(execution) == {"args": ["a", "b"], "inputs": [{"path": "/x"}]}


def test_a_dict_may_stand_for_a_model_and_is_kept_as_it_is() -> None:
    raw = {"Image": {"Name": "nginx"}, "unknown": [None, 5]}
    request = CreateTaskRunRequest(execution=raw)
    assert request.execution is raw
    assert raw == {"Image": {"Name": "nginx"}, "unknown": [None, 5]}


def test_dicts_may_stand_for_models_in_a_list() -> None:
    execution = Execution(inputs=[{"Path": "/x"}, InputMountMappingWithCreds(path="/y")])
    assert encode(execution) == {"inputs": [{"Path": "/x"}, {"path": "/y"}]}


def test_another_kind_of_mapping_may_stand_for_a_dict() -> None:
    arguments = types.MappingProxyType({"sample": "NA12878"})
    request = LaunchTaskRequest(arguments=arguments)
    assert encode(request) == {"arguments": {"sample": "NA12878"}}


# Limits

ACCEPTED = [
    (Image, "name", "x"),
    (CreateTaskRequest, "name", ""),
    (CreateTaskRequest, "name", "x" * 255),
    (LaunchTaskRequest, "description", "x" * 4096),
    (InputStreamSettings, "cache_size_gb", 50),
    (InputStreamSettings, "cache_size_gb", 10000),
    (InputStreamSettings, "block_size_mb", 0),
    (InputStreamSettings, "block_size_mb", 1024.0),
    (InputStreamSettings, "prefetch_blocks", 0),
    (InputStreamSettings, "prefetch_blocks", 64),
    (TaskVersion, "version", None),
]
REFUSED = [
    (Image, "name", "", "1 or more characters"),
    (Image, "name", None, "not be `None`"),
    (CreateTaskRequest, "name", "x" * 256, "0 to 255 characters"),
    (CreateTaskRequest, "name", None, "not be `None`"),
    (CreateTaskVersionRequest, "version", "x" * 256, "0 to 255 characters"),
    (CreateTaskVersionRequest, "version", None, "not be `None`"),
    (LaunchTaskRequest, "description", "x" * 4097, "0 to 4096 characters"),
    (InputStreamSettings, "cache_size_gb", 49, "50 to 10000"),
    (InputStreamSettings, "cache_size_gb", 10001, "50 to 10000"),
    (InputStreamSettings, "block_size_mb", -0.5, "0 to 1024"),
    (InputStreamSettings, "block_size_mb", 1024.5, "0 to 1024"),
    (InputStreamSettings, "prefetch_blocks", -1, "0 to 64"),
    (InputStreamSettings, "prefetch_blocks", 65, "0 to 64"),
]
accepted = pytest.mark.parametrize(("cls", "name", "value"), ACCEPTED)
refused = pytest.mark.parametrize(("cls", "name", "value", "limit"), REFUSED)


@accepted
def test_a_value_within_its_limits_is_accepted(cls: Any, name: str, value: Any) -> None:
    assert getattr(cls(**{**samples(cls), name: value}), name) == value


@refused
def test_a_value_outside_its_limits_is_refused_when_built(
    cls: Any, name: str, value: Any, limit: str
) -> None:
    with pytest.raises(ApiValueError) as caught:
        cls(**{**samples(cls), name: value})
    assert f"`{cls.__name__}.{name}`" in str(caught.value)
    assert limit in str(caught.value)


@refused
def test_a_value_outside_its_limits_is_refused_when_set(
    cls: Any, name: str, value: Any, limit: str
) -> None:
    model = cls(**samples(cls))
    with pytest.raises(ApiValueError) as caught:
        setattr(model, name, value)
    assert f"`{cls.__name__}.{name}`" in str(caught.value)
    assert limit in str(caught.value)


@refused
def test_limits_can_be_switched_off_when_built(cls: Any, name: str, value: Any, limit: str) -> None:
    model = cls(**{name: value}, local_vars_configuration=without_limits())
    assert getattr(model, name) == value


@refused
def test_limits_can_be_switched_off_for_what_is_set_later(
    cls: Any, name: str, value: Any, limit: str
) -> None:
    model = cls(**samples(cls))
    model.local_vars_configuration = without_limits()
    setattr(model, name, value)
    assert getattr(model, name) == value


@pytest.mark.parametrize("cls", [Image, CreateTaskRequest, CreateTaskVersionRequest])
def test_a_required_field_must_be_given(cls: Any) -> None:
    with pytest.raises(ApiValueError, match="must not be `None`"):
        cls()


def test_a_field_that_is_not_required_can_be_unset() -> None:
    execution = Execution(args=["a"], retry_limit=3)
    execution.args = execution.retry_limit = None
    assert encode(execution) == {}


def test_the_switch_for_limits_may_be_the_last_argument_by_position() -> None:
    assert Image("", None, None, None, without_limits()).name == ""


def test_the_switch_for_limits_is_no_data() -> None:
    model = Image("nginx", local_vars_configuration=without_limits())
    assert model == Image("nginx")
    assert model.to_dict() == Image("nginx").to_dict()
    assert encode(model) == {"name": "nginx"}


@pytest.mark.parametrize(
    "twin", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_limits_stay_off_in_a_copy(twin: Any) -> None:
    model = twin(Image("", local_vars_configuration=without_limits()))
    model.name = ""
    assert model.name == ""


# Data


def nested() -> TaskVersion:
    return TaskVersion(
        id="tvn.1",
        execution=Execution(
            image=Image("nginx", credentials=Credentials("u", SECRET)),
            inputs=[InputMountMappingWithCreds(path="/x"), InputMountMappingWithCreds(path="/y")],
            environment=Environment(variables={"A": "b"}),
        ),
        time_created=TIME,
    )


@each_model
def test_to_dict_has_every_field_under_its_python_name(cls: Any) -> None:
    assert list(cls(**samples(cls)).to_dict()) == list(cls.openapi_types)


def test_to_dict_has_models_as_dicts_at_any_depth() -> None:
    execution = nested().to_dict()["execution"]
    assert execution["image"]["credentials"] == {"username": "u", "password": SECRET}
    assert [each["path"] for each in execution["inputs"]] == ["/x", "/y"]


def test_to_dict_has_models_in_a_tuple_as_dicts() -> None:
    inputs = Execution(inputs=(InputMountMappingWithCreds(path="/x"),)).to_dict()["inputs"]
    assert list(inputs) == [InputMountMappingWithCreds(path="/x").to_dict()]


def test_to_dict_has_models_in_raw_dicts_as_dicts() -> None:
    request = CreateTaskRunRequest(execution={"image": Image("nginx"), "args": [Image("x")]})
    assert request.to_dict()["execution"] == {
        "image": Image("nginx").to_dict(),
        "args": [Image("x").to_dict()],
    }


def test_to_dict_has_times_as_they_are() -> None:
    assert nested().to_dict()["time_created"] is TIME


def test_changing_what_to_dict_returned_does_not_change_the_model() -> None:
    model = Execution(args=["a"], environment=Environment(variables={"A": "b"}))
    data = model.to_dict()
    data["args"].append("c")
    data["environment"]["variables"]["A"] = "c"
    assert model == Execution(args=["a"], environment=Environment(variables={"A": "b"}))


def test_str_and_to_str_are_the_data_over_lines() -> None:
    text = str(nested())
    assert text == nested().to_str()
    assert "'id': 'tvn.1'" in text
    assert "'path': '/y'" in text
    assert len(text.splitlines()) > 5


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Image("nginx"), "Image(name='nginx')"),
        (Image("nginx", "1.17", "sha256:0"), "Image(name='nginx', ...)"),
        (Execution(), "Execution()"),
        (Execution(command="sh", args=["a", "b"]), "Execution(command='sh', args=<2 items>)"),
        (
            CreateTaskRunRequest(execution=Execution()),
            "CreateTaskRunRequest(execution=Execution(...))",
        ),
        (CreateTaskRunRequest(execution={"a": 1}), "CreateTaskRunRequest(execution=<1 items>)"),
        (TaskRunLogs(start_time=TIME), "TaskRunLogs(start_time=2021-03-08T04:05:54.645483+00:00)"),
        (
            TaskRun(id="trn.1", name="n", status="Running", description="d", acl=["a"]),
            "TaskRun(id='trn.1', name='n', status='Running', ...)",
        ),
    ],
)
def test_repr_shows_what_tells_objects_apart(model: Any, expected: str) -> None:
    assert repr(model) == expected


@each_model
def test_repr_is_one_line_however_long_the_values(cls: Any) -> None:
    values = {
        name: "a line\n" * 30 if cls.openapi_types[name] == "str" else value
        for name, value in samples(cls).items()
    }
    text = repr(cls(**values, local_vars_configuration=without_limits()))
    assert "\n" not in text
    assert len(text) < 400


# Comparing


@each_model
def test_models_with_the_same_values_are_equal(cls: Any) -> None:
    assert cls(**samples(cls)) == cls(**samples(cls))
    assert not cls(**samples(cls)) != cls(**samples(cls))  # noqa: SIM202


@each_model
def test_models_that_differ_in_one_field_are_not_equal(cls: Any) -> None:
    for name in cls.openapi_types:
        other = cls(**samples(cls))
        other.local_vars_configuration = without_limits()
        setattr(other, name, None)
        assert other != cls(**samples(cls))


def test_models_of_different_classes_are_not_equal() -> None:
    assert libtes.TaskSummary() != libtes.TaskVersionSummary()
    assert SystemFiles() != MountMappingWithCreds()


@pytest.mark.parametrize("other", [None, 5, "nginx", {"name": "nginx"}])
def test_a_model_is_not_equal_to_what_is_no_model(other: Any) -> None:
    assert Image("nginx") != other


def test_models_can_be_found_in_a_list() -> None:
    assert Image("b") in [Image("a"), Image("b")]


@each_model
def test_models_cannot_be_hashed_as_they_can_change(cls: Any) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(cls(**samples(cls)))


# Copying


def test_a_copy_shares_what_lies_within() -> None:
    model = nested()
    twin = copy.copy(model)
    assert twin == model
    assert twin is not model
    assert twin.execution is model.execution


def test_a_copy_can_be_changed_alone() -> None:
    model = nested()
    twin = copy.copy(model)
    twin.description = "other"
    assert model.description is None


def test_a_deep_copy_shares_nothing() -> None:
    model = nested()
    twin = copy.deepcopy(model)
    assert twin == model
    twin.execution.image.name = "other"
    twin.execution.inputs.clear()
    assert model == nested()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_model_comes_back_equal(protocol: int) -> None:
    assert pickle.loads(pickle.dumps(nested(), protocol)) == nested()


@pytest.mark.parametrize(
    "twin", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_a_copy_of_an_answer_outside_the_limits_can_be_made(twin: Any) -> None:
    model = decode(Image, {"name": ""})
    assert twin(model) == model


# Sending


def test_encoding_uses_the_names_of_the_json_at_any_depth() -> None:
    assert encode(nested()) == {
        "id": "tvn.1",
        "execution": {
            "image": {"name": "nginx", "credentials": {"username": "u", "password": SECRET}},
            "inputs": [{"path": "/x"}, {"path": "/y"}],
            "environment": {"variables": {"A": "b"}},
        },
        "timeCreated": "2021-03-08T04:05:54.645483+00:00",
    }


def test_encoding_leaves_out_the_fields_that_are_none() -> None:
    assert encode(Task(name="n", acl=[])) == {"name": "n", "acl": []}


@pytest.mark.parametrize(
    ("field", "value"),
    [("retry_limit", 0), ("command", ""), ("args", []), ("environment", Environment())],
)
def test_encoding_keeps_the_fields_that_are_empty(field: str, value: Any) -> None:
    assert list(encode(Execution(**{field: value})).values()) in ([0], [""], [[]], [{}])


def test_encoding_keeps_none_in_raw_dicts_and_lists() -> None:
    raw = {"Image": None, "args": [None]}
    assert encode(CreateTaskRunRequest(execution=raw)) == {"execution": raw}


def test_encoding_takes_models_within_raw_dicts() -> None:
    raw = {"execution": {"image": Image("nginx"), "inputs": ({"path": "/x"},)}}
    assert encode(raw) == {"execution": {"image": {"name": "nginx"}, "inputs": [{"path": "/x"}]}}


@pytest.mark.parametrize("raw", [None, True, 5, 2.5, "text", [], {}, [{"a": [1]}]])
def test_encoding_takes_plain_data_as_it_is(raw: Any) -> None:
    assert encode(raw) == raw


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2021, 3, 8), "2021-03-08T00:00:00"),
        (datetime(2021, 3, 8, 4, 5, 54, 600), "2021-03-08T04:05:54.000600"),
        (datetime(2021, 3, 8, tzinfo=timezone.utc), "2021-03-08T00:00:00+00:00"),
        (
            datetime(2021, 3, 8, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            "2021-03-08T00:00:00+05:30",
        ),
        (date(2021, 3, 8), "2021-03-08"),
    ],
)
def test_encoding_writes_times_as_in_iso_8601(moment: Any, expected: str) -> None:
    assert encode({"at": moment}) == {"at": expected}


@pytest.mark.parametrize(
    "value",
    [b"bytes", {"a set"}, object(), decimal.Decimal("1.5"), time(4, 5), 1j, Image, iter("a")],
    ids=lambda value: type(value).__name__,
)
def test_encoding_refuses_what_json_has_not_and_names_the_place(value: Any) -> None:
    with pytest.raises(ApiTypeError) as caught:
        encode({"execution": [{}, {"x": value}]})
    assert "`body['execution'][1]['x']`" in str(caught.value)


def test_encoding_names_the_place_of_what_json_has_not_below_models() -> None:
    request = CreateTaskRunRequest(execution=Execution(inputs=[{}, {"path": b"/x"}]))
    with pytest.raises(ApiTypeError) as caught:
        encode(request)
    assert "`Execution.inputs[1]['path']`" in str(caught.value)


@pytest.mark.parametrize("key", [1, None, b"a", ("a",)])
def test_encoding_refuses_keys_that_are_no_strings(key: Any) -> None:
    with pytest.raises(ApiTypeError, match="body: key"):
        encode({key: "x"})


def test_a_list_is_checked_when_encoded_since_it_may_have_changed() -> None:
    execution = Execution(args=["a"])
    execution.args.append(5.0)
    with pytest.raises(ApiTypeError, match=r"Execution\.args\[1\]"):
        encode(execution)


def test_a_list_of_models_is_checked_when_encoded() -> None:
    execution = Execution(inputs=[])
    execution.inputs.append(MountMappingWithCreds())
    with pytest.raises(ApiTypeError, match=r"Execution\.inputs\[0\]"):
        encode(execution)


@pytest.mark.parametrize("mapping", [dict, types.MappingProxyType])
def test_a_dict_is_checked_when_encoded_since_it_may_have_changed(mapping: Any) -> None:
    values: dict[str, Any] = {"a": "x"}
    request = LaunchTaskRequest(arguments=mapping(values))
    values["b"] = 5.0
    if mapping is dict:
        request.arguments["b"] = 5.0
    with pytest.raises(ApiTypeError, match=r"LaunchTaskRequest\.arguments\['b'\]"):
        encode(request)


def test_what_was_appended_within_limits_is_sent() -> None:
    execution = Execution(args=["a"])
    execution.args.append("b")
    assert encode(execution) == {"args": ["a", "b"]}


# Secrets

SECRETIVE = {
    "password": Credentials("u", SECRET),
    "password within": Image("nginx", credentials=Credentials("u", SECRET)),
    "password deep within": TaskVersion(
        execution=Execution(image=Image("nginx", credentials=Credentials("u", SECRET)))
    ),
    "keys of an input": InputMountMappingWithCreds(credentials={"AWS_SECRET_ACCESS_KEY": SECRET}),
    "keys of an output": MountMappingWithCreds(credentials={"AWS_SESSION_TOKEN": SECRET}),
    "keys of the logs": SystemFiles(credentials={"AWS_ACCESS_KEY_ID": SECRET}),
    "keys in a list": Execution(outputs=[MountMappingWithCreds(credentials={"x": SECRET})]),
    "variable": Environment(variables={"SECURE_TOKEN": SECRET}),
    "variable in lower case": Environment(variables={"secure_token": SECRET}),
    "jwt": TaskRunHeartbeat(jwt=SECRET),
    "nonce": HeartbeatTaskRunRequest(nonce=SECRET),
    "raw execution": TaskRun(execution_raw_json=f'{{"password": "{SECRET}"}}'),
    "raw execution beside others": TaskRun(id="trn.1", execution_raw_json=SECRET),
    "url of an input": InputMountMappingWithCreds(url=SIGNED),
    "url of an output": MountMappingWithCreds(url=SIGNED),
    "url of the logs": SystemFiles(url=SIGNED),
    "url of a service": MountMappingWithCreds(service_url=SIGNED),
    "url in a list": Execution(inputs=[InputMountMappingWithCreds(url=SIGNED)]),
    # A URL with a signature may stand anywhere.
    "url of the output of a run": TaskRunLogs(stdout=SIGNED),
    "url of the errors of a run": TaskRunLogs(stderr=SIGNED),
    "url as argument of a program": Execution(command="fetch", args=[SIGNED]),
    "url within an argument of a program": Execution(args=[f"--input={SIGNED}"]),
    "url for a placeholder": LaunchTaskRequest(arguments={"reads": SIGNED}),
    "url in a variable": Environment(variables={"READS": SIGNED}),
}
RAW_SECRETS: dict[str, Any] = {
    "password": {"image": {"credentials": {"password": SECRET}}},
    "Password": {"Image": {"Credentials": {"Password": SECRET}}},
    "PASSWORD": {"IMAGE": {"CREDENTIALS": {"PASSWORD": SECRET}}},
    "password alone": {"password": 5, "PassWord": SECRET},
    "password with parts": {"password": {"nested": [{"deep": SECRET}]}},
    "credentials": {"inputs": [{"credentials": {"AWS_SECRET_ACCESS_KEY": SECRET}}]},
    "Credentials": {"Outputs": [{"Credentials": {"key": SECRET}}]},
    "credentials as list": {"systemFiles": {"credentials": [SECRET]}},
    "SECURE_": {"environment": {"variables": {"SECURE_TOKEN": SECRET}}},
    "Secure_": {"Environment": {"Variables": {"Secure_Token": SECRET}}},
    "url": {"inputs": [{"url": SIGNED}, {"Url": SIGNED}, {"URL": SIGNED}]},
    "serviceUrl": {
        "outputs": [{"serviceUrl": SIGNED}, {"ServiceURL": SIGNED}, {"service_url": SIGNED}]
    },
    "executionRawJson": {
        "executionRawJson": SECRET,
        "ExecutionRawJSON": SECRET,
        "execution_raw_json": SECRET,
    },
    "jwt": {"jwt": SECRET, "JWT": SECRET, "Jwt": SECRET},
    "nonce": {"nonce": SECRET, "Nonce": SECRET},
}
secretive = pytest.mark.parametrize("model", SECRETIVE.values(), ids=SECRETIVE.keys())
raw_secrets = pytest.mark.parametrize("raw", RAW_SECRETS.values(), ids=RAW_SECRETS.keys())


@secretive
def test_no_text_of_a_model_shows_a_secret(model: Any) -> None:
    assert SECRET not in shown(model)


@secretive
def test_to_dict_has_the_secrets_since_it_is_the_data(model: Any) -> None:
    assert SECRET in json.dumps(model.to_dict())


@secretive
def test_encoding_has_the_secrets_since_they_are_sent(model: Any) -> None:
    assert SECRET in json.dumps(encode(model))


@raw_secrets
def test_no_text_of_a_model_shows_a_secret_of_a_raw_dict(raw: Any) -> None:
    assert SECRET not in shown(CreateTaskRunRequest(name="n", execution=raw))


@raw_secrets
def test_no_text_of_a_model_shows_a_secret_of_a_raw_dict_in_a_list(raw: Any) -> None:
    assert SECRET not in shown(CreateTaskRequest("n", task_versions=[{"execution": raw}]))


@raw_secrets
def test_a_raw_dict_is_sent_with_its_secrets(raw: Any) -> None:
    assert encode(CreateTaskRunRequest(execution=raw)) == {"execution": raw}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Credentials("u", SECRET), "'username': 'u'"),
        (Credentials("u", SECRET), "'password': '***'"),
        (InputMountMappingWithCreds(url=SIGNED), "https://bucket.example.org/reads.bam?***"),
        (InputMountMappingWithCreds(url="gds://volume/reads.bam"), "gds://volume/reads.bam"),
        (Environment(variables={"THREADS": "8"}), "'THREADS': '8'"),
        (TaskRun(), "'execution_raw_json': None"),
    ],
)
def test_what_is_no_secret_stays_readable(model: Any, expected: str) -> None:
    assert expected in str(model)


def test_masking_changes_no_data() -> None:
    model = nested()
    str(model)
    assert model == nested()
