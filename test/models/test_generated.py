"""Functions that are generated for models show their source where errors and debuggers look."""

from __future__ import annotations

import inspect
import linecache
import traceback
from typing import Any, Callable

import pytest

from libica.openapi.libtes import Credentials, Execution, Image
from libica.openapi.libtes.models.decoding import decoder


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: Image(name=[]), "name = _check_name(name, "),
        (lambda: Execution(retry_limit="3"), "retry_limit = _check_retry_limit(retry_limit, "),
        (lambda: decoder(Image)({"name": []}), "value = to_name(value)"),
        (lambda: decoder(Execution)({"image": {"name": 5}}), "value = to_image(value)"),
        (lambda: decoder(Execution)(None), "raise Mismatch('an object', data)"),
    ],
)
def test_a_traceback_through_a_generated_function_shows_its_line(
    call: Callable[[], Any], line: str
) -> None:
    linecache.checkcache()  # as debuggers and notebooks do
    with pytest.raises(Exception, match="must be") as caught:
        call()
    shown = [frame.line or "" for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert any(each.startswith(line) for each in shown), shown


def test_the_source_of_a_generated_constructor_can_be_inspected() -> None:
    Credentials()
    source = inspect.getsource(Credentials.__init__)
    assert source.startswith("def __init__(self, username=None, password=None, ")
