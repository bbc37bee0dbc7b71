"""Invalid input is refused before anything is sent, with an error that names it and no secret."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from libica.openapi import libtes
from libica.openapi.libtes import ApiClient

from ..operations import IDS, LISTS, OPERATIONS, RUN, WITH_BODY, WITH_IDS
from ..server import Server

SECRET = "s3cr3t-value"
TYPE, VALUE = libtes.ApiTypeError, libtes.ApiValueError
Case = tuple[Any, type[Exception], str]  # a value, its error, and what that says

WAYS: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("_with_http_info", {}),
    ("", {"async_req": True}),
    ("", {"_preload_content": False}),
]


@contextmanager
def refused(server: Server, error: type[Exception], *names: str) -> Iterator[None]:
    """Expect an error that names all this, shows no secret, and comes before anything is sent."""
    with pytest.raises(libtes.OpenApiException) as caught:
        yield
    assert type(caught.value) is error
    assert isinstance(caught.value, TypeError if error is libtes.ApiTypeError else ValueError)
    text = str(caught.value)
    for name in names:
        assert name in text
    assert SECRET not in text + repr(caught.value) + repr(caught.value.args)
    assert server.asked == []


def each_case(cases: list[Case]) -> Any:
    return pytest.mark.parametrize(("value", "error", "says"), cases)


@pytest.fixture(params=[True, False], ids=["limits on", "limits off"])
def any_client(request: Any, client: ApiClient) -> ApiClient:
    """A client that checks the limits of the contract, and one that does not."""
    client.configuration.client_side_validation = request.param
    return client


# Arguments

BAD_IDS: list[Case] = [
    *((None, VALUE, "required"), ("", VALUE, "empty"), (".", VALUE, "'.'"), ("..", VALUE, "'..'")),
    *((value, TYPE, type(value).__name__) for value in (5, 0, False, SECRET.encode(), [SECRET])),
    (libtes.Credentials(password=SECRET), TYPE, "Credentials"),
    (f"{SECRET}\ud800", VALUE, "surrogates"),
]


@each_case(BAD_IDS)
def test_an_invalid_id_is_refused(
    server: Server, any_client: ApiClient, value: Any, error: Any, says: str
) -> None:
    for operation, name in IDS:
        for suffix, options in WAYS:
            with refused(server, error, name, says):
                operation.call(any_client, suffix, **{name: value}, **options)
    with refused(server, error, "task_id"):
        next(libtes.TaskVersionsApi(any_client).iter_task_versions(value))


def test_an_id_that_is_missing_misspelt_or_given_twice_is_refused(
    server: Server, any_client: ApiClient
) -> None:
    for operation, name in IDS:
        others = {key: value for key, value in operation.ids.items() if key != name}
        for suffix, options in WAYS:
            with refused(server, TYPE, name, operation.name):
                operation.bound(any_client, suffix)(**others, **options)
        head, tail = name.split("_")
        with refused(server, TYPE, f"'{head}{tail.title()}'", f"did you mean '{name}'"):
            operation.call(any_client, **{f"{head}{tail.title()}": "x"})
    for operation in WITH_IDS:
        name = next(iter(operation.ids))
        with refused(server, TYPE, f"'{name}'", operation.name):
            operation.bound(any_client)(*operation.ids.values(), **{name: SECRET})
    with refused(server, TYPE, "task_id"):
        next(libtes.TaskVersionsApi(any_client).iter_task_versions())


def test_unknown_and_too_many_arguments_are_refused(server: Server, any_client: ApiClient) -> None:
    for operation in OPERATIONS:
        for suffix, options in WAYS:
            with refused(server, TYPE, "'bogus'", operation.name):
                operation.call(any_client, suffix, bogus=SECRET, **options)
        with refused(server, TYPE, operation.name, f"at most {len(operation.ids)}"):
            operation.bound(any_client)(*operation.ids.values(), {"password": SECRET})


BAD_SIZES: list[Case] = [
    *((value, VALUE, "1 to 1000") for value in (0, -1, 1001, 10**30)),
    *((value, TYPE, type(value).__name__) for value in ("10", 10.5, math.nan, True, [SECRET])),
]


@each_case(BAD_SIZES)
def test_an_invalid_page_size_is_refused(
    server: Server, any_client: ApiClient, value: Any, error: Any, says: str
) -> None:
    for operation in LISTS:
        walk = operation.name.replace("list_", "iter_")
        api = getattr(libtes, operation.api)(any_client)
        if error is VALUE and not any_client.configuration.client_side_validation:
            operation.call(any_client, page_size=value)
            assert server.last.query == {"pageSize": str(value)}
            continue
        for suffix, options in WAYS:
            with refused(server, error, "page_size", says):
                operation.call(any_client, suffix, page_size=value, **options)
        with refused(server, error, "page_size", says):
            next(getattr(api, walk)(*operation.ids.values(), page_size=value))


BAD_FILTERS: list[Case] = [
    *((value, TYPE, type(value).__name__) for value in (5.5, True, SECRET.encode(), {SECRET})),
    *(({"a": SECRET}, TYPE, "dict"), ([SECRET, 5.5], TYPE, "[1]"), ([None], TYPE, "[0]")),
    *(([], VALUE, "one or more"), (["a", f"{SECRET},b"], VALUE, "comma")),
    (f"{SECRET}\udfff", VALUE, "surrogates"),
]


@each_case(BAD_FILTERS)
def test_an_invalid_filter_is_refused(
    server: Server, any_client: ApiClient, value: Any, error: Any, says: str
) -> None:
    for operation in LISTS:
        for name in operation.filters:
            with refused(server, error, name, says):
                operation.call(any_client, **{name: value})


@pytest.mark.parametrize("value", [5.5, True, [SECRET], {"a": SECRET}, SECRET.encode()], ids=repr)
def test_a_sort_or_token_that_is_not_a_string_is_refused(
    server: Server, any_client: ApiClient, value: Any
) -> None:
    for operation in LISTS:
        for name in ("sort", "page_token"):
            with refused(server, TYPE, name, type(value).__name__):
                operation.call(any_client, **{name: value})


def test_a_walk_refuses_the_options_that_it_does_not_take(
    server: Server, client: ApiClient
) -> None:
    for operation in LISTS:
        walk = getattr(getattr(libtes, operation.api)(client), f"iter{operation.name[4:]}")
        for changed in ({"bogus": SECRET}, {"async_req": True}, {"_preload_content": False}):
            with refused(server, TYPE, *changed):
                next(walk(*operation.ids.values(), **changed))
        for changed, error in (({"acls": [5.5]}, TYPE), ({"_request_timeout": 0}, VALUE)):
            with refused(server, error, *changed):
                next(walk(*operation.ids.values(), **changed))


@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        *((value, VALUE) for value in (0, 0.0, -1, math.nan, math.inf)),
        *((value, VALUE) for value in ((1,), (), (1, 0), (-0.5, 1), (1, 2, 3))),
        *((value, TYPE) for value in ("30", (1, SECRET), True, {"connect": SECRET})),
    ],
    ids=repr,
)
def test_an_invalid_timeout_is_refused(
    server: Server, any_client: ApiClient, timeout: Any, error: Any
) -> None:
    for operation in OPERATIONS:
        for suffix, options in WAYS:
            with refused(server, error, "_request_timeout", "positive seconds"):
                operation.call(any_client, suffix, _request_timeout=timeout, **options)


@pytest.mark.parametrize(
    "timeout", [None, 5, 0.5e1, (None, None), (5, None), (2.5, 5), [5, 5]], ids=repr
)
def test_a_valid_timeout_is_accepted(server: Server, client: ApiClient, timeout: Any) -> None:
    for operation in OPERATIONS[::4]:  # of all verbs
        operation.call(client, _request_timeout=timeout)
        client.configuration.timeout = timeout
        operation.call(client)
    assert len(server.asked) == 2 * len(OPERATIONS[::4])


# Bodies

NOT_BODIES: list[Case] = [
    (value, TYPE, type(value).__name__)
    for value in (
        *([{"name": SECRET}], [], f'{{"name": "{SECRET}"}}', "", SECRET.encode(), 0, False),
        *(("name", SECRET), {SECRET}, {"name": SECRET}.items(), object()),
        *(libtes.LaunchTaskRequest, libtes.Credentials(password=SECRET)),
    )
]


@each_case(NOT_BODIES)
def test_a_body_of_a_wrong_type_is_refused(
    server: Server, any_client: ApiClient, value: Any, error: Any, says: str
) -> None:
    for operation in WITH_BODY:
        for suffix, options in WAYS:
            with refused(server, error, "`body`", operation.body, says):
                operation.call(any_client, suffix, body=value, **options)


def test_the_model_of_another_operation_is_refused_as_a_body(
    server: Server, client: ApiClient
) -> None:
    for operation in WITH_BODY:
        for other in WITH_BODY:
            if other is not operation:
                with refused(server, TYPE, "`body`", operation.body, f"not {other.body}"):
                    operation.call(client, body=other.body_model)


def recursive() -> dict[str, Any]:
    body: dict[str, Any] = {"password": SECRET}
    body["again"] = [body]
    return body


UNSENDABLE: list[Case] = [
    ({"acl": {SECRET}}, TYPE, "body['acl']"),
    ({"a": [{"b": SECRET.encode()}]}, TYPE, "body['a'][0]['b']"),
    ({"a": object()}, TYPE, "body['a']"),
    ({"a": len}, TYPE, "body['a']"),
    ({5: SECRET}, TYPE, "body"),
    ({"a": {None: SECRET}}, TYPE, "body['a']"),
    ({"a": math.nan, "b": SECRET}, VALUE, "body"),
    ({"a": -math.inf, "b": SECRET}, VALUE, "body"),
    (recursive(), VALUE, "body"),
]


@each_case(UNSENDABLE)
def test_a_dict_that_json_cannot_hold_is_refused(
    server: Server, any_client: ApiClient, value: Any, error: Any, says: str
) -> None:
    for operation in WITH_BODY:
        with refused(server, error, says):
            operation.call(any_client, body=value)


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
def test_a_wrong_type_that_was_added_to_a_model_later_is_refused(
    server: Server, any_client: ApiClient, spoil: Callable[[Any], Any], place: str
) -> None:
    environment = libtes.Environment(variables={})
    execution = libtes.Execution(args=[], inputs=[], environment=environment)
    body = libtes.CreateTaskRunRequest(acl=["tid:x"], execution=execution)
    spoil(body)
    with refused(server, TYPE, place):
        libtes.TaskRunsApi(any_client).create_task_run(body=body)


# Settings


def test_an_invalid_host_of_a_call_is_refused(server: Server, any_client: ApiClient) -> None:
    for host in ("127.0.0.1:80", f"https://user:{SECRET}@a", "https://a\r\nX: y", ""):
        with refused(server, VALUE, "host"):
            any_client.call_api("/v1/tasks", "GET", _host=host)
    with refused(server, TYPE, "host"):
        any_client.call_api("/v1/tasks", "GET", _host=b"https://a")


@pytest.mark.parametrize(
    ("token", "prefix", "error"),
    [
        *(
            (f"{SECRET}{ending}", "Bearer", VALUE)
            for ending in ("\n", "\r\nX-Injected: 1", "\0", "中")
        ),
        *((token, "Bearer", TYPE) for token in (SECRET.encode(), 5)),
        *((SECRET, prefix, VALUE) for prefix in ("Bearer\n", "Bearer\0", "中")),
    ],
    ids=ascii,
)
def test_a_token_or_prefix_that_cannot_be_in_a_header_is_refused(
    server: Server, any_client: ApiClient, token: Any, prefix: str, error: Any
) -> None:
    any_client.configuration.api_key["Authorization"] = token
    any_client.configuration.api_key_prefix["Authorization"] = prefix
    for operation in OPERATIONS[::4]:  # of all verbs
        with refused(server, error, "api_key"):
            operation.call(any_client)
        with refused(server, error, "api_key"):
            operation.call(any_client, async_req=True).get(10)


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
def test_a_setting_with_which_no_call_can_be_made_is_refused(
    server: Server, client: ApiClient, name: str, value: Any, error: type[Exception]
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
def test_an_invalid_header_is_refused(
    server: Server, client: ApiClient, name: str, value: Any, error: type[Exception]
) -> None:
    place = name if name == "X-Mine" else "header_name"  # it may be a secret in the wrong place
    with refused(server, error, place):
        client.call_api("/v1/tasks", "GET", header_params={name: value})
    with refused(server, error, place):
        client.set_default_header(name, value)
    if value is not None:
        with refused(server, error, place):
            ApiClient(client.configuration, header_name=name, header_value=value)


def test_invalid_cookies_forms_uploads_and_response_types_are_refused(
    server: Server, client: ApiClient
) -> None:
    for given, value in (
        ("post_params", [("password", SECRET)]),
        ("files", {"password": SECRET}),
        ("collection_formats", {"password": SECRET}),
        ("response_type", "Nonsense"),
    ):
        with refused(server, VALUE, given):
            client.call_api("/v1/tasks", "POST", **{given: value})
    for ending in ("\r\nX-Injected: 1", "\0"):
        client.cookie = f"a={SECRET}{ending}"
        with refused(server, VALUE, "Cookie"):
            libtes.TasksApi(client).list_tasks()
