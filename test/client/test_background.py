"""Calls in the background: waiting for results, failures, cancelling, and the threads that work."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import multiprocessing
import threading
import weakref
from collections.abc import Iterator
from typing import Any, Optional

import pytest

from libica.openapi.libtes import ApiClient, AsyncResult, Configuration, TasksApi
from libica.openapi.libtes.async_result import Workers

from ..server import Response, Server, wait_until

LONG = 30.0  # seconds that no test waits unless it fails
one_thread = pytest.mark.parametrize("workers", [1], indirect=True)


@pytest.fixture
def workers(request: pytest.FixtureRequest) -> Iterator[Workers]:
    workers = Workers(getattr(request, "param", 2))
    yield workers
    workers.close()


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


@pytest.mark.parametrize(
    "error",
    [None, LookupError("x"), KeyboardInterrupt(), concurrent.futures.TimeoutError("of the call")],
    ids=repr,
)
def test_what_the_call_returned_or_raised_is_given_as_often_as_asked(
    workers: Workers, error: Optional[BaseException]
) -> None:
    def call() -> int:
        if error:
            raise error
        return 5

    result = workers.submit(call)
    assert result.wait(LONG) is None
    for timeout in (None, 0, LONG):
        if error is None:
            assert (result.get(timeout), result.result(timeout)) == (5, 5)
        else:
            with pytest.raises(type(error)) as caught:
                result.get(timeout)
            assert caught.value is error
    assert (result.ready(), result.successful()) == (True, error is None)


def test_a_call_that_has_not_ended_is_not_ready_and_goes_on_after_a_timeout(
    blocked: AsyncResult[bool], go: threading.Event
) -> None:
    assert blocked.ready() is False
    with pytest.raises(ValueError, match="not ready"):
        blocked.successful()
    for timeout in (0, 0.01, -1, *[0] * 100):
        assert blocked.wait(timeout) is None
    assert len(blocked._done_callbacks) < 10  # waiting leaves nothing behind
    for kind in (concurrent.futures.TimeoutError, multiprocessing.TimeoutError):
        for timeout in (0, 0.01):
            with pytest.raises(kind, match=f"no result after {timeout} s; the call goes on"):
                blocked.get(timeout)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(blocked.get, LONG) for _ in range(4)]
        go.set()
        assert [each.result() for each in waiting] == [True] * 4


def test_concurrent_futures_and_asyncio_take_results(
    workers: Workers, blocked: AsyncResult[bool], go: threading.Event
) -> None:
    results = [workers.submit(lambda: 5), workers.submit(fail)]
    completed = concurrent.futures.as_completed([blocked, *results], LONG)
    assert {next(completed), next(completed)} == set(results)
    go.set()
    assert next(completed) is blocked

    async def gather() -> list[Any]:
        awaited = (asyncio.wrap_future(each) for each in results)
        return await asyncio.gather(*awaited, return_exceptions=True)

    number, error = asyncio.run(gather())
    assert (number, type(error)) == (5, LookupError)


@one_thread
def test_a_call_that_waits_for_its_turn_can_be_cancelled(
    workers: Workers, blocked: AsyncResult[bool], go: threading.Event
) -> None:
    ran: list[int] = []
    first, second, last = (workers.submit(lambda n=n: ran.append(n)) for n in range(3))
    assert first.cancel()
    threading.Timer(0.02, second.cancel).start()
    for each in (first, second):  # also one that waits already is woken
        with pytest.raises(concurrent.futures.CancelledError):
            each.get(LONG)
        assert (each.ready(), each.cancelled(), each.successful()) == (True, True, False)
    wait_until(blocked.running)
    assert blocked.cancel() is False  # it has begun
    go.set()
    assert (blocked.get(LONG), last.get(LONG), ran) == (True, None, [2])


@one_thread
def test_one_thread_takes_calls_in_order_and_survives_their_exceptions(workers: Workers) -> None:
    assert workers._threads == []  # none starts before the first call
    order: list[int] = []
    for each in range(20):
        workers.submit(lambda each=each: order.append(each))
        workers.submit(fail)
    [thread] = workers._threads
    workers.close()  # waits for all of them
    workers.close()
    assert order == list(range(20))
    assert not thread.is_alive()


def test_a_client_makes_as_many_calls_at_once_as_it_has_threads_and_waits_for_all_to_close(
    server: Server, configuration: Configuration
) -> None:
    together = threading.Barrier(3)
    server.respond(lambda _: [Response(), together.wait(LONG)][0])
    before = set(threading.enumerate())
    client = ApiClient(configuration, pool_threads=3)
    assert client.pool_threads == 3
    results = [TasksApi(client).get_task("t", async_req=True) for _ in range(9)]
    threads = [each for each in set(threading.enumerate()) - before if each.name == "libtes"]
    assert [each.daemon for each in threads] == [True] * 3
    client.close()
    assert all(each.successful() for each in results)
    assert not any(each.is_alive() for each in threads)
    assert len(server.asked) == 9


def test_a_worker_keeps_no_result_alive(workers: Workers) -> None:
    class Big:
        pass

    result = workers.submit(Big)
    big = weakref.ref(result.get(LONG))
    del result
    wait_until(lambda: gc.collect() >= 0 and big() is None)
