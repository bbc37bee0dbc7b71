from .base import Many, Model, Nested, Value, optional
from .environment import Environment
from .image import Image
from .input_mount_mapping_with_creds import InputMountMappingWithCreds
from .mount_mapping_with_creds import MountMappingWithCreds
from .system_files import SystemFiles


class Execution(Model):
    """What a run does: image, command, inputs, outputs and machine."""

    image: Nested[Image] = optional("Container image that holds the command.")
    command: Value[str] = optional("Program to run.")
    args: Value[list[str]] = optional("Arguments of the program.")
    inputs: Many[InputMountMappingWithCreds] = optional("What to stage in before the run.")
    outputs: Many[MountMappingWithCreds] = optional("What to stage out after the run.")
    system_files: Nested[SystemFiles] = optional("Where the logs go.")
    environment: Nested[Environment] = optional("Variables and machine.")
    working_directory: Value[str] = optional("Working directory in the container.")
    retry_limit: Value[int] = optional("Retries of a failed run; default 3.")
    retry_count: Value[int] = optional("Retries so far; kept by the service.")
