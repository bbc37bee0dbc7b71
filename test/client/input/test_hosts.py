"""Hostile hosts: each names one host, or is refused."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libica.openapi import libtes
from libica.openapi.libtes import ApiClient

from ...wire import Wire
from ..calls import configuration_for
from .requests import CREATE, Asked, ask, fuzzed, hostile_texts

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


def set_host(client: ApiClient, host: str) -> None:
    client.configuration.host = host
    libtes.TasksApi(client).get_task("t")


def give_host(client: ApiClient, host: str) -> None:
    client.call_api("/v1/tasks/t", "GET", auth_settings=["Bearer"], _host=host)


@pytest.mark.parametrize("form", TWO_HOSTS, ids=ascii)
def test_a_host_names_one_host(wire: Wire, looked_up: list[str], form: str) -> None:
    with Wire() as elsewhere, ApiClient(configuration_for(wire)) as client:
        host = form.format(here=wire.url[7:], there=elsewhere.url[7:])
        is_path = form.startswith("http://{here}/") and " " not in form and "?" not in form
        looked_up.clear()
        before = len(wire.received)
        for call in (set_host, give_host):
            with contextlib.suppress(libtes.ApiValueError):
                call(client, host)
                assert is_path
        assert len(wire.received) - before == (2 if is_path else 0)
        assert set(looked_up) <= {"127.0.0.1"}
        assert elsewhere.connections == 0
    for asked in map(Asked, wire.received[before:]):
        assert asked.path.endswith("/v1/tasks/t")


@pytest.mark.usefixtures("looked_up")
@fuzzed
@given(before=st.just("") | hostile_texts, after=hostile_texts)
def test_any_text_around_a_host_is_its_path_or_is_refused(
    wire: Wire, wired: ApiClient, before: str, after: str
) -> None:
    after = re.sub(r"^\d", "x", after)  # another port is another server
    host = f"http://{before}{wire.url[7:]}{after}"
    harmless = ask(wire, wired, CREATE)
    sent = len(wire.received)
    with ApiClient(configuration_for(wire)) as changed:
        try:
            changed.configuration.host = host
            asked = ask(wire, changed, CREATE)
        except libtes.OpenApiException:
            assert wire.received[sent:] == []
        else:
            assert not before
            assert after[:1] in ("", "/")
            assert asked.path.endswith(CREATE.target)
            assert (asked.query, asked.lines, asked.body) == ("", harmless.lines, harmless.body)
