"""The service's contract as facts, and requests of the shape that people send."""
