"""What type checkers see of ``libica.openapi`` in a checkout: see ``libica/__init__.pyi``."""

import libica.openapi.v2 as v2  # type: ignore[import-not-found,import-untyped,unused-ignore]
import libica.openapi.v3 as v3  # type: ignore[import-not-found,import-untyped,unused-ignore]

import libica.openapi.libtes as libtes

__all__ = ["libtes", "v2", "v3"]
