"""Redaction: what is masked in data and texts, and what is taken from exceptions and frames."""

from __future__ import annotations

import http.client
import inspect
import itertools
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libica.openapi.libtes import (
    ApiClient,
    ApiKeyExchange,
    Configuration,
    LaunchTaskRequest,
    TaskRunsApi,
    TasksApi,
    TaskVersionsApi,
)
from libica.openapi.libtes import _redaction as redaction
from libica.openapi.libtes._redaction import (
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

from ...helpers import ROOT, json_values, many_examples

SECRET = "what-nobody-may-see"
NAMES = [
    *("password", "Password", "PASSWORD", "pass_word", "credentials", "jwt", "JWT", "nonce"),
    *("executionRawJson", "execution_raw_json", "accessToken", "access_token", "AccessToken"),
    *("SECURE_TOKEN", "secure_token", "Secure_", "SECURE_A_B"),
]
OTHER_NAMES = [
    *("name", "", "url", "passwords", "password2", "my_password", "pass-word", "token"),
    *("SECURE", "SECURETOKEN", "INSECURE_TOKEN", "_SECURE_TOKEN"),
]


# -- Plain data ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*NAMES, "_password_"])
def test_values_under_a_secret_name_are_masked(name: str) -> None:
    for value in (SECRET, "", 5, 0, 1.5, True, False):
        assert redact({name: value, "other": value}) == {name: "***", "other": value}
        assert redact(value, name) == "***"
    assert redact({name: None}) == {name: None}  # unset is shown as such


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_values_under_another_name_stay(name: str) -> None:
    assert redact({name: SECRET}) == {name: SECRET}
    text = f'{{"{name}": "x", "b": ["y"], broken'
    assert redact_text(text, ()) == text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"password": {"a": "x", "b": None}}, {"password": {"a": "***", "b": None}}),
        ({"password": ["x", ["y", 5]]}, {"password": ["***", ["***", "***"]]}),
        ({"jwt": {"name": {"other": "x"}}}, {"jwt": {"name": {"other": "***"}}}),
        ({"a": {"nonce": "x", "b": "y"}, "c": "z"}, {"a": {"nonce": "***", "b": "y"}, "c": "z"}),
        (({"jwt": "x"}, "y"), [{"jwt": "***"}, "y"]),
        (MappingProxyType({"jwt": ("x", "y"), "n": 5}), {"jwt": ["***", "***"], "n": 5}),
        ({"password": {}, "jwt": []}, {"password": {}, "jwt": []}),
        ([5, None, b"bytes"], [5, None, b"bytes"]),
        # The names of headers are masked like their values.
        ([(f"X-{SECRET}", "a"), ("X-B", SECRET)], [["X-***", "a"], ["X-B", "***"]]),
    ],
)
def test_lists_and_mappings_are_redacted_throughout(data: Any, expected: Any) -> None:
    masked = redact(data, known=[SECRET])
    assert masked == expected
    assert type(masked) is type(expected)
    assert redact({5: "x"}) == {5: "x"}


def test_redaction_makes_a_copy() -> None:
    data = {"a": [{"password": "x"}], "b": ["https://h/?x"]}
    redact(data, known=["x"])
    assert data == {"a": [{"password": "x"}], "b": ["https://h/?x"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://h/p?X-Sig=abc", "https://h/p?***"),
        ("s3://?x", "s3://?***"),
        ("see https://h/?a=1 and s3://b/k?c#d.", "see https://h/?*** and s3://b/k?***"),
        ('"https://h/?a","https://h/?b"', '"https://h/?***","https://h/?***"'),
        ("--in=https://h/?a?b=c", "--in=https://h/?***"),
        ("https://h/a b?c", "https://h/a b?c"),
        ('https://h/a"b?c', 'https://h/a"b?c'),
        ("https://h/p?", "https://h/p?"),
        ("https://h/p? x", "https://h/p? x"),
        ("://h/?a", "://h/?a"),
        ("is it so? yes", "is it so? yes"),
        ("/v1/x?a=b", "/v1/x?a=b"),
        ("https:\n//h/?a", "https:\n//h/?a"),
    ],
)
def test_the_query_of_a_url_is_masked(text: str, expected: str) -> None:
    assert redact(text) == redact_text(text, ()) == expected
    assert redact({"a": [text]}) == {"a": [expected]}


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([], "one two, one"),
        (["two", "one"], "*** ***, ***"),
        (["one two", "one"], "***, ***"),
        (["three"], "one two, one"),
    ],
)
def test_known_secrets_are_masked_wherever_they_occur(known: list[str], expected: str) -> None:
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
        "",
        "<html>password: none</html>",
        '{"name": "x", "other": ["y"], broken',
    ],
)
def test_a_text_without_secrets_is_unchanged(text: str) -> None:
    assert redact_text(text, ["absent"]) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"b":1,"password":"x"}', '{"b": 1, "password": "***"}'),
        ('[{"credentials":{"k":"x"}}]', '[{"credentials": {"k": "***"}}]'),
        ('"https://h/?x"', '"https://h/?***"'),
        (f'{{"{SECRET}": 1}}', '{"***": 1}'),
        # Under a key that comes twice, json would hide the first value.
        ('{"password": "hunter22", "password": null}', '{"password": "***", "password": "***"}'),
        ('{"a": {"jwt": "x", "jwt": 5}}', '{"a": {"jwt": "***", "jwt": "***"}}'),
        # Broken JSON.
        ('{"password": 12345, oops', '{"password": "***", oops'),
        ('{"nonce": true}, more', '{"nonce": "***"}, more'),
        (f'{{"jwt": "x", "a": {{"nonce": "y", "url": "https://h/?z"}}, "b": "{SECRET}", "c"',
         '{"jwt": "***", "a": {"nonce": "***", "url": "https://h/?***"}, "b": "***", "c"'),
    ],
)  # fmt: skip
def test_a_text_is_masked_whether_or_not_it_is_json(text: str, expected: str) -> None:
    assert redact_text(text, [SECRET]) == expected


@pytest.mark.parametrize(
    ("value", "left"),  # what is left of the value after the mask; None: all that follows is masked
    [
        ('"x"', ""),
        ('"x y, z: {} []"', ""),
        (r'"a\"b\\"', ""),
        (r'"a\\", "c": "d"', ', "c": "d"'),
        ('"never closed', None),
        (r'"ends in a backslash\"', None),
        ('{"a": "x", "b": ["y"]}', ""),
        ('{"a": "x"', None),
        ('{"a": {"b": "x"}, "c": "y"}', ""),
        ('{"a": {"b": "x"}, "c": "y"', None),
        ('["x", {"a": "y"}]', ""),
        ('["x"', None),
    ],
)
def test_secrets_are_masked_in_broken_json(value: str, left: Optional[str]) -> None:
    for name, colon in itertools.product(NAMES, (":", ": ", "\n:\n")):
        text = f'{{"first": 1, "{name}"{colon}{value}'
        end = "" if left is None else f'{left}, "last": 2, broken'
        assert redact_text(text + (end[len(left) :] if left else end), ()) == (
            f'{{"first": 1, "{name}"{colon}"***"{end}'
        )


def test_a_text_that_is_nested_too_deeply_for_json_is_masked() -> None:
    depth = 100_000
    text = "[" * depth + '{"password": "x"}' + "]" * depth
    assert redact_text(text, ()) == text.replace('"x"', '"***"')


@many_examples
@given(data=json_values, name=st.sampled_from(NAMES), known=st.text(min_size=6), at=st.data())
def test_no_secret_is_left_wherever_it_stands_in_json_and_wherever_that_is_cut(
    data: Any, name: str, known: str, at: st.DataObject
) -> None:
    named = "named-" + SECRET
    text = json.dumps([data, {"more": [{name: named, "url": f"gds://a?{SECRET}"}]}, known])
    cut = at.draw(st.integers(0, len(text)))
    masked = redact_text(text[:cut], secrets_of([known], None))
    assert named[:8] not in masked
    assert SECRET[:4] not in masked
    whole = json.loads(redact_text(text, [known]))
    assert whole[1]["more"][0][redact(name, known=[known])] == "***"


# -- What to look for ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "data", "expected"),
    [
        (["123456"], None, ["123456"]),
        (["", "12345", "Basic"], None, []),
        (["Bearer abcdefg"], None, ["Bearer%20abcdefg", "Bearer abcdefg", "abcdefg", "Bearer"]),
        ((), {"password": "abcdef", "name": "ghijkl"}, ["abcdef"]),
        ((), {"password": "abcde", "nonce": None, "jwt": 1234567}, ["1234567"]),
        ((), {"jwt": "abc def"}, ["abc%20def", "abc def"]),  # of data the whole alone
        ((), {"credentials": {"a": "abcdef", "b": ["ghijklm"]}}, ["ghijklm", "abcdef"]),
        ((), [{"nonce": "abcdef"}, ({"SECURE_A": "ghijklm"},)], ["ghijklm", "abcdef"]),
        ((), {"a": {"b": "abcdef"}, "c": ["ghijklm"]}, []),
        ((), "abcdef", []),
        # The longest comes first, so that no end of it is left.
        (["a" * 6, "a" * 8, "a" * 7], {"jwt": "a" * 9}, ["a" * n for n in (9, 8, 7, 6)]),
    ],
)
def test_secrets_are_whole_texts_their_parts_and_values_of_data(
    texts: list[str], data: Any, expected: list[str]
) -> None:
    found = secrets_of(texts, data)
    assert sorted(found) == sorted(expected)
    assert found == sorted(found, key=len, reverse=True)


def test_the_parts_of_a_text_are_separated_by_white_space_and_marks_of_headers() -> None:
    found = set(secrets_of(["first1; second=third3,fourth \t\nfifth5 a=b"], None))
    assert {"first1", "second", "third3", "fourth", "fifth5"} <= found
    assert not {"first1;", "second=third3", "a", "b", ""} & found


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ('ab"cd\\ef', ['ab\\"cd\\\\ef', 'ab\\\\\\"cd\\\\\\\\ef', "ab&quot;cd\\ef", "ab%22cd%5Cef"]),
        ('"äbcdef', ['\\"äbcdef', '\\"\\u00e4bcdef', "&quot;äbcdef", "%22%C3%A4bcdef"]),
        ("ab<c>'&d", ["ab&lt;c&gt;&#x27;&amp;d", "ab%3Cc%3E%27%26d"]),
        ("abcde\n", ["abcde\\n", "abcde\\\\n", "abcde%0A"]),
        ("abcde\ud800", ["abcde\\ud800", "abcde%3F"]),
        ("abc/def+", ["abc/def%2B"]),
    ],
    ids=ascii,
)
def test_a_secret_is_masked_however_it_is_quoted(text: str, forms: list[str]) -> None:
    assert {text, *forms} <= set(secrets_of([text], None)) & set(secrets_of((), {"jwt": text}))


# -- Exceptions and their causes -------------------------------------------------------------------


class Equal(Exception):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = Exception.__hash__


def test_a_chain_has_each_exception_once() -> None:
    first, cause, context, deep = (Equal(name) for name in "abcd")
    first.__cause__, first.__context__ = cause, context
    cause.__context__ = context.__cause__ = deep
    deep.__context__ = first
    found = chain(first)
    assert found[0] is first
    assert sorted(map(str, found)) == ["a", "b", "c", "d"]
    assert chain(None) == []
    scrub(None)


def test_texts_and_attributes_of_an_exception_and_its_causes_are_masked() -> None:
    error: Any = ValueError("a known", 5, ["https://h/?x", {"jwt": "y"}], b"bytes", None)
    error.text, error.number = "the known https://h/?z", 7
    cause, context = ValueError("known"), ValueError("known https://h/?x", {"password": "y"})
    error.__cause__, cause.__context__ = cause, context
    scrub(context)
    assert context.args == ("known https://h/?***", {"password": "***"})
    scrub(error, ["known"])
    assert error.args == ("a ***", 5, ["https://h/?***", {"jwt": "***"}], None)
    assert vars(error) == {"text": "the *** https://h/?***", "number": 7}
    assert (cause.args, context.args) == (("***",), ("*** https://h/?***", {"password": "***"}))


def cut_short() -> None:
    raise http.client.IncompleteRead(SECRET.encode(), 99)


@pytest.mark.parametrize(
    ("fail", "name", "empty"),
    [
        (lambda: SECRET.encode("utf-16").decode("ascii"), "object", b""),
        (lambda: f"{SECRET}ä".encode("ascii"), "object", ""),
        (lambda: json.loads(f'"{SECRET}'), "doc", ""),
        (cut_short, "partial", b""),
    ],
    ids=["decoding", "encoding", "JSON", "HTTP"],
)
def test_the_part_of_a_response_that_an_exception_quotes_is_removed(
    fail: Callable[[], object], name: str, empty: Any
) -> None:
    error = caught(fail)
    assert SECRET in repr(getattr(error, name)).replace("\\x00", "")
    scrub(error, [SECRET])
    assert getattr(error, name) == empty
    assert SECRET not in repr(vars(error)) + repr(error.args) + str(error)


# -- Frames ----------------------------------------------------------------------------------------

OURS = "libica.openapi.libtes.rest"
CODE = compile("def call(secret, then):\n    kept = secret\n    then()\n", "<within>", "exec")


def fail() -> None:
    raise ValueError("failed")


def within(module: Optional[str], then: Callable[[], None] = fail) -> Callable[[], None]:
    """Return a function of a module of that name that has a secret, and calls another."""
    names: dict[str, Any] = {} if module is None else {"__name__": module}
    exec(CODE, names)
    return lambda: names["call"](SECRET, then)


def caught(call: Callable[[], Any]) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 of several types
        call()
    return caught.value


def kept(error: BaseException) -> list[bool]:
    """Tell of each frame made by ``within``, outermost first, whether it has its locals."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    made = [each for each in frames if each.f_code.co_filename == "<within>"]
    return [each.f_locals.get("kept") == SECRET for each in made]


CLEARED = [
    *"libica.openapi.libtes.rest libica.openapi.libtes.models.base http.client".split(),
    *"urllib3 http email json six dateutil codecs ssl socket abc urllib encodings".split(),
    *"socks OpenSSL truststore wrapt opentelemetry sentry_sdk".split(),
]
OF_OTHERS = [
    *("__main__", "a", "libica", "libica.batch.launching", "libica.openapi.v3.api"),
    *("libica.openapi.libtes2.x", "my.libica.openapi.libtes.x", "requests", "", None),
]


@pytest.mark.parametrize("module", [*CLEARED, *OF_OTHERS])
def test_frames_of_this_package_and_of_what_it_calls_are_cleared(module: Optional[str]) -> None:
    error = caught(within(module))
    assert kept(error) == [True]
    clear_frames(error)
    assert kept(error) == [module in OF_OTHERS]


def test_frames_of_others_are_not_emptied() -> None:
    error = caught(within(OURS, within("hook", within("http.client"))))
    clear_frames(error)
    assert kept(error) == [False, True, False]


@pytest.mark.parametrize("linked", ["__cause__", "__context__"])
def test_the_frames_of_the_causes_of_an_exception_are_cleared_too(linked: str) -> None:
    error, cause = KeyError(), caught(within(OURS))
    setattr(error, linked, cause)
    clear_frames(error)
    assert kept(cause) == [False]


def test_a_frame_that_is_still_running_is_left_alone_and_the_others_are_cleared() -> None:
    errors = []

    def handle() -> None:
        error = caught(within(OURS))
        trace, frame = error.__traceback__, sys._getframe(0)
        while frame.f_back is not None:  # put the frames that run before those of the traceback
            trace = type(error.__traceback__)(trace, frame, 0, 1)  # type: ignore[misc,arg-type]
            frame = frame.f_back
        error.__traceback__ = trace
        clear_frames(error)
        errors.append(error)

    within(OURS, handle)()
    assert kept(errors[0])[-1] is False


# -- Functions and classes that clear frames -------------------------------------------------------


def add(one: int, other: int = 1, *, times: int = 1) -> int:
    """Add."""
    return (one + other) * times


def test_a_confidential_function_is_called_as_before_under_its_name() -> None:
    wrapped: Any = confidential(add)
    assert (wrapped(1), wrapped(1, 2), wrapped(one=1, other=2, times=3)) == (2, 3, 9)
    assert (wrapped.__name__, wrapped.__doc__, wrapped.__wrapped__) == ("add", "Add.", add)


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_confidential_function_raises_the_same_exception_with_cleared_frames(kind: Any) -> None:
    error = kind("failed")

    def fail() -> None:
        raise error

    raised = caught(lambda: confidential(within(OURS, fail))())
    assert raised is error
    assert (raised.args, raised.__cause__, raised.__context__) == (("failed",), None, None)
    assert kept(raised) == [False]


def test_the_frame_of_a_confidential_function_has_no_arguments() -> None:
    join: Any = confidential(str.join)  # it has no frame of its own
    error = caught(lambda: join(SECRET, name=SECRET))
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert SECRET not in "".join(trace.format())


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
        """Read."""
        return within(OURS)()

    @prop.setter
    def prop(self, secret: object) -> None:
        within(OURS)()


class OfAUser(Guarded):
    __module__ = "script"

    def mine(self, secret: object) -> None:
        within(OURS)()


@pytest.mark.parametrize("cls", [Guarded, OfAUser])
def test_an_exception_leaves_each_public_method_with_cleared_frames(cls: Any) -> None:
    for call in (
        lambda: cls(SECRET),
        lambda: cls()(SECRET),
        lambda: cls().method(SECRET),
        lambda: cls.of_class(SECRET),
        lambda: cls().prop,
        lambda: setattr(cls(), "prop", SECRET),
    ):
        assert kept(caught(call)) == [False]
    assert cls.prop.__doc__ == "Read."


def test_private_methods_and_those_of_a_users_subclass_are_not_guarded() -> None:
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


@pytest.mark.parametrize("by_default", [True, False])
def test_a_setting_decides_whether_frames_stay(
    by_default: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redaction, "SHOW_LOCALS", by_default)
    for shown in (True, False):
        configuration = Configuration()
        configuration.show_locals = shown
        client = ApiClient(configuration)
        body = LaunchTaskRequest(local_vars_configuration=configuration)
        for owner in (configuration, client, TasksApi(client), body):
            assert shows_locals(owner) is shown
        assert shows_locals(ApiKeyExchange("key"), configuration) is shown
        assert kept(caught(lambda shown=shown: Guarded(show_locals=shown).method(1))) == [shown]
    for others in ((), (None,), (SECRET,), (LaunchTaskRequest(),), (Boundary(),)):
        assert shows_locals(*others) is by_default
    assert kept(caught(lambda: Guarded().method(SECRET))) == [by_default]


@pytest.mark.parametrize(
    ("value", "shown"), [("1", True), (" On ", True), ("", False), ("no", False)]
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
