"""What this package takes from the client beyond its public names, in one place."""

from libica.openapi.libtes._redaction import MASK as MASK
from libica.openapi.libtes._redaction import redact as redact
from libica.openapi.libtes.rest import RetryPolicy as RetryPolicy
from libica.openapi.libtes.rest import retry_after as retry_after
from libica.openapi.libtes.rest import retry_delay as retry_delay
