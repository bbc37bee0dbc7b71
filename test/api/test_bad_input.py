"""What a user gets wrong is named, shows no secret, and is never sent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from libica.openapi import libtes

from ..operations import IDS, LISTS, OPERATIONS, RUN, TASK, VERSION, WITH_BODY, WITH_IDS, Operation
from ..server import Server

SECRET = "s3cr3t-value"

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)
some_operations = pytest.mark.parametrize("operation", OPERATIONS[::4], ids=str)  # of all verbs
WAYS: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("_with_http_info", {}),
    ("", {"async_req": True}),
    ("", {"_preload_content": False}),
]


@contextmanager
def refused(server: Server, error: type[Exception], *names: str) -> Iterator[None]:
    """Expect an error that names all this, no secret, and comes before anything is sent."""
    with pytest.raises(libtes.OpenApiException) as caught:
        yield
    assert type(caught.value) is error
    assert isinstance(caught.value, TypeError if error is libtes.ApiTypeError else ValueError)
    text = str(caught.value)
    for name in names:
        assert name in text
    assert SECRET not in text + repr(caught.value) + repr(caught.value.args)
    assert server.asked == []


TYPE, VALUE = libtes.ApiTypeError, libtes.ApiValueError

BAD_IDS: dict[str, tuple[Any, type[Exception], str]] = {
    "None": (None, VALUE, "required"),
    "empty": ("", VALUE, "empty"),
    "dot": (".", VALUE, "'.'"),
    "two dots": ("..", VALUE, "'..'"),
    "a number": (5, TYPE, "int"),
    "zero": (0, TYPE, "int"),
    "bool": (False, TYPE, "bool"),
    "bytes": (SECRET.encode(), TYPE, "bytes"),
    "a list": ([SECRET], TYPE, "list"),
    "a model": (libtes.Credentials(password=SECRET), TYPE, "Credentials"),
    "half a character": (f"{SECRET}\ud800", VALUE, "surrogates"),
}


@pytest.mark.parametrize(("operation", "name"), IDS, ids=str)
@pytest.mark.parametrize(("value", "error", "says"), BAD_IDS.values(), ids=BAD_IDS)
def test_an_id_that_cannot_be_one(
    server: Server,
    client: libtes.ApiClient,
    operation: Operation,
    name: str,
    value: Any,
    error: type[Exception],
    says: str,
) -> None:
    for suffix, options in WAYS:
        with refused(server, error, name, says):
            operation.call(client, suffix, **{name: value}, **options)


@pytest.mark.parametrize(("operation", "name"), IDS, ids=str)
def test_an_id_that_is_missing(
    server: Server, client: libtes.ApiClient, operation: Operation, name: str
) -> None:
    given = {key: value for key, value in operation.ids.items() if key != name}
    for suffix, options in WAYS:
        with refused(server, TYPE, name, operation.name):
            operation.bound(client, suffix)(**given, **options)


@every_operation
def test_a_keyword_that_is_unknown(
    server: Server, client: libtes.ApiClient, operation: Operation
) -> None:
    for suffix, options in WAYS:
        with refused(server, TYPE, "'bogus'", operation.name):
            operation.call(client, suffix, bogus=SECRET, **options)


@pytest.mark.parametrize(("operation", "name"), IDS, ids=str)
def test_an_id_under_its_name_in_json_gets_a_hint(
    server: Server, client: libtes.ApiClient, operation: Operation, name: str
) -> None:
    head, tail = name.split("_")
    with refused(server, TYPE, f"'{head}{tail.title()}'", f"did you mean '{name}'"):
        operation.call(client, **{f"{head}{tail.title()}": "x"})


@every_operation
def test_more_positional_arguments_than_ids(
    server: Server, client: libtes.ApiClient, operation: Operation
) -> None:
    with refused(server, TYPE, operation.name, f"at most {len(operation.ids)}"):
        operation.bound(client)(*operation.ids.values(), {"password": SECRET})


@pytest.mark.parametrize("operation", WITH_IDS, ids=str)
def test_an_id_given_twice(server: Server, client: libtes.ApiClient, operation: Operation) -> None:
    name = next(iter(operation.ids))
    with refused(server, TYPE, f"'{name}'", operation.name):
        operation.bound(client)(*operation.ids.values(), **{name: SECRET})


NO_BODIES: dict[str, tuple[Any, str]] = {
    "a list": ([{"name": SECRET}], "list"),
    "an empty list": ([], "list"),
    "a string": (f'{{"name": "{SECRET}"}}', "str"),
    "an empty string": ("", "str"),
    "bytes": (SECRET.encode(), "bytes"),
    "a number": (0, "int"),
    "bool": (False, "bool"),
    "a tuple": (("name", SECRET), "tuple"),
    "a set": ({SECRET}, "set"),
    "pairs": ({"name": SECRET}.items(), "dict_items"),
    "a class": (libtes.LaunchTaskRequest, "ModelType"),
    "an object": (object(), "object"),
}


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
@pytest.mark.parametrize(("body", "kind"), NO_BODIES.values(), ids=NO_BODIES)
def test_a_body_of_a_wrong_type(
    server: Server, client: libtes.ApiClient, operation: Operation, body: Any, kind: str
) -> None:
    for suffix, options in WAYS:
        with refused(server, TYPE, "`body`", operation.body, kind):
            operation.call(client, suffix, body=body, **options)


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
@pytest.mark.parametrize("other", WITH_BODY, ids=str)
def test_a_body_that_is_the_model_of_another_operation(
    server: Server, client: libtes.ApiClient, operation: Operation, other: Operation
) -> None:
    if other is operation:
        operation.call(client)
        assert len(server.asked) == 1
    else:
        with refused(server, TYPE, "`body`", operation.body, f"not {other.body}"):
            operation.call(client, body=other.body_model)


def recursive() -> dict[str, Any]:
    body: dict[str, Any] = {"password": SECRET}
    body["again"] = [body]
    return body


UNSENDABLE: dict[str, tuple[Any, type[Exception], str]] = {
    "a set": ({"acl": {SECRET}}, TYPE, "body['acl']"),
    "bytes": ({"a": [{"b": SECRET.encode()}]}, TYPE, "body['a'][0]['b']"),
    "an object": ({"a": object()}, TYPE, "body['a']"),
    "a function": ({"a": len}, TYPE, "body['a']"),
    "a number for a name": ({5: SECRET}, TYPE, "body"),
    "None for a name": ({"a": {None: SECRET}}, TYPE, "body['a']"),
    "NaN": ({"a": math.nan, "b": SECRET}, VALUE, "body"),
    "infinity": ({"a": -math.inf, "b": SECRET}, VALUE, "body"),
    "itself": (recursive(), VALUE, "body"),
}


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
@pytest.mark.parametrize(("body", "error", "place"), UNSENDABLE.values(), ids=UNSENDABLE)
def test_a_dict_that_json_cannot_hold(
    server: Server,
    client: libtes.ApiClient,
    operation: Operation,
    body: Any,
    error: type[Exception],
    place: str,
) -> None:
    with refused(server, error, place):
        operation.call(client, body=body)


BAD_SIZES: dict[str, tuple[Any, type[Exception], str]] = {
    "0": (0, VALUE, "1 to 1000"),
    "-1": (-1, VALUE, "1 to 1000"),
    "1001": (1001, VALUE, "1 to 1000"),
    "huge": (10**30, VALUE, "1 to 1000"),
    "a string": ("10", TYPE, "str"),
    "half a row": (10.5, TYPE, "float"),
    "NaN": (math.nan, TYPE, "float"),
    "bool": (True, TYPE, "bool"),
    "a list": ([SECRET], TYPE, "list"),
}
OUTSIDE = [0, -1, 1001]


@pytest.mark.parametrize("operation", LISTS, ids=str)
@pytest.mark.parametrize(("size", "error", "says"), BAD_SIZES.values(), ids=BAD_SIZES)
def test_a_page_size_that_is_none(
    server: Server,
    client: libtes.ApiClient,
    operation: Operation,
    size: Any,
    error: type[Exception],
    says: str,
) -> None:
    for suffix, options in WAYS:
        with refused(server, error, "page_size", says):
            operation.call(client, suffix, page_size=size, **options)


BAD_FILTERS: dict[str, tuple[Any, type[Exception], str]] = {
    "a number": (5.5, TYPE, "float"),
    "bool": (True, TYPE, "bool"),
    "bytes": (SECRET.encode(), TYPE, "bytes"),
    "a set": ({SECRET}, TYPE, "set"),
    "a dict": ({"a": SECRET}, TYPE, "dict"),
    "a number in a list": ([SECRET, 5.5], TYPE, "[1]"),
    "None in a list": ([None], TYPE, "[0]"),
    "an empty list": ([], VALUE, "one or more"),
    "a comma in a list": (["a", f"{SECRET},b"], VALUE, "comma"),
    "half a character": (f"{SECRET}\udfff", VALUE, "surrogates"),
}


@pytest.mark.parametrize(
    ("operation", "name"), [(each, name) for each in LISTS for name in each.filters], ids=str
)
@pytest.mark.parametrize(("value", "error", "says"), BAD_FILTERS.values(), ids=BAD_FILTERS)
def test_a_filter_that_is_none(
    server: Server,
    client: libtes.ApiClient,
    operation: Operation,
    name: str,
    value: Any,
    error: type[Exception],
    says: str,
) -> None:
    with refused(server, error, name, says):
        operation.call(client, **{name: value})


@pytest.mark.parametrize("operation", LISTS, ids=str)
@pytest.mark.parametrize("name", ["sort", "page_token"])
@pytest.mark.parametrize("value", [5.5, True, [SECRET], {"a": SECRET}, SECRET.encode()], ids=repr)
def test_a_sort_or_token_that_is_no_string(
    server: Server, client: libtes.ApiClient, operation: Operation, name: str, value: Any
) -> None:
    with refused(server, TYPE, name, type(value).__name__):
        operation.call(client, **{name: value})


BAD_TIMEOUTS: dict[str, tuple[Any, type[Exception]]] = {
    "0": (0, VALUE),
    "0.0": (0.0, VALUE),
    "negative": (-1, VALUE),
    "NaN": (math.nan, VALUE),
    "infinity": (math.inf, VALUE),
    "none in a pair": ((1, 0), VALUE),
    "negative in a pair": ((-0.5, 1), VALUE),
    "three": ((1, 2, 3), VALUE),
    "one": ((1,), VALUE),
    "no parts": ((), VALUE),
    "a string": ("30", TYPE),
    "a string in a pair": ((1, SECRET), TYPE),
    "bool": (True, TYPE),
    "a dict": ({"connect": SECRET}, TYPE),
}


@some_operations
@pytest.mark.parametrize(("timeout", "error"), BAD_TIMEOUTS.values(), ids=BAD_TIMEOUTS)
def test_a_timeout_of_a_call_that_is_none(
    server: Server,
    client: libtes.ApiClient,
    operation: Operation,
    timeout: Any,
    error: type[Exception],
) -> None:
    for suffix, options in WAYS:
        with refused(server, error, "_request_timeout", "positive seconds"):
            operation.call(client, suffix, _request_timeout=timeout, **options)


@pytest.mark.parametrize(("timeout", "error"), BAD_TIMEOUTS.values(), ids=BAD_TIMEOUTS)
def test_a_timeout_of_the_configuration_that_is_none(
    server: Server, client: libtes.ApiClient, timeout: Any, error: type[Exception]
) -> None:
    with refused(server, error, "timeout", "positive seconds"):
        client.configuration.timeout = timeout


@some_operations
@pytest.mark.parametrize(
    "timeout", [None, 5, 0.5e1, (None, None), (5, None), (2.5, 5), [5, 5]], ids=repr
)
def test_a_timeout_that_is_one(
    server: Server, client: libtes.ApiClient, operation: Operation, timeout: Any
) -> None:
    operation.call(client, _request_timeout=timeout)
    client.configuration.timeout = timeout
    operation.call(client)
    assert len(server.asked) == 2


BAD_HOSTS: dict[str, tuple[Any, type[Exception]]] = {
    "no scheme": ("aps2.platform.illumina.com", VALUE),
    "no scheme but a port": ("127.0.0.1:80", VALUE),
    "another scheme": ("ftp://127.0.0.1", VALUE),
    "no host": ("https://", VALUE),
    "empty": ("", VALUE),
    "a space": ("https://a b", VALUE),
    "a line break": ("https://a\r\nX: y", VALUE),
    "a line break at the end": ("https://a\n", VALUE),
    "a port that is no number": ("https://a:b", VALUE),
    "a port out of range": ("https://a:65536", VALUE),
    "half an address": ("https://[::1", VALUE),
    "a user": (f"https://user:{SECRET}@a", VALUE),
    "a query": (f"https://a?token={SECRET}", VALUE),
    "a fragment": (f"https://a#{SECRET}", VALUE),
    "None": (None, TYPE),
    "bytes": (b"https://a", TYPE),
}


@pytest.mark.parametrize(("host", "error"), BAD_HOSTS.values(), ids=BAD_HOSTS)
@pytest.mark.parametrize("limits", [True, False], ids=["limits on", "limits off"])
def test_a_host_that_is_none(
    server: Server, client: libtes.ApiClient, host: Any, error: type[Exception], limits: bool
) -> None:
    client.configuration.client_side_validation = limits
    with refused(server, error, "host"):
        libtes.Configuration(host=host)
    with refused(server, error, "host"):
        client.configuration.host = host
    if host is not None:
        with refused(server, error, "host"):
            client.call_api("/v1/tasks", "GET", _host=host)


BAD_TOKENS: dict[str, tuple[Any, type[Exception]]] = {
    "a line break at the end": (f"{SECRET}\n", VALUE),
    "a line break": (f"{SECRET}\r\nX-Injected: 1", VALUE),
    "a carriage return": (f"\r{SECRET}", VALUE),
    "nul": (f"{SECRET}\0", VALUE),
    "no Latin-1": (f"{SECRET}中", VALUE),
    "bytes": (SECRET.encode(), TYPE),
    "a number": (5, TYPE),
}


@some_operations
@pytest.mark.parametrize(("token", "error"), BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_a_token_that_cannot_be_a_header(
    server: Server,
    client: libtes.ApiClient,
    operation: Operation,
    token: Any,
    error: type[Exception],
) -> None:
    client.configuration.api_key["Authorization"] = token
    for prefix in ({}, {"Authorization": "Bearer"}):
        client.configuration.api_key_prefix = prefix
        with refused(server, error, "api_key['Authorization']"):
            operation.call(client)
        with refused(server, error, "api_key['Authorization']"):
            operation.call(client, async_req=True).get(10)


@pytest.mark.parametrize("prefix", ["Bearer\n", "Bearer\0", "中"], ids=repr)
def test_a_prefix_that_cannot_be_in_a_header(
    server: Server, client: libtes.ApiClient, prefix: str
) -> None:
    client.configuration.api_key["Authorization"] = SECRET
    client.configuration.api_key_prefix["Authorization"] = prefix
    with refused(server, VALUE, "api_key"):
        libtes.TasksApi(client).list_tasks()


OUTSIDE_LIMITS: dict[str, tuple[str, dict[str, Any], str, Any]] = {
    f"{model} {field} {'too long' if len(value) else 'too short'}": (model, rest, field, value)
    for model, rest, field, value in [
        ("CreateTaskRequest", {}, "name", "x" * 256),
        ("CreateTaskRequest", {"name": "x"}, "description", "x" * 4097),
        ("UpdateTaskRequest", {}, "name", "x" * 256),
        ("UpdateTaskRequest", {}, "description", "x" * 4097),
        ("CreateTaskVersionRequest", {}, "version", "x" * 256),
        ("CreateTaskVersionRequest", {"version": "x"}, "description", "x" * 4097),
        ("UpdateTaskVersionRequest", {}, "version", "x" * 256),
        ("UpdateTaskVersionRequest", {}, "description", "x" * 4097),
        ("LaunchTaskRequest", {}, "name", "x" * 256),
        ("LaunchTaskRequest", {}, "description", "x" * 4097),
        ("CreateTaskRunRequest", {}, "name", "x" * 256),
        ("CreateTaskRunRequest", {}, "description", "x" * 4097),
        ("Image", {}, "name", ""),
    ]
}
OUTSIDE_LIMITS.update(
    {
        f"{field} {value}": ("InputStreamSettings", {}, field, value)
        for field, value in [
            ("cache_size_gb", 49),
            ("cache_size_gb", 10001),
            ("block_size_mb", -0.001),
            ("block_size_mb", 1024.5),
            ("prefetch_blocks", -1),
            ("prefetch_blocks", 65),
        ]
    }
)
OUTSIDE_LIMITS.update(
    {
        f"{model} without {field}": (model, {}, field, None)
        for model, field in [
            ("CreateTaskRequest", "name"),
            ("CreateTaskVersionRequest", "version"),
            ("Image", "name"),
        ]
    }
)


@pytest.mark.parametrize(
    ("model", "rest", "field", "value"), OUTSIDE_LIMITS.values(), ids=OUTSIDE_LIMITS
)
def test_a_value_outside_the_limits_of_the_contract(
    server: Server, model: str, rest: dict[str, Any], field: str, value: Any
) -> None:
    cls = getattr(libtes, model)
    with refused(server, VALUE, f"{model}.{field}"):
        cls(**rest, **{field: value})
    off = libtes.Configuration()
    off.client_side_validation = False
    lenient = cls(**rest, **{field: value}, local_vars_configuration=off)
    assert getattr(lenient, field) == value
    lenient.local_vars_configuration = None
    with refused(server, VALUE, f"{model}.{field}"):
        setattr(lenient, field, value)


BAD_ARGUMENTS: dict[str, tuple[Any, str]] = {
    "a number": ({"n": 1.5}, "['n']"),
    "bool": ({"n": True}, "['n']"),
    "None": ({"n": None}, "['n']"),
    "a list": ({"n": [SECRET]}, "['n']"),
    "a number for a name": ({1: SECRET}, "key"),
    "pairs": ([("n", SECRET)], "a dict"),
    "a string": (SECRET, "a dict"),
}


@pytest.mark.parametrize(("arguments", "says"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
@pytest.mark.parametrize("limits", [True, False], ids=["limits on", "limits off"])
def test_arguments_that_are_no_strings(
    server: Server, client: libtes.ApiClient, arguments: Any, says: str, limits: bool
) -> None:
    client.configuration.client_side_validation = limits
    build = {"local_vars_configuration": client.configuration}
    with refused(server, TYPE, "LaunchTaskRequest.arguments", says):
        libtes.LaunchTaskRequest(arguments=arguments, **build)
    body = libtes.LaunchTaskRequest(**build)
    with refused(server, TYPE, "LaunchTaskRequest.arguments", says):
        body.arguments = arguments
    if isinstance(arguments, dict):
        body.arguments = {}
        body.arguments.update(arguments)
        with refused(server, TYPE, "LaunchTaskRequest.arguments", says):
            libtes.TaskVersionsApi(client).launch_task_run(TASK, VERSION, body=body)


@pytest.mark.parametrize(
    ("spoil", "place"),
    [
        (lambda body: body.acl.append(5.5), "CreateTaskRunRequest.acl[1]"),
        (lambda body: body.execution.args.append(SECRET.encode()), "Execution.args[0]"),
        (lambda body: body.execution.inputs.append(SECRET), "Execution.inputs[0]"),
        (
            lambda body: body.execution.environment.variables.update(SECURE_KEY=5.5),
            "Environment.variables['SECURE_KEY']",
        ),
    ],
    ids=["acl", "args", "inputs", "variables"],
)
def test_what_was_put_into_a_model_behind_its_back(
    server: Server, client: libtes.ApiClient, spoil: Callable[[Any], Any], place: str
) -> None:
    environment = libtes.Environment(variables={})
    execution = libtes.Execution(args=[], inputs=[], environment=environment)
    body = libtes.CreateTaskRunRequest(acl=["tid:x"], execution=execution)
    spoil(body)
    with refused(server, TYPE, place):
        libtes.TaskRunsApi(client).create_task_run(body=body)


@pytest.mark.parametrize("operation", LISTS, ids=str)
@pytest.mark.parametrize("size", OUTSIDE)
def test_with_limits_off_a_page_size_passes(
    server: Server, client: libtes.ApiClient, operation: Operation, size: int
) -> None:
    client.configuration.client_side_validation = False
    operation.call(client, page_size=size)
    assert server.last.query == {"pageSize": str(size)}


def limits_off(operation: Operation) -> Iterator[tuple[dict[str, Any], type[Exception], str]]:
    for name in operation.ids:
        yield from (
            ({name: value}, error, name) for value, error, _ in BAD_IDS.values() if value != ""
        )
        yield {name: ""}, VALUE, name
    yield {"bogus": SECRET}, TYPE, "bogus"
    yield {"_request_timeout": 0}, VALUE, "_request_timeout"
    yield {"_request_timeout": (1, 2, 3)}, VALUE, "_request_timeout"
    if operation.body:
        yield {"body": [SECRET]}, TYPE, "body"
        yield {"body": libtes.Credentials(password=SECRET)}, TYPE, "body"
        yield {"body": {"a": {SECRET}}}, TYPE, "body"
    if operation.filters:
        yield {"page_size": "10"}, TYPE, "page_size"
        yield {"page_size": True}, TYPE, "page_size"
        yield {"sort": 5.5}, TYPE, "sort"
        yield {operation.filters[0]: {SECRET}}, TYPE, operation.filters[0]


@every_operation
def test_with_limits_off_all_the_rest_is_still_refused(
    server: Server, client: libtes.ApiClient, operation: Operation
) -> None:
    client.configuration.client_side_validation = False
    for changed, error, name in limits_off(operation):
        with refused(server, error, name):
            operation.call(client, **changed)
    client.configuration.api_key["Authorization"] = f"{SECRET}\n"
    with refused(server, VALUE, "api_key['Authorization']"):
        operation.call(client)


WALKS = {
    "iter_tasks": (libtes.TasksApi, ()),
    "iter_task_versions": (libtes.TaskVersionsApi, (TASK,)),
    "iter_task_runs": (libtes.TaskRunsApi, ()),
}


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"bogus": SECRET}, TYPE),
        ({"async_req": True}, TYPE),
        ({"_preload_content": False}, TYPE),
        ({"page_size": 1001}, VALUE),
        ({"page_size": "10"}, TYPE),
        ({"sort": 5.5}, TYPE),
        ({"acls": [5.5]}, TYPE),
        ({"_request_timeout": 0}, VALUE),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_a_walk_refuses_what_it_does_not_take(
    server: Server,
    client: libtes.ApiClient,
    walk: str,
    changed: dict[str, Any],
    error: type[Exception],
) -> None:
    api, ids = WALKS[walk]
    with refused(server, error, *changed):
        next(getattr(api(client), walk)(*ids, **changed))


def test_a_walk_over_versions_needs_the_id_of_a_task(
    server: Server, client: libtes.ApiClient
) -> None:
    api = libtes.TaskVersionsApi(client)
    with refused(server, TYPE, "task_id"):
        next(api.iter_task_versions())
    for value, error, _ in BAD_IDS.values():
        with refused(server, error, "task_id"):
            next(api.iter_task_versions(value))


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("retries", -1, VALUE),
        ("retries", "3", TYPE),
        ("retries", 1.5, TYPE),
        ("proxy", "ftp://127.0.0.1:1", VALUE),
        ("proxy", f"ftp://user:{SECRET}@127.0.0.1:1", VALUE),
        ("proxy", f"http://user:{SECRET}@127.0.0.1:port", VALUE),
        ("proxy", f"http://user:{SECRET}@[::1", VALUE),
        ("proxy", f"http://user:{SECRET}@", VALUE),
        ("ssl_ca_cert", "no/such/file.pem", VALUE),
        ("cert_file", "no/such/file.pem", VALUE),
        ("key_file", "no/such/file.pem", VALUE),
    ],
    ids=repr,
)
def test_a_setting_that_no_call_can_be_made_with(
    server: Server, client: libtes.ApiClient, name: str, value: Any, error: type[Exception]
) -> None:
    if name.endswith(("cert", "file")):
        client.configuration.host = server.url.replace("http:", "https:")
    with refused(server, error, name):
        setattr(client.configuration, name, value)
        libtes.TaskRunsApi(client).get_task_run(RUN)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("X-Mine", f"{SECRET}\r\nX-Injected: 1", VALUE),
        ("X-Mine", f"{SECRET}中", VALUE),
        ("X-Mine", 5, TYPE),
        ("X-Mine", None, TYPE),
        ("X-Mine\r\nX-Injected", "1", VALUE),
        ("X Mine:", "1", VALUE),
        ("", "1", VALUE),
    ],
    ids=repr,
)
def test_a_header_that_cannot_be_one(
    server: Server, client: libtes.ApiClient, name: str, value: Any, error: type[Exception]
) -> None:
    place = name if name == "X-Mine" else "header_name"  # it may be a secret in the wrong place
    with refused(server, error, place):
        client.call_api("/v1/tasks", "GET", header_params={name: value})
    with refused(server, error, place):
        client.set_default_header(name, value)
    if value is not None:
        with refused(server, error, place):
            libtes.ApiClient(client.configuration, header_name=name, header_value=value)


@pytest.mark.parametrize("cookie", [f"a={SECRET}\r\nX-Injected: 1", f"a={SECRET}\0"], ids=repr)
def test_a_cookie_that_cannot_be_a_header(
    server: Server, client: libtes.ApiClient, cookie: str
) -> None:
    client.cookie = cookie
    with refused(server, VALUE, "Cookie"):
        libtes.TasksApi(client).list_tasks()


@pytest.mark.parametrize("given", ["post_params", "files", "collection_formats"])
def test_forms_and_uploads(server: Server, client: libtes.ApiClient, given: str) -> None:
    value = [("password", SECRET)] if given == "post_params" else {"password": SECRET}
    with refused(server, VALUE, given):
        client.call_api("/v1/tasks", "POST", **{given: value})


def test_a_response_type_that_does_not_exist(server: Server, client: libtes.ApiClient) -> None:
    with refused(server, VALUE, "response_type", "Nonsense"):
        client.call_api("/v1/tasks", "GET", response_type="Nonsense")
