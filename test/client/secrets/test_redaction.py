"""Redaction: what is masked in data and texts, and what is taken from exceptions and frames."""

from __future__ import annotations

import copy
import http.client
import inspect
import itertools
import json
import sys
import traceback
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libica.openapi import libtes
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

from ...helpers import json_values, many_examples, run_python
from .hidden import caught

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


# -- Data and texts --------------------------------------------------------------------------------

# Each value as it is, as it is to be shown, and as it is to be shown under a secret name.
LEAVES: list[tuple[Any, Any, Any]] = [
    *((value, value, "***") for value in ("", "text", 5, 0, 2.5, True, False)),
    *((None, None, None), ({}, {}, {}), ([], [], [])),  # unset is shown as such
    *((f"a {SECRET} b", "a *** b", "***"), (f"gds://v/k?{SECRET}&x=1", "gds://v/k?***", "***")),
]


def in_list(values: list[tuple[Any, Any, Any]]) -> tuple[Any, Any, Any]:
    return tuple([value[at] for value in values] for at in range(3))  # type: ignore[return-value]


def in_dict(values: dict[str, tuple[Any, Any, Any]]) -> tuple[Any, Any, Any]:
    shown = {key: value[2 if key in NAMES else 1] for key, value in values.items()}
    return (
        {key: value[0] for key, value in values.items()},
        {key.replace(SECRET, "***"): value for key, value in shown.items()},
        {key.replace(SECRET, "***"): value[2] for key, value in values.items()},
    )


keys = st.sampled_from([*NAMES, *OTHER_NAMES, f"X-{SECRET}"])
planted = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: (
        st.lists(inner, max_size=4).map(in_list)
        | st.dictionaries(keys, inner, max_size=6).map(in_dict)
    ),
    max_leaves=12,
)


@many_examples
@given(planted=st.dictionaries(keys, planted, max_size=20).map(in_dict))
def test_secrets_are_masked_wherever_they_stand_in_data(planted: tuple[Any, Any, Any]) -> None:
    data, shown, under_a_secret_name = planted
    before = copy.deepcopy(data)
    assert redact(data, known=[SECRET]) == shown
    assert redact(data, "jwt", known=[SECRET]) == under_a_secret_name
    assert data == before
    assert json.loads(redact_text(json.dumps(data), [SECRET])) == shown


def test_every_secret_name_is_known_and_no_other() -> None:
    for name in (*NAMES, "_password_"):
        assert redact({name: SECRET, "other": "x"}) == {name: "***", "other": "x"}
    for name in OTHER_NAMES:
        assert redact({name: SECRET, 5: "x"}) == {name: SECRET, 5: "x"}
        text = f'{{"{name}": "x", "b": ["y"], broken'
        assert redact_text(text, ()) == text
    headers = MappingProxyType({"jwt": ("x", "y"), "n": 5, "other": b"bytes"})
    assert redact(headers) == {"jwt": ["***", "***"], "n": 5, "other": b"bytes"}


PLAIN: list[tuple[str, str, list[str]]] = [  # a text that is no JSON, masked, what is known
    ("https://h/p?X-Sig=abc", "https://h/p?***", []),
    ("see https://h/?a=1 and s3://b/k?c#d.", "see https://h/?*** and s3://b/k?***", []),
    ('"https://h/?a","s3://?b"', '"https://h/?***","s3://?***"', []),
    ("--in=https://h/?a?b=c", "--in=https://h/?***", []),
    *((text, text, []) for text in ("https://h/a b?c", 'https://h/a"b?c', "https://h/p?")),
    *((text, text, []) for text in ("://h/?a", "is it so? yes", "/v1/x?a=b", "https:\n//h/?a")),
    ("one two, one", "*** ***, ***", ["two", "one"]),
    ("one two, one", "***, ***", ["one two", "one"]),
    ("one two, one", "one two, one", ["three"]),
]


@pytest.mark.parametrize(("text", "expected", "known"), PLAIN)
def test_queries_of_urls_and_known_secrets_are_masked_wherever_they_occur(
    text: str, expected: str, known: list[str]
) -> None:
    assert redact(text, known=known) == redact_text(text, known) == expected
    assert redact({"a": [{"b": text}]}, known=known) == {"a": [{"b": expected}]}
    assert redact_text(json.dumps({"a": [text]}), known) == json.dumps({"a": [expected]})


DEEP = "[" * 100_000 + '{"password": "x"}' + "]" * 100_000  # too deep for json


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"b":1,"password":"x"}', '{"b": 1, "password": "***"}'),
        (f'{{"{SECRET}": 1}}', '{"***": 1}'),
        # Under a key that comes twice, json would hide the first value.
        ('{"password": "hunter22", "password": null}', '{"password": "***", "password": "***"}'),
        # Broken JSON: of a value that does not end, all that follows is masked.
        ('{"password": 12345, oops', '{"password": "***", oops'),
        ('{"nonce": true}, more', '{"nonce": "***"}, more'),
        (f'{{"jwt": "x", "a": "s3://h/?z", "{SECRET}"', '{"jwt": "***", "a": "s3://h/?***", "***"'),
        (DEEP, DEEP.replace('"x"', '"***"')),
        # Without a secret it is unchanged.
        *((text, text) for text in ('{"b":1,  "a" : [null, NaN, "\\u00e4"]}', '{"jwt": null}', "")),
        ("<html>password: none</html>", "<html>password: none</html>"),
    ],
    ids=lambda text: repr(text[:40]),
)
def test_a_text_is_masked_whether_or_not_it_is_json(text: str, expected: str) -> None:
    assert redact_text(text, [SECRET]) == expected


ENDING = ['"x y: {} []"', r'"a\"b\\"', r'"a\\"', '{"a": {"b": "x"}, "c": "y"}', '["x", {"a": 1}]']
ENDLESS = ['"never closed', r'"ends so\"', '{"a": "x"', '{"a": {"b": "x"}, "c": "y"', '["x"']


@pytest.mark.parametrize("value", [*ENDING, *ENDLESS])
def test_secrets_are_masked_in_broken_json(value: str) -> None:
    more = ', "last": 2, broken' if value in ENDING else ""
    for name, colon in itertools.product(NAMES, (":", "\n:\n")):
        start = f'{{"first": 1, "{name}"{colon}'
        assert redact_text(start + value + more, ()) == f'{start}"***"{more}'


@many_examples
@given(data=json_values, name=st.sampled_from(NAMES), known=st.text(min_size=6), at=st.data())
def test_no_secret_is_left_in_json_wherever_that_is_cut(
    data: Any, name: str, known: str, at: st.DataObject
) -> None:
    text = json.dumps([data, {name: SECRET, "url": f"gds://a?{SECRET}"}, known])
    cut = at.draw(st.integers(0, len(text)))
    assert SECRET[:4] not in redact_text(text[:cut], secrets_of([known], None))
    whole = json.loads(redact_text(text, [known]))
    assert whole[1][redact(name, known=[known])] == "***"


# -- What to look for ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "data", "expected"),
    [
        (["123456", "", "12345", "Basic"], None, ["123456"]),
        (["Bearer abcdefg"], None, ["Bearer%20abcdefg", "Bearer abcdefg", "abcdefg", "Bearer"]),
        (["123456,abcdef"], None, ["123456,abcdef", "123456%2Cabcdef", "123456", "abcdef"]),
        (["123456;a=abcdef"], None, ["123456;a=abcdef", "123456%3Ba%3Dabcdef", "123456", "abcdef"]),
        ((), {"password": "abcdef", "name": "ghijkl"}, ["abcdef"]),
        ((), {"password": "abcde", "nonce": None, "jwt": 1234567}, ["1234567"]),
        ((), {"jwt": "abc def"}, ["abc%20def", "abc def"]),  # of data the whole alone
        ((), {"credentials": {"a": "abcdef", "b": ["ghijklm"]}}, ["ghijklm", "abcdef"]),
        ((), [{"nonce": "abcdef"}, ({"SECURE_A": "ghijklm"},)], ["ghijklm", "abcdef"]),
        ((), {"a": {"b": "abcdef"}, "c": ["ghijklm"]}, []),
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


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ('ab"cd\\ef', ['ab\\"cd\\\\ef', 'ab\\\\\\"cd\\\\\\\\ef', "ab&quot;cd\\ef", "ab%22cd%5Cef"]),
        ('"äbcdef', ['\\"äbcdef', '\\"\\u00e4bcdef', "&quot;äbcdef", "%22%C3%A4bcdef"]),
        ("ab<c>'&d", ["ab&lt;c&gt;&#x27;&amp;d", "ab%3Cc%3E%27%26d"]),
        ("abcde\ud800", ["abcde\\ud800", "abcde%3F"]),
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
)
def test_the_part_of_a_response_that_an_exception_quotes_is_removed(
    fail: Callable[[], object], name: str, empty: Any
) -> None:
    error = caught(fail, Exception)
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


def kept(raised: Any) -> list[bool]:
    """Tell of each frame made by ``within``, outermost first, whether it has its locals."""
    error = raised if isinstance(raised, BaseException) else caught(raised, BaseException)
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    made = [each for each in frames if each.f_code.co_filename == "<within>"]
    return [each.f_locals.get("kept") == SECRET for each in made]


CLEARED = [
    *"libica.openapi.libtes.rest libica.openapi.libtes.models.base libica.batch.plan".split(),
    *"urllib3 http email json six dateutil codecs ssl socket abc urllib encodings".split(),
    *("http.client", "concurrent.futures.thread"),
    *"socks OpenSSL truststore wrapt opentelemetry sentry_sdk".split(),
]
OF_OTHERS = [
    *("__main__", "a", "libica", "libica.batches.x", "libica.openapi.v3.api"),
    *("libica.openapi.libtes2.x", "my.libica.openapi.libtes.x", "requests", "", None),
]


def test_frames_of_this_package_and_of_what_it_calls_are_cleared_and_others_are_not() -> None:
    for module in [*CLEARED, *OF_OTHERS]:
        for link in ("__cause__", "__context__"):
            error, cause = KeyError(), caught(within(OURS, within(module)), ValueError)
            setattr(error, link, cause)
            assert kept(cause) == [True, True]
            clear_frames(error)
            assert kept(cause) == [False, module in OF_OTHERS], module


def test_a_frame_that_is_still_running_is_left_alone_and_the_others_are_cleared() -> None:
    errors = []

    def handle() -> None:
        error = caught(within(OURS), ValueError)
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


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_a_confidential_function_raises_the_same_exception_with_cleared_frames(kind: Any) -> None:
    error = kind("failed")

    def fail() -> None:
        raise error

    raised = caught(confidential(within(OURS, fail)), kind)
    assert raised is error
    assert (raised.args, raised.__cause__, raised.__context__) == (("failed",), None, None)
    assert kept(raised) == [False]
    join: Any = confidential(str.join)  # it has no frame of its own, and its caller has no locals
    error = caught(lambda: join(SECRET, name=SECRET), TypeError)
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert SECRET not in "".join(trace.format())


def leak(*_: object) -> None:
    within(OURS)()


class Guarded(Boundary):
    __module__ = OURS

    def __init__(self, show_locals: object = None, fails: bool = False) -> None:
        self.show_locals = show_locals
        if fails:
            leak()

    def __call__(self, secret: object) -> None:
        leak()

    def method(self, secret: object) -> None:
        leak()

    def _private(self, secret: object) -> None:
        leak()

    @classmethod
    def of_class(cls, secret: object) -> None:
        leak()

    prop = property(leak, leak, doc="Read.")


class OfAUser(Guarded):
    __module__ = "script"

    def mine(self, secret: object) -> None:
        leak()


@pytest.mark.parametrize("cls", [Guarded, OfAUser])
def test_an_exception_leaves_each_public_method_with_cleared_frames(cls: Any) -> None:
    for call in (
        lambda: cls(fails=True),
        lambda: cls()(SECRET),
        lambda: cls().method(SECRET),
        lambda: cls.of_class(SECRET),
        lambda: cls().prop,
        lambda: setattr(cls(), "prop", SECRET),
    ):
        assert kept(call) == [False]
    assert cls.prop.__doc__ == "Read."
    # Private methods and those of a user's subclass are not guarded.
    assert kept(lambda: cls()._private(SECRET)) == [True]
    assert kept(lambda: OfAUser().mine(SECRET)) == [True]


def test_every_public_method_of_the_client_is_guarded() -> None:
    apis = (libtes.TasksApi, libtes.TaskVersionsApi, libtes.TaskRunsApi)
    for cls in (libtes.ApiClient, libtes.Configuration, libtes.ApiKeyExchange, Model, *apis):
        names = [k for k, v in vars(cls).items() if inspect.isroutine(v) and k[0] != "_"]
        assert names or cls is libtes.ApiKeyExchange
        for name in [*names, *({"__init__"} & vars(cls).keys())]:
            function = getattr(vars(cls)[name], "__func__", vars(cls)[name])
            assert function.__code__.co_filename == Boundary.__init_subclass__.__code__.co_filename


# -- The switch for developers ---------------------------------------------------------------------


@pytest.mark.parametrize("by_default", [True, False])
def test_a_setting_decides_whether_frames_stay(
    by_default: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redaction, "SHOW_LOCALS", by_default)
    for shown in (True, False):
        configuration = libtes.Configuration()
        configuration.show_locals = shown
        client = libtes.ApiClient(configuration)
        body = libtes.LaunchTaskRequest(local_vars_configuration=configuration)
        for owner in (configuration, client, libtes.TasksApi(client), body):
            assert shows_locals(owner) is shown
        assert shows_locals(libtes.ApiKeyExchange("key"), configuration) is shown
        assert kept(lambda shown=shown: Guarded(shown).method(1)) == [shown]
    for others in ((), (None,), (SECRET,), (libtes.LaunchTaskRequest(),), (Boundary(),)):
        assert shows_locals(*others) is by_default
    assert kept(lambda: Guarded().method(SECRET)) == [by_default]


SCRIPT = """
from libica.openapi import libtes
from libica.openapi.libtes._redaction import SHOW_LOCALS
print(SHOW_LOCALS, libtes.Configuration().show_locals)
"""


@pytest.mark.parametrize(
    ("value", "shown"), [("1", True), (" On ", True), ("", False), ("no", False)]
)
def test_the_environment_decides_when_the_package_is_loaded(
    value: str, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIBTES_SHOW_LOCALS", value)
    assert run_python(SCRIPT).split() == [str(shown)] * 2
