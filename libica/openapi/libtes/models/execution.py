from .base import Many, Model, Nested, Value, optional
from .environment import Environment
from .image import Image
from .input_mount_mapping_with_creds import InputMountMappingWithCreds
from .mount_mapping_with_creds import MountMappingWithCreds
from .system_files import SystemFiles


class Execution(Model):
    """What a run does: an image, a command, its inputs, outputs and machine."""

    image: Nested[Image] = optional("Container image that holds the command.")
    command: Value[str] = optional("Program to start.")
    args: Value[list[str]] = optional("Arguments of the program.")
    inputs: Many[InputMountMappingWithCreds] = optional("What to bring in before.")
    outputs: Many[MountMappingWithCreds] = optional("What to store after.")
    system_files: Nested[SystemFiles] = optional("Where the logs go.")
    environment: Nested[Environment] = optional("Variables and machine.")
    working_directory: Value[str] = optional("Folder in the container to start in.")
    retry_limit: Value[int] = optional("Retries of a failed run; 3 if not set.")
    retry_count: Value[int] = optional("Retries so far; kept by the service.")
