"""Inputs are brought to their paths, and outputs to their URLs; what cannot be says why."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ..server import Answer, Asked, Server
from .simple import Bench

pytestmark = pytest.mark.skipif(os.name != "posix", reason="runs shell scripts")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def entry(url: str, path: str, **more: Any) -> dict[str, Any]:
    return {"url": url, "path": path, **more}


def test_a_file_is_brought_from_each_kind_of_url(
    bench: Bench, tmp_path: Path, server: Server
) -> None:
    server.answer(Answer(body="over http\n"))
    bench.put("volume/a b/x", "from gds\n")
    bench.put(".s3/bucket/key", "from s3\n")
    (tmp_path / "plain file").write_text("from a file\n")
    inputs = [
        entry("gds://volume/a b/x", "/in/gds", mode="stream", type="File"),
        entry("s3://bucket/key", "/in/s3", mode="download"),
        entry((tmp_path / "plain file").as_uri(), "/in/file"),
        entry(str(tmp_path / "plain file"), "/in/plain", type="FILE"),
        entry(f"{server.url}/some/x.txt?sign=1", "/in/http/"),
    ]
    script = "cd /in; cat gds s3 file plain http/x.txt"
    outcome = bench.shell(script, inputs=inputs)
    assert outcome.status == "Completed", outcome
    assert bench.stdout() == "from gds\nfrom s3\nfrom a file\nfrom a file\nover http\n"


def test_an_input_is_a_copy(bench: Bench) -> None:
    source = bench.put("volume/x", "as it was")
    bench.shell("echo changed > /in/x", inputs=[entry("gds://volume/x", "/in/x")])
    assert source.read_text() == "as it was"


def test_an_input_may_be_the_command(bench: Bench) -> None:
    bench.put("volume/tool", "#!/bin/sh\necho ran $1\n").chmod(0o755)
    outcome = bench.run(
        {
            "command": "/app/tool",
            "args": ["well"],
            "inputs": [entry("gds://volume/tool", "/app/tool")],
        }
    )
    assert (outcome.status, bench.stdout()) == ("Completed", "ran well\n")


def test_a_folder_is_brought_with_all_in_it_and_links_followed(bench: Bench) -> None:
    bench.put("volume/data/a", "a")
    bench.put("volume/data/deep/b", "b")
    bench.put("volume/other/c", "c")
    (bench.gds / "volume/data/link").symlink_to("../other")
    inputs = [entry("gds://volume/data/", "/in/", type="Folder")]
    bench.shell("cd /in && find . -type f | sort && cat a deep/b link/c", inputs=inputs)
    assert bench.stdout() == "./a\n./deep/b\n./link/c\nabc"


def test_a_manifest_names_many_files(bench: Bench, server: Server) -> None:
    server.answer(Answer(body="two"))
    bench.put("volume/one", "one")
    manifest = [
        {"url": "gds://volume/one", "size": 3, "path": "deep/1"},
        {"Url": f"{server.url}/2", "Size": 3, "Path": "/2"},
        {"url": f"{server.url}/3"},
    ]
    bench.put("volume/manifest.json", json.dumps(manifest))
    inputs = [entry("gds://volume/manifest.json", "/in/", type="manifest")]
    outcome = bench.shell("cd /in && cat deep/1 2 3; ls", inputs=inputs)
    assert outcome.status == "Completed", outcome
    assert bench.stdout() == "onetwotwo2\n3\ndeep\n"


@pytest.mark.parametrize(
    ("mount", "reason"),
    [
        (entry("gds://volume/none", "/in/x"), "there is no .*volume/none"),
        (entry("gds://volume/data", "/in/x"), "it is a folder, and its type is not Folder"),
        (entry("gds://volume/x", "/in/x", type="Folder"), "it is no folder"),
        (entry("gds://volume/x", "/in/x", type="Blob"), "'Blob' is none of file, folder, manifest"),
        (entry("gds://volume/x", "/in/x", type="manifest"), "the manifest is no JSON:"),
        (entry("gds://volume/list", "/in/", type="manifest"), "no JSON list of objects"),
        (entry("gds://volume/size", "/in/", type="manifest"), "entry a .*x.: it has 1 bytes and n"),
        (entry("gds://volume/up", "/in/", type="manifest"), "its path leads out"),
        (entry("gds://../x", "/in/x"), "must have a volume"),
        (entry("gds://volume/away", "/in/x"), "leads out of"),
        (entry("gds://volume/around", "/in/", type="Folder"), "leads back to a folder around"),
        (entry("gds://volume/leak", "/in/", type="Folder"), "leads out of"),
        (entry("gds://volume/loop", "/in/x"), "there is no"),
        (entry("gds://volume/pipe", "/in/x"), "is no file"),
        (entry("ftp://host/x", "/in/x"), "ftp:// names no place"),
        ({"path": "/in/x", "urn": "urn:x"}, "it has no url"),
        ({"url": "gds://volume/x"}, "it has no path"),
        (entry("gds://volume/a\0b", "/in/x"), "null byte"),
    ],
)
def test_what_is_wrong_with_an_input_is_said(
    bench: Bench, mount: dict[str, Any], reason: str
) -> None:
    bench.put("volume/x", "x")
    bench.put("volume/data/x", "x")
    bench.put("volume/list", "[1]")
    bench.put("volume/size", '[{"url": "gds://volume/x", "path": "a", "size": 2}]')
    bench.put("volume/up", '[{"url": "gds://volume/x", "path": "../a"}]')
    (bench.gds / "volume/away").symlink_to("/etc/passwd")
    bench.put("volume/around/x", "x")
    (bench.gds / "volume/around/link").symlink_to("..")
    bench.put("volume/leak/x", "x")
    (bench.gds / "volume/leak/y").symlink_to("/etc")
    (bench.gds / "volume/loop").symlink_to("loop")
    os.mkfifo(bench.gds / "volume/pipe")
    outcome = bench.shell("true", inputs=[mount])
    assert outcome.status == "Failed"
    assert outcome.details.startswith("input ")
    assert re.search(reason, outcome.details), outcome.details
    assert outcome.log["error"] == outcome.details


def test_a_download_follows_redirects(bench: Bench, server: Server) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.path == "/from":
            return Answer(302, headers={"Location": "/to"})
        return Answer(body="there")

    server.answer(answer)
    bench.shell("cat /in/x", inputs=[entry(f"{server.url}/from", "/in/x")])
    assert bench.stdout() == "there"


def test_a_download_is_kept_as_it_was_sent(bench: Bench, server: Server) -> None:
    data = b"\x1f\x8b no gzip"
    server.answer(Answer(body=data, headers={"Content-Encoding": "gzip"}))
    inputs = [entry(f"{server.url}/x", "/in/x")]
    outputs = [entry("gds://volume/x", "/in/x", type="File")]
    bench.shell("true", inputs=inputs, outputs=outputs)
    assert (bench.gds / "volume/x").read_bytes() == data


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(404, reason="Not Found"), "the answer is 404 Not Found"),
        (Answer(206), "the answer is 206"),
        (Answer(302, headers={"Location": "/again?sign=secret"}), "too many redirects"),
        (Answer(headers={"Content-Length": "9", "Connection": "close"}), "IncompleteRead"),
    ],
)
def test_a_failed_download_is_said_without_the_secrets_of_its_url(
    bench: Bench, server: Server, answer: Answer, reason: str
) -> None:
    server.answer(answer)
    url = server.url.replace("//", "//user:secret@") + "/x?sign=secret"
    outcome = bench.shell("true", inputs=[entry(url, "/in/x")])
    assert outcome.details.startswith(f"input /in/x ({server.url}/x): ")
    assert reason in outcome.details
    assert "secret" not in str(outcome)


def test_a_refused_connection_is_said(bench: Bench) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/x?sign=secret"
        outcome = bench.shell("true", inputs=[entry(url, "/in/x")])
    assert outcome.status == "Failed"
    assert "refused" in outcome.details
    assert "secret" not in str(outcome)


def test_a_redirect_from_https_to_http_is_refused() -> None:
    from urllib3 import HTTPResponse, Retry
    from urllib3.util.retry import RequestHistory

    from libica.local.node.download import _refuse_unless_file

    steps = (RequestHistory("GET", "https://a/x", None, 302, "http://a/x"),)
    response = HTTPResponse(status=200, retries=Retry(history=steps))
    with pytest.raises(ValueError, match="from https to http"):
        _refuse_unless_file("https://a/x", response)


def test_an_abort_ends_a_download_that_hangs(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stop = threading.Event()
        threading.Timer(0.1, stop.set).start()
        began = time.monotonic()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        outcome = bench.run({"command": "true", "inputs": [entry(url, "/in/x")]}, stop)
        assert outcome.status == "Aborted"
        assert time.monotonic() - began < 2


def test_outputs_go_where_their_urls_say(bench: Bench, tmp_path: Path) -> None:
    outputs = [
        entry("gds://volume/folder/", "/out/folder/"),
        entry("s3://bucket/typed", "/out/typed", type="folder"),
        entry("gds://volume/bare", "/out/bare"),
        entry((tmp_path / "a file").as_uri(), "/out/file.txt", type="File"),
        entry("gds://volume/into/", "/out/file.txt"),
        entry(str(tmp_path / "deep/plain"), "out/relative"),
    ]
    script = """
        mkdir folder/sub && echo 1 >folder/sub/x && echo 2 >typed/x && echo 3 >bare/x
        echo 4 >file.txt && echo 5 >relative/x
    """
    outcome = bench.shell(f"cd /out\n{script}", outputs=outputs)
    assert outcome.status == "Completed", outcome
    assert bench.read("volume/folder/sub/x") == "1\n"
    assert bench.read(".s3/bucket/typed/x") == "2\n"
    assert bench.read("volume/bare/x") == "3\n"
    assert (tmp_path / "a file").read_text() == "4\n"
    assert bench.read("volume/into/file.txt") == "4\n"
    assert (tmp_path / "deep/plain/x").read_text() == "5\n"
    assert not (tmp_path / "a file").samefile(bench.gds / "volume/into/file.txt")


def test_an_output_replaces_what_was_there_and_keeps_what_else_is_there(bench: Bench) -> None:
    bench.put("volume/out/old", "old")
    bench.put("volume/out/x", "old")
    outputs = [entry("gds://volume/out", "/out/")]
    bench.shell("echo new >/out/x; chmod 400 /out/x", outputs=outputs)
    assert (bench.read("volume/out/x"), bench.read("volume/out/old")) == ("new\n", "old")


def test_links_in_outputs_become_what_they_lead_to(bench: Bench) -> None:
    bench.put("volume/x", "data")
    outcome = bench.shell(
        "ln -s /in/x /out/file && ln -s /in /out/folder",
        inputs=[entry("gds://volume/x", "/in/x")],
        outputs=[entry("gds://volume/out", "/out/")],
    )
    assert outcome.status == "Completed", outcome
    assert bench.read("volume/out/file") == bench.read("volume/out/folder/x") == "data"
    assert not (bench.gds / "volume/out/file").is_symlink()


def test_an_empty_output_folder_is_made(bench: Bench) -> None:
    bench.shell("true", outputs=[entry("gds://volume/empty/", "/out/")])
    assert (bench.gds / "volume/empty").is_dir()


@pytest.mark.parametrize(
    ("mount", "script", "reason"),
    [
        (entry("gds://volume/x", "/out/x", type="File"), "true", "the command did not make it"),
        (entry("gds://volume/x", "/out/x", type="File"), "mkdir /out/x", "it is no file"),
        (entry("gds://volume/x", "/out/", type="Folder"), "rm -r /out; >/out", "it is no folder"),
        (entry("gds://volume/x", "/out/", type="manifest"), "exit 9", "is none of file, folder"),
        (entry("https://host/x?s=secret", "/out/"), "exit 9", "https:// names no place"),
        (entry("gds://volume/link/x", "/out/"), "exit 9", "leads out of"),
        (entry("gds://volume/out", "/out/"), "echo 1 >/out/link", "leads out of"),
        (entry("gds://volume/x", "/out/"), "ln -s nowhere /out/x", "No such file"),
        (entry("gds://volume/x", "/out/"), "mkfifo /out/x", "is no file"),
        (entry("gds://volume/file/x", "/out/"), "true", "Not a directory|File exists"),
    ],
)
def test_what_is_wrong_with_an_output_is_said(
    bench: Bench, tmp_path: Path, mount: dict[str, Any], script: str, reason: str
) -> None:
    bench.put("volume/file", "")
    (bench.gds / "volume/link").symlink_to(tmp_path)
    (bench.gds / "volume/out").mkdir()
    (bench.gds / "volume/out/link").symlink_to(tmp_path / "escaped")
    outcome = bench.shell(script, outputs=[mount])
    assert outcome.status == "Failed"
    assert re.search(f"^output .*({reason})", outcome.details), outcome.details
    assert "secret" not in outcome.details
    assert not (tmp_path / "escaped").exists()
    assert not list(bench.gds.rglob("*.part"))


def test_nothing_is_put_when_the_command_failed(bench: Bench) -> None:
    outputs = [entry("gds://volume/out", "/out/")]
    outcome = bench.shell("echo half >/out/x; exit 3", outputs=outputs)
    assert outcome.status == "Failed"
    assert not (bench.gds / "volume/out").exists()


def test_a_folder_that_holds_the_scratch_folder_is_no_input(bench: Bench, tmp_path: Path) -> None:
    outcome = bench.shell("true", inputs=[entry(str(tmp_path), "/in/", type="Folder")])
    assert "holds the folder it would be copied to" in outcome.details
