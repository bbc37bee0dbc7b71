from .base import NOT_EMPTY, Model, Nested, Value, optional, required
from .credentials import Credentials


class Image(Model):
    """A container image."""

    name: Value[str] = required("Name in its registry, without tag.", length=NOT_EMPTY)
    tag: Value[str] = optional("Tag, such as `1.17`.")
    digest: Value[str] = optional("Digest, such as `sha256:...`, to pin the image.")
    credentials: Nested[Credentials] = optional("Login for a private registry.")
