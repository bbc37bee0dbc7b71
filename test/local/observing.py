"""Reads the metrics of a service."""

from __future__ import annotations

import urllib3
from prometheus_client.parser import text_string_to_metric_families

from .caller import Caller


def metrics(caller: Caller) -> dict[str, float]:
    """Return each sample by its name, followed by the values of its labels in their order."""
    with urllib3.PoolManager() as pool:
        headers = {"Authorization": f"Bearer {caller.token}"}
        response = pool.request("GET", f"{caller.url}/metrics", headers=headers)
    assert response.status == 200
    return {
        " ".join(
            [sample.name, *(value for _, value in sorted(sample.labels.items()))]
        ): sample.value
        for family in text_string_to_metric_families(response.data.decode())
        for sample in family.samples
    }
