"""Clients for Illumina Connected Analytics v1.

At run time this folder and ``libica/openapi`` are namespace packages (PEP 420): they hold no
``__init__.py``, so that other distributions can add their own ``libica.openapi.*`` beside this
one. This stub is for type checkers alone, which need a root to find ``py.typed`` at.
"""
