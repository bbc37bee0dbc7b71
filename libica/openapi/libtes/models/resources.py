from .base import Model, Value, optional


class Resources(Model):
    """The machine that a run needs."""

    type: Value[str] = optional("`standard`, `standardHiCpu`, `standardHiMem` or `fpga`.")
    size: Value[str] = optional("From `small` to `xxlarge`; not every type has all sizes.")
    cpu_cores: Value[float] = optional("Number of CPU cores.")
    memory_gb: Value[float] = optional("Memory in GB.")
    hardware: Value[list[str]] = optional("Special hardware.")
    tier: Value[str] = optional("`standard`, or `economy`: cheaper, but may be interrupted.")
