from .base import Model, Value, optional


class Resources(Model):
    """The machine that a run asks for."""

    type: Value[str] = optional("`standard`, `standardHiCpu`, `standardHiMem` or `fpga`.")
    size: Value[str] = optional("From `small` to `xxlarge`, as far as the type has it.")
    cpu_cores: Value[float] = optional("Number of CPU cores.")
    memory_gb: Value[float] = optional("Memory in GB.")
    hardware: Value[list[str]] = optional("Special hardware.")
    tier: Value[str] = optional("`standard`, or `economy`: cheaper, may be taken away.")
