"""Inputs are copied to their paths and outputs to their URLs; errors say which one and why."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from urllib3 import HTTPResponse, Retry
from urllib3.util.retry import RequestHistory

from libica.local.node import places
from libica.local.node.download import _check_response
from libica.local.node.staging import check_mounts

from ..server import Answer, Server
from .bench import Bench, completed

pytestmark = pytest.mark.skipif(os.name != "posix", reason="runs shell scripts")


def entry(url: str, path: str, **more: Any) -> dict[str, Any]:
    return {"url": url, "path": path, **more}


# Inputs.


def test_a_file_is_copied_from_each_kind_of_url(
    bench: Bench, tmp_path: Path, server: Server
) -> None:
    server.answer(Answer(body="over http\n"))
    source = bench.put("volume/a b/x", "from gds\n")
    bench.put(".s3/bucket/key", "from s3\n")
    (tmp_path / "plain file").write_text("from a file\n")
    inputs = [
        entry("gds://volume/a b/x", "/in/gds", mode="stream", type="File"),
        entry("s3://bucket/key", "/in/s3", mode="download"),
        entry((tmp_path / "plain file").as_uri(), "/in/file"),
        entry(str(tmp_path / "plain file"), "/in/plain", type="FILE"),
        entry(f"{server.url}/some/x.txt?sign=1", "/in/http/"),
    ]
    script = "cd /in; cat gds s3 file plain http/x.txt; echo changed >gds"
    completed(bench.shell(script, inputs=inputs))
    assert bench.stdout() == "from gds\nfrom s3\nfrom a file\nfrom a file\nover http\n"
    assert source.read_text() == "from gds\n"


def test_an_input_may_be_the_command(bench: Bench) -> None:
    bench.put("volume/tool", "#!/bin/sh\necho ran $1\n").chmod(0o755)
    inputs = [entry("gds://volume/tool", "/app/tool")]
    completed(bench.run({"command": "/app/tool", "args": ["well"], "inputs": inputs}))
    assert bench.stdout() == "ran well\n"


def test_a_folder_is_copied_with_its_content_following_links(bench: Bench) -> None:
    bench.put("volume/data/a", "a")
    bench.put("volume/data/deep/b", "b")
    bench.put("volume/other/c", "c")
    (bench.gds / "volume/data/link").symlink_to("../other")
    inputs = [entry("gds://volume/data/", "/in/", type="Folder")]
    bench.shell("cd /in && find . -type f | sort && cat a deep/b link/c", inputs=inputs)
    assert bench.stdout() == "./a\n./deep/b\n./link/c\nabc"


def test_a_manifest_lists_many_files(bench: Bench, server: Server) -> None:
    server.answer(Answer(body="two"))
    bench.put("volume/one", "one")
    manifest = [
        {"url": "gds://volume/one", "size": 3, "path": "deep/1"},
        {"Url": f"{server.url}/2", "Size": 3, "Path": "/2"},
        {"url": f"{server.url}/3"},
    ]
    bench.put("volume/manifest.json", json.dumps(manifest))
    inputs = [entry("gds://volume/manifest.json", "/in/", type="manifest")]
    completed(bench.shell("cd /in && cat deep/1 2 3; ls", inputs=inputs))
    assert bench.stdout() == "onetwotwo2\n3\ndeep\n"


@pytest.mark.parametrize(
    ("url", "kind", "reason"),
    [
        ("gds://volume/none", "File", "volume/none does not exist"),
        ("gds://volume/data", "File", "it is a folder; set type to Folder"),
        ("gds://volume/x", "Folder", "it is not a folder"),
        ("gds://volume/x", "Blob", "of file, folder, manifest, not 'Blob'"),
        ("gds://volume/x", "manifest", "the manifest is not valid JSON:"),
        ("gds://volume/list", "manifest", "must be a JSON list of objects"),
        ("gds://volume/size", "manifest", "entry a .*x.: it has 1 bytes, not 2"),
        ("gds://volume/up", "manifest", "its path leads out"),
        ("gds://../x", "File", "must have a volume"),
        ("gds://volume/away", "File", "leads out of"),
        ("gds://volume/around", "Folder", "a folder that contains it"),
        ("gds://volume/leak", "Folder", "leads out of"),
        ("gds://volume/loop", "File", "does not exist"),
        ("gds://volume/pipe", "File", "is not a regular file"),
        ("{tmp}", "Folder", "contains the folder to copy it to"),
        ("ftp://host/x", "File", "ftp:// URLs are not supported"),
        ("gds://volume/a\0b", "File", "null byte"),
        ("", "File", "it has no url"),
    ],
)
def test_an_input_that_cannot_be_copied_fails_the_attempt(
    bench: Bench, tmp_path: Path, url: str, kind: str, reason: str
) -> None:
    for path in ("x", "data/x", "around/x", "leak/x"):
        bench.put(f"volume/{path}", "x")
    bench.put("volume/list", "[1]")
    bench.put("volume/size", '[{"url": "gds://volume/x", "path": "a", "size": 2}]')
    bench.put("volume/up", '[{"url": "gds://volume/x", "path": "../a"}]')
    links = {"away": "/etc/passwd", "around/link": "..", "leak/y": "/etc", "loop": "loop"}
    for path, target in links.items():
        (bench.gds / "volume" / path).symlink_to(target)
    os.mkfifo(bench.gds / "volume/pipe")
    mount = entry(url.replace("{tmp}", str(tmp_path)), "/in/x", type=kind)
    mount = mount if url else {"path": "/in/x", "urn": "urn:x"}
    outcome = bench.shell("true", inputs=[mount])
    assert outcome.status == "Failed"
    assert re.search(f"^input .*{reason}", outcome.details), outcome.details
    assert outcome.log["error"] == outcome.details
    assert "it has no path" in bench.shell("true", inputs=[{"url": "gds://volume/x"}]).details


# Downloads.


def test_a_download_follows_redirects_and_is_not_decoded(bench: Bench, server: Server) -> None:
    data = b"\x1f\x8b not gzip"
    sent = Answer(body=data, headers={"Content-Encoding": "gzip"})
    moved = Answer(302, headers={"Location": "/to"})
    server.answer(lambda asked: moved if asked.path == "/from" else sent)
    inputs = [entry(f"{server.url}/from", "/in/x")]
    outputs = [entry("gds://volume/x", "/in/x", type="File")]
    completed(bench.shell("true", inputs=inputs, outputs=outputs))
    assert (bench.gds / "volume/x").read_bytes() == data


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (Answer(404, reason="Not Found"), "the response is 404 Not Found"),
        (Answer(206), "the response is 206"),
        (Answer(302, headers={"Location": "/again?sign=secret"}), "too many redirects"),
        (Answer(headers={"Content-Length": "9", "Connection": "close"}), "IncompleteRead"),
        (None, "refused"),
    ],
)
def test_a_failed_download_is_described_without_the_secrets_of_its_url(
    bench: Bench, server: Server, response: Any, reason: str
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        shown = server.url if response else f"http://127.0.0.1:{closed.getsockname()[1]}"
        server.answer(response or Answer())
        url = shown.replace("//", "//user:secret@") + "/x?sign=secret"
        outcome = bench.shell("true", inputs=[entry(url, "/in/x")])
    assert outcome.details.startswith(f"input /in/x ({shown}/x): ")
    assert reason in outcome.details
    assert "secret" not in str(outcome)


def test_a_redirect_from_https_to_http_is_an_error() -> None:
    steps = (RequestHistory("GET", "https://a/x", None, 302, "http://a/x"),)
    response = HTTPResponse(status=200, retries=Retry(history=steps))
    with pytest.raises(ValueError, match="from HTTPS to HTTP"):
        _check_response("https://a/x", response)


def test_a_download_uses_the_proxy_of_the_environment(
    bench: Bench, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer(Answer(body="by the proxy"))
    monkeypatch.setenv("http_proxy", server.url)
    completed(bench.shell("cat /in/x", inputs=[entry("http://host.invalid/x", "/in/x")]))
    assert bench.stdout() == "by the proxy"


def test_an_abort_ends_a_download_that_hangs(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stop = threading.Event()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"

        def abort() -> None:
            with silent.accept()[0]:
                stop.set()
                finished.wait(60)

        finished = threading.Event()
        thread = threading.Thread(target=abort)
        thread.start()
        outcome = bench.run({"command": "true", "inputs": [entry(url, "/in/x")]}, stop)
        finished.set()
        thread.join()
    assert outcome.status == "Aborted"


# Outputs.


def test_outputs_are_copied_to_their_urls(bench: Bench, tmp_path: Path) -> None:
    outputs = [
        entry("gds://volume/folder/", "/out/folder/"),
        entry("s3://bucket/typed", "/out/typed", type="folder"),
        entry("gds://volume/bare", "/out/bare"),
        entry((tmp_path / "a file").as_uri(), "/out/file.txt", type="File"),
        entry("gds://volume/into/", "/out/file.txt"),
        entry(str(tmp_path / "deep/plain"), "out/relative"),
        entry("gds://volume/empty/", "/out/empty/"),
    ]
    script = """
        mkdir folder/sub && echo 1 >folder/sub/x && echo 2 >typed/x && echo 3 >bare/x
        echo 4 >file.txt && echo 5 >relative/x
    """
    completed(bench.shell(f"cd /out\n{script}", outputs=outputs))
    assert bench.read("volume/folder/sub/x") == "1\n"
    assert bench.read(".s3/bucket/typed/x") == "2\n"
    assert bench.read("volume/bare/x") == "3\n"
    assert (tmp_path / "a file").read_text() == "4\n"
    assert bench.read("volume/into/file.txt") == "4\n"
    assert (tmp_path / "deep/plain/x").read_text() == "5\n"
    assert not (tmp_path / "a file").samefile(bench.gds / "volume/into/file.txt")
    assert (bench.gds / "volume/empty").is_dir()


def test_an_output_replaces_files_of_its_names_alone_if_the_command_succeeds(bench: Bench) -> None:
    bench.put("volume/out/old", "old")
    bench.put("volume/out/x", "old")
    outputs = [entry("gds://volume/out", "/out/")]
    assert bench.shell("echo half >/out/x; exit 3", outputs=outputs).status == "Failed"
    assert bench.read("volume/out/x") == "old"
    bench.shell("echo new >/out/x; chmod 400 /out/x", outputs=outputs)
    assert (bench.read("volume/out/x"), bench.read("volume/out/old")) == ("new\n", "old")


def test_links_and_special_files_in_an_output_folder_are_skipped_with_a_remark(
    bench: Bench,
) -> None:
    bench.put("volume/x", "data")
    outcome = bench.shell(
        "echo data >/out/file; cd /out; ln -s /in/x link; ln -s /in folder; ln -s nowhere dangling;"
        "ln -s /etc/passwd of-the-machine; mkfifo pipe; mkdir inner; ln -s ../file inner/link",
        inputs=[entry("gds://volume/x", "/in/x")],
        outputs=[entry("gds://volume/out", "/out/")],
    )
    assert completed(outcome)
    stored = {path.name for path in (bench.gds / "volume/out").rglob("*")}
    assert stored == {"file", "inner"}
    skipped = (
        "/out/dangling, /out/folder, /out/inner/link, /out/link, /out/of-the-machine and 1 more"
    )
    assert f"Links and special files were not stored: {skipped}." in outcome.details


def test_an_output_that_is_a_link_to_a_file_of_the_machine_is_refused(bench: Bench) -> None:
    output = entry("gds://volume/out.txt", "/out/x.txt", type="File")
    outcome = bench.shell("ln -s /etc/passwd /out/x.txt", outputs=[output])
    assert outcome.status == "Failed"
    assert "leads out of" in outcome.details
    assert completed(bench.shell("echo 1 >/out/y; ln -s y /out/x.txt", outputs=[output]))
    assert bench.read("volume/out.txt") == "1\n"


def test_an_output_takes_the_place_of_a_link_and_does_not_follow_it(
    bench: Bench, tmp_path: Path
) -> None:
    link = bench.put("volume/out/x", "").parent / "link"
    link.symlink_to(tmp_path / "escaped")
    completed(bench.shell("echo 1 >/out/link", outputs=[entry("gds://volume/out", "/out/")]))
    assert link.read_text() == "1\n"
    assert not link.is_symlink()
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize(
    ("url", "path", "kind", "script", "reason"),
    [
        ("gds://volume/x", "/out/x", "File", "true", "the command did not create it"),
        ("gds://volume/x", "/out/x", "File", "mkdir /out/x", "it is not a file"),
        ("gds://volume/x", "/out/", "Folder", "rm -r /out; >/out", "not a folder"),
        ("gds://volume/x", "/out/", "manifest", "exit 9", "must be one of file, folder"),
        ("https://host/x?s=secret", "/out/", "", "exit 9", "https:// URLs are not supported"),
        ("gds://volume/link/x", "/out/", "", "exit 9", "leads out of"),
        ("gds://volume/x", "/out/x", "File", "ln -s no /out/x", "did not create it"),
        ("gds://volume/x", "/out/x", "File", "mkfifo /out/x", "is not a regular file"),
        ("gds://volume/file/x", "/out/", "", "true", "Not a directory|File exists"),
    ],
)
def test_an_output_that_cannot_be_copied_fails_the_attempt(
    bench: Bench, tmp_path: Path, url: str, path: str, kind: str, script: str, reason: str
) -> None:
    bench.put("volume/file", "")
    (bench.gds / "volume/link").symlink_to(tmp_path)
    outcome = bench.shell(script, outputs=[entry(url, path, **({"type": kind} if kind else {}))])
    assert outcome.status == "Failed"
    assert re.search(f"^output .*({reason})", outcome.details), outcome.details
    assert "secret" not in outcome.details
    assert not list(bench.gds.rglob("*.part"))


# Declarations.


@pytest.mark.parametrize(
    ("execution", "message"),
    [
        ({"inputs": [{"path": "/x"}]}, "inputs[0].url: it has no url"),
        ({"inputs": [{"url": "/x"}]}, "inputs[0].path: it has no path"),
        ({"inputs": [{}, entry("/x", "/\0")]}, "inputs[0].path: it has no path"),
        ({"inputs": [entry("/x", "/\0")]}, "inputs[0].path: it has a null byte"),
        ({"inputs": [entry("/x", "/x", type="Blob")]}, "inputs[0].type: its type must be one of"),
        ({"inputs": [entry("ftp://me:secret@h/x", "/x")]}, "inputs[0].url (ftp://h/x): ftp:// URL"),
        (
            {"inputs": [entry("https:///x", "/x")]},
            "inputs[0].url (https:///x): the URL has no host",
        ),
        (
            {"inputs": [entry("https://h/", "/x", type="folder")]},
            "inputs[0].url (https://h/): http",
        ),
        ({"outputs": [entry("https://h/x", "/x")]}, "outputs[0].url (https://h/x): https:// URLs"),
        ({"outputs": [entry("gds://v/../x", "/x")]}, "outputs[0].url (gds://v/../x): the URL must"),
        ({"outputs": [entry("gds:///x", "/x")]}, "outputs[0].url (gds:///x): the URL must have a"),
        ({"outputs": [entry("x", "/x", type="manifest")]}, "outputs[0].type: its type must be one"),
        ({"systemFiles": {"url": "logs"}}, "systemFiles.url (logs): it is not an absolute path"),
        (
            {"outputs": [entry("s3://b/x", "/x", credentials={"AWS_ACCESS_KEY_ID": "secret"})]},
            "outputs[0].url (s3://b/x): its credentials must have AWS_ACCESS_KEY_ID and AWS_SECRET",
        ),
    ],
)
def test_what_cannot_be_is_known_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, execution: Any, message: str
) -> None:
    monkeypatch.setattr(places, "find_spec", lambda _: True)
    with pytest.raises(ValueError, match=re.escape(f"$.execution.{message}")) as error:
        check_mounts(execution, tmp_path)
    assert "secret" not in str(error.value)


def test_s3_without_its_extra_is_refused_unless_a_folder_stands_in_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "find_spec", lambda _: None)
    execution = {"inputs": [entry("s3://bucket/x", "/x")], "systemFiles": {"url": None}}
    with pytest.raises(ValueError, match=r"inputs\[0\].url .*pip install 'libica-libtes\[s3\]'"):
        check_mounts(execution, tmp_path)
    (tmp_path / ".s3").mkdir()
    check_mounts(execution, str(tmp_path))


def test_a_manifest_is_checked_as_a_whole_before_anything_is_copied(
    bench: Bench, server: Server
) -> None:
    listed = [{"url": f"{server.url}/1"}, {"url": "gds://volume/x", "path": "a", "size": "many"}]
    bench.put("volume/manifest", json.dumps(listed))
    inputs = [entry("gds://volume/manifest", "/in", type="manifest")]
    assert "its size must be a number, not 'many'" in bench.shell("true", inputs=inputs).details
    assert server.asked == []
