from math import inf

from .base import Model, Nested, Value, optional, required
from .credentials import Credentials


class Image(Model):
    """A container image."""

    name: Value[str] = required("Name in its registry, without tag.", length=(1, inf))
    tag: Value[str] = optional("Tag, such as `1.17`.")
    digest: Value[str] = optional("Digest, such as `sha256:...`, to pin the image.")
    credentials: Nested[Credentials] = optional("Login for a private registry.")
