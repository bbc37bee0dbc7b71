"""Redirects are followed by reads alone; another origin gets none of what may be secret."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest
import urllib3

from libica.openapi import libtes

from ..authority import Authority
from ..conftest import TOKEN
from ..operations import RUN
from ..server import Asked, Response, Server
from .calls import AT_ONCE, LAUNCH, READ, SECRETS, WRITES, failure, preloads
from .conftest import Connect

STATUSES = [301, 302, 303, 307, 308]
FOUND = Response(body={"id": "x"})
PUBLIC = {"Host", "Accept", "Accept-Encoding", "User-Agent", "Connection"}
each_status = pytest.mark.parametrize("status", STATUSES)


def to(location: str, status: int = 302) -> Response:
    return Response(status, b"", {"Location": location})


def shows_no_secret(asked: Asked) -> None:
    """Check that a request holds nothing of what is for one host alone."""
    assert set(asked.headers) <= PUBLIC
    assert not [secret for secret in SECRETS if secret in repr(asked)]


# -- Where a read goes -----------------------------------------------------------------------------


@each_status
@pytest.mark.parametrize("form", ["{url}/v2/x?y=1", "/v2/x?y=1", "../../../v2/x?y=1"])
def test_a_read_is_redirected_with_all_its_headers_within_the_origin(
    connect: Connect, server: Server, status: int, form: str
) -> None:
    server.respond(to(form.format(url=server.url), status), FOUND)
    assert READ.call(connect(server.url)).id == "x"
    first, second = server.asked
    assert (second.method, second.target) == ("GET", "/v2/x?y=1")
    assert second.headers == first.headers
    assert second.headers["Authorization"] == f"Bearer {TOKEN}"


def test_a_redirect_may_lead_to_any_path(connect: Connect, server: Server, other: Server) -> None:
    client = connect(server.url)
    for path, target in [
        ("", "/"),
        ("?x=1", "/?x=1"),
        ("/moved#part", "/moved"),
        ("/a b?c d", "/a%20b?c%20d"),
        ("/%C3%A9", "/%C3%A9"),
        ("/é", "/%C3%A9"),
    ]:
        for there in (server, other):
            server.respond(to(f"{there.url}{path}"), FOUND)
            assert READ.call(client).id == "x"
            assert there.last.target.replace("%C3%83%C2%A9", "%C3%A9") == target


@each_status
@preloads
@pytest.mark.parametrize("schemes", ["http http", "http https", "https http"])
def test_a_read_is_redirected_to_another_origin_without_secrets_and_a_write_never(
    connect: Connect, authority: Authority, schemes: str, status: int, preload: bool
) -> None:
    contexts = [authority.server("127.0.0.1") if s == "https" else None for s in schemes.split()]
    with Server(contexts[0]) as here, Server(contexts[1]) as there:
        there.respond(FOUND)
        here.respond(to(f"{there.url}/x", status))
        client = connect(here.url, ssl_ca_cert=str(authority.file))
        client.user_agent = "pipeline/3"
        response = READ.call(client, _preload_content=preload)
        assert preload or response.data == b'{"id": "x"}'
        shows_no_secret(there.last)
        assert there.last.headers["User-Agent"] == "pipeline/3"
        for operation in WRITES:
            for location in (f"{there.url}/x", f"{here.url}/x"):
                here.respond(to(location, status))
                exception = failure(client, operation, _preload_content=preload)
                assert exception.status == status
                assert exception.headers["Location"] == location
        assert len(there.asked) == 1
        assert [asked.target for asked in here.asked[1:]] == [
            operation.target for operation in WRITES for _ in range(2)
        ]


def test_a_read_that_is_redirected_there_and_back_has_lost_its_secrets(
    connect: Connect, server: Server, other: Server
) -> None:
    other.respond(to(f"{server.url}/back"))
    server.respond(to(other.url), FOUND)
    assert READ.call(connect(server.url)).id == "x"
    assert server.last.target == "/back"
    shows_no_secret(server.last)


def test_another_name_of_the_same_host_is_another_origin(connect: Connect, server: Server) -> None:
    for host in ("http://localhost", "//localhost", "http://127.0.0.1."):
        server.respond(to(f"{host}:{server.port}/x"), FOUND)
        with contextlib.suppress(libtes.ConnectException):  # where the name does not lead there
            assert READ.call(connect(server.url)).id == "x"
            assert server.last.target == "/x"
            shows_no_secret(server.last)


# -- Where no read goes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "location",
    [
        *("", "ftp://127.0.0.1/x", "file:///etc/passwd", "javascript:alert(1)", "http://:80/"),
        *("http://[bad", "http://127.0.0.1:99999/", "http://127.0.0.1:port/", "https://[::1/"),
        "http://nowhere.invalid/",
    ],
)
def test_a_redirect_to_where_no_call_can_go_is_an_error(
    connect: Connect, server: Server, location: str
) -> None:
    server.respond(to(location))
    failure(connect(server.url, retries=0), READ)
    assert len(server.asked) == 1


def test_other_statuses_are_no_redirects(connect: Connect, server: Server) -> None:
    for status in (300, 304, 305, 306, 309, 400, 404):
        server.respond(to("/x", status))
        assert failure(connect(server.url), READ).status == status
    assert len(server.asked) == 7


@preloads
def test_a_redirect_without_a_location_is_an_error(
    connect: Connect, server: Server, preload: bool
) -> None:
    for status in (300, 304, *STATUSES):
        server.respond(Response(status, b""))
        for operation in (READ, LAUNCH):
            exception = failure(connect(server.url), operation, _preload_content=preload)
            assert (type(exception), exception.status) == (libtes.ApiException, status)
    assert len(server.asked) == 14


def test_a_redirect_may_lead_to_an_error_at_last_after_five(
    connect: Connect, server: Server
) -> None:
    client = connect(server.url)
    server.respond(to("/gone"), Response(404, {"message": "gone"}))
    exception = failure(client, READ)
    assert (type(exception), exception.message) == (libtes.NotFoundException, "gone")
    server.asked.clear()
    server.respond(to("/round"))
    assert failure(client, READ).status == 302
    assert len(server.asked) == 6


def test_a_redirect_to_a_host_that_refuses_names_it_and_shows_no_secret(
    connect: Connect, server: Server, refusing: str
) -> None:
    server.respond(to(f"http://user:p%3Aw%40rd@{refusing}/x"))
    exception = failure(connect(server.url, retries=AT_ONCE), READ)
    assert type(exception) is libtes.ConnectException
    assert "127.0.0.1" in str(exception)


def test_no_redirect_is_followed_after_the_deadline_of_the_call(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    urlopen = urllib3.HTTPConnectionPool.urlopen

    def late(*args: Any, **kwargs: Any) -> Any:
        response = urlopen(*args, **kwargs)
        time.sleep(1)
        return response

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", late)
    server.respond(to("/v2/x"), FOUND)
    exception = failure(connect(server.url, timeout=1), READ)
    assert isinstance(exception, (libtes.ConnectTimeoutException, libtes.DeadlineException))
    assert [asked.method for asked in server.asked] == ["GET"]


def test_a_token_is_not_refreshed_for_a_stranger(
    connect: Connect, server: Server, other: Server
) -> None:
    """A stranger who responds with 401 must not be given a token."""

    def hook(configuration: libtes.Configuration) -> None:
        configuration.api_key["Authorization"] = f"new {TOKEN}"

    other.respond(Response(401))
    server.respond(to(f"{other.url}/x"))
    exception = failure(connect(server.url, refresh_api_key_hook=hook), READ)
    assert exception.status == 401
    for asked in other.asked:
        shows_no_secret(asked)


# -- What else might be sent unasked ---------------------------------------------------------------


def test_a_cookie_that_a_service_sets_is_not_sent_back(connect: Connect, server: Server) -> None:
    server.respond(Response(headers={"Set-Cookie": "session=theirs; Path=/"}))
    client = connect(server.url)
    for cookie in ("a=mine", "a=mine", None):
        client.cookie = cookie
        libtes.TasksApi(client).list_tasks()
    sent = [asked.headers.get("Cookie") for asked in server.asked]
    assert sent == ["a=mine", "a=mine", None]


def test_a_login_in_a_netrc_file_is_not_sent(
    connect: Connect, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password p:w@rd\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    settings: dict[str, Any] = {"api_key": {}}
    client = connect(server.url, **settings)
    client.call_api(f"/v1/tasks/runs/{RUN}", "GET", auth_settings=["Bearer"])
    assert "Authorization" not in server.last.headers
