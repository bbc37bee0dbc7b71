"""The examples, and those of the guide to the local service, do what they say."""

from __future__ import annotations

import ast
import gzip
import os
import re
import runpy
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from libica.openapi import libtes

pytest.importorskip("starlette", reason="needs libica-libtes[local]")
pytest.importorskip("uvicorn", reason="needs libica-libtes[local]")

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
DATA = EXAMPLES / "data"
SAMPLES = ["sample-a", "sample-b", "sample-c"]


def expected(path: Path) -> str:
    """Return what the example shows for a file, counted in another way."""
    lines = gzip.decompress(path.read_bytes()).decode("ascii").splitlines()
    records = [lines[start : start + 4] for start in range(0, len(lines), 4)]
    scores = [score - 33 for _, _, _, line in records for score in line.encode("ascii")]
    assert len(scores) == sum(len(sequence) for _, sequence, _, _ in records)
    mean = round(sum(scores) / len(scores), 2)
    return f"reads {len(records)}, bases {len(scores)}, mean quality {mean}"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment without a service, whose temporary folder is the test's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ICA_")}
    kept.pop("PYTHONWARNINGS", None)
    return {**kept, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}


def run(
    environment: dict[str, str], *command: str, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def quickstart(environment: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    script = str(EXAMPLES / "quickstart.py")
    return run(environment, sys.executable, "-W", "error", script, *args)


def table(output: str) -> dict[str, tuple[str, str, str]]:
    """Sample -> status, seconds and result."""
    heading, *lines = output.splitlines()
    assert heading.split() == ["sample", "status", "seconds", "result"]
    found = {}
    for line in lines:
        row = re.fullmatch(r"(\S+) +(\w+) +([\d.]*)  (\S.*)", line)
        if row:
            found[row[1]] = (row[2], row[3], row[4])
    return found


class TestQuickstart:
    def test_counts_the_samples_beside_it(self, environment: dict[str, str], tmp_path: Path):
        done = quickstart(environment)
        assert (done.stderr, done.returncode) == ("", 0), done.stdout
        rows = table(done.stdout)
        assert list(rows) == SAMPLES
        for sample, (status, seconds, result) in rows.items():
            assert status == "Completed"
            assert 0 <= float(seconds) < 30
            assert result == expected(DATA / f"{sample}.fastq.gz")
        folder = Path(done.stdout.splitlines()[-1].rpartition(" ")[2])
        assert tmp_path in folder.parents
        assert (folder / "sample-a" / "counts.json").is_file()
        assert any((folder / "logs").rglob("*"))

    def test_counts_samples_of_yours_and_says_why_a_run_failed(
        self, environment: dict[str, str], tmp_path: Path
    ):
        mine, plain = tmp_path / "mine.fastq.gz", tmp_path / "plain.fastq.gz"
        mine.write_bytes(gzip.compress(b"@1\nACGT\n+\nIIII\n@2\nAC\n+\nI!\n"))
        plain.write_text("@1\nACGT\n+\nIIII\n", encoding="ascii")
        samples = ["--sample", "bad", plain.as_uri(), "--sample", "mine", mine.as_uri()]
        done = quickstart(environment, *samples)
        assert (done.stderr, done.returncode) == ("", 1), done.stdout
        rows = table(done.stdout)
        assert (rows["mine"][0], rows["mine"][2]) == ("Completed", expected(mine))
        assert expected(mine) == "reads 2, bases 6, mean quality 33.33"
        status, _, why = rows["bad"]
        _, url = re.fullmatch(r"(.+); its stderr: gds://quickstart/(\S+)", why).groups()
        assert status == "Failed"
        folder = Path(done.stdout.splitlines()[-1].rpartition(" ")[2])
        assert "BadGzipFile" in (folder / url).read_text(encoding="utf-8")

    @pytest.mark.slow
    def test_uses_the_service_that_is_named(self, environment: dict[str, str], tmp_path: Path):
        from libica.local import LocalTes

        gds = tmp_path / "gds"
        gds.mkdir()
        url = (DATA / "sample-a.fastq.gz").as_uri()
        with LocalTes(gds=gds) as tes:
            configuration = tes.configuration()
            environment["ICA_BASE_URL"] = configuration.host
            environment["ICA_ACCESS_TOKEN"] = configuration.api_key["Authorization"]
            for number in (1, 2):  # the second time, the task and its version are there
                results = f"gds://volume/{number}"
                done = quickstart(environment, "--sample", "a", url, "--results", results)
                assert (done.stderr, done.returncode) == ("", 0), done.stdout
                status, _, result = table(done.stdout)["a"]
                assert (status, result) == ("Completed", f"{results}/a/counts.json")
                assert (gds / "volume" / str(number) / "a" / "counts.json").is_file()

    def test_says_what_is_missing(self, environment: dict[str, str]):
        service = {"ICA_BASE_URL": "http://127.0.0.1:9"}
        samples, results = ("--sample", "a", "b"), ("--results", "gds://a/b")
        cases: list[Any] = [
            ((), service, 2, "--sample NAME URL"),
            (samples, service, 2, "--results URL"),
            (results, {}, 2, "ICA_BASE_URL"),
            ((*samples, *results), service, 1, "Set the environment variable ICA_ACCESS_TOKEN"),
        ]
        for args, variables, status, says in cases:
            done = quickstart({**environment, **variables}, *args)
            assert (done.returncode, says in done.stderr) == (status, True), done.stderr


@pytest.mark.slow
def test_the_cluster_example_runs_each_sample_once_and_says_why_a_run_failed(
    environment: dict[str, str], tmp_path: Path
):
    from libica.local import LocalTes

    cohort = tmp_path / "gds" / "cohort"

    def cluster(*args: str) -> tuple[str, int, str]:
        command = [sys.executable, "-W", "error", str(EXAMPLES / "cluster.py"), *args]
        done = run(environment, *command, cwd=tmp_path)
        return done.stderr, done.returncode, done.stdout.partition("\n")[2]

    with LocalTes(gds=tmp_path / "gds") as tes:
        environment["ICA_BASE_URL"], environment["ICA_ACCESS_TOKEN"] = tes.url, tes.token
        for _ in range(2):  # the second time, the journal has all launches
            done = cluster("--samples", "12")
            assert done == ("", 0, "<Report: 12 launches, 12 Completed>\n")
        results = [*cohort.glob("*/node.txt")]
        assert len(results) == 12
        for result in results:
            assert result.read_text(encoding="ascii").startswith(f"{result.parent.name} ran on ")
        shutil.rmtree(cohort)
        cohort.write_text("not a folder", encoding="ascii")
        errors, status, printed = cluster("--samples", "1", "--journal", "one.jsonl")
        assert (errors, status) == ("", 1)
        assert "'sample-001': Failed: " in printed
        with libtes.ApiClient(tes.configuration()) as client:
            assert len([*libtes.TaskRunsApi(client).iter_task_runs()]) == 12 + 1


def read_notebook(name: str) -> Any:
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    nbformat.validate(notebook)
    return notebook


@pytest.fixture
def execute(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], str]:
    """Return a function that runs all cells of a notebook and returns what they printed."""
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    for name in os.environ:  # the kernel is a process of its own
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(notebook: Any) -> str:
        place = {"metadata": {"path": str(EXAMPLES)}}
        nbclient.NotebookClient(notebook, timeout=60, resources=place).execute()
        return "".join(each.text for each in outputs(notebook, "stream") if each.name == "stdout")

    return run


def outputs(notebook: Any, *kinds: str) -> list[Any]:
    found = [each for cell in notebook.cells for each in cell.get("outputs", [])]
    return [each for each in found if each.output_type in kinds]


def test_a_notebook_is_stored_without_its_output():
    for path in EXAMPLES.glob("*.ipynb"):
        for cell in read_notebook(path.name).cells:
            if cell.cell_type == "code":
                assert (cell.outputs, cell.execution_count) == ([], None)


@pytest.mark.slow
def test_the_notebook_runs_what_the_script_runs(execute: Callable[[Any], str]):
    notebook = read_notebook("quickstart.ipynb")
    printed = execute(notebook)
    assert {each.name for each in outputs(notebook, "stream")} == {"stdout"}
    for sample in SAMPLES:
        counted = re.escape(expected(DATA / f"{sample}.fastq.gz"))
        assert re.search(rf"{sample} +Completed .*{counted}", printed)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    script = (EXAMPLES / "quickstart.py").read_text(encoding="utf-8")
    kept = [
        {ast.unparse(node) for node in ast.parse(each).body if isinstance(node, ast.Assign)}
        for each in (code, script)
    ]
    for name in ("COUNT", "EXECUTION", "OVER"):
        assert len([each for each in kept[0] & kept[1] if each.startswith(f"{name} = ")]) == 1


@pytest.mark.slow
def test_the_cohort_launches_each_sample_once_and_shows_the_outcome(execute: Callable[[Any], str]):
    pytest.importorskip("matplotlib")
    pytest.importorskip("tqdm")
    notebook = read_notebook("cohort.ipynb")
    printed = execute(notebook)
    assert "interrupted after " in printed
    assert int(re.search(r"^(\d+) runs were launched by then$", printed, re.MULTILINE)[1]) > 0
    assert "row 1 ('sample-001'): argument reads must be a string" in printed
    assert len(re.findall(r"^sample-\d+ \S+ \d+ reads are too few$", printed, re.M)) == 5
    results = [each.data for each in outputs(notebook, "execute_result", "display_data")]
    texts = [each["text/plain"] for each in results]
    assert "(200, {1})" in texts  # so many names, each as often
    assert "{'Completed': 195, 'Failed': 5}" in texts
    tables = [each["text/html"] for each in results if "text/html" in each]
    # What `live` shows has been kept up to date in its place, and is as the report shown later.
    live, shown = (each for each in tables if "... and 180 more" in each)
    assert "✓ 195 Completed" in live
    assert live == shown
    assert any("image/png" in each for each in results)
    bars = "".join(each.text for each in outputs(notebook, "stream") if each.name == "stderr")
    assert "Launches: 100%" in bars


class TestSamples:
    def test_are_made_by_the_script(self, tmp_path: Path):
        subprocess.run([sys.executable, str(DATA / "simulate.py"), str(tmp_path)], check=True)
        made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        kept = {path.name: path.read_bytes() for path in DATA.glob("*.fastq.gz")}
        assert sorted(made) == sorted(kept) == [f"{name}.fastq.gz" for name in SAMPLES]
        for name, data in made.items():
            assert gzip.decompress(data) == gzip.decompress(kept[name])
        if "ng" not in zlib.ZLIB_RUNTIME_VERSION:  # zlib-ng packs the same content otherwise
            assert made == kept

    def test_are_described_in_their_readme(self):
        readme = (DATA / "README.md").read_text(encoding="utf-8")
        samples = runpy.run_path(str(DATA / "simulate.py"))["SAMPLES"]
        for name, (count, length, best) in samples.items():
            row = f"| `{name}.fastq.gz` | {count} | {length} | {best - 5} to {best} |"
            assert row in readme
            lines = gzip.decompress((DATA / f"{name}.fastq.gz").read_bytes()).splitlines()
            assert len(lines) == 4 * count
            assert {len(line) for line in lines[1::2]} == {length}  # bases and qualities


@pytest.mark.slow
class TestGuide:
    @staticmethod
    def blocks(page: str, language: str) -> list[str]:
        text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
        return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)

    @pytest.fixture
    def served(self, environment: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
        """Return the environment after pasting what the command prints."""
        command = [sys.executable, "-m", "libica.local", "serve", "--port", "0"]
        command += ["--gds", str(tmp_path / "gds")]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True
        ) as server:
            try:
                assert server.stdout is not None
                lines = [server.stdout.readline() for _ in range(2)]
                exports = [re.fullmatch(r"export (\w+)=(\S+)\n", line) for line in lines]
                yield {**environment, **{found[1]: found[2] for found in exports if found}}
            finally:
                server.terminate()
        assert server.returncode == 0

    @pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
    def test_its_curl_commands_run(self, served: dict[str, str], tmp_path: Path):
        (script,) = [block for block in self.blocks("serve.md", "sh") if "curl" in block]
        done = run(served, "sh", "-e", "-c", script)
        assert (done.stderr, done.returncode) == ("", 0)
        assert done.stdout.count('"name":"hello"') == 2
        stored, end = tmp_path / "gds" / "volume" / "out" / "hello.txt", time.monotonic() + 30
        while not stored.exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert stored.read_text(encoding="ascii") == "hello\n"

    def test_its_tests_pass(self, environment: dict[str, str], tmp_path: Path):
        blocks = self.blocks("test-your-package.md", "python")
        (tests,) = [block for block in blocks if "def test_" in block]
        (tmp_path / "test_it.py").write_text(tests, encoding="utf-8")
        # With the plugin named here, it does not matter whether it is installed.
        alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
        command = ["-m", "pytest", "-W", "error", "-p", "libica.local.pytest_plugin"]
        done = run({**environment, **alone}, sys.executable, *command, cwd=tmp_path)
        assert done.returncode == 0, done.stdout
        assert "2 passed" in done.stdout
