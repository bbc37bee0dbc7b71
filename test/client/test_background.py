"""Calls in the background: waiting for results, failures, cancelling, and the threads that work."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import multiprocessing
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from libica.openapi import libtes
from libica.openapi.libtes import AsyncResult
from libica.openapi.libtes.async_result import Workers

from ..server import Asked, Response, Server, wait_until

LONG = 30.0  # seconds that no test waits unless it fails


@pytest.fixture
def new_workers() -> Iterator[Callable[[int], Workers]]:
    """Return a function that makes workers, which are closed in the end."""
    made = []

    def make(count: int) -> Workers:
        made.append(Workers(count))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def workers(new_workers: Callable[[int], Workers]) -> Workers:
    return new_workers(2)


@pytest.fixture
def go(workers: Workers) -> Iterator[threading.Event]:
    """Return what lets blocked calls go on."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def blocked(go: threading.Event, workers: Workers) -> AsyncResult[bool]:
    """Return the result of a call that goes on until the test lets it go, or has ended."""
    return workers.submit(lambda: go.wait(LONG))


def fail() -> None:
    raise LookupError("no such thing")


# -- Results ---------------------------------------------------------------------------------------


def test_get_returns_what_the_call_returned_as_often_as_asked(workers: Workers) -> None:
    result = workers.submit(lambda: 5)
    assert [result.get(), result.get(0), result.get(timeout=None), result.result()] == [5] * 4
    assert (result.ready(), result.successful(), result.wait()) == (True, True, None)
    assert isinstance(result, concurrent.futures.Future)


@pytest.mark.parametrize(
    "error", [LookupError("x"), KeyboardInterrupt(), concurrent.futures.TimeoutError("of the call")]
)
def test_get_raises_what_the_call_raised_as_often_as_asked(
    workers: Workers, error: BaseException
) -> None:
    def call() -> None:
        raise error

    result = workers.submit(call)
    result.wait(LONG)
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            result.get(LONG)
        assert caught.value is error
    assert (result.ready(), result.successful()) == (True, False)


def test_a_call_that_has_not_ended_is_not_ready_and_goes_on_after_a_timeout(
    blocked: AsyncResult[bool], go: threading.Event
) -> None:
    assert blocked.ready() is False
    with pytest.raises(ValueError, match="not ready"):
        blocked.successful()
    for timeout in (0, 0.01, -1):
        assert blocked.wait(timeout) is None
    for kind in (concurrent.futures.TimeoutError, multiprocessing.TimeoutError):
        for timeout in (0, 0.01):
            with pytest.raises(kind, match=f"no result after {timeout} s; the call goes on"):
                blocked.get(timeout)
    for _ in range(100):
        blocked.wait(0)
    assert len(blocked._done_callbacks) < 10  # waiting leaves nothing behind
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(blocked.get, LONG) for _ in range(4)]
        go.set()
        assert [each.result() for each in waiting] == [True] * 4


def test_concurrent_futures_and_asyncio_take_results(
    workers: Workers, blocked: AsyncResult[bool], go: threading.Event
) -> None:
    quick, order = workers.submit(lambda: 5), []
    for each in concurrent.futures.as_completed([blocked, quick], LONG):
        order.append(each)
        go.set()
    assert order == [quick, blocked]
    got: list[int] = []
    quick.add_done_callback(lambda each: got.append(each.result()))
    assert got == [5]
    results = [quick, workers.submit(fail)]
    assert concurrent.futures.wait(results, LONG) == (set(results), set())

    async def gather() -> list[Any]:
        awaited = (asyncio.wrap_future(each) for each in results)
        return await asyncio.gather(*awaited, return_exceptions=True)

    number, error = asyncio.run(gather())
    assert (number, type(error)) == (5, LookupError)


# -- Cancelling ------------------------------------------------------------------------------------


def test_a_call_that_waits_for_its_turn_can_be_cancelled(
    new_workers: Callable[[int], Workers], go: threading.Event
) -> None:
    workers = new_workers(1)
    running = workers.submit(lambda: go.wait(LONG))
    ran: list[bool] = []
    results = [workers.submit(lambda: ran.append(True)) for _ in range(2)]
    last = workers.submit(lambda: 5)
    assert results[0].cancel()
    threading.Timer(0.02, results[1].cancel).start()
    for each in results:  # also one that waits already is woken
        with pytest.raises(concurrent.futures.CancelledError):
            each.get(LONG)
        assert (each.ready(), each.cancelled(), each.successful()) == (True, True, False)
        each.wait(LONG)
    wait_until(running.running)
    assert running.cancel() is False  # it has begun
    go.set()
    assert (running.get(LONG), last.get(LONG), ran) == (True, 5, [])


# -- The threads -----------------------------------------------------------------------------------


def test_as_many_calls_run_at_once_as_there_are_threads_and_no_more(
    new_workers: Callable[[int], Workers],
) -> None:
    workers, together, lock = new_workers(3), threading.Barrier(3), threading.Lock()
    running = most = 0

    def call() -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        place = together.wait(LONG)
        with lock:
            running -= 1
        return place

    results = [workers.submit(call) for _ in range(12)]
    assert sorted(each.get(LONG) for each in results) == [0] * 4 + [1] * 4 + [2] * 4
    assert most == 3
    assert [(each.daemon, each.name) for each in workers._threads] == [(True, "libtes")] * 3


def test_one_worker_takes_calls_in_order_and_survives_their_exceptions() -> None:
    workers = Workers(1)
    assert workers._threads == []  # none starts before the first call
    order: list[int] = []
    for each in range(20):
        workers.submit(lambda each=each: order.append(each))
        workers.submit(fail)
    threads = list(workers._threads)
    workers.close()  # waits for all of them
    workers.close()
    assert order == list(range(20))
    assert not threads[0].is_alive()


def test_a_client_that_is_closed_waits_for_its_calls_and_ends_its_threads(
    server: Server, configuration: libtes.Configuration
) -> None:
    go = threading.Event()

    def script(asked: Asked) -> Response:
        go.wait(LONG)
        return Response()

    server.respond(script)
    before = set(threading.enumerate())
    client = libtes.ApiClient(configuration, pool_threads=2)
    assert client.pool_threads == 2
    results = [libtes.TasksApi(client).get_task("t", async_req=True) for _ in range(3)]
    threads = [each for each in set(threading.enumerate()) - before if each.name == "libtes"]
    assert len(threads) == 2
    threading.Timer(0.02, go.set).start()
    client.close()
    assert all(each.successful() for each in results)
    assert not any(each.is_alive() for each in threads)
    assert len(server.asked) == 3


def test_a_worker_keeps_no_result_alive(workers: Workers) -> None:
    class Big:
        pass

    result = workers.submit(Big)
    big = weakref.ref(result.get(LONG))
    del result
    wait_until(lambda: gc.collect() >= 0 and big() is None)
