from .base import Model, Value, optional


class ErrorResponse(Model):
    """The body of a response that refuses a call."""

    code: Value[str] = optional("Code of the error.")
    message: Value[str] = optional("What went wrong.")
    details: Value[list[object]] = optional("Details of the error, in no fixed form.")
