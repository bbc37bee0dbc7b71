"""The machine types and sizes that an execution may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional


class Machine(NamedTuple):
    """Processors, and memory in gigabytes."""

    cpu: float
    memory_gb: float


_SIZES = {
    "standard": {
        "small": Machine(0.8, 3),
        "medium": Machine(1.3, 4.5),
        "large": Machine(2, 7),
        "xlarge": Machine(4, 14),
        "xxlarge": Machine(8, 28),
    },
    "standardHiCpu": {
        "small": Machine(15.5, 28),
        "medium": Machine(35.5, 68),
        "large": Machine(71.5, 140),
    },
    "standardHiMem": {
        "small": Machine(7.5, 60),
        "medium": Machine(15.5, 124),
        "large": Machine(47.5, 380),
        "xlarge": Machine(95.5, 764),
    },
    "fpga": {"small": Machine(7.5, 118), "medium": Machine(15.5, 240), "large": Machine(63.5, 972)},
}


def machine_of(resources: Optional[Mapping[str, Any]]) -> Machine:
    """Return the machine that an execution's ``environment.resources`` asks for.

    Type and size are accepted in any casing; the defaults are `standard` and `small`. A
    ``cpuCores`` or ``memoryGb`` other than 0 replaces that of the size.

    Raises:
        ValueError: The type or size is unknown, or a number is negative or not a number.
    """
    resources = resources or {}
    sizes = _chosen(_SIZES, resources.get("type") or "standard", "type")
    machine = _chosen(sizes, resources.get("size") or "small", "size")
    cpu = _number(resources, "cpuCores") or machine.cpu
    memory_gb = _number(resources, "memoryGb") or machine.memory_gb
    return Machine(cpu, memory_gb)


def _chosen(choices: Mapping[str, Any], name: Any, what: str) -> Any:
    """Return the value of a name in any casing."""
    for choice, value in choices.items():
        if choice.lower() == str(name).lower():
            return value
    raise ValueError(
        f"the machine {what} {name!r} is unknown; it must be one of {', '.join(choices)}"
    )


def _number(resources: Mapping[str, Any], name: str) -> float:
    value = resources.get(name) or 0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e9:
        raise ValueError(f"{name} must be a number of 0 or more, not {value!r}")
    return float(value)
