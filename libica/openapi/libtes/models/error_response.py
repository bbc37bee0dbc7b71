from .base import Model, Value, optional


class ErrorResponse(Model):
    """What the service says when it refuses a call."""

    code: Value[str] = optional("Code of the error.")
    message: Value[str] = optional("What went wrong.")
    details: Value[list[object]] = optional("More about it, in no fixed shape.")
