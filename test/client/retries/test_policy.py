"""When a call is retried, and after how long: the decision alone."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any, Optional

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from libica.openapi import libtes
from libica.openapi.libtes.rest import RetryPolicy, retry_after, retry_delay

from ...helpers import many_examples

POLICY = RetryPolicy(total=3, backoff=0.5, longest=8.0)
READING, WRITING = ("GET", "HEAD"), ("POST", "PUT", "PATCH", "DELETE")
LOST, SILENT = libtes.ConnectionLostException(), libtes.ReadTimeoutException()
UNSENT = (libtes.ConnectException(), libtes.ConnectTimeoutException(), libtes.ProxyException())


def test_a_read_is_retried_after_a_status_that_passes_and_a_write_after_429_alone() -> None:
    for methods, retried in ((READING, {408, 429, 500, 502, 503, 504}), (WRITING, {429})):
        for method in methods:
            waits = {s: retry_delay(POLICY, 0, method, s) for s in range(100, 600)}
            assert {s: wait for s, wait in waits.items() if wait is not None} == dict.fromkeys(
                retried, 0.5
            )


def test_a_write_is_retried_after_a_connection_error_only_if_nothing_was_sent() -> None:
    for method in READING + WRITING:
        for exception in UNSENT:
            assert retry_delay(POLICY, 0, method, exception) == 0.5
        for exception in (LOST, SILENT):
            wait = 0.5 if method in READING else None
            assert retry_delay(POLICY, 0, method, exception) == wait
        assert retry_delay(POLICY, 0, method, libtes.TlsException()) is None


@many_examples
@given(tried=st.integers(0, 2000), fraction=st.floats(0, 1))
def test_waits_double_up_to_the_longest(tried: int, fraction: float) -> None:
    patient = POLICY._replace(total=10_000)
    wait = 0.5 * 2**tried if tried < 4 else 8.0
    assert retry_delay(patient, tried, "GET", 503) == wait
    assert retry_delay(patient, tried, "POST", UNSENT[0], fraction=fraction) == wait * fraction
    endless = patient._replace(longest=1e300, backoff=1e-18)
    assert retry_delay(endless, tried, "GET", 503) == 1e-18 * 2.0 ** min(tried, 60)


@pytest.mark.parametrize(
    ("tried", "more", "wait"),
    [
        *((2, {}, 2.0), (3, {}, None), (4, {}, None), (3, {"retry_after": 0.0}, None)),
        # What the service asks for replaces the backoff, up to 120 seconds.
        *((0, {"retry_after": s, "fraction": 0.1}, s) for s in (0.0, 0.5, 119.9, 120.0)),
        *((0, {"retry_after": s}, None) for s in (120.1, 3600.0, math.inf)),
        # No wait is begun that ends with the deadline or after it.
        *((0, {"left": left}, 0.5) for left in (math.inf, 0.6)),
        *((0, {"left": left}, None) for left in (0.5, 0.4, 0.0, -1.0)),
        (2, {"retry_after": 0.5, "left": 0.6}, 0.5),
        (2, {"retry_after": 0.5, "left": 0.5}, None),
    ],
)
def test_a_retry_has_limits(tried: int, more: dict[str, float], wait: Optional[float]) -> None:
    for method, outcome in (("GET", 503), ("POST", 429), ("POST", UNSENT[0]), ("GET", LOST)):
        assert retry_delay(POLICY, tried, method, outcome, **more) == wait
    for method, outcome in (("POST", 503), ("GET", 404), ("POST", LOST)):
        assert retry_delay(POLICY, tried, method, outcome, **more) is None


# -- Retry-After -----------------------------------------------------------------------------------

INVALID_WAITS = [
    *("", "soon", "-1", "1.5", "1e3", "0x10", "²", "Jan 1.1 , (", "Wed, 99 Foo 2024 99:99:99 GMT"),
    *("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 01 Jan 2024 00:00:00 +9999"),
]
PAST_DATES = [
    *("Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 -0000"),
    *("Wed, 21 Oct 2015 07:28:00 +0530", "Sunday, 06-Nov-94 08:49:37 GMT"),
]


@many_examples
@given(seconds=st.integers(0, 10**9), blanks=st.sampled_from(["", " ", "\t "]))
def test_retry_after_may_be_seconds(seconds: int, blanks: str) -> None:
    assert retry_after({"Retry-After": f"{blanks}{seconds}{blanks}"}) == seconds


@many_examples
@given(hours=st.floats(-23, 23), ahead=st.integers(-(10**6), 10**6))
def test_retry_after_may_be_a_date_with_any_offset(hours: float, ahead: int) -> None:
    zone = timezone(timedelta(minutes=int(hours * 60)))
    until = datetime.now(zone) + timedelta(seconds=ahead)
    for value in (format_datetime(until), format_datetime(until).replace("+0000", "-0000")):
        seconds = retry_after({"Retry-After": value})
        assert seconds is not None
        # A date has no fraction of a second, and the test takes its time.
        assert max(0, ahead - 60) <= seconds <= max(0, ahead)


def test_retry_after_that_is_past_invalid_or_missing() -> None:
    for value in PAST_DATES:
        assert retry_after({"Retry-After": value}) == 0
    for value in INVALID_WAITS:
        assert retry_after({"Retry-After": value}) is None
    for headers in (None, {}, {"Location": "7"}):
        assert retry_after(headers) is None


# -- Configuration.retries -------------------------------------------------------------------------


def test_retries_are_a_number_or_urllib3s_retry() -> None:
    limited: Any = urllib3.Retry(total=2, backoff_factor=3)
    limited.backoff_max = 7  # urllib3 1.26 has it on the class alone
    for retries, policy in [
        (libtes.Configuration().retries, RetryPolicy(3, 0.5, 8.0)),
        (None, RetryPolicy(3, 0.5, 8.0)),
        (0, RetryPolicy(0, 0.5, 8.0)),
        (5, RetryPolicy(5, 0.5, 8.0)),
        (urllib3.Retry(total=2, backoff_factor=0.01), RetryPolicy(2, 0.01, 120)),
        (urllib3.Retry(total=False), RetryPolicy(0, 0, 120)),
        (limited, RetryPolicy(2, 3, 7)),
    ]:
        assert RetryPolicy.of(retries) == policy


def test_invalid_retries_are_refused() -> None:
    for retries in ("3", 1.5, (3,), b"3"):
        invalid: Any = retries
        expected = rf"for `retries`, must be int or urllib3\.Retry, not {type(retries).__name__}$"
        with pytest.raises(libtes.ApiTypeError, match=expected):
            RetryPolicy.of(invalid)
    with pytest.raises(libtes.ApiValueError, match=r"for `retries`, must be 0 or more, got -1$"):
        RetryPolicy.of(-1)
