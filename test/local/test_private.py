"""What only the user of the service may see: its data, and its token."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from libica.local import LocalTes
from libica.openapi import libtes

from .serving import Serving

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="permissions are those of POSIX")


def others(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode) & 0o077


def test_other_users_can_read_nothing_of_the_data_folder(tmp_path: Path) -> None:
    home = tmp_path / "data"
    home.mkdir()
    home.chmod(0o755)  # it is tightened
    before = os.umask(0)
    try:
        with LocalTes(data=home) as tes, libtes.ApiClient(tes.configuration()) as client:
            libtes.TasksApi(client).create_task(body={"name": "x"})
            files = [path for path in home.iterdir() if path.is_file()]
            assert {"tes.sqlite", "tes.sqlite-wal", "lock"} <= {path.name for path in files}
            assert [path for path in (home, *files) if others(path)] == []
        (home / "tes.sqlite").chmod(0o644)  # as earlier versions left it
        with LocalTes(data=home):
            assert others(home / "tes.sqlite") == 0
    finally:
        os.umask(before)


def test_a_data_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    with pytest.raises(ValueError, match=f"other users can write to {tmp_path}.*chmod go-w"):
        LocalTes(data=tmp_path)


@pytest.mark.slow
def test_the_token_is_taken_from_a_file_or_from_the_environment(
    serve: Callable[..., Serving], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("of-the-file\n")
    monkeypatch.setenv("LIBICA_LOCAL_TOKEN", "of-the-environment")
    assert serve("--token-file", tmp_path / "token").lines[1].endswith("=of-the-file")
    assert serve().lines[1].endswith("=of-the-environment")
    assert serve("--token", "given").lines[1].endswith("=given")


def test_an_attempt_that_exceeds_the_time_limit_ends_as_timed_out() -> None:
    with LocalTes(time_limit=0.3) as tes, libtes.ApiClient(tes.configuration()) as client:
        runs = libtes.TaskRunsApi(client)
        execution = libtes.Execution(image=libtes.Image("x"), command="sleep", args=["60"])
        run = runs.create_task_run(body=libtes.CreateTaskRunRequest(execution=execution))
        while run.status in ("Pending", "Running"):
            run = runs.get_task_run(run.id)
        assert run.status == "TimedOut"
        assert "time limit of 0.3 s" in str(run.status_details)
    with pytest.raises(ValueError, match="time_limit must be more than 0 seconds"):
        LocalTes(time_limit=0)
