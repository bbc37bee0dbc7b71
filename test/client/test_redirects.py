"""Redirects are followed by reads alone; another origin gets none of what may be secret."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Optional

import pytest
import urllib3

from libica.openapi import libtes

from ..authority import Authority
from ..conftest import TOKEN
from ..operations import RUN
from ..server import Asked, Response, Server
from .calls import LAUNCH, READ, SECRETS, WRITES, failure, preloads
from .conftest import Connect

STATUSES = [301, 302, 303, 307, 308]
FOUND = Response(body={"id": "x"})
PUBLIC = {"Host", "Accept", "Accept-Encoding", "User-Agent", "Connection"}
each_status = pytest.mark.parametrize("status", STATUSES)


def to(location: Optional[str], status: int = 302) -> Response:
    return Response(status, b"", {} if location is None else {"Location": location})


def shows_no_secret(asked: Asked) -> None:
    """Check that a request holds nothing of what is for one host alone."""
    assert set(asked.headers) <= PUBLIC
    assert not [secret for secret in SECRETS if secret in repr(asked)]


HERE = {
    "/v2/x?y=1": "/v2/x?y=1",
    "../../../v2/x?y=1": "/v2/x?y=1",
    "http://127.0.0.1:{port}": "/",
    "http://127.0.0.1:{port}?x=1": "/?x=1",
    "http://127.0.0.1:{port}/moved#part": "/moved",
    "/a b?c d": "/a%20b?c%20d",
    "/%C3%A9": "/%C3%A9",
    "/é": "/%C3%A9",
}
ANOTHER_NAME = dict.fromkeys(
    ("http://localhost:{port}/x", "//localhost:{port}/x", "http://127.0.0.1.:{port}/x"), "/x"
)


@each_status
def test_a_read_keeps_all_its_headers_if_it_is_redirected_within_the_origin_alone(
    connect: Connect, server: Server, status: int
) -> None:
    client = connect(server.url)
    for location, target in {**HERE, **ANOTHER_NAME}.items():
        server.respond(to(location.format(port=server.port), status), FOUND)
        try:
            assert READ.call(client).id == "x"
        except libtes.ConnectException:  # where the name does not lead there
            assert location in ANOTHER_NAME
            continue
        first, second = server.asked[-2:]
        found = second.target.replace("%C3%83%C2%A9", "%C3%A9")  # as some urllib3 read Latin-1
        assert (second.method, found) == ("GET", target)
        if location in ANOTHER_NAME:  # which is another origin
            shows_no_secret(second)
        else:
            assert second.headers == first.headers
            assert second.headers["Authorization"] == f"Bearer {TOKEN}"


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
                assert (exception.status, exception.headers["Location"]) == (status, location)
                assert here.last.target == operation.target
        assert (len(there.asked), len(here.asked)) == (1, 1 + 2 * len(WRITES))
        here.respond(to(f"{there.url}/x", status), FOUND)
        there.respond(to(f"{here.url}/back", status))
        READ.call(client, _preload_content=preload)
        assert here.last.target == "/back"
        shows_no_secret(here.last)  # which were lost on the way
        here.respond(to(f"{there.url}/x", status))
        there.respond(Response(401))  # for which a stranger is given no token
        new = {"Authorization": f"new {TOKEN}"}
        client.configuration.refresh_api_key_hook = lambda its: its.api_key.update(new)
        assert failure(client, READ, _preload_content=preload).status == 401
        for asked in there.asked:
            shows_no_secret(asked)


NOWHERE = """
ftp://127.0.0.1/x file:///etc/passwd javascript:alert(1) http://nowhere.invalid/
http://:80/ http://[bad https://[::1/ http://127.0.0.1:99999/ http://127.0.0.1:port/
""".split()


@pytest.mark.parametrize(
    ("statuses", "location"),
    [
        ((300, 304, *STATUSES), None),
        ((300, 304, 305, 306, 309, 400, 404), "/x"),
        *(([302], location) for location in ("", *NOWHERE)),
    ],
)
@preloads
def test_a_redirect_to_where_no_call_can_go_is_an_error(
    connect: Connect, server: Server, statuses: Any, location: Optional[str], preload: bool
) -> None:
    client = connect(server.url, retries=0)
    for status in statuses:
        server.respond(to(location, status))
        for operation in (READ, LAUNCH):
            exception = failure(client, operation, _preload_content=preload)
            assert exception.status == status or isinstance(exception, libtes.ConnectException)
    assert len(server.asked) == 2 * len(statuses)


def test_a_redirect_may_lead_to_an_error_at_last_after_five(
    connect: Connect, server: Server, refusing: str
) -> None:
    client = connect(server.url)
    server.respond(to("/gone"), Response(404, {"message": "gone"}))
    exception = failure(client, READ)
    assert (type(exception), exception.message) == (libtes.NotFoundException, "gone")
    server.asked.clear()
    server.respond(to("/round"))
    assert failure(client, READ).status == 302
    assert len(server.asked) == 6
    server.respond(to(f"http://user:p%3Aw%40rd@{refusing}/x"))
    exception = failure(client, READ)  # which shows no password
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


def test_neither_a_cookie_of_the_service_nor_a_login_of_a_netrc_file_is_sent(
    connect: Connect, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password p:w@rd\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    server.respond(Response(headers={"Set-Cookie": "session=theirs; Path=/"}))
    client = connect(server.url, api_key={})
    for cookie in ("a=mine", "a=mine", None):
        client.cookie = cookie
        client.call_api(f"/v1/tasks/runs/{RUN}", "GET", auth_settings=["Bearer"])
        assert server.last.headers.get("Cookie") == cookie
        assert "Authorization" not in server.last.headers
