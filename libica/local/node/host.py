"""Runs a command of this machine in place of that of an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .container_paths import ContainerPaths
from .job import image_reference
from .processes import Command


def prepare(
    execution: Mapping[str, Any], paths: ContainerPaths, variables: Mapping[str, str]
) -> Command:
    """Return the command of an execution with the container's paths replaced in all its texts.

    Raises:
        FileNotFoundError: The command is not on this machine.
        ValueError: The execution has no command.
    """
    command = execution.get("command")
    if not command:
        raise ValueError("the execution has no command, and that of its image is not used")
    directory = paths.at(paths.working_directory)
    directory.mkdir(parents=True, exist_ok=True)
    arguments = [paths.mapped(str(argument)) for argument in execution.get("args") or ()]
    mapped = {name: paths.mapped(value) for name, value in variables.items()}
    return Command(paths.program(command), [command, *arguments], mapped, directory)


def remark(execution: Mapping[str, Any]) -> str:
    """Return a sentence that says that the image of an execution was not used, if it has one."""
    image = execution.get("image") or {}
    if not image.get("name"):
        return ""
    reference = image_reference(image)
    return f" The image {reference} was not used: the command is one of this machine."
