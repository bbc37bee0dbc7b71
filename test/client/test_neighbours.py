"""What others put in place of the network, or inject into it, works with the real packages."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from libica.openapi import libtes

from ..authority import Authority
from ..helpers import run_python
from ..real_parts import lacking
from ..server import Response, Server

TOKEN = "token-of-a-neighbour"


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.usefixtures(f"_{package}")


def fixture_for(package: str) -> Any:
    @pytest.fixture(name=f"_{package}")
    def has_it() -> None:
        if sys.version_info < (3, 10) and package in ("truststore", "vcr"):
            pytest.skip("it needs Python 3.10, or urllib3 1.26")
        if find_spec(package) is None:
            lacking("pypi", f"{package} is not installed")

    return has_it


vcr_there = fixture_for("vcr")
mocket_there = fixture_for("mocket")
openssl_there = fixture_for("OpenSSL")
truststore_there = fixture_for("truststore")
opentelemetry_there = fixture_for("opentelemetry")
sentry_there = fixture_for("sentry_sdk")
httpserver_there = fixture_for("pytest_httpserver")


@pytest.fixture(params=["http", "https"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    context = None
    if request.param == "https":
        context = Authority(tmp_path).server("127.0.0.1", "localhost")
    with Server(context) as server:
        server.respond(Response(body={"id": "trn.0"}))
        yield server


def client_of(service: Server, tmp_path: Path) -> libtes.ApiClient:
    configuration = libtes.Configuration(service.url, {"Authorization": TOKEN})
    if service.url.startswith("https"):
        configuration.ssl_ca_cert = str(tmp_path / "authority.pem")
    return libtes.ApiClient(configuration)


# -- vcrpy -----------------------------------------------------------------------------------------

# vcrpy 8, the newest for Python 3.10, lets go of a pool's connections without closing them.
VCR_DROPS_CONNECTIONS = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@needs("vcr")
@VCR_DROPS_CONNECTIONS
@pytest.mark.parametrize("called", [False, True], ids=["fresh", "called before"])
def test_a_cassette_that_begins_after_the_client_was_made_lets_nothing_out(
    service: Server, tmp_path: Path, called: bool
) -> None:
    import vcr
    from vcr.errors import CannotOverwriteExistingCassetteException

    with client_of(service, tmp_path) as client:
        api = libtes.TaskRunsApi(client)
        if called:
            api.get_task_run("trn.0")
        asked = len(service.asked)
        cassette = vcr.use_cassette(str(tmp_path / "none.yaml"), record_mode="none")
        with cassette, pytest.raises(CannotOverwriteExistingCassetteException):
            api.create_task_run(body={})
        assert len(service.asked) == asked
        assert api.create_task_run(body={}).id == "trn.0"  # the network is back
        assert len(service.asked) == asked + 1


@needs("vcr")
@VCR_DROPS_CONNECTIONS
@pytest.mark.parametrize("kept", [0, 4], ids=["fresh", "with connections kept"])
def test_no_thread_leaves_a_cassette_that_lets_nothing_out(
    service: Server, tmp_path: Path, kept: int
) -> None:
    import vcr
    from vcr.errors import CannotOverwriteExistingCassetteException

    met = threading.Barrier(4)
    service.respond(lambda _: [Response(body={"id": "trn.0"}), met.wait(10)][0])
    client = client_of(service, tmp_path)
    with ThreadPoolExecutor(4) as threads:
        api = libtes.TaskRunsApi(client)
        list(threads.map(api.get_task_run, ["trn.0"] * kept))
        service.respond(Response(body={"id": "trn.0"}))
        with vcr.use_cassette(str(tmp_path / "none.yaml"), record_mode="none"):
            calls = [threads.submit(api.create_task_run, body={}) for _ in range(40)]
            errors = [type(call.exception()) for call in calls]
    assert errors == [CannotOverwriteExistingCassetteException] * 40
    assert len(service.asked) == kept
    client.close()


@needs("vcr")
@pytest.mark.parametrize("client_first", [True, False], ids=["client first", "cassette first"])
def test_a_cassette_records_and_plays_without_the_service(
    service: Server, tmp_path: Path, client_first: bool
) -> None:
    import vcr

    cassette = str(tmp_path / "runs.yaml")
    with vcr.use_cassette(cassette), client_of(service, tmp_path) as client:
        assert libtes.TaskRunsApi(client).create_task_run(body={"name": "x"}).id == "trn.0"
    assert len(service.asked) == 1
    service.close()  # what is played needs no service
    client = client_of(service, tmp_path)
    with vcr.use_cassette(cassette, record_mode="none"):
        client = client if client_first else client_of(service, tmp_path)
        assert libtes.TaskRunsApi(client).create_task_run(body={"name": "x"}).id == "trn.0"
    client.close()


# -- Servers and sockets of other packages ---------------------------------------------------------


@needs("mocket")
def test_mocket_takes_the_place_of_sockets() -> None:
    code = """
import warnings; warnings.simplefilter("ignore")  # of sockets that it drops, and of urllib3
from libica.openapi import libtes
from mocket import Mocketizer
from mocket.mocks.mockhttp import Entry
for scheme in ("http", "https"):
    url = f"{scheme}://tes.example/v1/tasks/runs"
    headers = {"Content-Type": "application/json"}
    Entry.single_register(Entry.POST, url, body='{"id":"trn.0"}', headers=headers)
    client = libtes.ApiClient(libtes.Configuration(f"{scheme}://tes.example"))
    with Mocketizer(strict_mode=True), client:
        print(libtes.TaskRunsApi(client).create_task_run(body={}).id)
"""
    assert run_python(code).split() == ["trn.0", "trn.0"]


@needs("pytest_httpserver")
def test_pytest_httpserver_is_called() -> None:
    from pytest_httpserver import HTTPServer

    with HTTPServer() as server:
        server.expect_request("/v1/tasks/runs", method="POST").respond_with_json({"id": "trn.0"})
        with libtes.ApiClient(libtes.Configuration(server.url_for(""))) as client:
            assert libtes.TaskRunsApi(client).create_task_run(body={}).id == "trn.0"
        server.check_assertions()


def test_a_patched_connection_class_is_used_also_by_a_client_that_has_made_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from urllib3.connection import HTTPConnection
    from urllib3.connectionpool import HTTPConnectionPool

    class Refusing(HTTPConnection):
        def connect(self) -> None:
            raise ConnectionRefusedError("patched")

    with Server() as service:
        service.respond(Response(body={"id": "trn.0"}, headers={"Connection": "close"}))
        configuration = libtes.Configuration(service.url)
        configuration.retries = 0
        with libtes.ApiClient(configuration) as client:
            api = libtes.TaskRunsApi(client)
            for _ in range(2):
                api.get_task_run("trn.0")
            client.close()
            monkeypatch.setattr(HTTPConnectionPool, "ConnectionCls", Refusing)
            with pytest.raises(libtes.ConnectException, match="patched"):
                api.get_task_run("trn.0")
        assert len(service.asked) == 2


def test_a_patched_urlopen_is_not_taken_for_a_call_that_was_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from urllib3.connectionpool import HTTPConnectionPool
    from urllib3.exceptions import ProtocolError

    def lose(*args: Any, **kwargs: Any) -> Any:
        raise ProtocolError("lost")

    monkeypatch.setattr(HTTPConnectionPool, "urlopen", lose)
    client = libtes.ApiClient(libtes.Configuration("http://tes.example"))
    with pytest.raises(libtes.ConnectionLostException) as caught:
        libtes.TaskRunsApi(client).create_task_run(body={})
    assert caught.value.may_have_happened


# -- What is injected, each in a process of its own ------------------------------------------------

CALL = """
import libica.openapi.libtes as libtes
configuration = libtes.Configuration({url!r}, {{"Authorization": {token!r}}})
configuration.ssl_ca_cert = {authority!r}
configuration.retries = 0
configuration.timeout = (10, 10)
client = libtes.ApiClient(configuration)
api = libtes.TaskRunsApi(client)
"""


def call(service: Server, tmp_path: Path, trusted: bool = True) -> str:
    https = service.url.startswith("https") and trusted
    authority = str(tmp_path / "authority.pem") if https else None
    return CALL.format(url=service.url, token=TOKEN, authority=authority)


@needs("OpenSSL")
@pytest.mark.parametrize("service", ["https"], indirect=True)
def test_pyopenssl_injected_into_urllib3_makes_the_connection(
    service: Server, tmp_path: Path
) -> None:
    def late(asked: Any) -> Response:
        threading.Event().wait(1)
        return Response(body={"id": "trn.0"})

    service.respond(Response(body={"id": "trn.0", "name": "x" * 100_000}), late)
    # urllib3 announces that it will drop this module.
    inject = (
        "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n"
        "import urllib3.contrib.pyopenssl as p; p.inject_into_urllib3()\n"
    )
    use = (
        "print(len(api.create_task_run(body={}).name))\n"
        "[(pool, _)] = client._rest._pools.values()\n"
        "[conn] = [c for c in pool.pool.queue if c]\n"
        "print(type(conn.sock).__module__)\n"
        "try: api.create_task_run(body={}, _request_timeout=(5, 0.3))\n"
        "except libtes.ReadTimeoutException as e: print(e.may_have_happened, str(e).split()[-1])\n"
    )
    printed = run_python(inject + call(service, tmp_path) + use)
    # "timed out" is of urllib3; the error of pyOpenSSL itself has no text.
    assert printed.split() == ["100000", "urllib3.contrib.pyopenssl", "True", "out"]


@needs("truststore")
@pytest.mark.parametrize("service", ["https"], indirect=True)
def test_truststore_lets_the_certificates_of_the_system_count(
    service: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "SSL_CERT_FILE", str(tmp_path / "authority.pem")
    )  # where the system has them
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    code = call(service, tmp_path, trusted=False)
    untrusted = "try: api.get_task_run('x')\nexcept libtes.TlsException: print('untrusted')\n"
    assert run_python(code + untrusted).split() == ["untrusted"]
    inject = "import truststore; truststore.inject_into_ssl()\n"
    assert run_python(inject + code + "print(api.get_task_run('x').id)").split() == ["trn.0"]


@needs("opentelemetry")
def test_opentelemetry_sees_each_call(service: Server, tmp_path: Path) -> None:
    code = """
import warnings; warnings.simplefilter("ignore")
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(SimpleSpanProcessor(exporter))
URLLib3Instrumentor().instrument(tracer_provider=provider)
"""
    code += call(service, tmp_path) + "print(api.create_task_run(body={}).id)\n"
    code += "[span] = exporter.get_finished_spans(); print(span.name)"
    assert run_python(code).split() == ["trn.0", "POST"]
    assert any(name.lower() == "traceparent" for name in service.last.headers)


@needs("sentry_sdk")
def test_sentry_sees_calls_and_no_secret(service: Server, tmp_path: Path) -> None:
    service.respond(Response(body={"id": "trn.0"}), Response(403, {"code": "no", "message": "no"}))
    code = """
import json, sentry_sdk
seen = []
def keep(event, hint):
    seen.append(event)
dsn = "http://key@127.0.0.1:9/1"
sentry_sdk.init(dsn, before_send=keep, include_local_variables=True, shutdown_timeout=0)
"""
    code += call(service, tmp_path)
    code += """
print(api.create_task_run(body={}).id)
variables = {"SECURE_X": "s3cret-" + "w0rd"}
body = {"execution": {"environment": {"variables": variables}}}
try: api.create_task_run(body=body)
except libtes.ApiException as error: sentry_sdk.capture_exception(error)
print(len(seen), any(c.get("type") == "http" for c in seen[0]["breadcrumbs"]["values"]))
own = seen[0]["exception"]["values"][-1]["stacktrace"]["frames"]
inner = [frame for frame in own if frame["module"].startswith("libica.openapi")]
text = json.dumps(inner)
print(len(inner) > 0, "token-of-a-neighbour" in text, "s3cret-w0rd" in text)
"""
    lines = run_python(code).splitlines()
    assert lines == ["trn.0", "1 True", "True False False"]


# -- A socket that is not CPython's ----------------------------------------------------------------


def test_a_socket_of_another_kind_is_read_with_the_read_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import io

    import urllib3.util.connection

    class Plain(io.BytesIO):  # has no `raw` to put a clock around
        pass

    class Other:
        def __init__(self, real: socket.socket) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def makefile(self, *args: Any, **kwargs: Any) -> Plain:
            data = b""
            while json.dumps({"id": "trn.0"}).encode() not in data:
                data += self._real.recv(65536)
            return Plain(data)

    make = urllib3.util.connection.create_connection
    monkeypatch.setattr(
        urllib3.util.connection, "create_connection", lambda *a, **k: Other(make(*a, **k))
    )
    with Server() as service:
        service.respond(Response(body={"id": "trn.0"}))
        with libtes.ApiClient(libtes.Configuration(service.url)) as client:
            for _ in range(2):
                assert libtes.TaskRunsApi(client).create_task_run(body={}).id == "trn.0"
