from .base import Model, Value, optional


class Credentials(Model):
    """Login for a private image registry."""

    username: Value[str] = optional("User name.")
    password: Value[str] = optional("Password or token.")
