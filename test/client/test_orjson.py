"""The extra ``fast``: with orjson a response reads as with ``json``, which alone is enough."""

from __future__ import annotations

import codecs
import sys
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libica.openapi import libtes
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


number_texts = st.from_regex(
    r"\A-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?\Z"
) | st.sampled_from(
    [
        *("-0", "-0.0", "0e9", "1E400", "-1E400", "1e-400", "1.", ".5", "+1", "01", "NaN", "-"),
        *("Infinity", "-Infinity", "9" * 400, "9" * 5000, "0." + "9" * 5000, "4.9e-324"),
        *(str(edge + step) for edge in (2**53, 2**63, 2**64, -(2**63)) for step in (-1, 0, 1)),
        *(f"{edge}.0" for edge in (2**53 - 1, 2**53, 2**53 + 2, -(2**63), 2**64)),
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


def joined(ends: str, parts: list[str], space: str) -> str:
    return f"{ends[0]}{space}{f'{space},'.join(parts)}{ends[1]}{space}"


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.builds('"{}":{}'.format, names | texts, inner)
    return st.builds(joined, st.just("[]"), st.lists(inner, max_size=3), spaces) | st.builds(
        joined, st.just("{}"), st.lists(pairs, max_size=4), spaces
    )


json_texts = st.recursive(
    number_texts | text_texts | st.sampled_from(["null", "true", "false", "", "nul", "[]", "{}"]),
    nested,
    max_leaves=8,
)
encodings = st.sampled_from(["utf-8", "utf-8", "utf-16", "latin-1", "ascii"])
heads = st.sampled_from([b"", b"", b"", codecs.BOM_UTF8, b"\xff", b"\xed\xa0\x80", b" "])


@many_examples
@given(
    st.sampled_from(TYPES), json_texts, encodings, encodings, heads, st.sampled_from([b"", b"}"])
)
@example("Resources", '{"cpuCores": 18446744073709551616}', "utf-8", "utf-8", b"", b"")
@example("Resources", '{"cpuCores": -0, "memoryGb": -0.0}', "utf-8", "utf-8", b"", b"")
@example("Execution", '{"retryLimit": -9223372036854775809}', "utf-8", "utf-8", b"", b"")
@example("ErrorResponse", '{"details": [18446744073709551616]}', "utf-8", "utf-8", b"", b"")
@example("Image", '{"name": "a", "name": "b", "x": 1, "x": [NaN]}', "utf-8", "utf-8", b"", b"")
def test_with_orjson_a_response_is_what_json_makes_of_it(
    name: str, text: str, written: str, said: str, head: bytes, tail: bytes
) -> None:
    data = head + text.encode(written, "surrogatepass" if "utf" in written else "replace") + tail
    quick, plain = READERS[name]
    assert outcome(quick, data, said) == outcome(plain, data, said)
    assert outcome(quick, text, said) == outcome(plain, text, said)


def test_nesting_of_any_depth_has_the_same_outcome() -> None:
    quick, plain = READERS["Image"]
    for depth in (1, 500, 5000, 100_000):
        data = b'{"more": ' + b"[" * depth + b"]" * depth + b', "name": "x"}'
        assert outcome(quick, data, "utf-8")[0] == outcome(plain, data, "utf-8")[0]


def test_orjson_reads_utf_8_for_types_that_show_no_number_beyond_64_bit() -> None:
    for name in TYPES:
        data = b"[]" if name.startswith("list") else b"{}"
        with mock.patch("orjson.loads", side_effect=ValueError) as loads:
            outcome(_reader.__wrapped__(name), data, "utf-8")
        free_form = name in ("object", "list[object]", "ErrorResponse")
        assert loads.call_count == (0 if free_form else 1), name
    with mock.patch("orjson.loads", side_effect=ValueError) as loads:
        data = '{"name": "é"}'.encode("latin-1")
        assert _reader.__wrapped__("Image")(data, "iso8859-1") == libtes.Image("é")
    assert loads.call_count == 0


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
