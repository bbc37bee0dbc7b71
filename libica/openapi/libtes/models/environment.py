from .base import Model, Nested, Value, optional
from .input_stream_settings import InputStreamSettings
from .resources import Resources


class Environment(Model):
    """The environment of a command: variables and machine."""

    variables: Value[dict[str, str]] = optional("Variables; `SECURE_*` are secret.")
    resources: Nested[Resources] = optional("Machine to run on.")
    input_stream_settings: Nested[InputStreamSettings] = optional("For inputs of mode `stream`.")
