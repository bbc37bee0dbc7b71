"""What the tests of tables share: reading one for a version with two placeholders."""

from __future__ import annotations

import json
from typing import Any

import pytest

from libica.batch import LaunchesError
from libica.batch.plan import Plan
from libica.openapi import libtes

CLIENT = libtes.ApiClient(libtes.Configuration("http://127.0.0.1:1"))
WANTED = ("x", "y")
ROW = ("a", "1", "2")


def read(launches: Any, wanted: Any = WANTED, **options: Any) -> list[tuple[str, ...]]:
    """Return the name and the arguments of each launch."""
    with Plan(CLIENT, launches, wanted, **options) as plan:
        requests = [json.loads(plan.request(row)) for row in range(len(plan))]
    return [(each["name"], *map(each["arguments"].__getitem__, wanted)) for each in requests]


def problems(launches: Any, wanted: Any = WANTED, **options: Any) -> list[str]:
    """Return what is wrong with launches."""
    with pytest.raises(LaunchesError) as caught:
        read(launches, wanted, **options)
    return [str(each) for each in caught.value.problems]


def refusal(launches: Any, wanted: Any = WANTED, **options: Any) -> str:
    """Return why launches cannot be read at all."""
    with pytest.raises(libtes.ApiValueError) as caught:
        read(launches, wanted, **options)
    assert type(caught.value) is libtes.ApiValueError
    return str(caught.value)
