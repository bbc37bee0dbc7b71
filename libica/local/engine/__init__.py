"""When and where attempts run."""
