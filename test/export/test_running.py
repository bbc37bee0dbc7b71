"""A tool does in its image, at its real paths, what the version does; cwltool runs it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from libica import export
from libica.openapi.libtes import placeholders

from ..local import images
from ..local.test_requests import STAND_INS
from . import engine
from .versions import REAL, Json, version

pytestmark = pytest.mark.slow

BASH = '#!/bin/sh\nexec sh "$@"\n'
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


def ran(
    exported: export.Export, order: Json, programs: dict[str, str], folder: Path
) -> tuple[dict[str, str], str]:
    """Run a tool in an image with these programs; return the files of its outputs, and its log."""
    for path, text in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    types = {key: each["type"] for key, each in exported.document["inputs"].items()}
    given = {
        key: value if types[key] == "string" else {"class": types[key], "path": value}
        for key, value in order.items()
    }
    reference = exported.document["requirements"]["DockerRequirement"]["dockerPull"]
    (folder / "made").mkdir()
    with images.image(reference, folder / "made", programs) as podman:
        try:
            log = engine.run(exported, given, folder)
        finally:
            remove = [podman, "image", "rm", reference]
            subprocess.run(remove, check=True, stdout=subprocess.DEVNULL)
    out = folder / "out"
    found = {str(path.relative_to(out)): path for path in out.rglob("*") if path.is_file()}
    return {name: path.read_text() for name, path in found.items()}, log


@pytest.mark.parametrize("name", REAL)
def test_a_real_version_runs_in_its_image(name: str, tmp_path: Path) -> None:
    programs = {f"bin/{program}": f"#!/bin/sh\n{script}\n" for program, script in STAND_INS.items()}
    programs["bin/bash"] = BASH
    programs["opt/bin/ega-cryptor.sh"] = programs["bin/ega-cryptor.sh"]
    programs["opt/edico/bin/dragen"] = programs["bin/dragen"]
    exported = export.to_cwl(version(REAL[name]))
    found, log = ran(exported, ORDERS[name], programs, tmp_path)
    assert found == RESULTS[name]
    assert "what-nobody-may-see" not in log
    if name == "index-bam":  # it uploads its result by itself
        assert "index of bam\ns3 cp b.bam.bai s3://bucket/indexes/\n" in log


def test_files_folders_and_directories_are_where_the_version_has_them(tmp_path: Path) -> None:
    script = (
        "cat /data/in/a.bam /opt/app/own.txt ref/fa >/data/out/{{sample}}/all.txt; "
        'pwd >/data/out/pwd.txt; echo "$WORD" >/data/logs/.word; touch "$HOME/cache" scratch; '
        "chmod 400 /data/in/a.bam 2>/data/logs/refused || true; mkdir {{sample}}"
    )
    execution: Json = {
        "image": {"name": "localhost/libica-export-test", "tag": "{{tag}}"},
        "command": "sh",
        "args": ["-ec", script],
        "inputs": [
            {"path": "/data/in/", "url": "gds://volume/a.bam"},
            {"path": "/work/ref", "url": "gds://volume/inputs/ora-reference/", "type": "Folder"},
        ],
    }
