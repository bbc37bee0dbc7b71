"""The benchmarks; a package, so that no other module named `bench` is imported instead."""
