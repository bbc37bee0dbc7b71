from .base import Model, Value, optional


class InputStreamSettings(Model):
    """How inputs of mode `stream` are cached."""

    access_pattern: Value[str] = optional("Order of reading; `sequential` if not set.")
    cache_size_gb: Value[int] = optional(
        "Cache in GB; 50 if not set.", json="cacheSizeGB", between=(50, 10000)
    )
    block_size_mb: Value[float] = optional(
        "Block in MB; 32 if not set.", json="blockSizeMB", between=(0, 1024)
    )
    prefetch_blocks: Value[int] = optional("Blocks read ahead; 32 if not set.", between=(0, 64))
