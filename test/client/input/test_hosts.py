"""Hostile hosts: each names one host, or is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libica.openapi.libtes import ApiClient

from ...wire import Wire
from ..calls import configuration_for
from .requests import CREATE, ask, fuzzed, hostile_texts, refusal_or_request

# Addresses that two readers may take for different hosts.
TWO_HOSTS = [
    *("http://{here}@{there}", "http://{there}@{here}", "http://{here}:x@{there}"),
    *("http://{here}#@{there}", "http://{here}?@{there}", "http://{here}/?@{there}"),
    *("http://{here}\\@{there}", "http://{there}\\{here}", "http://{here} @{there}"),
    *("http://{here}\t@{there}", "http://{here}\r\n@{there}", "http://{here}\0@{there}"),
    *("http://{here}%40{there}", "http://{here}%2f@{there}", "http://{here}%00{there}"),
    *("http://{here}\uff0f@{there}", "http://{here}\uff20{there}", "http://{here}\uff1f@{there}"),
    *("http://{here}\uff03@{there}", "http://{here}\u3002{there}", "http://{here},{there}"),
    *("http://{here}/@{there}", "http://{here}//{there}", "http://{here}/http://{there}"),
    *("http://{here}/..//{there}", "http://{here};@{there}", "http://[{here}]@{there}"),
    *("//{there}", "http:{there}", "http:/{there}", "http:///{there}", "http:///{here}@{there}"),
    *(" http://{there}", "http://{here}\r\nHost: {there}", "http://{here}\nhttp://{there}"),
    "http://{here}/ HTTP/1.1\r\nHost: {there}\r\n\r\n",
]


def call_with_host(client: ApiClient, host: str) -> None:
    client.configuration.host = host
    CREATE.call(client)


def call_at_host(client: ApiClient, host: str) -> None:
    client.call_api(CREATE.target, "POST", auth_settings=["Bearer"], _host=host)


@pytest.mark.parametrize("call", [call_with_host, call_at_host])
@pytest.mark.parametrize("form", TWO_HOSTS, ids=ascii)
def test_a_host_names_one_host(wire: Wire, looked_up: list[str], form: str, call: Any) -> None:
    with Wire() as elsewhere, ApiClient(configuration_for(wire)) as client:
        host = form.format(here=wire.url[7:], there=elsewhere.url[7:])
        looked_up.clear()
        _, asked = refusal_or_request(wire, call, client, host)
        assert set(looked_up) <= {"127.0.0.1"}
        assert elsewhere.connections == 0
    is_path = form.startswith("http://{here}/") and " " not in form and "?" not in form
    assert (asked is not None) == is_path
    assert asked is None or asked.path.endswith(CREATE.target)


@pytest.mark.usefixtures("looked_up")
@fuzzed
@given(before=st.just("") | hostile_texts, after=hostile_texts)
def test_any_text_around_a_host_is_its_path_or_is_refused(
    wire: Wire, wired: ApiClient, before: str, after: str
) -> None:
    after = re.sub(r"^\d", "x", after)  # another port is another server
    harmless = ask(wire, wired, CREATE)
    with ApiClient(configuration_for(wire)) as changed:
        host = f"http://{before}{wire.url[7:]}{after}"
        _, asked = refusal_or_request(wire, call_with_host, changed, host)
    if asked is not None:
        assert not before
        assert after[:1] in ("", "/")
        assert asked.path.endswith(CREATE.target)
        assert (asked.query, asked.lines, asked.body) == ("", harmless.lines, harmless.body)
