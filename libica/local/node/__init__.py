"""How one attempt runs, on whatever machine: stage in, run the command, stage out, outcome.

Nothing here knows the service, its store or its engine, so that an attempt can also run on a
machine that has none of them.
"""
