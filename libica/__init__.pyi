"""What type checkers see of ``libica`` in a checkout; this file is not in the wheel.

At run time this folder and ``libica/openapi`` are namespace packages (PEP 420), to which other
distributions may add. Where one of these has an ``__init__.py`` in the environment, pyright looks
at a checkout only if that has an ``__init__`` too, and then looks nowhere else for these names.
"""

import libica.batch as batch
import libica.local as local
import libica.openapi as openapi

__all__ = ["batch", "local", "openapi"]
