"""What several tests share: the models, values for them, a fresh interpreter."""

from __future__ import annotations

import copy
import functools
import math
import os
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from libica.openapi import libtes
from libica.openapi.libtes.models import __all__ as MODEL_NAMES
from libica.openapi.libtes.models.base import ANY, Model
from libica.openapi.libtes.models.decoding import INT64, decoder

ROOT = Path(__file__).parent.parent
PACKAGE = "libica.openapi.libtes"
MODELS: list[Any] = [getattr(libtes, name) for name in MODEL_NAMES]
TIME = datetime(2021, 3, 8, 4, 5, 54, 645483, timezone.utc)

each_model = pytest.mark.parametrize("cls", MODELS, ids=MODEL_NAMES)
few_examples = settings(
    max_examples=6,  # for each model and property
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
QUICK = os.environ.get("HYPOTHESIS_PROFILE") == "quick"
many_examples = settings(few_examples, max_examples=40 if QUICK else 200)


def decode(cls: Any, data: Any) -> Any:
    """Make a model of JSON, as from a response; the JSON is not changed."""
    return decoder(cls)(copy.deepcopy(data))


def samples(cls: Any) -> dict[str, Any]:
    """Return an accepted value for each field of a model."""
    return {name: _sample(field.type) for name, field in cls._fields.items()}


def _sample(declared: Any) -> Any:
    arguments = get_args(declared)
    if get_origin(declared) is list:
        return [_sample(arguments[0])]
    if get_origin(declared) is dict:
        return {"key": _sample(arguments[1])}
    if isinstance(declared, type) and issubclass(declared, Model):
        return declared(**samples(declared))
    # 50 is within the limits of every number.
    return {str: "text", int: 50, float: 50.5, bool: True, datetime: TIME, object: {"a": [1]}}[
        declared
    ]


# Text of any characters, lone surrogates included, which JSON can hold.
texts = st.text(st.characters(), max_size=5)
whole_numbers = st.integers(INT64[0], INT64[-1])
numbers = st.floats(allow_nan=False, allow_infinity=False)
# Python itself reads an offset of less than a second as none, so these are whole seconds.
offsets = st.integers(-86399, 86399).map(lambda seconds: timedelta(seconds=seconds))
times = st.datetimes(timezones=st.none() | st.builds(timezone, offsets))
json_values = st.recursive(
    st.none() | st.booleans() | whole_numbers | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=5,
)


@functools.cache
def models(cls: Any) -> st.SearchStrategy[Any]:
    """Return models with any accepted values, the optional ones also unset."""
    fields = {}
    for name, field in cls._fields.items():
        values = _values(field.type, field.length, field.between)
        fields[name] = values if field.required else st.none() | values
    return st.builds(cls, **fields)


def _values(declared: Any, length: Any = ANY, between: Any = ANY) -> Any:
    arguments = get_args(declared)
    if get_origin(declared) is list:
        return st.lists(_values(arguments[0]), max_size=2)
    if get_origin(declared) is dict:
        return st.dictionaries(texts, _values(arguments[1]), max_size=2)
    if isinstance(declared, type) and issubclass(declared, Model):
        return st.deferred(lambda: models(declared))
    if declared is str:
        least, most = max(length[0], 0), length[1]
        values = st.text(st.characters(), min_size=least, max_size=min(least + 5, most))
        return values if most == math.inf else values | st.just("x" * most)
    least, most = between
    if declared is int:
        return st.integers(max(least, INT64[0]), min(most, INT64[-1]))
    if declared is float:
        least, most = max(least, -sys.float_info.max), min(most, sys.float_info.max)
        return st.floats(least, most) | st.integers(0, 1024)
    return {bool: st.booleans(), datetime: times, object: json_values}[declared]


def snake_case(name: str) -> str:
    """Return the Python name of a field, parameter, operation or module of the contract."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z\d])([A-Z])", r"\1_\2", name).replace(" ", "_").lower()


def run_python(code: str, *arguments: str) -> str:
    """Run code in a fresh interpreter, warnings being errors, and return what it printed."""
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
