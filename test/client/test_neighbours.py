"""What others put in place of the network, or inject into it, works with the real packages."""

from __future__ import annotations

import io
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ProtocolError
from urllib3.util import connection

from libica.openapi import libtes

from ..authority import Authority
from ..helpers import run_python
from ..real_parts import lacking
from ..server import Asked, Response, Server

TOKEN = "token-of-a-neighbour"
FOUND = Response(body={"id": "trn.0"})


def need(package: str) -> None:
    if sys.version_info < (3, 10) and package in ("truststore", "vcr"):
        pytest.skip("it needs Python 3.10, or urllib3 1.26")
    if find_spec(package) is None:
        lacking("pypi", f"{package} is not installed")


@pytest.fixture(params=["http", "https"])
def service(request: pytest.FixtureRequest, authority: Authority) -> Iterator[Server]:
    with Server(authority.server("127.0.0.1") if request.param == "https" else None) as server:
        server.respond(FOUND)
        yield server


def client_of(service: Server, authority: Authority) -> libtes.ApiClient:
    configuration = libtes.Configuration(service.url, {"Authorization": TOKEN})
    configuration.ssl_ca_cert = str(authority.file)
    return libtes.ApiClient(configuration)


# vcrpy 8, the newest for Python 3.10, lets go of a pool's connections without closing them.
@pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("kept", [0, 4], ids=["fresh", "with connections kept"])
def test_no_thread_leaves_a_cassette_that_lets_nothing_out(
    service: Server, authority: Authority, tmp_path: Path, kept: int
) -> None:
    need("vcr")
    import vcr
    from vcr.errors import CannotOverwriteExistingCassetteException

    met = threading.Barrier(4)
    service.respond(lambda _: [FOUND, met.wait(30)][0])
    with client_of(service, authority) as client, ThreadPoolExecutor(4) as threads:
        api = libtes.TaskRunsApi(client)
        list(threads.map(api.get_task_run, ["trn.0"] * kept))
        service.respond(FOUND)
        with vcr.use_cassette(str(tmp_path / "none.yaml"), record_mode="none"):
            calls = [threads.submit(api.create_task_run, body={}) for _ in range(40)]
            errors = [type(call.exception()) for call in calls]
        assert errors == [CannotOverwriteExistingCassetteException] * 40
        assert len(service.asked) == kept
        assert api.create_task_run(body={}).id == "trn.0"  # the network is back
        assert len(service.asked) == kept + 1


@pytest.mark.parametrize("client_first", [True, False], ids=["client first", "cassette first"])
def test_a_cassette_records_and_plays_without_the_service(
    service: Server, authority: Authority, tmp_path: Path, client_first: bool
) -> None:
    need("vcr")
    import vcr

    cassette = str(tmp_path / "runs.yaml")
    with vcr.use_cassette(cassette), client_of(service, authority) as client:
        assert libtes.TaskRunsApi(client).create_task_run(body={"name": "x"}).id == "trn.0"
    assert len(service.asked) == 1
    service.close()  # what is played needs no service
    client = client_of(service, authority)
    with vcr.use_cassette(cassette, record_mode="none"):
        client = client if client_first else client_of(service, authority)
        assert libtes.TaskRunsApi(client).create_task_run(body={"name": "x"}).id == "trn.0"
    client.close()


# The packages, code for which CALL makes a client of the service, and what it prints.
CALL = """
from libica.openapi import libtes
configuration = libtes.Configuration(host, {"Authorization": token})
configuration.ssl_ca_cert = authority
configuration.retries = 0
configuration.timeout = (10, 10)
client = libtes.ApiClient(configuration)
api = libtes.TaskRunsApi(client)
"""
SCRIPTS: dict[str, tuple[str, str]] = {
    "mocket": ("""
warnings.simplefilter("ignore")  # of sockets that it drops, and of urllib3
from mocket import Mocketizer
from mocket.mocks.mockhttp import Entry
CALL
for scheme in ("http", "https"):
    client.configuration.host = f"{scheme}://tes.example"
    url, headers = f"{scheme}://tes.example/v1/tasks/runs", {"Content-Type": "application/json"}
    Entry.single_register(Entry.POST, url, body='{"id":"trn.0"}', headers=headers)
    with Mocketizer(strict_mode=True), client:
        print(api.create_task_run(body={}).id)
""", "trn.0 trn.0"),
    "pytest_httpserver": ("""
from pytest_httpserver import HTTPServer
CALL
with HTTPServer() as server, client:
    server.expect_request("/v1/tasks/runs", method="POST").respond_with_json({"id": "trn.0"})
    configuration.host = server.url_for("")
    print(api.create_task_run(body={}).id)
    server.check_assertions()
""", "trn.0"),
    "OpenSSL": ("""
warnings.simplefilter('ignore', DeprecationWarning)  # urllib3 will drop this module
import urllib3.contrib.pyopenssl as p; p.inject_into_urllib3()
CALL
print(len(api.get_task_run("long").name))
[(pool, _)] = client._rest._pools.values()
[conn] = [c for c in pool.pool.queue if c]
print(type(conn.sock).__module__)
try:
    api.abort_task_run("late", _request_timeout=(5, 0.3))
except libtes.ReadTimeoutException as error:
    print(error.may_have_happened, error.reason.split()[-1])
""", "100000 urllib3.contrib.pyopenssl True out"),  # of "timed out"; its own error has no text
    "truststore": ("""
import os, truststore
CALL
os.environ["SSL_CERT_FILE"] = authority  # where the system has them
configuration.ssl_ca_cert = None
try:
    api.get_task_run("x")
except libtes.TlsException:
    print("untrusted")
client.close()
truststore.inject_into_ssl()
print(api.get_task_run("x").id)
""", "untrusted trn.0"),
    "opentelemetry": ("""
warnings.simplefilter("ignore")
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(SimpleSpanProcessor(exporter))
URLLib3Instrumentor().instrument(tracer_provider=provider)
CALL
print(api.create_task_run(body={}).id)
[span] = exporter.get_finished_spans()
print(span.name)
""", "trn.0 POST"),
    "sentry_sdk": ("""
import json, sentry_sdk
seen = []
def keep(event, hint):
    seen.append(event)
dsn = "http://key@127.0.0.1:9/1"
sentry_sdk.init(dsn, before_send=keep, include_local_variables=True, shutdown_timeout=0)
CALL
variables = {"SECURE_X": "s3cret-" + "w0rd"}
try:
    api.create_task_run(body={"execution": {"environment": {"variables": variables}}})
except libtes.ApiException as error:
    sentry_sdk.capture_exception(error)
print(len(seen), any(c.get("type") == "http" for c in seen[0]["breadcrumbs"]["values"]))
errors = seen[0]["exception"]["values"]
frames = errors[-1]["stacktrace"]["frames"]
text = json.dumps([seen[0]["breadcrumbs"], [each["value"] for each in errors]])
print({frame["module"] for frame in frames}, token in text, "s3cret-w0rd" in text)
""", "1 True {'__main__'} False False"),
}  # fmt: skip


@pytest.mark.parametrize("package", SCRIPTS)
@pytest.mark.parametrize("service", ["https"], indirect=True)
def test_what_is_injected_into_the_network_makes_or_sees_the_calls(
    service: Server, authority: Authority, package: str
) -> None:
    def script(asked: Asked) -> Response:
        if "late" in asked.path:
            threading.Event().wait(1)
        if b"SECURE_X" in asked.body:
            return Response(403, {"code": "no", "message": "no"})
        return Response(body={"id": "trn.0", "name": "x" * 100_000 if "long" in asked.path else ""})

    need(package)
    service.respond(script)
    code, expected = SCRIPTS[package]
    start = "import sys, warnings\nhost, token, authority = sys.argv[1:]\n"
    code = start + code.replace("CALL\n", CALL)
    assert run_python(code, service.url, TOKEN, str(authority.file)).split() == expected.split()
    if package == "opentelemetry":
        assert "traceparent" in {name.lower() for name in service.last.headers}


def test_a_patched_connection_class_is_used_also_by_a_client_that_has_made_calls(
    server: Server, client: libtes.ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(HTTPConnection):
        def connect(self) -> None:
            raise ConnectionRefusedError("patched")

    server.respond(Response(body={"id": "trn.0"}, headers={"Connection": "close"}))
    api = libtes.TaskRunsApi(client)
    for _ in range(2):
        api.get_task_run("trn.0")
    client.close()
    monkeypatch.setattr(HTTPConnectionPool, "ConnectionCls", Refusing)
    with pytest.raises(libtes.ConnectException, match="patched"):
        api.get_task_run("trn.0")
    assert len(server.asked) == 2


def test_a_patched_urlopen_is_not_taken_for_a_call_that_was_not_sent(
    client: libtes.ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose = mock.Mock(side_effect=ProtocolError("lost"))
    monkeypatch.setattr(HTTPConnectionPool, "urlopen", lose)
    with pytest.raises(libtes.ConnectionLostException) as caught:
        libtes.TaskRunsApi(client).create_task_run(body={})
    assert caught.value.may_have_happened


def test_a_socket_of_another_kind_is_read_with_the_read_timeout(
    server: Server, client: libtes.ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Plain(io.BytesIO):  # has no `raw` to put a clock around
        pass

    class Other:
        def __init__(self, real: socket.socket) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def makefile(self, *args: Any, **kwargs: Any) -> Plain:
            data = b""
            while FOUND.data not in data:
                data += self._real.recv(65536)
            return Plain(data)

    make = connection.create_connection
    monkeypatch.setattr(connection, "create_connection", lambda *a, **k: Other(make(*a, **k)))
    server.respond(FOUND)
    for _ in range(2):
        assert libtes.TaskRunsApi(client).create_task_run(body={}).id == "trn.0"
