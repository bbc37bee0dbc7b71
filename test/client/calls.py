"""Calls of each HTTP method, and what holds for every one that fails."""

from __future__ import annotations

import pickle
from time import monotonic  # not one that a test may replace
from typing import Any, Optional, Union

import pytest
import urllib3

from libica.openapi import libtes

from ..conftest import TOKEN
from ..operations import OPERATIONS, Operation
from ..server import RawServer, Talk, say
from ..wire import Wire

_named = {each.name: each for each in OPERATIONS}
READ, PAGE, LAUNCH, UPDATE, ABORT = (
    _named[name]
    for name in "get_task_run list_tasks launch_task_run update_task abort_task_run".split()
)
WRITES = (LAUNCH, UPDATE, ABORT)
each_call = pytest.mark.parametrize("operation", [READ, *WRITES], ids=str)
read_and_launch = pytest.mark.parametrize("operation", [READ, LAUNCH], ids=str)
preloads = pytest.mark.parametrize("preload", [True, False], ids=["read", "raw"])

AT_ONCE = urllib3.Retry(total=2, backoff_factor=0.001)
ENDLESS = urllib3.Retry(total=100_000, backoff_factor=0.01)
GENEROUS = 30.0
"""Seconds in which a call ends on any machine, unless it waits for what never comes."""

PROXY_LOGIN = "user%20name:pass%3Aw%40rd%2Fof%20proxy@"
BASIC = urllib3.make_headers(proxy_basic_auth="user name:pass:w@rd/of proxy")["proxy-authorization"]
PROXY_SECRETS = ("pass:w@rd", "pass%3Aw%40rd", "w@rd", BASIC, BASIC.split()[1])
SECRETS = (TOKEN, "Bearer", "cookie-of-mine", "header-of-mine", *PROXY_SECRETS)

BODY = b'{"id": "x", "items": [{"id": "x"}]}'
"""A run, and a page with one item: unknown fields are ignored."""


def configuration_for(wire: Wire) -> libtes.Configuration:
    """Return settings by which nothing is retried."""
    configuration = libtes.Configuration(host=wire.url, api_key={"Authorization": TOKEN})
    configuration.retries = 0
    configuration.timeout = (30, 30)
    return configuration


def misbehaving(talk: Union[Talk, bytes], **options: Any) -> RawServer:
    """Return a server that behaves so, or sends these bytes and closes the connection."""
    return RawServer(say(talk) if isinstance(talk, bytes) else talk, **options)


def failure(client: libtes.ApiClient, operation: Operation, **options: Any) -> Any:
    """Make a call that fails, check what holds for every failure, and return the exception."""
    started = monotonic()
    with pytest.raises(libtes.ApiException) as caught:
        operation.call(client, **options)
    assert monotonic() - started < GENEROUS
    check_failure(caught.value, operation)
    return caught.value


def check_failure(exception: libtes.ApiException, operation: Operation) -> None:
    """Check that an exception says what was called, shows no secret, and can be pickled."""
    text = str(exception)
    assert exception.method == operation.method
    assert exception.path is not None
    assert exception.path.endswith(operation.target)
    assert f"{exception.method} {exception.path}" in text
    assert text.isprintable()
    assert len(text) < 1500
    if isinstance(exception, libtes.ApiConnectionException):
        refusal = isinstance(exception, libtes.ProxyException) and exception.__cause__ is None
        assert refusal or isinstance(exception.__cause__, urllib3.exceptions.HTTPError)
        assert (exception.body, exception.headers) == (None, None)
        assert "argument" not in str(exception.reason)  # what urllib3 tried first is not the reason
    refused = exception.status is not None and 300 <= exception.status < 500
    unsent = isinstance(exception, libtes.ConnectException)
    assert exception.may_have_happened == (
        operation.method != "GET" and not unsent and (not refused or exception.status == 408)
    )
    link: Optional[BaseException] = exception
    while link is not None:
        shown = str(link) + repr(link) + repr(vars(link))
        assert not [secret for secret in SECRETS if secret in shown]
        link = link.__cause__ or link.__context__
    twin = pickle.loads(pickle.dumps(exception))
    assert (type(twin), str(twin)) == (type(exception), text)
    assert twin.may_have_happened == exception.may_have_happened
