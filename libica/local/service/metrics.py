"""What the service did, in numbers, as Prometheus reads them."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from prometheus_client import Metric

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_NAMES = [*map(str, _BUCKETS), "+Inf"]


class Source(NamedTuple):
    """A number that is read when the metrics are.

    Attributes:
        name: The name of the metric; that of a counter ends in `_total`.
        meaning: What it counts.
        label: The label of its values; empty for a single value.
        read: Returns the value for each value of the label.
    """

    name: str
    meaning: str
    label: str
    read: Callable[[], Mapping[str, float]]


class Metrics:
    """Counts requests, and shows them beside other numbers of the service.

    It counts by itself and not by objects of prometheus-client, which takes longer to load than a
    service to start.

    Args:
        sources: The other numbers.
    """

    def __init__(self, *sources: Source) -> None:
        self._sources = sources
        self._requests: Counter[tuple[str, str]] = Counter()
        self._buckets: defaultdict[str, list[int]] = defaultdict(lambda: [0] * len(_NAMES))
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def count(self, operation: str, status: int, seconds: float) -> None:
        """Count a request; only the thread of the event loop may call this."""
        self._requests[operation, str(status)] += 1
        self._buckets[operation][bisect_left(_BUCKETS, seconds)] += 1
        self._seconds[operation] += seconds

    def exposition(self) -> tuple[bytes, str]:
        """Return all metrics as Prometheus reads them, and the media type of that."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry), CONTENT_TYPE_LATEST

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; prometheus-client calls this."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        requests = CounterMetricFamily(
            "tes_requests", "Responses sent", labels=["operation", "status"]
        )
        for labels, number in list(self._requests.items()):
            requests.add_metric(labels, number)
        yield requests
        seconds = HistogramMetricFamily(
            "tes_request_seconds", "Time from head to response", labels=["operation"]
        )
        for operation, buckets in list(self._buckets.items()):
            counts = [*zip(_NAMES, map(float, accumulate(buckets)))]
            seconds.add_metric([operation], counts, self._seconds[operation])
        yield seconds
        for name, meaning, label, read in self._sources:
            counted = name.endswith("_total")
            family = (CounterMetricFamily if counted else GaugeMetricFamily)(
                name, meaning, labels=[label] if label else []
            )
            for value, amount in read().items():
                family.add_metric([value] if label else [], amount)
            yield family
