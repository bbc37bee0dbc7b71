"""Calls: whatever the service, the connection or the proxy does, no secret is shown."""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import json
import logging
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest
import urllib3

from libica.openapi import libtes

from ...authority import Authority
from ...operations import OPERATIONS, Operation, page
from ...server import Asked, RawServer, Response, Server, wait_until
from .conftest import Check, ClientOf, Seen
from .hidden import (
    LOGIN,
    PREFIX,
    SENT,
    SIGNED,
    STORED,
    TOKEN,
    WAYS,
    encode,
    filled,
    found,
    get,
    leaks,
    looks,
    refreshed,
)


def with_each_way(names: Any) -> Any:
    """Pair each name with one way to call, in turn."""
    return pytest.mark.parametrize(("name", "way"), list(zip(names, itertools.cycle(WAYS))))


# -- Calls that succeed ----------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_a_call_that_succeeds_shows_no_secret_and_sends_all(
    operation: Operation, client_for: ClientOf, seen: Seen
) -> None:
    sample = encode(filled(operation.model))
    sample.pop("nextPageToken", None)
    body = {"body": filled(getattr(libtes, operation.body))} if operation.body else {}
    with Server() as server:
        server.respond(Response(operation.status, sample))
        client = client_for(server.url)
        data = operation.call(client, **body)
        whole = operation.call(client, "_with_http_info", **body)
        later = operation.call(client, async_req=True, **body)
        assert later.get(10) == data == whole[0]
        if operation.filters:
            walk = operation.bound(client).__name__.replace("list_", "iter_")
            list(getattr(getattr(libtes, operation.api)(client), walk)(**operation.ids))
        for asked in server.asked[:3]:
            assert found(asked.headers, asked.body) == SENT | found(json.dumps(encode(body)))
    assert leaks(*looks(data), *looks(whole), *looks(later), repr(vars(later))) == {}
    assert found(json.dumps(encode(data.to_dict()))) == found(json.dumps(sample))
    logged = "\n".join(seen())
    assert f"{operation.method} {operation.target}: {operation.status}" in logged
    assert leaks(logged) == {}


def test_a_warning_about_certificates_has_no_secret(
    client_for: ClientOf, seen: Seen, authority: Authority
) -> None:
    with Server(authority.server("127.0.0.1")) as server:
        client = client_for(server.url)
        client.configuration.verify_ssl = False
        get(client)
        assert found(server.last.headers) == SENT
    texts = seen()
    assert "InsecureRequestWarning" in "\n".join(texts)
    assert leaks(*texts) == {}


# -- Responses that repeat what was sent -----------------------------------------------------------


def heard(asked: Asked) -> str:
    """Return all that a service was told, in words of its own."""
    cookie = asked.headers["Cookie"].rpartition("=")[2]
    token = asked.headers["Authorization"].rpartition(" ")[2]
    return "; ".join([*asked.headers.values(), asked.body.decode(), token, cookie])


def echo(asked: Asked) -> dict[str, Any]:
    """Return the body of an error that says all of it, and what the service has in store."""
    sent = json.loads(asked.body) if asked.body else None
    message = f"cannot do this: {heard(asked)}"
    details = [asked.headers, sent, {"sent": sent, "text": heard(asked)}, *heard(asked).split()]
    return {"code": heard(asked), "message": message, "details": details, "stored": STORED}


def echo_headers(asked: Asked) -> dict[str, str]:
    """Return headers that say it too."""
    said = {f"X-Heard-{name}": value for name, value in asked.headers.items()}
    login = asked.headers["Authorization"]
    more = {"X-Heard": asked.body.decode(), "Location": SIGNED}
    return {**said, **more, "WWW-Authenticate": f"error={login}"}


def refuse(status: int) -> Callable[[Asked], Response]:
    """Return a script for an error that repeats everything."""
    return lambda asked: Response(
        status, echo(asked), echo_headers(asked), reason=f"Not {asked.headers['Authorization']}"
    )


def say(body: Any, content_type: str = "application/json", status: int = 200) -> Any:
    """Return a script that puts what was heard into a text, or makes the body of the request."""

    def script(asked: Asked) -> Response:
        token = asked.headers["Authorization"].split()[-1]
        said = body(asked) if callable(body) else body.replace("HEARD", heard(asked))
        if isinstance(said, str):
            said = said.encode().replace(b"BROKEN", b"\xff\xfe")
        kind = {"Content-Type": content_type.replace("TOKEN", token)}
        return Response(status, said, {**echo_headers(asked), **kind})

    return script


def wrong_types(asked: Asked) -> dict[str, Any]:
    """Return a model whose fields are of wrong types, with what was heard in them."""
    wrong = {"timeCreated": heard(asked), "acl": {"x": heard(asked)}, "stored": STORED}
    return {**wrong, "jwt": [heard(asked)], "taskVersions": heard(asked), "items": [wrong]}


def unknown_encoding(asked: Asked) -> Response:
    encoding = asked.headers["Authorization"]
    return Response(200, heard(asked), {**echo_headers(asked), "Content-Encoding": encoding})


HTML = "<html><body>You sent HEARD</body></html>"
REFUSED: dict[str, Callable[[Asked], Response]] = {
    **{str(status): refuse(status) for status in (400, 401, 404, 429, 503)},
    "400 in HTML": say(HTML, "text/html", 400),
    "500 in text": say("You sent HEARD", "text/plain; charset=TOKEN", 500),
    "500 in broken text": say('{"message": "HEARD BROKEN"}', status=500),
    "500 in broken JSON": say('{"message": "HEARD", "details": [', status=500),
    "400 in a string": say(lambda asked: json.dumps(heard(asked)), status=400),
    "400 with a nested error": say(lambda asked: [{"error": echo(asked)}], status=400),
}
UNUSABLE: dict[str, Callable[[Asked], Response]] = {
    "HTML": say(HTML, "text/html"),
    "broken JSON": say('{"message": HEARD'),
    "cut JSON": say('{"id": "HEARD'),
    "JSON and more": say('{"id": "x"} HEARD'),
    "no UTF-8": say('{"id": "HEARD BROKEN"}'),
    "other characters": say('{"id": "HEARD"}', "application/json; charset=utf-16"),
    "unknown characters": say('{"id": "HEARD"}', "application/json; charset=TOKEN"),
    "a string": say(lambda asked: json.dumps(heard(asked)), "text/TOKEN"),
    "wrong types": say(wrong_types),
    "unknown encoding": unknown_encoding,
    "deep nesting": say("[" * 100_000 + "HEARD"),
}
RESPONSES = {**REFUSED, **UNUSABLE}


@with_each_way(RESPONSES)
def test_a_refusal_that_says_back_what_was_sent_reveals_nothing(
    name: str, way: str, client_for: ClientOf, check: Check
) -> None:
    expected = libtes.InvalidResponseException if name in UNUSABLE else libtes.ApiException
    for each in {"create", way}:
        with Server() as server:
            first = [Response(body=page([]))] if each == "walk" else []
            server.respond(*first, RESPONSES[name])
            error = check(client_for(server.url), each, expected)
            asked = server.asked[0]
            assert found(asked.headers, asked.body) == WAYS[each][1]
        if name in REFUSED:
            assert str(error.status) == name.split()[0]
            assert "***" in error.body


def test_a_message_that_is_cut_is_not_cut_within_a_secret(
    server: Server, client_for: ClientOf, check: Check
) -> None:
    def script(asked: Asked) -> Response:
        token = asked.headers["Authorization"].split()[-1]
        return Response(400, {"message": "." * 6 * len(server.asked) + " ".join([token] * 200)})

    server.respond(script)
    for _ in range(7):
        check(client_for(server.url), "get")


def test_a_token_that_was_replaced_is_still_not_shown(
    server: Server, client_for: ClientOf, check: Check
) -> None:
    said: list[str] = []

    def script(asked: Asked) -> Response:
        said.append(heard(asked))
        return Response(401, {"message": " ".join(said)})

    server.respond(refuse(429), script)  # a call that is retried, too
    client = client_for(server.url)
    client.configuration.retries = urllib3.Retry(2, backoff_factor=0)
    error = check(client, refreshed, libtes.UnauthorizedException)
    assert found(*said) == {*WAYS["create"][1], "FRESH"}
    assert "***" in error.message


def test_a_default_header_for_authorization_is_a_secret_too(
    server: Server, client_for: ClientOf, check: Check
) -> None:
    server.respond(refuse(400))
    client = client_for(server.url)
    client.configuration.api_key = {}
    client.set_default_header("Authorization", f"{PREFIX} {TOKEN}")
    check(client, "create", libtes.BadRequestException)
    assert found(server.last.headers) == SENT


def test_a_redirect_shows_neither_secrets_nor_the_signature_of_its_target(
    server: Server, client_for: ClientOf, check: Check
) -> None:
    server.respond(refuse(307))
    assert check(client_for(server.url), "create").status == 307  # a write is not redirected
    # At DEBUG this logger of urllib3 tells the address of each request.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
    with Server() as other:
        target = SIGNED.replace("https://bucket.example", other.url)
        server.respond(Response(302, headers={"Location": target}))
        other.respond(lambda asked: Response(403, {"message": f"no {target}", "at": [target]}))
        check(client_for(server.url), "get", libtes.ForbiddenException)
        assert found(other.last.target) == {"SIGNATURE"}


# -- Connections that fail -------------------------------------------------------------------------


def head(status: int, **headers: Any) -> str:
    """Return the head of a response."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Some Reason\r\nContent-Type: application/json\r\n{lines}\r\n"


# What is said, with HEARD for all that was sent and TOKEN for the token, and what then happens.
LONG, CHUNKED = {"Content_Length": 99999}, {"Transfer_Encoding": "chunked"}
BROKEN: dict[str, tuple[str, str]] = {
    "nothing": ("", "close"),
    "reset": ("", "reset"),
    "reset in the head": ("HTTP/1.1 200 OK\r\nX-Heard: TOKEN", "reset"),
    "cut in the body": (head(200, **LONG) + '{"id": "HEARD', "close"),
    "cut in the head": ("HTTP/1.1 200 OK\r\nX-Heard: TOKEN", "close"),
    "cut in the body of an error": (head(500, **LONG) + "HEARD", "close"),
    "cut in a chunk": (head(200, **CHUNKED) + "ffff\r\nHEARD", "close"),
    "silent": ("", "wait"),
    "silent in the head": ("HTTP/1.1 200 OK\r\nX-Heard: TOKEN\r\n", "wait"),
    "silent in the body": (head(200, **LONG) + '{"id": "HEARD', "wait"),
    "no HTTP": ("SSH-2.0 HEARD\r\n\r\n", "close"),
    "odd version": ("HTTP/TOKEN 200 OK\r\n\r\n", "close"),
    "odd status": ("HTTP/1.1 TOKEN OK\r\n\r\n", "close"),
    "odd length": (head(400, Content_Length="5, TOKEN") + "HEARD", "close"),
    "odd chunk": (head(200, **CHUNKED) + "HEARD\r\n\r\n", "close"),
    "odd chunk of an error": (head(400, **CHUNKED) + "TOKEN\r\n\r\n", "close"),
    "odd header": ("HTTP/1.1 400 Bad\r\nTOKEN HEARD\r\nContent-Length: 0\r\n\r\n", "close"),
    "odd headers": ("HTTP/1.1 400 Bad\r\nA: b\r\n TOKEN\r\nHEARD\r\n\r\n{}", "close"),
    "broken gzip": (head(200, Content_Encoding="gzip", Content_Length=5) + "HEARD", "close"),
}


def misbehave(received: list[bytes], what: str, then: str) -> Callable[[socket.socket], None]:
    """Return a talk that says something broken and then ends the connection in some way."""

    def talk(connection: socket.socket) -> None:
        top, _, body = received[-1].partition(b"\r\n\r\n")
        lines = [line.partition(b": ") for line in top.split(b"\r\n")[1:]]
        token = next(value for name, _, value in lines if name == b"Authorization").split()[-1]
        said = b"; ".join([value for _, _, value in lines] + [body, token])
        connection.sendall(what.encode().replace(b"HEARD", said).replace(b"TOKEN", token))
        if then == "wait":
            connection.settimeout(10)
            with contextlib.suppress(OSError):
                connection.recv(1)
        elif then == "reset":
            time.sleep(0.02)  # else what was said is thrown away as well
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.close()

    return talk


@with_each_way(BROKEN)
def test_a_broken_response_reveals_nothing(
    name: str, way: str, client_for: ClientOf, check: Check
) -> None:
    what, then = BROKEN[name]
    received: list[bytes] = []
    with RawServer(misbehave(received, what, then)) as server:
        server.received = received
        client = client_for(server.url)
        client.configuration.timeout = 10, 0.15 if then == "wait" else 10
        check(client, way)
        wait_until(lambda: found(received) == WAYS[way][1])


@pytest.mark.parametrize("way", ["create", "launch in the background", "walk"])
def test_a_host_that_cannot_be_reached_reveals_nothing(
    way: str, refusing: str, client_for: ClientOf, check: Check, authority: Authority
) -> None:
    client = client_for(f"http://{refusing}")
    for timeout in ((10, 10), 10):
        client.configuration.timeout = timeout
        client.configuration.retries = urllib3.Retry(1, backoff_factor=0)
        check(client, way, libtes.ConnectException)
    check(client_for("http://nowhere.invalid"), way, libtes.UnknownHostException)
    with Server(authority.server("127.0.0.1")) as server:
        check(client_for(server.url), way, libtes.TlsException)
    received: list[bytes] = []
    talk = misbehave(received, head(200, Content_Length=99999) + "HEARD", "wait")
    with RawServer(talk) as server:
        server.received = received
        client = client_for(server.url)
        client.configuration.timeout = 0.2
        check(client, way, libtes.DeadlineException)


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="needs the backlog of Linux")
def test_a_connection_that_is_not_accepted_reveals_nothing(
    full: str, client_for: ClientOf, check: Check
) -> None:
    client = client_for(full)
    client.configuration.timeout = 0.1, 10
    check(client, "create", libtes.ConnectTimeoutException)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # older http.client leaves a socket open
@pytest.mark.parametrize("far", ["http://tes.example", "https://tes.example"])
@pytest.mark.parametrize("variable", [True, False], ids=["environment", "configuration"])
def test_a_proxy_reveals_nothing_whether_it_is_down_or_repeats_what_was_sent(
    variable: bool,
    far: str,
    refusing: str,
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

    def refusal(asked: Asked, status: int) -> Response:
        said = {f"X-Heard-{name}": value for name, value in asked.headers.items()}
        text = "; ".join(asked.headers.values())
        return Response(status, {"message": text, "details": [text]}, said, reason=f"Not {text}")

    for way in ("create", "launch in the background", "walk"):
        check(by(refusing), way, libtes.ProxyException)
    for status, way in itertools.product((407, 502), ("create", "get")):
        with Server() as proxy:
            proxy.respond(functools.partial(refusal, status=status))
            check(by(f"127.0.0.1:{proxy.port}"), way)
            sent = {"PROXY_PASSWORD", "PROXY_HEADER"}
            assert found(proxy.last.headers) == (sent if far.startswith("https") else sent | SENT)
    gc.collect()  # the warning of that socket must not come in another test
