"""What type checkers see of ``libica``.

At run time this folder and ``libica/openapi`` are namespace packages (PEP 420): they hold no
``__init__.py``, since other distributions may bring one, or add packages of their own. Type
checkers need this file: at the root of a package pyright looks for ``py.typed``, and a checkout
without a root would be hidden by another distribution's.
"""
