"""The machine that the resources of an execution ask for."""

from __future__ import annotations

from typing import Any

import pytest

from libica.local.node.machines import Machine, machine_of


def test_type_size_and_numbers_give_the_machine() -> None:
    for resources, machine in (
        (None, (0.8, 3)),
        ({}, (0.8, 3)),
        ({"type": None, "size": ""}, (0.8, 3)),
        ({"size": "xxlarge"}, (8, 28)),
        ({"type": "fpga"}, (7.5, 118)),
        ({"type": "standardhicpu", "size": "medium"}, (35.5, 68)),
        ({"type": "STANDARDHIMEM", "size": "XLarge"}, (95.5, 764)),
        ({"size": "large", "cpuCores": 3}, (3, 7)),
        ({"size": "large", "memoryGb": 1.5, "cpuCores": 0}, (2, 1.5)),
    ):
        assert machine_of(resources) == Machine(*machine)


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"type": "gpu"}, "type 'gpu' is unknown; it must be one of standard, standardHiCpu"),
        ({"type": "fpga", "size": "xlarge"}, "unknown; it must be one of small, medium, large$"),
        ({"cpuCores": -1}, "cpuCores must be"),
        ({"memoryGb": "4"}, "memoryGb must be"),
        ({"memoryGb": float("nan")}, "memoryGb must be"),
        ({"cpuCores": True}, "cpuCores must be"),
    ],
)
def test_an_unknown_machine_or_invalid_number_is_an_error(
    resources: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        machine_of(resources)
