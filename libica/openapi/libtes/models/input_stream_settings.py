from .base import Model, Value, optional


class InputStreamSettings(Model):
    """How inputs of mode `stream` are cached."""

    access_pattern: Value[str] = optional("Order of reading; default `sequential`.")
    cache_size_gb: Value[int] = optional(
        "Cache in GB; default 50.", json="cacheSizeGB", between=(50, 10000)
    )
    block_size_mb: Value[float] = optional(
        "Block in MB; default 32.", json="blockSizeMB", between=(0, 1024)
    )
    prefetch_blocks: Value[int] = optional("Blocks read ahead; default 32.", between=(0, 64))
