"""What type checkers see of ``libica.openapi`` in an editable checkout; the wheel is without it.

Pyright takes what stands beside the first ``__init__`` that it finds, so the packages that
another distribution has installed elsewhere are named too.
"""

import libica.openapi.v2 as v2  # type: ignore[import-not-found,import-untyped,unused-ignore]
import libica.openapi.v3 as v3  # type: ignore[import-not-found,import-untyped,unused-ignore]

import libica.openapi.libtes as libtes

__all__ = ["libtes", "v2", "v3"]
