"""What must not be shown: what is masked in data and texts, and what is taken from exceptions."""

from __future__ import annotations

import copy
import http.client
import inspect
import itertools
import json
import os
import pickle
import subprocess
import sys
import traceback
from types import MappingProxyType
from typing import Any, Callable, Optional
from unittest import mock

import pytest

from libica.openapi.libtes import (
    ApiClient,
    ApiKeyExchange,
    ApiTypeError,
    Configuration,
    LaunchTaskRequest,
    TaskRunsApi,
    TasksApi,
    TaskVersionsApi,
)
from libica.openapi.libtes import _redaction as confidential_module
from libica.openapi.libtes._redaction import (
    MASK,
    SECRET_NAMES,
    Boundary,
    chain,
    clear_frames,
    confidential,
    redact,
    redact_text,
    scrub,
    secrets_of,
    shows_locals,
)
from libica.openapi.libtes.models.base import Model

from .helpers import ROOT

SECRET = "what-nobody-may-see"
NAMES = [
    *("password", "Password", "PASSWORD", "pass_word", "_password_"),
    *("credentials", "jwt", "JWT", "nonce", "Nonce"),
    *("executionRawJson", "ExecutionRawJSON", "execution_raw_json"),
    *("accessToken", "access_token", "AccessToken"),
    *("SECURE_TOKEN", "secure_token", "Secure_", "SECURE_A_B"),
]
OTHER_NAMES = [
    *("name", "", "url", "passwords", "password2", "my_password", "pass-word", "token"),
    *("SECURE", "SECURETOKEN", "INSECURE_TOKEN", "_SECURE_TOKEN"),
]


# -- Plain data ------------------------------------------------------------------------------------


def test_the_mask_and_the_names_are_those_that_are_documented() -> None:
    assert MASK == "***"
    assert (
        set("password credentials jwt nonce executionrawjson accesstoken".split()) == SECRET_NAMES
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_under_a_secret_name_is_masked(name: str) -> None:
    for value in (SECRET, "", 5, 0, 1.5, True, False):
        assert redact({name: value, "other": value}) == {name: "***", "other": value}
        assert redact(value, name) == "***"


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_what_stands_under_another_name_stays(name: str) -> None:
    assert redact({name: SECRET}) == {name: SECRET}


def test_data_that_is_not_set_is_shown_as_such_under_any_name() -> None:
    assert redact({"password": None, "name": None}) == {"password": None, "name": None}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"password": {"a": "x", "b": None}}, {"password": {"a": "***", "b": None}}),
        ({"password": ["x", ["y", 5]]}, {"password": ["***", ["***", "***"]]}),
        ({"jwt": {"name": {"other": "x"}}}, {"jwt": {"name": {"other": "***"}}}),
        ({"a": {"nonce": "x", "b": "y"}, "c": "z"}, {"a": {"nonce": "***", "b": "y"}, "c": "z"}),
        ([{"jwt": "x"}, {"a": "y"}], [{"jwt": "***"}, {"a": "y"}]),
        (({"jwt": "x"}, "y"), [{"jwt": "***"}, "y"]),
        ({"credentials": ("x", "y")}, {"credentials": ["***", "***"]}),
        (MappingProxyType({"jwt": "x", 5: "y"}), {"jwt": "***", 5: "y"}),
        ({"password": {}, "jwt": []}, {"password": {}, "jwt": []}),
        (5, 5),
        (None, None),
        (b"bytes", b"bytes"),
    ],
)
def test_lists_and_mappings_are_gone_through(data: Any, expected: Any) -> None:
    masked = redact(data)
    assert masked == expected
    assert type(masked) is type(expected)


def test_masking_makes_a_copy() -> None:
    data = {"a": [{"password": "x"}], "b": ["https://h/?x"]}
    redact(data, known=["x"])
    assert data == {"a": [{"password": "x"}], "b": ["https://h/?x"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://h/p?X-Sig=abc", "https://h/p?***"),
        ("gds://volume/p?x", "gds://volume/p?***"),
        ("s3://?x", "s3://?***"),
        ("see https://h/?a=1 and s3://b/k?c#d.", "see https://h/?*** and s3://b/k?***"),
        ('"https://h/?a","https://h/?b"', '"https://h/?***","https://h/?***"'),
        ("--in=https://h/?a?b=c", "--in=https://h/?***"),
        ("https://h/a b?c", "https://h/a b?c"),
        ('https://h/a"b?c', 'https://h/a"b?c'),
        ("https://h/p?", "https://h/p?"),
        ("https://h/p? x", "https://h/p? x"),
        ("https://h/p", "https://h/p"),
        ("://h/?a", "://h/?a"),
        ("is it so? yes", "is it so? yes"),
        ("/v1/x?a=b", "/v1/x?a=b"),
        ("https:\n//h/?a", "https:\n//h/?a"),
    ],
)
def test_what_follows_the_question_mark_of_a_url_is_masked(text: str, expected: str) -> None:
    assert redact(text) == expected
    assert redact({"a": [text]}) == {"a": [expected]}
    assert redact_text(text, ()) == expected


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([], "one two, one"),
        (["one"], "*** two, ***"),
        (["two", "one"], "*** ***, ***"),
        (["one two", "one"], "***, ***"),
        (["three"], "one two, one"),
    ],
)
def test_known_secrets_are_masked_wherever_they_occur(known: list[str], expected: str) -> None:
    assert redact("one two, one", known=known) == expected
    assert redact(["one two, one"], known=known) == [expected]
    assert redact({"a": [{"b": "one two, one"}]}, known=known) == {"a": [{"b": expected}]}
    assert redact_text("one two, one", known) == expected
    assert redact_text(json.dumps({"a": ["one two, one"]}), known) == json.dumps({"a": [expected]})


# -- Texts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '{"b":1,  "a" : [null, true, NaN, "\\u00e4"]}',
        '{"password": null}',
        '{"password": "***"}',
        "[]",
        "5",
        "",
        "<html>password: none</html>",
        '{"name": "x", "other": ["y"], broken',
        "[" * 9,
    ],
)
def test_a_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert redact_text(text, ["absent"]) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"b":1,"password":"x"}', '{"b": 1, "password": "***"}'),
        ('[{"credentials":{"k":"x"}}]', '[{"credentials": {"k": "***"}}]'),
        ('{"a":"https://h/?x"}', '{"a": "https://h/?***"}'),
        ('"https://h/?x"', '"https://h/?***"'),
        ('{"Secure_A":5}', '{"Secure_A": "***"}'),
    ],
)
def test_json_stays_json_when_it_is_masked(text: str, expected: str) -> None:
    assert redact_text(text, ()) == expected


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ('"x"', ""),
        ('""', ""),
        ('"x y, z: {} []"', ""),
        (r'"a\"b\\"', ""),
        (r'"a\\", "c": "d"', ', "c": "d"'),
        ('"never closed', None),
        (r'"ends in a backslash\"', None),
        ('{"a": "x", "b": ["y"]}', ""),
        ('{"a": "x"', None),
        ("{}", ""),
        ('["x", {"a": "y"}]', ""),
        ('["x"', None),
        ("[]", ""),
    ],
)
def test_secrets_are_masked_in_broken_json(value: str, left: Optional[str]) -> None:
    names = [name for name in NAMES if name != "_password_"]
    for name, colon in itertools.product(names, (":", ": ", " : ", "\n:\n")):
        text = f'{{"first": 1, "{name}"{colon}{value}'
        end = "" if left is None else f'{left}, "last": 2, broken'
        assert redact_text(text + (end if not left else end[len(left) :]), ()) == (
            f'{{"first": 1, "{name}"{colon}"***"{end}'
        )


def test_each_secret_is_masked_in_broken_json() -> None:
    text = '{"jwt": "x", "a": {"nonce": "y", "url": "https://h/?z"}, "b": "known", "c"'
    assert redact_text(text, ["known"]) == (
        '{"jwt": "***", "a": {"nonce": "***", "url": "https://h/?***"}, "b": "***", "c"'
    )


@pytest.mark.parametrize("name", [name for name in OTHER_NAMES if name])
def test_other_names_are_no_secrets_in_broken_json(name: str) -> None:
    text = f'{{"{name}": "x", "b": ["y"], broken'
    assert redact_text(text, ()) == text


def test_a_text_that_is_nested_too_deep_to_be_read_is_masked_too() -> None:
    depth = 100_000
    text = "[" * depth + '{"password": "x"}' + "]" * depth
    assert redact_text(text, ()) == text.replace('"x"', '"***"')


# -- What to look for ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "data", "expected"),
    [
        ((), None, []),
        (["123456"], None, ["123456"]),
        (["12345"], None, []),
        (["", "Basic"], None, []),
        (["Bearer abcdefg"], None, ["Bearer%20abcdefg", "Bearer abcdefg", "abcdefg", "Bearer"]),
        ((), {"password": "abcdef", "name": "ghijkl"}, ["abcdef"]),
        ((), {"password": "abcde"}, []),
        ((), {"password": None, "jwt": 1234567}, ["1234567"]),
        ((), {"jwt": "abc def"}, ["abc%20def", "abc def"]),  # of data the whole alone
        ((), {"credentials": {"a": "abcdef", "b": ["ghijklm"]}}, ["ghijklm", "abcdef"]),
        ((), [{"nonce": "abcdef"}, ({"SECURE_A": "ghijklm"},)], ["ghijklm", "abcdef"]),
        ((), {"a": {"b": "abcdef"}, "c": ["ghijklm"]}, []),
        ((), "abcdef", []),
        (["abcdef"], {"jwt": "abcdef"}, ["abcdef"]),
    ],
)
def test_secrets_are_the_texts_their_parts_and_what_stands_in_data(
    texts: list[str], data: Any, expected: list[str]
) -> None:
    assert sorted(secrets_of(texts, data)) == sorted(expected)


def test_the_parts_of_a_text_are_what_white_space_and_marks_of_headers_divide() -> None:
    text = "first1; second=third3,fourth \t\nfifth5 a=b"
    parts = {"first1", "second", "third3", "fourth", "fifth5"}
    assert parts <= set(secrets_of([text], None))
    assert not {"first1;", "second=third3", "a", "b", ""} & set(secrets_of([text], None))


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ('ab"cd\\ef', ['ab\\"cd\\\\ef', 'ab\\\\\\"cd\\\\\\\\ef', "ab&quot;cd\\ef", "ab%22cd%5Cef"]),
        ("abcdeä", ["abcde\\u00e4", "abcde\\\\u00e4", "abcde%C3%A4"]),
        ('"äbcdef', ['\\"äbcdef', '\\"\\u00e4bcdef', "&quot;äbcdef", "%22%C3%A4bcdef"]),
        ("ab<c>'&d", ["ab&lt;c&gt;&#x27;&amp;d", "ab%3Cc%3E%27%26d"]),
        ("abcde\n", ["abcde\\n", "abcde\\\\n", "abcde%0A"]),
        ("abcde\ud800", ["abcde\\ud800", "abcde%3F"]),
        ("abc/def+", ["abc/def%2B"]),
    ],
    ids=ascii,
)
def test_a_secret_is_looked_for_in_all_forms_in_which_it_may_be_repeated(
    text: str, forms: list[str]
) -> None:
    assert {text, *forms} <= set(secrets_of([text], None))
    assert {text, *forms} <= set(secrets_of((), {"password": text}))


def test_the_longest_secret_comes_first_so_that_no_end_of_it_stays() -> None:
    found = secrets_of(["a" * 6, "a" * 8, "a" * 7], {"jwt": "a" * 9})
    assert found == ["a" * 9, "a" * 8, "a" * 7, "a" * 6]
    assert redact("a" * 9, known=found) == "***"


# -- Exceptions and those they came from -----------------------------------------------------------


def test_of_no_exception_there_is_no_chain() -> None:
    assert chain(None) == []
    scrub(None)


def test_a_chain_has_all_exceptions_once() -> None:
    first, cause, context, deep = (ValueError(name) for name in "abcd")
    first.__cause__, first.__context__ = cause, context
    cause.__context__ = deep
    context.__cause__ = deep
    deep.__context__ = first
    found = chain(first)
    assert found[0] is first
    assert sorted(map(str, found)) == ["a", "b", "c", "d"]


class Equal(Exception):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = Exception.__hash__


def test_exceptions_that_are_equal_are_not_the_same() -> None:
    first, cause = Equal(), Equal()
    first.__cause__ = cause
    assert len(chain(first)) == 2


def test_the_texts_and_attributes_of_exceptions_are_masked() -> None:
    error: Any = ValueError("a known", 5, ["https://h/?x", {"jwt": "y"}], b"bytes", None)
    error.text, error.number = "the known https://h/?z", 7
    scrub(error, ["known"])
    assert error.args == ("a ***", 5, ["https://h/?***", {"jwt": "***"}], None)
    assert vars(error) == {"text": "the *** https://h/?***", "number": 7}


def test_without_known_secrets_only_urls_and_names_are_masked() -> None:
    error = ValueError("known https://h/?x", {"password": "y"})
    scrub(error)
    assert error.args == ("known https://h/?***", {"password": "***"})


def test_exceptions_that_others_came_from_are_masked_too() -> None:
    first, cause, context = (ValueError("known") for _ in range(3))
    first.__cause__, cause.__context__ = cause, context
    scrub(first, ["known"])
    assert [each.args for each in (first, cause, context)] == [("***",)] * 3


def undecodable() -> None:
    SECRET.encode("utf-16").decode("ascii")


def unencodable() -> None:
    f"{SECRET}ä".encode("ascii")


def no_json() -> None:
    json.loads(f'"{SECRET}')


def cut_short() -> None:
    raise http.client.IncompleteRead(SECRET.encode(), 99)


@pytest.mark.parametrize(
    ("fail", "name", "empty"),
    [
        (undecodable, "object", b""),
        (unencodable, "object", ""),
        (no_json, "doc", ""),
        (cut_short, "partial", b""),
    ],
)
def test_what_an_exception_quotes_of_an_answer_is_taken_from_it(
    fail: Callable[[], None], name: str, empty: Any
) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 of several types
        fail()
    assert SECRET in repr(getattr(caught.value, name)).replace("\\x00", "")
    scrub(caught.value, [SECRET])
    assert getattr(caught.value, name) == empty
    assert SECRET not in repr(vars(caught.value)) + repr(caught.value.args) + str(caught.value)


# -- Frames ----------------------------------------------------------------------------------------

OURS = "libica.openapi.libtes.rest"
CODE = "def call(secret, then):\n    kept = secret\n    then()\n"


def fail() -> None:
    raise ValueError("failed")


def within(module: Optional[str], then: Callable[[], None] = fail) -> Callable[[], None]:
    """Return a function of a module of that name that has a secret, and calls another."""
    names: dict[str, Any] = {} if module is None else {"__name__": module}
    exec(compile(CODE, "<within>", "exec"), names)
    return lambda: names["call"](SECRET, then)


def caught(call: Callable[[], Any]) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 of several types
        call()
    return caught.value


def held(error: BaseException) -> list[dict[str, Any]]:
    """Return the locals of the frames that were made by ``within``, outermost first."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return [each.f_locals for each in frames if each.f_code.co_filename == "<within>"]


def kept(error: BaseException) -> list[bool]:
    """Tell of each of these frames whether it still has its locals."""
    return ["kept" in each for each in held(error)]


FORGETFUL = [
    *"libica.openapi.libtes.rest libica.openapi.libtes.models.base http.client".split(),
    *"urllib3 http email json six dateutil codecs ssl socket abc urllib encodings".split(),
    *"socks OpenSSL truststore wrapt opentelemetry sentry_sdk".split(),
]


@pytest.mark.parametrize("module", FORGETFUL)
def test_frames_of_this_package_and_of_what_it_calls_are_emptied(module: str) -> None:
    error = caught(within(module))
    assert kept(error) == [True]
    clear_frames(error)
    assert kept(error) == [False]


@pytest.mark.parametrize(
    "module",
    [
        *("__main__", "a", "libica", "libica.batch.launching", "libica.openapi.v3.api"),
        *("libica.openapi.libtes2.x", "my.libica.openapi.libtes.x", "requests", "", None),
    ],
)
def test_frames_of_others_are_not_emptied(module: Optional[str]) -> None:
    error = caught(within(module))
    clear_frames(error)
    assert held(error)[0]["kept"] == SECRET


def test_frames_of_others_may_be_between() -> None:
    error = caught(within(OURS, within("hook", within("http.client"))))
    clear_frames(error)
    assert kept(error) == [False, True, False]


def test_the_frames_of_what_an_exception_came_from_are_emptied_too() -> None:
    def cause() -> None:
        try:
            within(OURS)()
        except ValueError as error:
            raise KeyError from error

    def context() -> None:
        try:
            within("urllib3")()
        except ValueError:
            raise KeyError  # noqa: B904 on purpose

    for call in (cause, context):
        error = caught(call)
        clear_frames(error)
        assert error.__context__ is not None
        assert kept(error.__context__) == [False]


def test_a_frame_that_is_still_running_is_left_alone_and_the_others_are_emptied() -> None:
    errors = []

    def handle() -> None:
        errors.append(caught(within(OURS)))
        errors[0].__traceback__ = _above(errors[0].__traceback__)
        clear_frames(errors[0])

    within(OURS, handle)()
    assert kept(errors[0])[-1] is False


def _above(trace: Any) -> Any:
    """Put the frames that run at present before those of a traceback."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        trace = type(trace)(trace, frame, 0, 1)
        frame = frame.f_back
    return trace


# -- Functions whose frames are emptied ------------------------------------------------------------


def add(one: int, other: int = 1, *, times: int = 1) -> int:
    """Add."""
    return (one + other) * times


def test_a_confidential_function_is_called_as_before() -> None:
    wrapped = confidential(add)
    assert (wrapped(1), wrapped(1, 2), wrapped(one=1, other=2, times=3)) == (2, 3, 9)


def test_a_confidential_function_keeps_its_name_and_text() -> None:
    wrapped: Any = confidential(add)
    assert (wrapped.__name__, wrapped.__doc__, wrapped.__wrapped__) == ("add", "Add.", add)


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_the_exception_of_a_confidential_function_is_the_same_with_empty_frames(kind: Any) -> None:
    error = kind("failed")

    def fail() -> None:
        raise error

    raised = caught(lambda: confidential(within(OURS, fail))())
    assert raised is error
    assert raised.args == ("failed",)
    assert (raised.__cause__, raised.__context__) == (None, None)
    assert kept(raised) == [False]


def test_arguments_are_gone_from_the_frame_of_a_confidential_function_too() -> None:
    join: Any = confidential(str.join)  # it has no frame of its own
    error = caught(lambda: join(SECRET, name=SECRET))
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert SECRET not in "".join(trace.format())


# -- Classes whose public methods are guarded ------------------------------------------------------


class Guarded(Boundary):
    __module__ = OURS

    def __init__(self, secret: object = None, show_locals: object = None) -> None:
        if show_locals is not None:
            self.show_locals = show_locals
        if secret:
            within(OURS)()

    def __call__(self, secret: object) -> None:
        within(OURS)()

    def method(self, secret: object) -> None:
        within(OURS)()

    def _private(self, secret: object) -> None:
        within(OURS)()

    @classmethod
    def of_class(cls, secret: object) -> None:
        within(OURS)()

    @property
    def prop(self) -> object:
        return within(OURS)()

    @prop.setter
    def prop(self, secret: object) -> None:
        within(OURS)()


class OfAUser(Guarded):
    __module__ = "script"

    def mine(self, secret: object) -> None:
        within(OURS)()


ENTRANCES: list[Callable[[Any], Any]] = [
    lambda _: Guarded(SECRET),
    lambda made: made(SECRET),
    lambda made: made.method(SECRET),
    lambda made: made.of_class(SECRET),
    lambda made: made.prop,
    lambda made: setattr(made, "prop", SECRET),
]


@pytest.mark.parametrize("cls", [Guarded, OfAUser])
@pytest.mark.parametrize("call", ENTRANCES)
def test_what_leaves_a_public_method_has_empty_frames(call: Any, cls: Any) -> None:
    assert kept(caught(lambda: call(cls()))) == [False]


def test_private_methods_and_those_of_a_users_subclass_are_left_alone() -> None:
    assert kept(caught(lambda: Guarded()._private(SECRET))) == [True]
    assert kept(caught(lambda: OfAUser().mine(SECRET))) == [True]


CLASSES: list[Any] = [
    *(ApiClient, Configuration, ApiKeyExchange, Model),
    *(TasksApi, TaskVersionsApi, TaskRunsApi),
]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_public_method_of_the_client_is_guarded(cls: Any) -> None:
    methods = {k: v for k, v in vars(cls).items() if inspect.isroutine(v) and k[0] != "_"}
    assert methods or cls is ApiKeyExchange
    for each in [*methods.values(), *(vars(cls)[n] for n in ("__init__",) if n in vars(cls))]:
        function = getattr(each, "__func__", each)
        assert function.__code__.co_filename == Boundary.__init_subclass__.__code__.co_filename


# -- The switch for developers ---------------------------------------------------------------------


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("by_default", [True, False])
def test_a_setting_decides_whether_frames_stay(
    shown: bool, by_default: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confidential_module, "SHOW_LOCALS", by_default)
    configuration = Configuration()
    configuration.show_locals = shown
    client = ApiClient(configuration)
    owners = [configuration, client, TasksApi(client)]
    owners.append(LaunchTaskRequest(local_vars_configuration=configuration))
    assert [shows_locals(each) for each in owners] == [shown] * 4
    assert shows_locals(ApiKeyExchange("key"), configuration) is shown
    others = [(), (None,), (SECRET,), (mock.Mock(),), (LaunchTaskRequest(),), (Boundary(),)]
    assert [shows_locals(*each) for each in others] == [by_default] * len(others)
    assert kept(caught(lambda: Guarded(show_locals=shown).method(SECRET))) == [shown]
    assert kept(caught(lambda: Guarded().method(SECRET))) == [by_default]
    client.close()


@pytest.mark.parametrize(
    ("value", "shown"),
    [("1", True), ("true", True), (" On ", True), ("", False), ("0", False), ("no", False)],
)
def test_the_environment_decides_when_the_package_is_loaded(value: str, shown: bool) -> None:
    code = """
import traceback
from libica.openapi import libtes
calls = [
    lambda: libtes.Credentials("me", [b"hidden"]),
    lambda: setattr(libtes.Credentials(), "password", [b"hidden"]),
]
for call in calls:
    try:
        call()
    except libtes.OpenApiException as error:
        trace = error.__traceback__.tb_next.tb_next  # without the frames of this script
        print(any("hidden" in repr(frame.f_locals) for frame, _ in traceback.walk_tb(trace)))
print(libtes.Configuration().show_locals)
"""
    environment = {**os.environ, "LIBTES_SHOW_LOCALS": value}
    command = [sys.executable, "-c", code]
    printed = subprocess.check_output(command, cwd=ROOT, env=environment, text=True)
    assert printed.split() == [str(shown)] * 3


@pytest.mark.parametrize("value", [1, "yes", None])
def test_the_setting_is_a_bool(value: Any) -> None:
    with pytest.raises(ApiTypeError, match="`show_locals`, must be bool"):
        Configuration().show_locals = value


def test_the_setting_is_copied() -> None:
    configuration = Configuration()
    assert configuration.show_locals is False
    configuration.show_locals = True
    twins = [copy.deepcopy(configuration), pickle.loads(pickle.dumps(configuration))]
    assert [each.show_locals for each in twins] == [True, True]


# -- What an answer may do to have a secret shown --------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'{{"{SECRET}": 1}}', '{"***": 1}'),
        (f'{{"details": [{{"a {SECRET}": {{"{SECRET}": 2}}}}]}}', None),
        ('{"password": "hunter22", "password": null}', '{"password": "***", "password": "***"}'),
        ('{"a": {"jwt": "x", "jwt": 5}}', '{"a": {"jwt": "***", "jwt": "***"}}'),
        ('{"password": 12345, oops', '{"password": "***", oops'),
        ('{"nonce": true}, more', '{"nonce": "***"}, more'),
    ],
)
def test_secrets_in_keys_doubled_keys_and_bare_values_are_masked(
    text: str, expected: Optional[str]
) -> None:
    masked = redact_text(text, [SECRET])
    assert SECRET not in masked
    assert expected in (None, masked)


def test_names_of_headers_are_masked_like_their_values() -> None:
    pairs = [(f"X-{SECRET}", "a"), ("X-B", SECRET)]
    assert redact(pairs, known=[SECRET]) == [["X-***", "a"], ["X-B", "***"]]
