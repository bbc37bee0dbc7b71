"""Calls: whatever the service, the connection or the proxy does, no secret is shown."""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
import urllib3

from libica.openapi import libtes

from ...operations import OPERATIONS, Operation, page
from ...server import Asked, RawServer, Response, Server, wait_until
from ...wire import reset
from .conftest import Check, ClientOf, Seen
from .hidden import FRESH, LOGIN, SENT, SIGNED, STORED, WAYS, encode, filled, found, leaks, looks

# -- Calls that succeed ----------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_a_call_that_succeeds_shows_no_secret_and_sends_all(
    operation: Operation, server: Server, client_for: ClientOf, seen: Seen
) -> None:
    sample = encode(filled(operation.model))
    sample.pop("nextPageToken", None)
    server.respond(Response(operation.status, sample))
    body = {"body": filled(getattr(libtes, operation.body))} if operation.body else {}
    client = client_for(server.url)
    data = operation.call(client, **body)
    whole = operation.call(client, "_with_http_info", **body)
    later = operation.call(client, async_req=True, **body)
    assert later.get(10) == data == whole[0]
    if operation.filters:
        walk = operation.name.replace("list_", "iter_")
        list(getattr(getattr(libtes, operation.api)(client), walk)(**operation.ids))
    for asked in server.asked[:3]:
        assert found(asked.headers, asked.body) == SENT | found(json.dumps(encode(body)))
    assert leaks(*looks(data), *looks(whole), *looks(later), repr(vars(later))) == {}
    assert found(json.dumps(encode(data.to_dict()))) == found(json.dumps(sample))
    logged = "\n".join(seen())
    assert f"{operation.method} {operation.target}: {operation.status}" in logged
    assert leaks(logged) == {}


# -- Responses that repeat what was sent -----------------------------------------------------------


def repeat(text: str, asked: Asked) -> str:
    """Put what a service was told into a text.

    ``HEARD`` is all of it, ``QUOTED`` the same within JSON, ``TOKEN`` the token alone, and ``ECHO``
    the body of an error that repeats it in each of its fields, with what the service has in store.
    """
    token, cookie = (asked.headers.get(name, "") for name in ("Authorization", "Cookie"))
    token, cookie = token.rpartition(" ")[2], cookie.rpartition("=")[2]
    heard = "; ".join([*asked.headers.values(), asked.body.decode(), token, cookie])
    sent = json.loads(asked.body) if asked.body else None
    details = [asked.headers, sent, {"sent": sent, "text": heard}, *heard.split()]
    echo = {"code": heard, "message": f"cannot: {heard}", "details": details, "stored": STORED}
    text = text.replace("ECHO", json.dumps(echo)).replace("STORED", json.dumps(STORED))
    text = text.replace("QUOTED", json.dumps(heard)[1:-1])
    return text.replace("HEARD", heard).replace("TOKEN", token)


def say(
    body: str, status: int = 200, content_type: str = "application/json", **headers: str
) -> Callable[[Asked], Response]:
    """Return a script that repeats what was sent in the body, the reason and the headers."""

    def script(asked: Asked) -> Response:
        login = asked.headers.get("Authorization", "")
        said = {f"X-Heard-{name}": value for name, value in asked.headers.items()}
        said |= {"X-Heard": asked.body.decode(), "WWW-Authenticate": f"error={login}"}
        said |= {"Location": SIGNED, "Content-Type": repeat(content_type, asked)}
        said |= {name.replace("_", "-"): repeat(text, asked) for name, text in headers.items()}
        data = repeat(body, asked).encode("utf-8", "surrogateescape")
        return Response(status, data, said, reason=f"Not {login}")

    return script


def refuse(status: int) -> Callable[[Asked], Response]:
    """Return a script for an error that repeats everything."""
    return say("ECHO", status)


# A model whose fields are of wrong types, with what was heard in them.
FIELDS = '"timeCreated": "QUOTED", "acl": {"x": "QUOTED"}, "stored": STORED, "jwt": ["QUOTED"]'
WRONG_TYPES = f'{{{FIELDS}, "taskVersions": "QUOTED", "items": [{{{FIELDS}}}]}}'
HTML = "<html><body>You sent HEARD</body></html>"
BROKEN = "\udcff\udcfe"  # bytes that are no UTF-8
REFUSED = {
    **{str(status): refuse(status) for status in (400, 401, 404, 429, 503)},
    "400 in HTML": say(HTML, 400, "text/html"),
    "500 in text": say("You sent HEARD", 500, "text/plain; charset=TOKEN"),
    "500 in broken text": say(f'{{"message": "HEARD {BROKEN}"}}', 500),
    "500 in broken JSON": say('{"message": "HEARD", "details": [', 500),
    "400 in a string": say('"QUOTED"', 400),
    "400 with a nested error": say('[{"error": ECHO}]', 400),
}
UNUSABLE = {
    "HTML": say(HTML, content_type="text/html"),
    "broken JSON": say('{"message": HEARD'),
    "cut JSON": say('{"id": "HEARD'),
    "JSON and more": say('{"id": "x"} HEARD'),
    "no UTF-8": say(f'{{"id": "HEARD {BROKEN}"}}'),
    "other characters": say('{"id": "HEARD"}', content_type="application/json; charset=utf-16"),
    "unknown characters": say('{"id": "HEARD"}', content_type="application/json; charset=TOKEN"),
    "a string": say('"QUOTED"', content_type="text/TOKEN"),
    "wrong types": say(WRONG_TYPES),
    "unknown encoding": say("HEARD", Content_Encoding="TOKEN"),
    "deep nesting": say("[" * 100_000 + "HEARD"),
}
RESPONSES = {**REFUSED, **UNUSABLE}


def with_each_way(names: Any) -> Any:
    """Pair each name with one way to call, in turn."""
    return pytest.mark.parametrize(("name", "way"), list(zip(names, itertools.cycle(WAYS))))


@with_each_way(RESPONSES)
def test_a_refusal_that_says_back_what_was_sent_reveals_nothing(
    name: str, way: str, server: Server, client_for: ClientOf, check: Check
) -> None:
    expected = libtes.InvalidResponseException if name in UNUSABLE else libtes.ApiException
    for each in {"create", way}:
        server.asked.clear()
        server.respond(*[Response(body=page([]))] * (each == "walk"), RESPONSES[name])
        error = check(client_for(server.url), each, expected)
        assert found(server.asked[0].headers, server.asked[0].body) == WAYS[each][1]
        if name in REFUSED:
            assert str(error.status) == name.split()[0]
            assert "***" in error.body


def test_a_message_that_is_cut_is_not_cut_within_a_secret(
    server: Server, client_for: ClientOf, check: Check
) -> None:
    for shift in range(7):
        server.respond(say(json.dumps({"message": "." * 6 * shift + "TOKEN " * 200}), 400))
        check(client_for(server.url), "get")


def test_a_token_that_was_replaced_is_still_not_shown(
    server: Server, client_for: ClientOf, check: Check
) -> None:
    def script(asked: Asked) -> Response:
        return Response(401, {"message": " ".join(repeat("HEARD", each) for each in server.asked)})

    server.respond(refuse(429), script)  # a call that is retried, too
    client = client_for(server.url)
    client.configuration.retries = urllib3.Retry(2, backoff_factor=0)
    client.configuration.refresh_api_key_hook = lambda configuration: configuration.api_key.update(
        Authorization=FRESH
    )
    error = check(client, "create", libtes.UnauthorizedException)
    assert found(*(each.headers for each in server.asked)) == {*SENT, "FRESH"}
    assert "***" in error.message


def test_a_redirect_shows_neither_secrets_nor_the_signature_of_its_target(
    server: Server, other: Server, client_for: ClientOf, check: Check
) -> None:
    server.respond(refuse(307))
    assert check(client_for(server.url), "create").status == 307  # a write is not redirected
    # At DEBUG this logger of urllib3 tells the address of each request.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
    target = SIGNED.replace("https://bucket.example", other.url)
    server.respond(Response(302, headers={"Location": target}))
    other.respond(Response(403, {"message": f"no {target}", "at": [target]}))
    check(client_for(server.url), "get", libtes.ForbiddenException)
    assert found(other.last.target) == {"SIGNATURE"}


# -- Connections that fail -------------------------------------------------------------------------


def head(status: int, *headers: str) -> str:
    """Return the head of a response."""
    kind = "Content-Type: application/json"
    return "\r\n".join([f"HTTP/1.1 {status} Some Reason", kind, *headers, "", ""])


# What is said of what was sent, and what happens to the connection then.
LONG, CHUNKED = "Content-Length: 99999", "Transfer-Encoding: chunked"
CUT: dict[str, tuple[str, str]] = {
    "nothing": ("", "close"),
    "reset": ("", "reset"),
    "reset in the head": ("HTTP/1.1 200 OK\r\nX-Heard: TOKEN", "reset"),
    "cut in the body": (head(200, LONG) + '{"id": "HEARD', "close"),
    "cut in the head": ("HTTP/1.1 200 OK\r\nX-Heard: TOKEN", "close"),
    "cut in the body of an error": (head(500, LONG) + "HEARD", "close"),
    "cut in a chunk": (head(200, CHUNKED) + "ffff\r\nHEARD", "close"),
    "silent": ("", "wait"),
    "silent in the head": ("HTTP/1.1 200 OK\r\nX-Heard: TOKEN\r\n", "wait"),
    "silent in the body": (head(200, LONG) + '{"id": "HEARD', "wait"),
    "no HTTP": ("SSH-2.0 HEARD\r\n\r\n", "close"),
    "odd version": ("HTTP/TOKEN 200 OK\r\n\r\n", "close"),
    "odd status": ("HTTP/1.1 TOKEN OK\r\n\r\n", "close"),
    "odd length": (head(400, "Content-Length: 5, TOKEN") + "HEARD", "close"),
    "odd chunk": (head(200, CHUNKED) + "HEARD\r\n\r\n", "close"),
    "odd chunk of an error": (head(400, CHUNKED) + "TOKEN\r\n\r\n", "close"),
    "odd header": ("HTTP/1.1 400 Bad\r\nTOKEN HEARD\r\nContent-Length: 0\r\n\r\n", "close"),
    "odd headers": ("HTTP/1.1 400 Bad\r\nA: b\r\n TOKEN\r\nHEARD\r\n\r\n{}", "close"),
    "broken gzip": (head(200, "Content-Encoding: gzip", "Content-Length: 5") + "HEARD", "close"),
}


def broken(said: str, then: str) -> RawServer:
    """Return a server that repeats what was sent in a broken response, and what comes then."""

    def talk(connection: socket.socket) -> None:
        top, _, body = server.received[-1].partition(b"\r\n\r\n")
        line, *lines = top.decode("latin-1").split("\r\n")
        headers = dict(each.split(": ", 1) for each in lines)
        connection.sendall(repeat(said, Asked(*line.split()[:2], headers, body)).encode())
        if then == "wait":
            connection.settimeout(10)
            with contextlib.suppress(OSError):
                connection.recv(1)
        elif then == "reset":
            time.sleep(0.02)  # else what was said is thrown away as well
            reset()(connection)

    server = RawServer(talk)
    return server


@with_each_way(CUT)
def test_a_broken_response_reveals_nothing(
    name: str, way: str, client_for: ClientOf, check: Check
) -> None:
    said, then = CUT[name]
    with broken(said, then) as server:
        client = client_for(server.url)
        client.configuration.timeout = 10, 0.15 if then == "wait" else 10
        check(client, way)
        wait_until(lambda: found(server.received) == WAYS[way][1])


@pytest.mark.parametrize("way", ["create", "launch in the background", "walk"])
def test_a_host_that_cannot_be_reached_reveals_nothing(
    way: str, refusing: str, full: str, secure: Server, client_for: ClientOf, check: Check
) -> None:
    for timeout in ((10, 10), 10):
        client = client_for(f"http://{refusing}")
        client.configuration.timeout = timeout
        client.configuration.retries = urllib3.Retry(1, backoff_factor=0)
        check(client, way, libtes.ConnectException)
    check(client_for("http://nowhere.invalid"), way, libtes.UnknownHostException)
    check(client_for(secure.url), way, libtes.TlsException)
    with broken(head(200, LONG) + "HEARD", "wait") as server:
        client = client_for(server.url)
        client.configuration.timeout = 0.2
        check(client, way, libtes.DeadlineException)
    if hasattr(socket, "TCP_INFO"):  # elsewhere a full backlog does not hold up a connection
        client = client_for(full)
        client.configuration.timeout = 0.1, 10
        check(client, way, libtes.ConnectTimeoutException)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # older http.client leaves a socket open
@pytest.mark.parametrize("far", ["http://tes.example", "https://tes.example"])
@pytest.mark.parametrize("variable", [True, False], ids=["environment", "configuration"])
def test_a_proxy_reveals_nothing_whether_it_is_down_or_repeats_what_was_sent(
    variable: bool,
    far: str,
    refusing: str,
    server: Server,
    client_for: ClientOf,
    check: Check,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def by(address: str) -> Any:
        client = client_for(far)
        monkeypatch.setenv("NO_PROXY", "")
        if variable:
            monkeypatch.setenv("ALL_PROXY", f"http://{LOGIN}@{address}")
        else:
            client.configuration.proxy = f"http://{LOGIN}@{address}"
        return client

    for way in ("create", "launch in the background", "walk"):
        check(by(refusing), way, libtes.ProxyException)
    for status, way in itertools.product((407, 502), ("create", "get")):
        server.respond(refuse(status))
        check(by(server.url[7:]), way)
        sent = {"PROXY_PASSWORD", "PROXY_HEADER"}
        assert found(server.last.headers) == (sent if far.startswith("https") else sent | SENT)
    gc.collect()  # the warning of that socket must not come in another test
