"""Calls in the background: waiting for results, failures, cancelling, and the threads that work."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import multiprocessing
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from libica.openapi import libtes
from libica.openapi.libtes import AsyncResult
from libica.openapi.libtes.async_result import Workers

from .helpers import run_python

LONG = 10.0  # seconds that no test waits unless it fails


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers(2)
    yield workers
    workers.close()


@pytest.fixture
def go() -> threading.Event:
    """Return what lets blocked calls go on."""
    return threading.Event()


@pytest.fixture
def blocked(go: threading.Event, workers: Workers) -> Iterator[AsyncResult[bool]]:
    """Return the result of a call that goes on until the test lets it go, or has ended."""
    yield workers.submit(lambda: go.wait(LONG))
    go.set()


def fail() -> None:
    raise LookupError("no such thing")


def threads_of(workers: Workers) -> list[threading.Thread]:
    return list(workers._threads)


def ended(threads: list[threading.Thread]) -> bool:
    for thread in threads:
        thread.join(LONG)
    return not any(thread.is_alive() for thread in threads)


# Results


def test_get_returns_what_the_call_returned(workers: Workers) -> None:
    assert workers.submit(lambda: 5).get() == 5
    assert workers.submit(lambda: None).get(timeout=LONG) is None


def test_get_can_be_asked_again(workers: Workers) -> None:
    result = workers.submit(lambda: 5)
    assert [result.get(), result.get(0), result.get(timeout=None), result.result()] == [5] * 4


def test_get_raises_what_the_call_raised(workers: Workers) -> None:
    result = workers.submit(fail)
    for _ in range(2):
        with pytest.raises(LookupError, match="no such thing"):
            result.get()


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, libtes.NotFoundException])
def test_get_raises_whatever_the_call_raised(workers: Workers, raised: Any) -> None:
    def call() -> None:
        raise raised()

    with pytest.raises(raised):
        workers.submit(call).get(LONG)


def test_a_worker_survives_a_call_that_raises(go: threading.Event) -> None:
    workers = Workers(1)
    failed = workers.submit(fail)
    assert workers.submit(lambda: 5).get(LONG) == 5
    assert not failed.successful()
    workers.close()


def test_ready_tells_whether_the_call_has_ended(
    blocked: AsyncResult[bool], go: threading.Event
) -> None:
    assert blocked.ready() is False
    go.set()
    blocked.wait(LONG)
    assert blocked.ready() is True


def test_successful_tells_whether_the_call_raised(workers: Workers) -> None:
    done, failed = workers.submit(lambda: 5), workers.submit(fail)
    done.wait()
    failed.wait()
    assert (done.successful(), failed.successful()) == (True, False)
    assert failed.ready()


def test_successful_is_an_error_before_the_call_has_ended(blocked: AsyncResult[bool]) -> None:
    with pytest.raises(ValueError, match="not ready"):
        blocked.successful()


def test_wait_returns_once_the_call_has_ended(workers: Workers) -> None:
    result = workers.submit(lambda: time.sleep(0.02))
    assert result.wait() is None
    assert result.ready()


def test_wait_returns_once_the_call_has_raised(workers: Workers) -> None:
    result = workers.submit(fail)
    result.wait(LONG)
    assert result.ready()


@pytest.mark.parametrize("timeout", [0, 0.01, -1])
def test_wait_gives_up_without_raising(blocked: AsyncResult[bool], timeout: float) -> None:
    started = time.monotonic()
    assert blocked.wait(timeout) is None
    assert time.monotonic() - started < LONG / 2
    assert not blocked.ready()


@pytest.mark.parametrize(
    "caught",
    [concurrent.futures.TimeoutError, multiprocessing.TimeoutError],
    ids=["concurrent.futures", "multiprocessing"],
)
@pytest.mark.parametrize("timeout", [0, 0.01])
def test_a_timeout_of_get_is_caught_as_either_library_names_it(
    blocked: AsyncResult[bool], caught: Any, timeout: float
) -> None:
    with pytest.raises(caught, match=f"no result after {timeout} s; the call goes on"):
        blocked.get(timeout)


def test_a_call_goes_on_after_a_timeout(blocked: AsyncResult[bool], go: threading.Event) -> None:
    with pytest.raises(concurrent.futures.TimeoutError):
        blocked.get(0)
    go.set()
    assert blocked.get(LONG) is True


def test_a_timeout_that_the_call_raised_is_raised_as_it_is(workers: Workers) -> None:
    mine = concurrent.futures.TimeoutError("of the call")

    def call() -> None:
        raise mine

    with pytest.raises(concurrent.futures.TimeoutError) as caught:
        workers.submit(call).get(LONG)
    assert caught.value is mine


def test_waiting_often_leaves_nothing_behind(blocked: AsyncResult[bool]) -> None:
    for _ in range(100):
        blocked.wait(0)
    assert len(blocked._done_callbacks) < 10


def test_several_threads_may_wait_for_one_result(
    blocked: AsyncResult[bool], go: threading.Event
) -> None:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(blocked.get, LONG) for _ in range(4)]
        go.set()
        assert [each.result() for each in waiting] == [True] * 4


# Beside other futures


def test_a_result_is_a_future(workers: Workers) -> None:
    assert isinstance(workers.submit(lambda: 5), concurrent.futures.Future)


def test_as_completed_yields_results_as_they_end(
    workers: Workers, blocked: AsyncResult[bool], go: threading.Event
) -> None:
    quick = workers.submit(lambda: 5)
    order = []
    for each in concurrent.futures.as_completed([blocked, quick], LONG):
        order.append(each)
        go.set()
    assert order == [quick, blocked]


def test_concurrent_futures_can_wait_for_results(workers: Workers) -> None:
    results = [workers.submit(lambda: 5), workers.submit(fail)]
    done, pending = concurrent.futures.wait(results, LONG)
    assert (done, pending) == (set(results), set())


def test_asyncio_can_await_results(workers: Workers) -> None:
    async def gather() -> list[Any]:
        results = [workers.submit(lambda: 5), workers.submit(fail)]
        awaited = (asyncio.wrap_future(each) for each in results)
        return await asyncio.gather(*awaited, return_exceptions=True)

    number, error = asyncio.run(gather())
    assert number == 5
    assert isinstance(error, LookupError)


def test_a_callback_gets_the_result(workers: Workers) -> None:
    got: list[int] = []
    called = threading.Event()
    result = workers.submit(lambda: 5)
    result.add_done_callback(lambda each: (got.append(each.result()), called.set()))
    assert called.wait(LONG)
    assert got == [5]


# Cancelling


@pytest.fixture
def cancelled(go: threading.Event) -> Iterator[AsyncResult[None]]:
    """Return a result that was cancelled while its call waited for its turn."""
    workers = Workers(1)
    workers.submit(lambda: go.wait(LONG))
    ran: list[bool] = []
    result = workers.submit(lambda: ran.append(True))
    assert result.cancel()
    yield result
    go.set()
    workers.close()
    assert not ran


def test_a_cancelled_call_raises_when_asked(cancelled: AsyncResult[None]) -> None:
    with pytest.raises(concurrent.futures.CancelledError):
        cancelled.get(LONG)


def test_a_cancelled_call_is_ready_and_not_successful(cancelled: AsyncResult[None]) -> None:
    assert (cancelled.ready(), cancelled.cancelled(), cancelled.successful()) == (True, True, False)


def test_nobody_waits_for_a_cancelled_call(cancelled: AsyncResult[None]) -> None:
    started = time.monotonic()
    cancelled.wait(LONG)
    assert time.monotonic() - started < LONG / 2


def test_who_waits_for_a_call_that_is_cancelled_is_woken(go: threading.Event) -> None:
    workers = Workers(1)
    workers.submit(lambda: go.wait(LONG))
    result = workers.submit(fail)
    threading.Timer(0.02, result.cancel).start()
    started = time.monotonic()
    result.wait(LONG)
    assert time.monotonic() - started < LONG / 2
    go.set()
    workers.close()


def test_a_call_that_runs_cannot_be_cancelled(
    blocked: AsyncResult[bool], go: threading.Event
) -> None:
    deadline = time.monotonic() + LONG
    while not blocked.running() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert blocked.cancel() is False
    go.set()
    assert blocked.get(LONG) is True


def test_a_worker_goes_on_after_a_cancelled_call(go: threading.Event) -> None:
    workers = Workers(1)
    workers.submit(lambda: go.wait(LONG))
    workers.submit(fail).cancel()
    last = workers.submit(lambda: 5)
    go.set()
    assert last.get(LONG) == 5
    workers.close()


# The threads


@pytest.mark.parametrize("count", [1, 2, 5])
def test_so_many_calls_run_at_the_same_time(count: int) -> None:
    workers = Workers(count)
    together = threading.Barrier(count)
    results = [workers.submit(lambda: together.wait(LONG)) for _ in range(count)]
    assert sorted(each.get(LONG) for each in results) == list(range(count))
    workers.close()


@pytest.mark.parametrize("count", [1, 3])
def test_no_more_calls_run_at_the_same_time(count: int) -> None:
    workers = Workers(count)
    lock = threading.Lock()
    running = most = 0

    def call() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1

    for each in [workers.submit(call) for _ in range(10)]:
        each.get(LONG)
    assert most <= count
    assert len(threads_of(workers)) == count
    workers.close()


def test_one_worker_takes_calls_in_their_order() -> None:
    workers = Workers(1)
    order: list[int] = []
    for each in range(20):
        workers.submit(lambda each=each: order.append(each))
    workers.close()
    assert order == list(range(20))


def test_no_thread_starts_before_the_first_call() -> None:
    assert threads_of(Workers(3)) == []


def test_threads_are_daemons_with_a_name(workers: Workers) -> None:
    workers.submit(lambda: 5).get()
    assert [(each.daemon, each.name) for each in threads_of(workers)] == [(True, "libtes")]


def test_close_waits_for_what_was_submitted(workers: Workers) -> None:
    results = [workers.submit(lambda: time.sleep(0.005)) for _ in range(6)]
    workers.close()
    assert all(each.ready() for each in results)


def test_close_ends_the_threads(workers: Workers) -> None:
    for _ in range(4):
        workers.submit(lambda: 5)
    threads = threads_of(workers)
    workers.close()
    assert threads
    assert not any(each.is_alive() for each in threads)


def test_closing_twice_or_without_a_call_does_nothing(workers: Workers) -> None:
    workers.close()
    workers.submit(lambda: 5)
    workers.close()
    workers.close()


def test_dropping_the_workers_ends_the_threads() -> None:
    workers = Workers(2)
    results = [workers.submit(lambda: 5) for _ in range(4)]
    threads = threads_of(workers)
    del workers
    gc.collect()
    assert ended(threads)
    assert [each.get(0) for each in results] == [5] * 4


def test_dropping_a_client_ends_its_threads(configuration: libtes.Configuration) -> None:
    before = set(threading.enumerate())
    client = libtes.ApiClient(configuration, pool_threads=2)
    results = [libtes.TasksApi(client).get_task("tdn.1", async_req=True) for _ in range(2)]
    concurrent.futures.wait(results, LONG)
    threads = [each for each in set(threading.enumerate()) - before if each.name == "libtes"]
    del client
    gc.collect()
    assert len(threads) == 2
    assert ended(threads)


def test_closing_a_client_ends_its_threads(client: libtes.ApiClient) -> None:
    before = set(threading.enumerate())
    result = libtes.TasksApi(client).get_task("tdn.1", async_req=True)
    threads = [each for each in set(threading.enumerate()) - before if each.name == "libtes"]
    client.close()
    assert result.ready()
    assert len(threads) == 1
    assert not threads[0].is_alive()


def test_a_worker_keeps_no_result_alive() -> None:
    class Big:
        pass

    workers = Workers(1)
    result = workers.submit(Big)
    big = weakref.ref(result.get(LONG))
    del result
    deadline = time.monotonic() + LONG
    while big() is not None and time.monotonic() < deadline:
        time.sleep(0.001)
        gc.collect()
    assert big() is None
    workers.close()


def test_the_interpreter_ends_though_a_call_goes_on() -> None:
    code = """
import time
from libica.openapi.libtes.async_result import Workers
workers = Workers(1)
started = __import__("threading").Event()
workers.submit(lambda: (started.set(), time.sleep(3600)))
started.wait()
print("end")
"""
    assert run_python(code) == "end\n"


@pytest.mark.parametrize("count", [0, -1])
def test_a_client_without_threads_for_the_background_is_refused(
    count: int, configuration: libtes.Configuration
) -> None:
    with pytest.raises(libtes.ApiValueError, match="pool_threads"):
        libtes.TasksApi(libtes.ApiClient(configuration, pool_threads=count)).get_task(
            "tdn.1", async_req=True
        )
