"""What `python bench/run.py` is made of; a package so that no other `bench` is taken for it."""
