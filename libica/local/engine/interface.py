"""What an engine is: something that runs attempts, here or on a batch system.

To add one, write a subclass of `Engine` and name it in an entry point of the group
``libica.local.engines``::

    [project.entry-points."libica.local.engines"]
    nomad = "our_package:Nomad"

``--engine nomad`` then starts it, with each ``--engine-option KEY=VALUE`` as a keyword argument,
whose value is text.

An attempt is a folder. An engine runs ``python -m libica.local.node FOLDER``, or calls
`libica.local.node.attempt.run`, where the folder can be seen; that ends by writing the outcome into
the folder, which then counts, whatever the engine says. What that process prints may go into the
file `libica.local.node.attempt.PRINTED` of the folder: its end is shown if there is no outcome.

All methods are called from one thread. If one raises an exception, it is called again later.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import ClassVar, NamedTuple, Optional

from ..node.job import Outcome
from ..node.machines import Machine


class Capacity(NamedTuple):
    """What all attempts together may use; by default as much as they ask for.

    Attributes:
        cpu: Processors.
        memory_gb: Memory in gigabytes.
        attempts: Maximum number of attempts, waiting ones included.
    """

    cpu: float = math.inf
    memory_gb: float = math.inf
    attempts: float = math.inf


@dataclass(frozen=True)
class Attempt:
    """One attempt of a run.

    Attributes:
        name: A name that no other attempt has, of letters, digits, `.` and `-`; to mark its job
            with.
        folder: Its absolute path, which says what to run and gets the outcome.
        title: The name of the run, for people to read; any text, maybe empty.
        machine: The processors and memory that it asks for; 0 for no wish.
        time_limit: Seconds after which it ends itself as `TimedOut`; `None` for no limit.
    """

    name: str
    folder: Path
    title: str
    machine: Machine
    time_limit: Optional[float]


class State(Enum):
    """Where an attempt stands, as its engine sees it."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"
    """The engine does not know it, or no longer."""


class Report(NamedTuple):
    """What an engine says of an attempt.

    Attributes:
        state: Where it stands.
        reason: Why, in the engine's own words, such as `Slurm: NODE_FAIL`; empty if it says none.
        outcome: How the engine saw it end, if it can tell, such as `TimedOut`. It counts if there
            is none in the attempt's folder; `TimedOut` counts unless the attempt was `Completed`.
    """

    state: State
    reason: str = ""
    outcome: Optional[Outcome] = None


class BusyError(Exception):
    """An attempt was not submitted, for lack of something that will be there later."""


class RefusedError(Exception):
    """An attempt was not submitted and never can be; the message has the engine's own words."""


class Engine(ABC):
    """Runs attempts.

    Attributes:
        name: The name that it was loaded by; it is recorded with each attempt.
        embedded: Its attempts run within this process: they start at once, their ends are
            announced, and they end with the service. All others are polled.
        poll_every: The least and the most seconds between polls, which get rarer without news.
        patience: Seconds until all that happened can be seen: a submitted attempt by `find` and
            `poll`, the outcome of one that ended in its folder.
        capacity: What all attempts together may use.
    """

    name: str = ""
    embedded: ClassVar[bool] = False
    poll_every: tuple[float, float] = (1.0, 30.0)
    patience: float = 60.0
    capacity: Capacity = Capacity()

    @abstractmethod
    def submit(self, attempt: Attempt, announce: Callable[[], None]) -> str:
        """Submit an attempt and return its handle: the engine's own name for it, not empty.

        Args:
            attempt: The attempt. It was not submitted before.
            announce: May be called from any thread when an attempt has ended, to be polled soon.

        Raises:
            BusyError: The attempt was not submitted, and can be later.
            RefusedError: The attempt was not submitted, and never can be.
            Exception: It may have been submitted: `find` is called before it is submitted again.
        """

    @abstractmethod
    def find(self, names: Collection[str]) -> Mapping[str, str]:
        """Return the handles of those attempts, by name, that were submitted."""

    @abstractmethod
    def poll(self, handles: Collection[str]) -> Mapping[str, Report]:
        """Return what there is to say of attempts, by handle.

        This should be one request for all. Handles may be missing, if it cannot be told now how
        their attempts are.

        Args:
            handles: Those of all attempts that are under way; others will not be asked for again.
        """

    @abstractmethod
    def cancel(self, handle: str) -> None:
        """Begin to end an attempt, which may have ended already."""
