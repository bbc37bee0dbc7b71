"""A tool does in its image, at its real paths, what the version does; cwltool runs it."""

from __future__ import annotations

import subprocess
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from libica import export
from libica.export import Export

from ..local import images
from ..local.test_requests import STAND_INS
from . import engine
from .versions import REAL, Json, version

pytestmark = pytest.mark.slow

ORDERS: dict[str, Json] = {
    "index-bam": {
        "bam": "a.bam",
        "bam_name": "b.bam",
        "index_name": "b.bam.bai",
        "region": "ap-southeast-2",
        "bucket": "bucket",
        "prefix": "indexes/",
        "key_id": "key-id",
        "secret_key": "what-nobody-may-see",
        "session_token": "token",
    },
    "encrypt": {"bam": "a.bam", "bam_name": "b.bam", "bam_name_bai": "a.bam.bai"},
    "fastq-to-ora": {"folder": "run-1", "interleaved": "true", "manifest": "inputs"},
}
FILES = {
    "a.bam": "bam",
    "a.bam.bai": "bai",
    "inputs/fastqs/Reports/fastq_list.csv": "list\n",
    "inputs/ora-reference/ref": "reference\n",
}
RESULTS = {
    "index-bam": {},
    "encrypt": {"b.bam": "sealed bam\n", "b.bam.bai": "sealed bai\n"},
    "fastq-to-ora": {"x.ora": "list\nreference\n"},
}


class Ran(NamedTuple):
    """What a tool wrote: the files of its outputs, and its log."""

    files: dict[str, str]
    log: str


def ran(tools: dict[str, tuple[Export, Json]], files: Json, folder: Path) -> dict[str, Ran]:
    """Run tools in images with these files, and return what each wrote."""
    engine.needs("cwltool")
    given = {}
    for name, (exported, order) in tools.items():
        types = {key: each["type"] for key, each in exported.document["inputs"].items()}
        inputs = {
            key: value if types[key] == "string" else {"class": types[key], "path": f"../{value}"}
            for key, value in order.items()
        }
        given[folder / name] = exported, inputs
    for path, text in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    docker = [each.document["requirements"]["DockerRequirement"] for each, _ in tools.values()]
    references = sorted({each["dockerPull"] for each in docker})
    with ExitStack() as made:
        for number, reference in enumerate(references):
            here = folder / f"image-{number}"
            here.mkdir()
            podman = made.enter_context(images.image(reference, here, files))
            remove = [podman, "image", "rm", reference]
            made.callback(subprocess.run, remove, check=True, stdout=subprocess.DEVNULL)
        logs = engine.run(given, folder)
    return {each.name: Ran(read(each / "out"), log) for each, log in logs.items()}


def unused_image() -> str:
    return f"{images.NAME}/export-{uuid.uuid4().hex}"


def read(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_real_versions_run_in_their_images(tmp_path: Path) -> None:
    programs = {f"bin/{program}": f"#!/bin/sh\n{script}\n" for program, script in STAND_INS.items()}
    programs["bin/bash"] = '#!/bin/sh\nexec sh "$@"\n'
    programs["opt/bin/ega-cryptor.sh"] = programs["bin/ega-cryptor.sh"]
    programs["opt/edico/bin/dragen"] = programs["bin/dragen"]
    tools = {}
    for name, execution in REAL.items():  # other tests make images of the real names
        image = {**execution["image"], "name": unused_image()}
        tools[name] = export.to_cwl(version({**execution, "image": image})), ORDERS[name]
    found = ran(tools, programs, tmp_path)
    assert {name: each.files for name, each in found.items()} == RESULTS
    index = found["index-bam"].log  # it uploads its result by itself
    assert "index of bam\ns3 cp b.bam.bai s3://bucket/indexes/\n" in index
    assert "what-nobody-may-see" not in index


IN = {"path": "/data/in/", "url": "gds://volume/a.bam"}
REFERENCE = {"path": "ref", "url": "gds://volume/inputs/ora-reference/", "type": "Folder"}
LAYOUTS: dict[str, tuple[Json, dict[str, str], str]] = {
    "several outputs of one folder": (
        {
            "args": [
                "cat /data/in/a.bam /ref/ref >/data/out/{{sample}}/all.txt; echo one >/data/log/1; "
                'echo "$WORD" >/data/log/.word; touch "$HOME/cache" scratch; ! touch /ref/ref'
            ],
            "inputs": [IN, REFERENCE],
            "outputs": [
                {"path": "/data/out/{{sample}}/all.txt", "url": "gds://volume/", "type": "File"},
                {"path": "/data/log/", "url": "gds://volume/log/"},
            ],
            "environment": {"variables": {"WORD": "$(b) {{sample}}"}},
        },
        {"all.txt": "bamreference\n", "log/.word": "$(b) s-1\n", "log/1": "one\n"},
        "",
    ),
    "a working directory with the outputs": (
        {
            "args": ["cat ref/ref in/a.bam >out/all.txt; pwd >.pwd.txt; mkdir kept; ls -d ref"],
            "inputs": [{**IN, "path": "in/"}, REFERENCE],
            "outputs": [{"path": "out", "url": "a"}, {"path": "/work/.pwd.txt", "url": "b"}],
            "workingDirectory": "/work",
        },
        {"out/all.txt": "reference\nbam", ".pwd.txt": "/work\n"},
        "ref\n",
    ),
    "a folder that is the working directory": (
        {
            "args": ["echo all >all.txt; mkdir sub .hidden; echo two >sub/two; echo 3 >.hidden/3"],
            "outputs": [{"path": "/work", "url": "gds://volume/"}],
            "workingDirectory": "/work/",
        },
        {"all.txt": "all\n", "sub/two": "two\n", ".hidden/3": "3\n"},
        "",
    ),
    "outputs of several folders": (
        {
            "args": ["echo one >/one/1; echo two >/two/{{sample}}/two.txt; touch scratch; pwd"],
            "outputs": [
                {"path": "/one/", "url": "gds://volume/1/"},
                {"path": "/two/{{sample}}/two.txt", "url": "gds://volume/2/"},
            ],
        },
        {"one/1": "one\n", "two.txt": "two\n"},
        "/tmp\n",
    ),
    "a working directory of the image": (
        {"args": ["cat own.txt; pwd"], "workingDirectory": "/opt/app"},
        {},
        "of the image\n/opt/app\n",
    ),
    "outputs beside what is of the image": (
        {
            "args": ["cp own.txt out/; echo 1 >log/1"],
            "outputs": [{"path": "out", "url": "gds://v/o/"}, {"path": "log", "url": "gds://v/l/"}],
            "workingDirectory": "/opt/app",
        },
        {"out/own.txt": "of the image\n", "log/1": "1\n"},
        "",
    ),
}


def test_files_folders_and_directories_are_where_a_version_has_them(tmp_path: Path) -> None:
    tools, image = {}, {"name": "{{name}}"}
    name_of_image = unused_image()
    given = {"a_bam": "a.bam", "in": "a.bam", "ref": "inputs/ora-reference", "sample": "s-1"}
    for name, (fields, _, _) in LAYOUTS.items():
        execution = {"image": image, "command": "sh", **fields}
        execution["args"] = ["-ec", *execution["args"]]
        exported = export.to_cwl(version(execution), {"name": name_of_image})
        tools[name] = (
            exported,
            {
                key: given[key]
                for key, each in exported.document["inputs"].items()
                if "default" not in each
            },
        )
    found = ran(tools, {"opt/app/own.txt": "of the image\n"}, tmp_path)
    for name, (_, files, printed) in LAYOUTS.items():
        assert (name, found[name].files) == (name, files)
        assert printed in found[name].log
