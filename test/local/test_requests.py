"""Requests of the shape that people send become versions, are launched, and run."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from libica.local import LocalTes
from libica.openapi.libtes.placeholders import find

from ..contract import facts
from ..server import Answer, Server
from . import images
from .bench import Bench
from .caller import Caller, Json

REAL_REQUESTS = Path(__file__).parents[3] / "shared/data/real-requests"
SYSTEM_FILES = "gds://volume/logs/"
ARGUMENTS = {
    # of the requests beside the contract's facts
    "sample": "a",
    "bucket": "bucket",
    "passphrase": "hush",
    "tag": "1",
    # of the real ones
    "OUTPUT_BAM_FILE_INDEX_NAME": "a.bam.bai",
    "INPUT_BAM_FILE_NAME": "a.bam",
    "INPUT_BAM_GDS_PATH": "gds://volume/a.bam",
    "AWS_REGION": "ap-southeast-2",
    "AWS_BUCKET_NAME": "bucket",
    "AWS_KEY_PREFIX": "indexes/",
    "AWS_ACCESS_KEY_ID": "key-id",
    "AWS_SECRET_ACCESS_KEY": "hush",
    "AWS_SESSION_TOKEN": "token",
    "GDS_SYSTEM_FILES_PATH": SYSTEM_FILES,
    "GDS_INPUT_PATH": "gds://volume/a.bam",
    "GDS_INPUT_FILE_NAME": "a.bam",
    "GDS_OUTPUT_PATH": "gds://volume/sealed/a/",
    "INPUT_FOLDER_NAME": "run-1",
    "IS_INTERLEAVED": "true",
    "GDS_MANIFEST_JSON_URL": "gds://volume/manifest.json",
    "AWS_S3_BUCKET": "bucket",
    "AWS_S3_PATH": "compressed/",
}
STAND_INS = {
    "samtools": 'test "$1" = index && echo "index of $(cat "$4")" >"$3"',
    "aws": 'test -n "$AWS_SECRET_ACCESS_KEY" && cat "$3" && echo "$@"',
    "encrypt.sh": 'test -n "$SECURE_PASSPHRASE" && exec ega-cryptor.sh -f -i "$3" -o "$5"',
    "ega-cryptor.sh": 'for f in "$3"*; do echo "sealed $(cat "$f")" >"$5$(basename "$f")"; done',
    "align.sh": 'test "$THREADS" = 8 && cat "$4" "${4%/*}/reference/fa" >"$6/a.bam"',
    "compress": 'cat "$2"/* >"$4/x.ora"',
    "dragen": """while [ $# -gt 0 ]; do
case $1 in --fastq-list) list=$2;; --ora-ref*) ref=$2;; --output-d*) out=$2;; esac; shift; done
test -z "$list" || cat "$list" "$ref/ref" >"$out/x.ora" """,
}
FILES = {
    "volume/NA12878.bam": "bam",
    "volume/a.bam": "bam",
    ".s3/bucket/a.bam": "bam",
    "volume/a.bam.bai": "bai",
    "volume/a.fastq.gz": "reads\n",
    "volume/reference/fa": "reference\n",
    "volume/fastqs/Reports/fastq_list.csv": "list\n",
    "volume/ora-reference/ref": "reference\n",
}
INDEXED = {"volume/logs/{}/stdout-1.log": "index of bam\ns3 cp {}.bam.bai s3://bucket/indexes/\n"}
SEALED = {"volume/sealed/a/a.bam": "sealed bam\n", "volume/sealed/a/a.bam.bai": "sealed bai\n"}
LISTED = {".s3/bucket/compressed/x.ora": "list\nreference\n"}
RESULTS: dict[str, dict[str, str]] = {
    "index-alignment": INDEXED,
    "encrypt-for-archive": SEALED,
    "manifest-to-s3": {".s3/bucket/compressed/x.ora": "reads\n"},
    "other-casing": {"volume/a/a.bam": "reads\nreference\n"},
    "create-bam-index": INDEXED,
    "ega-encrypt-task-run": SEALED,
    "fastq-gzip-to-ora": LISTED,
}


def request_named(name: str) -> Json:
    if name in facts.requests():
        return facts.requests()[name]
    file = REAL_REQUESTS / f"{name}.json"
    if not file.exists():
        pytest.skip("the real requests are not here")
    request: Json = json.loads(re.sub(r"__([A-Z0-9_]+?)__", r"{{\1}}", file.read_text()))
    return request


def lowered(content: Json) -> Json:
    return {key.lower(): value for key, value in content.items()}


each_request = pytest.mark.parametrize("name", sorted({*RESULTS, *facts.requests()}))


@each_request
def test_a_request_runs_as_a_version(
    name: str, bench: Bench, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program, script in STAND_INS.items():
        bench.command(program, script)
    monkeypatch.setenv("PATH", f"{bench.bin}{os.pathsep}{os.environ['PATH']}")
    check(name, request_named(name), bench, server, "host")


@pytest.mark.slow
@each_request
def test_a_request_runs_in_its_image_at_its_real_paths(
    name: str, bench: Bench, server: Server, tmp_path: Path
) -> None:
    request = request_named(name)
    execution = lowered(lowered(request)["execution"])
    image = lowered(execution["image"])
    reference = f"{image['name']}:{image['tag'].replace('{{tag}}', ARGUMENTS['tag'])}"
    programs = {f"bin/{program}": f"#!/bin/sh\n{script}\n" for program, script in STAND_INS.items()}
    programs["bin/bash"] = '#!/bin/sh\nexec sh "$@"\n'
    for path in (execution["command"], "/opt/edico/bin/dragen"):
        if path.startswith("/"):
            programs[path.lstrip("/")] = programs[f"bin/{Path(path).name}"]
    with images.image(reference, tmp_path, programs) as podman:
        try:
            check(name, request, bench, server, "podman")
        finally:
            remove = [podman, "image", "rm", reference]
            subprocess.run(remove, check=True, stdout=subprocess.DEVNULL)


def check(name: str, request: Json, bench: Bench, server: Server, run_in: str) -> None:
    """Launch a request with its arguments, and compare its results."""
    for path, text in FILES.items():
        bench.put(path, text)
    listed = {
        path: f"volume/{path}" for path in ("fastqs/Reports/fastq_list.csv", "ora-reference/ref")
    }
    listed["reads/1"] = "volume/a.fastq.gz"
    manifest: list[Any] = [
        {"url": f"gds://{at}", "size": len(FILES[at]), "path": path} for path, at in listed.items()
    ]
    bench.put("volume/manifest.json", json.dumps(manifest))
    server.answer(Answer(body=manifest))

    text = json.dumps(request).replace("https://bucket.example", server.url)
    request = lowered(json.loads(text))
    version = {"version": "1.0.0", "execution": request["execution"]}
    arguments = {each: ARGUMENTS[each] for each in find(request["execution"])}
    with LocalTes(gds=bench.gds, run_in=run_in) as tes, Caller(tes.url, tes.token) as caller:
        task = caller.ok("POST", "/v1/tasks", {"name": name, "taskVersions": [version]})
        run = caller.launch(task, arguments=arguments).json
        caller.run_when(run["id"], "Completed")
    sample = "NA12878" if name == "index-alignment" else "a"
    for path, content in RESULTS[name].items():
        assert bench.read(path.format(run["id"])) == content.format(sample)
