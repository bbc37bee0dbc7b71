"""The extra ``fast``: with orjson a response reads as with ``json``, which alone is enough."""

from __future__ import annotations

import codecs
import sys
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libica.openapi.libtes.api_client import _reader
from libica.openapi.libtes.models.decoding import Mismatch

from ..helpers import MODELS, many_examples, run_python, texts

pytest.importorskip("orjson")

TYPES = [
    *(model.__name__ for model in MODELS),
    *"object str int float bool datetime list[object] list[str] list[TaskVersion]".split(),
    "dict(str, float)",
]


def reader_without_orjson(name: str) -> Any:
    with mock.patch.dict(sys.modules, {"orjson": None}):
        return _reader.__wrapped__(name)


READERS = {name: (_reader(name), reader_without_orjson(name)) for name in TYPES}


def outcome(read: Any, data: Any, charset: str) -> tuple[str, ...]:
    """Return what describes a result or an error in full."""
    try:
        found = read(data, charset)
    except (ValueError, LookupError, RecursionError, Mismatch) as error:
        return type(error).__name__, str(error)
    data = found.to_dict() if hasattr(found, "to_dict") else found
    return type(found).__name__, repr(data)


EDGES = [2**53 - 1, 2**53, 2**53 + 2, 2**63, 2**64, -(2**63)]
number_texts = st.from_regex(
    r"\A-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?\Z"
) | st.sampled_from(
    [
        *"-0 -0.0 0e9 1E400 -1E400 1e-400 1. .5 +1 01 NaN - Infinity -Infinity 4.9e-324".split(),
        *("9" * 400, "9" * 5000, "0." + "9" * 5000),
        *(f"{edge + step}{end}" for edge in EDGES for step in (-1, 0, 1) for end in ("", ".0")),
    ]
)
pieces = [
    *("\\ud800", "\\udc00", "\\ud83d\\ude00", "\\u0000", "\\x", "\\", "\t", "\x7f", "\0"),
    *('\\"', "\ud800", "é", "\u2028", "2021-03-08T04:05:54.6454838Z"),
]
plain_texts = texts.map(lambda text: text.replace('"', "").replace("\\", ""))
text_texts = st.lists(st.sampled_from(pieces) | plain_texts, max_size=3).map(
    lambda parts: f'"{"".join(parts)}"'
)
spaces = st.sampled_from(["", "", " ", "\n", "\t\r", "\v", "\u00a0"])
names = st.sampled_from(sorted({f.json for model in MODELS for f in model._fields.values()}))


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.builds('"{}":{}'.format, names | texts, inner)
    lists = st.builds("[{1}{0}]{1}".format, st.lists(inner, max_size=3).map(",".join), spaces)
    dicts = st.lists(pairs, max_size=4).map(",".join)
    return lists | st.builds("{{{1}{0}}}{1}".format, dicts, spaces)


json_texts = st.recursive(
    number_texts | text_texts | st.sampled_from(["null", "true", "false", "", "nul", "[]", "{}"]),
    nested,
    max_leaves=8,
)
encodings = st.sampled_from(["utf-8", "utf-8", "utf-16", "latin-1", "ascii"])
heads = st.sampled_from([b"", b"", b"", codecs.BOM_UTF8, b"\xff", b"\xed\xa0\x80", b" "])
tails = st.sampled_from([b"", b"}"])


@many_examples
@given(st.sampled_from(TYPES), json_texts, encodings, encodings, heads, tails)
@example("Resources", '{"cpuCores": 18446744073709551616}', "utf-8", "utf-8", b"", b"")
@example("Resources", '{"cpuCores": -0, "memoryGb": -0.0}', "utf-8", "utf-8", b"", b"")
@example("Execution", '{"retryLimit": -9223372036854775809}', "utf-8", "utf-8", b"", b"")
@example("Execution", '{"retryLimit": 3.0}', "utf-8", "utf-8", b"", b"")
@example("ErrorResponse", '{"details": [18446744073709551616]}', "utf-8", "utf-8", b"", b"")
@example("Image", '{"name": "a", "name": "b", "x": 1, "x": [NaN]}', "utf-8", "utf-8", b"", b"")
def test_with_orjson_a_response_is_what_json_makes_of_it(
    name: str, text: str, written: str, said: str, head: bytes, tail: bytes
) -> None:
    data = head + text.encode(written, "surrogatepass" if "utf" in written else "replace") + tail
    quick, plain = READERS[name]
    assert outcome(quick, data, said) == outcome(plain, data, said)
    assert outcome(quick, text, said) == outcome(plain, text, said)


@pytest.mark.parametrize("depth", [1, 500, 5000, 100_000])
def test_nesting_of_any_depth_has_the_same_outcome(depth: int) -> None:
    quick, plain = READERS["Image"]
    data = b'{"more": ' + b"[" * depth + b"]" * depth + b', "name": "x"}'
    assert outcome(quick, data, "utf-8")[0] == outcome(plain, data, "utf-8")[0]


@pytest.mark.parametrize("name", TYPES)
def test_orjson_reads_utf_8_for_types_that_show_no_number_beyond_64_bit(name: str) -> None:
    data = b"[]" if name.startswith("list") else b"{}"
    free_form = name in ("object", "list[object]", "ErrorResponse")
    with mock.patch("orjson.loads", side_effect=ValueError) as loads:
        for charset, used in (("iso8859-1", False), ("utf-8", not free_form)):
            outcome(_reader.__wrapped__(name), data, charset)
            assert loads.called is used


@pytest.mark.parametrize("missing", [True, False])
def test_the_client_works_with_and_without_orjson(missing: bool) -> None:
    code = f"""
import sys
if {missing}:
    sys.modules["orjson"] = None
from types import SimpleNamespace
from libica.openapi import libtes
kept = SimpleNamespace(data=b'{{"id": "x", "items": null}}')
print(libtes.ApiClient().deserialize(kept, "TaskRun").id, "orjson.orjson" in sys.modules)
"""
    assert run_python(code).split() == ["x", str(not missing)]
