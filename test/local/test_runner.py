"""A job becomes a command of this machine: what it sees, how it ends, and what is left of it."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from libica.local import placeholders
from libica.local.node.job import Job
from libica.local.node.runner import LocalRunner

from .simple import Bench

pytestmark = pytest.mark.skipif(os.name != "posix", reason="runs shell scripts")
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

REAL_REQUESTS = Path(__file__).parents[3] / "shared/data/real-requests"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def wait_for(condition: Any) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_command_that_ends_well_is_completed(bench: Bench) -> None:
    before = datetime.now(timezone.utc).replace(tzinfo=None)
    outcome = bench.shell("echo out; echo err >&2")
    assert outcome.status == "Completed"
    assert outcome.details == "The command ended with exit status 0."
    assert set(outcome.log) == {"startTime", "endTime", "stdout", "stderr"}
    assert outcome.log["stdout"] == "gds://volume/logs/trn.1/stdout-1.log"
    assert outcome.log["stderr"] == "gds://volume/logs/trn.1/stderr-1.log"
    assert bench.stdout() == "out\n"
    assert bench.read("volume/logs/trn.1/stderr-1.log") == "err\n"
    for name in ("startTime", "endTime"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", outcome.log[name])
    start = datetime.fromisoformat(outcome.log["startTime"][:26])
    assert abs((start - before).total_seconds()) < 60
    assert outcome.log["startTime"] < outcome.log["endTime"]


def test_a_command_that_ends_badly_is_failed_with_its_last_words(bench: Bench) -> None:
    outcome = bench.shell("echo what went wrong >&2; exit 3")
    assert (outcome.status, outcome.details) == (
        "Failed",
        "The command 'sh' ended with exit status 3.",
    )
    assert outcome.log["error"] == outcome.details
    assert outcome.log["errorDetails"] == "what went wrong\n"


def test_a_signal_is_named(bench: Bench) -> None:
    assert bench.shell("kill -SEGV $$").details == "The command 'sh' was ended by SIGSEGV."


def test_only_the_end_of_long_last_words_is_kept_and_no_secret(bench: Bench) -> None:
    outcome = bench.shell(
        "yes aaaaaaaaa | head -n 9999 >&2; echo $SECURE_KEY $OTHER >&2; false",
        environment={"variables": {"SECURE_KEY": "hush-hush", "OTHER": "open", "SECURE_X": "a"}},
    )
    assert outcome.log["errorDetails"].endswith("aaaaaaaaa\n*** open\n")
    assert len(outcome.log["errorDetails"]) < 2001


def test_each_attempt_has_logs_of_its_own(bench: Bench) -> None:
    execution = {"command": "sh", "args": ["-c", "echo here"]}
    outcome = bench.run(execution, attempt=2)
    assert outcome.log["stdout"] == "gds://volume/logs/trn.1/stdout-2.log"
    assert bench.read("volume/logs/trn.1/stdout-2.log") == "here\n"


@pytest.mark.parametrize("url", ["file://{tmp}/a%20b/", "{tmp}/a b", "s3://bucket/logs", None])
def test_logs_have_urls_in_the_scheme_of_the_system_files(
    bench: Bench, tmp_path: Path, url: Any
) -> None:
    url = url and url.format(tmp=tmp_path)
    outcome = bench.shell("echo here", systemFiles={"url": url})
    log = outcome.log["stdout"]
    if url == "s3://bucket/logs":
        assert log == "s3://bucket/logs/trn.1/stdout-1.log"
        assert bench.read(".s3/bucket/logs/trn.1/stdout-1.log") == "here\n"
    else:
        folder = tmp_path / "a b" if url else bench.gds / "logs"
        assert log == (folder / "trn.1/stdout-1.log").as_uri()
        assert (folder / "trn.1/stdout-1.log").read_text() == "here\n"


@pytest.mark.parametrize("url", ["https://host/logs", "gds://volume/../../x", "relative"])
def test_system_files_that_cannot_be_written_are_a_failure(bench: Bench, url: str) -> None:
    outcome = bench.shell("true", systemFiles={"url": url})
    assert outcome.status == "Failed"
    assert outcome.details.startswith(f"systemFiles ({url}): ")
    assert set(outcome.log) == {"startTime", "endTime", "error"}


def test_a_command_sees_the_declared_variables_and_the_path_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ICA_ACCESS_TOKEN", "secret")
    script = "import json, os; print(json.dumps(dict(os.environ)))"
    variables = {"A": "1", "SECURE_B": "x y", "IN": "/in/x:/other", "EMPTY": ""}
    bench.run(
        {
            "command": sys.executable,
            "args": ["-I", "-c", script],
            "inputs": [{"url": str(bench.put("volume/x", "")), "path": "/in/x"}],
            "environment": {"variables": variables},
        }
    )
    seen = json.loads(bench.stdout())
    seen.pop("LC_CTYPE", None)  # Python itself sets it
    path = seen.pop("PATH")
    assert path == f"{bench.bin}{os.pathsep}{os.defpath}"
    assert re.fullmatch(r".*/root/in/x:/other", seen.pop("IN"))
    assert seen == {"A": "1", "SECURE_B": "x y", "EMPTY": ""}


def test_a_declared_path_is_the_one_that_counts(bench: Bench, tmp_path: Path) -> None:
    bench.command("tool", "echo of the service")
    (tmp_path / "mine").mkdir()
    tool = tmp_path / "mine/tool"
    tool.write_text("#!/bin/sh\necho mine; echo $PATH\n")
    tool.chmod(0o755)
    path = str(tmp_path / "mine")
    bench.run({"command": "tool", "environment": {"variables": {"PATH": path}}})
    assert bench.stdout() == f"mine\n{path}\n"


def test_a_command_is_no_shell_script(bench: Bench) -> None:
    bench.command("show", 'for argument; do echo "[$argument]"; done')
    bench.run({"command": "show", "args": ["$HOME", "a b", "", "; exit 1", "*"]})
    assert bench.stdout() == "[$HOME]\n[a b]\n[]\n[; exit 1]\n[*]\n"


def test_standard_input_is_empty(bench: Bench) -> None:
    assert bench.shell("cat").status == "Completed"


def test_a_command_starts_in_its_working_directory(bench: Bench) -> None:
    bench.shell("pwd; echo x >made; ls /work/here", workingDirectory="/work/here")
    assert re.fullmatch(r"/.*/root/work/here\nmade\n", bench.stdout())


def test_without_one_it_starts_in_the_root_of_its_own(bench: Bench) -> None:
    bench.put("volume/x", "")
    bench.shell("ls", inputs=[{"url": "gds://volume/x", "path": "/mount/in/x"}])
    assert bench.stdout() == "mount\n"


@pytest.mark.parametrize(
    ("execution", "reason"),
    [
        ({"command": "no-such-tool"}, "the command 'no-such-tool' is not on this machine"),
        ({"command": "/opt/no-such-tool"}, "'/opt/no-such-tool' is not on this machine"),
        ({}, "the execution has no command"),
        ({"command": "true", "args": ["a\0b"]}, "null byte"),
        ({"command": "true", "environment": {"variables": {"A=B": "1"}}}, "illegal environment"),
        ({"command": "true", "environment": {"resources": {"type": "x"}}}, "no machine of type"),
        ({"command": "broken"}, "Exec format error"),
        ({"command": "/etc/passwd"}, "Permission denied"),
        ({"command": "true", "inputs": "x"}, "the runner broke: AttributeError"),
    ],
)
def test_what_cannot_run_is_a_failure_that_says_why(
    bench: Bench, execution: dict[str, Any], reason: str
) -> None:
    bench.command("broken", "").write_bytes(b"\x7fELF\0\1")
    outcome = bench.run(execution)
    assert outcome.status == "Failed"
    assert reason in outcome.details
    assert outcome.log["error"] == outcome.details


def test_long_details_are_cut(bench: Bench) -> None:
    assert len(bench.run({"command": "x" * 9000}).details) == 4096


def test_scratch_is_removed_even_if_it_may_not_be_written_to(bench: Bench) -> None:
    outcome = bench.shell("mkdir -p a/b && touch a/b/c && chmod 500 a/b && chmod 0 a")
    assert outcome.status == "Completed"


def test_scripts_can_name_paths_in_a_scratch_folder_with_blanks(tmp_path: Path) -> None:
    folder = tmp_path / "my 'own' folder"
    folder.mkdir()
    bench = Bench(folder)
    bench.put("volume/x", "read\n")
    bench.command("tool", "cat $1")
    outcome = bench.shell(
        "tool /in/x >/out/y",
        inputs=[{"url": "gds://volume/x", "path": "/in/x"}],
        outputs=[{"url": "gds://volume/out", "path": "/out/"}],
    )
    assert outcome.status == "Completed", outcome
    assert bench.read("volume/out/y") == "read\n"


def test_an_abort_ends_the_command_and_what_it_started(bench: Bench, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    stop = threading.Event()
    script = f"sleep 60 & echo $! >{pids}; sleep 60 & echo $! >>{pids}; wait"

    def abort() -> None:
        wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        stop.set()

    threading.Thread(target=abort).start()
    began = time.monotonic()
    outcome = bench.run({"command": "sh", "args": ["-c", script]}, stop)
    assert (outcome.status, outcome.details) == ("Aborted", "The run was aborted.")
    assert outcome.log["error"] == "The run was aborted."
    assert not any(is_alive(int(pid)) for pid in pids.read_text().split())
    assert time.monotonic() - began < 5


def test_a_run_aborted_before_it_starts_does_nothing(bench: Bench) -> None:
    stop = threading.Event()
    stop.set()
    outcome = bench.run({"command": "sh", "args": ["-c", "echo ran"]}, stop)
    assert (outcome.status, bench.stdout()) == ("Aborted", "")


def test_a_command_may_end_gently(tmp_path: Path) -> None:
    bench = Bench(tmp_path, time_limit=0.3)
    outcome = bench.shell("trap 'echo cleaned up; exit 0' TERM; sleep 60 & wait")
    assert outcome.status == "TimedOut"
    assert bench.stdout() == "cleaned up\n"


def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, time_limit=0.3)
    began = time.monotonic()
    outcome = bench.shell("trap '' TERM; while :; do sleep 0.05; done")
    assert (outcome.status, outcome.details) == ("TimedOut", "The run took longer than 0.3 s.")
    assert time.monotonic() - began < 5


def test_what_a_command_leaves_behind_ends_with_it(bench: Bench, tmp_path: Path) -> None:
    outcome = bench.shell(f"sleep 60 & echo $! >{tmp_path}/pid")
    assert outcome.status == "Completed"
    assert not is_alive(int((tmp_path / "pid").read_text()))


@linux
def test_a_descendant_in_a_session_of_its_own_ends_too(bench: Bench, tmp_path: Path) -> None:
    stop = threading.Event()
    script = f"setsid sh -c 'echo $$ >{tmp_path}/pid; exec sleep 60' & wait"
    threading.Thread(
        target=lambda: (wait_for(lambda: (tmp_path / "pid").exists()), stop.set())
    ).start()
    assert bench.run({"command": "sh", "args": ["-c", script]}, stop).status == "Aborted"
    wait_for(lambda: not is_alive(int((tmp_path / "pid").read_text())))


@linux
@pytest.mark.parametrize("pause", [0, 1.1])
def test_a_daemon_that_works_in_the_scratch_folder_ends_too(
    bench: Bench, tmp_path: Path, pause: float
) -> None:
    daemon = f"(setsid sh -c 'echo $$ >{tmp_path}/pid; exec sleep 60' </dev/null >/dev/null 2>&1 &)"
    outcome = bench.shell(f"{daemon}; while [ ! -s {tmp_path}/pid ]; do :; done; sleep {pause}")
    assert outcome.status == "Completed"
    assert not is_alive(int((tmp_path / "pid").read_text()))


@linux
def test_without_pidfd_it_is_the_same(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> int:
        raise OSError(errno.ENOSYS, "no such system call")

    monkeypatch.setattr(os, "pidfd_open", missing)
    assert bench.shell("sleep 0.05; echo out").status == "Completed"
    assert bench.shell("exit 3").status == "Failed"


@linux
def test_what_a_killed_service_left_is_ended_and_removed(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    script = f"""
        import threading
        from pathlib import Path
        from libica.local.node.job import Job
        from libica.local.node.runner import LocalRunner
        runner = LocalRunner(Path({str(tmp_path / "gds")!r}), Path({str(scratch)!r}))
        command = "cd /; echo $$ >{tmp_path}/pid; sleep 60"
        job = Job("trn.1", {{"command": "sh", "args": ["-c", command]}}, 1)
        runner.run(job, threading.Event())
    """
    service = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)])
    pid = tmp_path / "pid"
    wait_for(lambda: pid.exists() and pid.read_text())
    # What it runs is written down a moment after it was started.
    wait_for(lambda: any(note.read_text() for note in scratch.glob("runner-*/*/leader.json")))
    other = LocalRunner(tmp_path / "gds", scratch)  # the service lives: nothing is swept
    assert is_alive(int(pid.read_text()))
    service.send_signal(signal.SIGKILL)
    service.wait()
    assert is_alive(int(pid.read_text()))
    third = LocalRunner(tmp_path / "gds", scratch)
    wait_for(lambda: not is_alive(int(pid.read_text())))
    assert len(list(scratch.iterdir())) == 2
    del other, third
    assert not list(scratch.iterdir())


def test_many_run_side_by_side(bench: Bench) -> None:
    outcomes: list[str] = []

    def run(number: int) -> None:
        execution = {
            "command": "sh",
            "args": ["-c", f"cat /in/x >/out/y; echo {number} >>/out/y"],
            "inputs": [{"url": "gds://volume/x", "path": "/in/x"}],
            "outputs": [{"url": f"gds://volume/{number}", "path": "/out/"}],
        }
        job = Job(f"trn.{number}", execution, 1)
        outcomes.append(bench.runner.run(job, threading.Event()).status)

    bench.put("volume/x", "x")
    threads = [threading.Thread(target=run, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == ["Completed"] * 20
    assert [bench.read(f"volume/{number}/y") for number in range(20)] == [
        f"x{number}\n" for number in range(20)
    ]


ARGUMENTS = {
    "OUTPUT_BAM_FILE_INDEX_NAME": "a.bam.bai",
    "INPUT_BAM_FILE_NAME": "a.bam",
    "INPUT_BAM_GDS_PATH": "gds://volume/a.bam",
    "AWS_REGION": "ap-southeast-2",
    "AWS_BUCKET_NAME": "bucket",
    "AWS_KEY_PREFIX": "prefix/",
    "AWS_ACCESS_KEY_ID": "key-id",
    "AWS_SECRET_ACCESS_KEY": "hush",
    "AWS_SESSION_TOKEN": "token",
    "GDS_SYSTEM_FILES_PATH": "gds://volume/logs/",
    "GDS_INPUT_PATH": "gds://volume/a.bam",
    "GDS_INPUT_FILE_NAME": "a.bam",
    "GDS_OUTPUT_PATH": "gds://volume/encrypted/",
    "INPUT_FOLDER_NAME": "run-1",
    "IS_INTERLEAVED": "true",
    "GDS_MANIFEST_JSON_URL": "gds://volume/manifest.json",
    "AWS_S3_BUCKET": "bucket",
    "AWS_S3_PATH": "ora/",
}

MOUNT = "/mount/mount/media"
INDEX = {
    "command": "bash",
    "args": [
        "-c",
        f"samtools index -o {{{{OUT}}}} {MOUNT}/inputs/{{{{NAME}}}} && "
        'AWS_ACCESS_KEY_ID="${SECURE_KEY}" aws s3 cp "{{OUT}}" "s3://bucket/prefix/";',
    ],
    "inputs": [
        {
            "mode": "download",
            "type": "File",
            "url": "{{URL}}",
            "path": f"{MOUNT}/inputs/{{{{NAME}}}}",
        }
    ],
    "outputs": [],
    "environment": {"variables": {"SECURE_KEY": "key-id"}},
    "retryLimit": 0,
}
ENCRYPT = {
    "command": "/opt/bin/ega-cryptor.sh",
    "args": ["-f", "-i", f"{MOUNT}/inputs/", "-o", f"{MOUNT}/outputs/"],
    "inputs": [
        {
            "mode": "download",
            "type": "File",
            "url": "{{URL}}",
            "path": f"{MOUNT}/inputs/{{{{NAME}}}}",
        },
        {"type": "File", "url": "{{URL}}.bai", "path": f"{MOUNT}/inputs/{{{{NAME}}}}.bai"},
    ],
    "outputs": [{"path": f"{MOUNT}/outputs/", "url": "gds://volume/encrypted/"}],
    "environment": {"resources": {"type": "standardhicpu", "size": "medium"}},
}
COMPRESS = {
    "command": "bash",
    "args": [
        "-c",
        f"ln -s {MOUNT}/inputs/fastqs/ run-1; ln -s run-1/Reports/fastq_list.csv fastq_list.csv; "
        "/opt/edico/bin/dragen --partial-reconfig HMM --ignore-version-check true; "
        "/opt/edico/bin/dragen --fastq-list fastq_list.csv "
        f"--ora-reference {MOUNT}/inputs/ora-reference/ --output-directory {MOUNT}/outputs/",
    ],
    "inputs": [
        {"type": "manifest", "url": "gds://volume/manifest.json", "path": f"{MOUNT}/inputs/"}
    ],
    "outputs": [
        {
            "path": f"{MOUNT}/outputs/",
            "url": "s3://bucket/ora/",
            "storageProvider": "aws",
            "credentials": {"AWS_SECRET_ACCESS_KEY": "hush"},
        }
    ],
    "environment": {"resources": {"type": "fpga", "size": "small"}},
}


def real(name: str) -> dict[str, Any]:
    """Return the execution of a real request, its marks made placeholders."""
    file = REAL_REQUESTS / name
    if not file.exists():
        pytest.skip("the real requests are not here")
    text = re.sub(r"__([A-Z0-9_]+?)__", r"{{\1}}", file.read_text())
    execution: dict[str, Any] = json.loads(text)["execution"]
    return execution


def filled(execution: dict[str, Any]) -> dict[str, Any]:
    arguments = {**ARGUMENTS, "OUT": "a.bam.bai", "NAME": "a.bam", "URL": "gds://volume/a.bam"}
    result: dict[str, Any] = placeholders.fill(execution, arguments)
    return result


def stand_ins(bench: Bench) -> None:
    bench.put("volume/a.bam", "bam")
    bench.put("volume/a.bam.bai", "bai")
    bench.command("samtools", 'test "$1" = index && echo "index of $(cat "$4")" >"$3"')
    bench.command("aws", 'test -n "$AWS_ACCESS_KEY_ID" && cat "$3" && echo "$@"')
    bench.command(
        "ega-cryptor.sh",
        'for f in "$3"*; do echo "hidden $(cat "$f")" >"$5$(basename "$f").c4gh"; done',
    )
    list_file = "while [ $# -gt 0 ]; do case $1 in --fastq-list) list=$2;; --ora-ref*) ref=$2;;"
    bench.command(
        "dragen",
        f"{list_file} --output-d*) out=$2;; esac; shift; done\n"
        'test -z "$list" || cat "$list" "$ref/ref" >"$out/x.ora"',
    )
    files = {"fastqs/Reports/fastq_list.csv": "list\n", "ora-reference/ref": "reference\n"}
    for path, text in files.items():
        bench.put(f"volume/{path}", text)
    manifest = [
        {"url": f"gds://volume/{path}", "size": len(text), "path": path}
        for path, text in files.items()
    ]
    bench.put("volume/manifest.json", json.dumps(manifest))


@pytest.mark.parametrize("source", [INDEX, "create-bam-index.json"], ids=["reduced", "real"])
def test_the_real_request_to_index_runs(bench: Bench, source: Any) -> None:
    stand_ins(bench)
    outcome = bench.run(filled(source if isinstance(source, dict) else real(source)))
    assert outcome.status == "Completed", outcome
    assert bench.stdout() == "index of bam\ns3 cp a.bam.bai s3://bucket/prefix/\n"


@pytest.mark.parametrize("source", [ENCRYPT, "ega-encrypt-task-run.json"], ids=["reduced", "real"])
def test_the_real_request_to_encrypt_runs(bench: Bench, source: Any) -> None:
    stand_ins(bench)
    outcome = bench.run(filled(source if isinstance(source, dict) else real(source)))
    assert outcome.status == "Completed", outcome
    assert bench.read("volume/encrypted/a.bam.c4gh").strip() == "hidden bam"
    assert bench.read("volume/encrypted/a.bam.bai.c4gh").strip() == "hidden bai"


@pytest.mark.parametrize("source", [COMPRESS, "fastq-gzip-to-ora.json"], ids=["reduced", "real"])
def test_the_real_request_to_compress_runs(bench: Bench, source: Any) -> None:
    stand_ins(bench)
    outcome = bench.run(filled(source if isinstance(source, dict) else real(source)))
    assert outcome.status == "Completed", outcome
    assert bench.read(".s3/bucket/ora/x.ora") == "list\nreference\n"
