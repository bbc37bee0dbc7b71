"""The journal of a batch: an append-only file, by which a batch goes on where it was.

Each line is a JSON object. The first says of what it is, and a line for each launch which
requests it was made for: arguments may be secrets, so their digests are kept. From there on it
tells what happens. That a launch is about to be sent is on the disk before it is sent; so one
that was sent and has no outcome here may have a run, and is looked for.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO, Optional, Union

from libica.openapi.libtes import ApiValueError

from .plan import Plan, lines
from .report import Launch

_MARK = b'{"journal": "libica.batch", "format": 1, '
_DIGEST = 16  # bytes


class JournalError(ApiValueError):
    """A journal cannot be used: it is another's, broken or in use; nothing was launched.

    Attributes:
        differences: What differs from the launches given, if that is why.
    """

    def __init__(self, message: str, differences: Sequence[str] = ()) -> None:
        super().__init__(message, differences)
        self.differences: list[str] = list(differences)

    def __str__(self) -> str:
        return lines(self.args[0], self.differences)


class Journal:
    """The record of a batch, locked until it is closed; without a path it keeps nothing.

    Attributes:
        launched: The launches that have a run, by name.
        doubtful: Those that may have one, by name: the time of the newest run of all when they
            were first sent, by the clock of the service.
        sent: How often those without a run were sent, by name.
    """

    def __init__(
        self, path: Union[str, os.PathLike[str], None], task_id: str, version_id: str, plan: Plan
    ) -> None:
        """Open the journal and read it, or begin a new one.

        Raises:
            JournalError: It is of another task, version or set of launches, is broken, or is in
                use.
            OSError: The file cannot be read or written.
        """
        self.launched: dict[str, Launch] = {}
        self.doubtful: dict[str, Optional[datetime]] = {}
        self.sent: dict[str, int] = {}
        self._newest: Optional[datetime] = None
        self._file: Optional[BinaryIO] = None
        if path is None:
            return
        self._path = os.fspath(path)
        self._file = open(path, "a+b", opener=_private)  # noqa: SIM115 closed by close()
        try:
            _lock(self._file, self._path)
            if not self._read(self._file, task_id, version_id, plan):
                self._begin(self._file, task_id, version_id, plan)
        except BaseException:
            self.close()
            raise

    def session(self, newest: Optional[datetime]) -> None:
        """Note when this call began, by the newest run that there was then."""
        self._newest = newest
        self._write([{"began": newest and newest.isoformat()}], durable=True)

    def sending(self, names: Sequence[str]) -> None:
        """Note that launches are about to be sent; returns when that is on the disk."""
        for name in names:
            self.doubtful.setdefault(name, self._newest)
        self._write([{"send": name} for name in names], durable=True)

    def has_run(self, launch: Launch) -> None:
        """Note the run of a launch."""
        self.doubtful.pop(launch.name, None)
        created = launch.time_created and launch.time_created.isoformat()
        told = {"name": launch.name, "attempts": launch.attempts, "status": launch.status}
        self._write([{"run": launch.run_id, **told, "created": created}])

    def has_none(self, launches: Iterable[Launch]) -> None:
        """Note that launches were refused, or not sent: the next call sends them."""
        for each in launches:
            self.doubtful.pop(each.name, None)
            self._write([{"none": each.name, "attempts": each.attempts}])

    def flush(self) -> None:
        """Hand over what was noted to the system, which keeps it if this process is killed."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Let others have it."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _write(self, records: Sequence[Mapping[str, Any]], durable: bool = False) -> None:
        # A thread that was left behind may come when it is closed.
        if self._file is None or self._file.closed:
            return
        self._file.write(b"".join(json.dumps(each).encode() + b"\n" for each in records))
        if durable:
            self._file.flush()
            os.fsync(self._file.fileno())

    def _begin(self, file: BinaryIO, task_id: str, version_id: str, plan: Plan) -> None:
        file.truncate(0)
        salt = secrets.token_hex(_DIGEST)
        head = json.dumps({"task": task_id, "version": version_id, "salt": salt})
        file.write(_MARK + head[1:].encode() + b"\n")
        for row, name in enumerate(plan.names):
            record = {"plan": name, "digest": _digest(plan, row, salt)}
            file.write(json.dumps(record).encode() + b"\n")
        self._write([{"planned": len(plan)}], durable=True)
        _sync_folder(self._path)

    def _read(self, file: BinaryIO, task_id: str, version_id: str, plan: Plan) -> bool:
        """Read what there is; false if it ends before anything can have been launched."""
        end = 0
        file.seek(0)
        begin = file.read(len(_MARK))
        if begin != _MARK[: len(begin)]:
            raise JournalError(f"{self._path} is no journal of launch_all")
        file.seek(0)
        head: dict[str, Any] = {}
        planned: Optional[dict[str, str]] = {}
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                break  # the process was killed while it wrote this
            end += len(line)
            try:
                record = json.loads(line)
                if number == 1:
                    head = record
                elif planned is not None and "plan" in record:
                    planned[record["plan"]] = record["digest"]
                elif planned is not None and "planned" in record:
                    self._compare(head, planned, task_id, version_id, plan)
                    planned = None
                else:
                    self._replay(record)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                if isinstance(error, JournalError):
                    raise
                raise JournalError(f"{self._path}, line {number} is broken: {error!r}") from error
        if planned is not None:
            return False
        file.truncate(end)
        return True

    def _replay(self, record: Mapping[str, Any]) -> None:
        if "send" in record:
            name = record["send"]
            self.doubtful.setdefault(name, self._newest)
            self.sent[name] = self.sent.get(name, 0) + 1
        elif "none" in record:
            name = record["none"]
            self.doubtful.pop(name, None)
            self.sent[name] = record["attempts"]
        elif "run" in record:
            name, status = record["name"], record["status"]
            self.doubtful.pop(name, None)
            self.launched[name] = Launch(
                name,
                record["run"],
                status and sys.intern(status),
                record["attempts"],
                time_created=_time(record["created"]),
            )
        else:
            self._newest = _time(record["began"])

    def _compare(
        self,
        head: Mapping[str, Any],
        planned: dict[str, str],
        task_id: str,
        version_id: str,
        plan: Plan,
    ) -> None:
        """Refuse a journal of something else."""
        found = [
            f"it is of {what} {head[what]}, not of {given}"
            for what, given in (("task", task_id), ("version", version_id))
            if head[what] != given
        ]
        for row, name in enumerate(plan.names):
            digest = planned.pop(name, None)
            if digest is None:
                found.append(f"row {row + 1} ({name!r}) is new")
            elif digest != _digest(plan, row, head["salt"]):
                found.append(f"row {row + 1} ({name!r}) was something else")
        found += [f"{name!r} is not among the launches" for name in planned]
        if found:
            raise JournalError(f"{self._path} is the journal of another batch:", found)


def _digest(plan: Plan, row: int, salt: str) -> str:
    key = bytes.fromhex(salt)
    return hashlib.blake2b(plan.request(row), key=key, digest_size=_DIGEST).hexdigest()


def _time(text: Optional[str]) -> Optional[datetime]:
    return None if text is None else datetime.fromisoformat(text)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_folder(path: str) -> None:
    """Make sure that a new file is found after a power cut."""
    if sys.platform != "win32":
        folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _lock(file: BinaryIO, path: str) -> None:
    """Keep others out until the file is closed, or the process ends in whatever way."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(1 << 30)  # far away: on Windows nobody else can read what is locked
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        raise JournalError(f"{path} is in use by another launch_all") from None
