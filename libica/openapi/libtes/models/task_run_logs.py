from .base import Model, Time, Value, optional


class TaskRunLogs(Model):
    """When an attempt ran, and where its output is."""

    start_time: Time = optional("When it started.")
    end_time: Time = optional("When it ended.")
    error: Value[str] = optional("Short description of the error.")
    error_details: Value[str] = optional("Details of the error.")
    stdout: Value[str] = optional("URL of its standard output.")
    stderr: Value[str] = optional("URL of its standard error.")
