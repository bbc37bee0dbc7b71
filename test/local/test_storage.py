"""Files go to and come from S3 and other storage in chunks, whole or not at all."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import urllib3

from libica.local.node import attempt
from libica.local.node.copying import copy_file, copy_folder, mode_at
from libica.local.node.job import Job, Outcome, Settings
from libica.local.node.places import Local, Place, Places, Remote
from libica.local.node.remote import Storage

from ..real_parts import lacking
from .bench import completed

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="runs shell scripts"),
    pytest.mark.slow,  # to load s3fs and moto takes a second
]
MIB = 1 << 20


def go_on() -> None:
    """Check nothing."""


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    try:
        import s3fs  # noqa: F401
        from moto.server import ThreadedMotoServer
    except ImportError as error:
        if not (3, 10) <= sys.version_info < (3, 15):
            pytest.skip("test-requirements.txt has no S3 for this Python")
        lacking("s3", f"S3 cannot be tested: {error}")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    """A file system with an empty bucket of the test's own, `BUCKET`."""
    environment = {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "of-the-service",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-west-1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    system, _ = Storage().reached(Remote("s3://", ""))
    if system.exists(BUCKET):
        system.rm(BUCKET, recursive=True)
    system.mkdir(BUCKET)
    return system


BUCKET = "bucket"


def run(gds: Any, tmp_path: Path, stop: Any = None, **execution: Any) -> Outcome:
    if isinstance(gds, Path):
        gds.mkdir(exist_ok=True)
    job = Job("trn.1", {"command": "sh", **execution}, 1)
    folder = attempt.create(tmp_path / uuid.uuid4().hex, job, Settings(str(gds)))
    return attempt.run(folder, stop or threading.Event())


@pytest.mark.parametrize("where", ["s3", "memory", "s3 as gds"])
def test_a_run_has_its_inputs_outputs_and_logs_in_storage(
    where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    gds: Any = tmp_path / "gds"
    url = "gds://volume"
    if where == "memory":
        gds = f"memory://{tmp_path.name}"
    else:
        request.getfixturevalue("s3")
        url = f"s3://{BUCKET}" if where == "s3" else url
        gds = gds if where == "s3" else f"s3://{BUCKET}/prefix"
    places, storage = Places(gds), Storage()
    manifest = [{"url": f"{url}/in/a b?c#%20", "path": "deep/listed", "size": 3}]
    (tmp_path / "sources").mkdir()
    for name, text in {"a b?c#%20": "one", "manifest": json.dumps(manifest)}.items():
        (tmp_path / "sources" / name).write_text(text)
    copy_folder(Local(tmp_path / "sources", None), places.locate(f"{url}/in"), storage, go_on)
    script = """
        cat /in/a /in/folder/a* /in/listed/deep/listed; echo oops >&2
        mkdir -p /out/sub && echo 1 >/out/sub/x && : >/out/empty && ln -s x /out/sub/link
    """
    outcome = run(
        gds,
        tmp_path,
        args=["-c", script],
        inputs=[
            {"url": f"{url}/in/a b?c#%20", "path": "/in/a", "mode": "stream"},
            {"url": f"{url}/in/", "path": "/in/folder", "type": "Folder"},
            {"url": f"{url}/in/manifest", "path": "/in/listed", "type": "manifest"},
        ],
        outputs=[
            {"url": f"{url}/out/", "path": "/out/"},
            {"url": f"{url}/files/", "path": "/out/sub/x", "type": "File"},
        ],
        systemFiles={"url": f"{url}/logs"},
    )
    assert "Links and special files were not stored: /out/sub/link." in completed(outcome).details
    assert outcome.log["stdout"] == f"{url}/logs/trn.1/stdout-1.log"
    fetched = tmp_path / "fetched"
    for name in ("out", "files", "logs/trn.1"):
        copy_folder(places.locate(f"{url}/{name}"), Local(fetched, None), storage, go_on)
    texts = {str(path.relative_to(fetched)): path.read_text() for path in fetched.rglob("*.*")}
    assert texts == {"stdout-1.log": "oneoneone", "stderr-1.log": "oops\n"}
    assert (fetched / "sub/x").read_text() == (fetched / "x").read_text() == "1\n"
    assert (fetched / "empty").read_bytes() == b""


def test_logs_reach_storage_also_if_the_command_fails_and_without_system_files(
    s3: Any, tmp_path: Path
) -> None:
    outcome = run(f"s3://{BUCKET}/gds", tmp_path, args=["-c", "echo why >&2; exit 3"])
    assert (outcome.status, outcome.log["stderr"]) == ("Failed", "gds://logs/trn.1/stderr-1.log")
    assert s3.cat(f"{BUCKET}/gds/logs/trn.1/stderr-1.log") == b"why\n"


@pytest.fixture(params=["s3", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place in storage at which there is nothing."""
    if request.param == "s3":
        request.getfixturevalue("s3")
        return Remote("s3://", f"{BUCKET}/x")
    return Remote(f"memory://{tmp_path.name}", "x")


def test_a_file_of_several_parts_keeps_its_content_and_its_time(
    place: Remote, tmp_path: Path
) -> None:
    content, storage = os.urandom(20 * MIB + 1), Storage()
    (tmp_path / "x").write_bytes(content)
    copy_file(Local(tmp_path / "x", None), place, storage, go_on)
    copy_file(place, Local(tmp_path / "y", None), storage, go_on)
    assert (tmp_path / "y").read_bytes() == content
    if place.base == "s3://":
        system, path = storage.reached(place)
        stored = system.modified(path).timestamp()
        assert (tmp_path / "y").stat().st_mtime == pytest.approx(stored, abs=1)


@pytest.mark.parametrize("after", [1, 12])
def test_an_interrupted_transfer_leaves_nothing(place: Remote, tmp_path: Path, after: int) -> None:
    def interrupt() -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise InterruptedError

    (tmp_path / "x").write_bytes(os.urandom(20 * MIB))
    here, storage, calls = Local(tmp_path / "x", None), Storage(), 0
    with pytest.raises(InterruptedError):
        copy_file(here, place, storage, interrupt)
    system, path = storage.reached(place)
    assert mode_at(place, storage) == 0
    if place.base == "s3://":
        assert system.list_multipart_uploads(BUCKET) == []
    else:
        assert system.ls(path.rpartition("/")[0]) == []
    copy_file(here, place, storage, go_on)
    calls = 0
    with pytest.raises(InterruptedError):
        copy_file(place, Local(tmp_path / "y", None), storage, interrupt)
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


@pytest.fixture
def strict_s3(s3: Any, s3_server: str) -> Iterator[dict[str, str]]:
    """The credentials of the one user whom S3 admits."""
    from botocore.session import get_session

    iam = get_session().create_client("iam", endpoint_url=s3_server, region_name="eu-west-1")
    rights = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": rights})
    name = iam.create_user(UserName=uuid.uuid4().hex)["User"]["UserName"]
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    switch = partial(urllib3.PoolManager().request, "POST", f"{s3_server}/moto-api/reset-auth")
    switch(body="0")
    yield {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    switch(body="inf")


def test_the_credentials_of_a_mount_come_before_those_of_the_service(
    strict_s3: dict[str, str], s3: Any, tmp_path: Path
) -> None:
    mount = {"url": f"s3://{BUCKET}/x", "path": "/out/x.txt", "credentials": strict_s3}
    execution = {"args": ["-c", "echo 1 >/out/x.txt"], "outputs": [mount]}
    completed(run(tmp_path / "gds", tmp_path, **execution))
    mount["credentials"] = {**strict_s3, "AWS_SECRET_ACCESS_KEY": "hush-hush"}
    for refused in (mount, {**mount, "credentials": {}}):
        outcome = run(tmp_path / "gds", tmp_path, **{**execution, "outputs": [refused]})
        assert outcome.details.startswith(f"output /out/x.txt (s3://{BUCKET}/x): "), outcome
        assert "hush" not in str(outcome)


@pytest.mark.parametrize("kind", ["inputs", "outputs", "systemFiles"])
def test_an_abort_ends_a_transfer_that_hangs(
    s3: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    stop, finished = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")

        def abort() -> None:
            with silent.accept()[0]:
                stop.set()
                finished.wait(60)

        thread = threading.Thread(target=abort)
        thread.start()
        mount = {"url": "s3://bucket/x", "path": "/x/y", "type": "File"}
        mounts = {kind: mount if kind == "systemFiles" else [mount]}
        outcome = run(tmp_path / "gds", tmp_path, stop, args=["-c", "mkdir -p /x; >/x/y"], **mounts)
        finished.set()
        thread.join()
    assert outcome.status == "Aborted"


def test_keys_that_cannot_be_names_of_files_are_refused_and_marks_of_folders_left_out(
    s3: Any, tmp_path: Path
) -> None:
    for key in ("good/", "good/x", "bad/../x", "worse//x"):
        s3.call_s3("put_object", Bucket=BUCKET, Key=key, Body=b"")
    copy_folder(Remote("s3://", f"{BUCKET}/good"), Local(tmp_path / "y", None), Storage(), go_on)
    assert [each.name for each in (tmp_path / "y").iterdir()] == ["x"]
    for key in ("bad", "worse"):
        with pytest.raises(ValueError, match="cannot be the name of a file"):
            copy_folder(
                Remote("s3://", f"{BUCKET}/{key}"), Local(tmp_path / key, None), Storage(), go_on
            )
    assert not (tmp_path / "x").exists()
