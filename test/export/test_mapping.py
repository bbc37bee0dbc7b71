"""What of a version is where in an export, what is said of the rest, and that secrets stay out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from libica import export
from libica.openapi import libtes

from ..contract import facts
from . import engine
from .versions import REAL, Json, simple, version

SCHEMA = json.loads(Path(__file__).with_name("ga4gh_tes.json").read_text(encoding="utf-8"))
SECRET = "what-nobody-may-see"
Convert = Callable[..., export.Export]
each_form = pytest.mark.parametrize("convert", [export.to_cwl, export.to_ga4gh])


EVERYTHING: Json = {
    "image": {
        "name": "registry.example/tool",
        "digest": "sha256:aa",
        "credentials": {"username": "me", "password": SECRET},
    },
    "command": "{{program}}",
    "args": ["--in", "in.bam", "https://host.example/?X-Amz-Signature=x"],
    "inputs": [
        {
            "path": "in.bam",
            "url": f"https://bucket.example/in.bam?X-Amz-Signature={SECRET}",
            "mode": "stream",
            "urn": "urn:one",
        },
        {
            "path": "/in/",
            "url": "s3://bucket/{{sample}}/x.txt",
            "storageProvider": "aws",
            "credentials": {"AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ACCESS_KEY_ID": "{{key}}"},
        },
        {"path": "/list", "url": f"https://bucket.example/m.json?s={SECRET}", "type": "manifest"},
        {"path": "/ref", "url": "https://host.example/ref", "type": "Folder"},
    ],
    "outputs": [
        {"path": "results", "url": "gds://volume/{{sample}}/", "serviceUrl": "x"},
        {"path": "/work/x.txt", "url": "gds://volume/x.txt"},
        {"path": "/elsewhere/", "url": "gds://volume/other/", "type": "Folder"},
    ],
    "systemFiles": {"url": "gds://volume/logs", "credentials": {"token": SECRET}},
    "environment": {
        "variables": {
            "SECURE_TOKEN": SECRET,
            "SECURE_KEY": "{{key}}",
            "secure_login": f"{{{{user}}}}:{SECRET}",
            "HOME": "/root",
            "WORDS": "{{ sample }} {{sample}}",
        },
        "resources": {
            "type": "FPGA",
            "size": "small",
            "memoryGb": 2,
            "hardware": ["gpu"],
            "tier": "economy",
        },
        "inputStreamSettings": {"cacheSizeGB": 60},
    },
    "workingDirectory": "/work",
    "retryLimit": 2,
}


OTHERS = {name: each["execution"] for name, each in facts.requests().items() if "execution" in each}
ALL = {**REAL, **OTHERS, "everything": EVERYTHING}


@each_form
@pytest.mark.parametrize("name", ALL)
def test_no_secret_is_exported(name: str, convert: Convert) -> None:
    exported = convert(version(ALL[name]))
    assert SECRET not in exported.text()
    assert SECRET not in str(exported)


NOTES = {
    "args[2]: exported with the query of a URL",
    "environment.inputStreamSettings: ",
    "environment.resources.hardware: gpu",
    "environment.resources.type: fpga",
    "environment.variables.SECURE_TOKEN: secret",
    "environment.variables.secure_login: secret",
    "image.credentials: secret",
    "inputs[0].urn: urn:one",
    "inputs[1].credentials: secret",
    "inputs[1].storageProvider: aws",
    "inputs[2].type: manifest",
    "outputs[0].serviceUrl: x",
    "retryLimit: 2",
    "systemFiles.credentials: secret",
    "systemFiles.url: gds://volume/logs",
}
OF_CWL = {
    "environment.resources.tier: economy",
    "environment.variables.HOME: ",
    "inputs[0].mode: stream",
    "inputs[0].url: https://bucket.example/in.bam?***",
    "inputs[3].url: https://host.example/ref",
    *(f"outputs[{i}].url: gds://volume/" for i in range(3)),
}
OF_GA4GH = {
    "inputs[0].url: it may have a signature",
    "inputs[2].url: it may have a signature",
    "placeholders: program, in.bam, sample, list, SECURE_TOKEN, key, secure_login",
}


@pytest.mark.parametrize(
    ("convert", "expected"), [(export.to_cwl, NOTES | OF_CWL), (export.to_ga4gh, NOTES | OF_GA4GH)]
)
def test_what_is_not_carried_over_is_told_line_by_line(
    convert: Convert, expected: set[str]
) -> None:
    exported = convert(version(EVERYTHING, description="One\ntwo"))
    for each in expected:
        assert [note for note in exported.notes if note.startswith(each)], each
    assert len(exported.notes) == len(expected)
    told = exported.text() if convert is export.to_cwl else exported.document["description"]
    for note in exported.notes:
        assert f"- {note}\n" in f"{told}\n"


@each_form
def test_a_line_break_in_a_version_ends_no_comment(convert: Convert) -> None:
    hostile = "gds://v/a\nclass: Workflow\u2028\x85\ud800"
    made = convert(simple(systemFiles={"url": hostile}, inputs=[{"path": "/a", "url": hostile}]))
    assert all(len(note.splitlines()) == 1 for note in made.notes)
    made.text().encode()
    assert not [line for line in made.text().splitlines() if line.startswith("class: W")]


def test_a_plain_version_needs_no_note() -> None:
    found = simple("-c", "echo", retryLimit=0)
    assert export.to_cwl(found).notes == export.to_ga4gh(found).notes == ()
    assert export.to_cwl(found).document == {
        "cwlVersion": "v1.2",
        "class": "CommandLineTool",
        "label": "1.0.0",
        "requirements": {
            "DockerRequirement": {"dockerPull": "busybox:latest"},
            "NetworkAccess": {"networkAccess": True},
        },
        "inputs": {},
        "baseCommand": ["sh"],
        "arguments": ["-c", "echo"],
        "outputs": {},
    }


def test_a_task_has_what_the_version_has() -> None:
    given = {"sample": "s 1", "program": "run", "key": "k"}
    exported = export.to_ga4gh(version(EVERYTHING), given, name="align 1")
    assert "arguments.key: a secret, which is now in the task" in exported.notes
    task = exported.document
    assert task["name"] == "align 1"
    assert task["inputs"][:2] == [
        {"url": "{{in.bam}}", "path": "/work/in.bam", "type": "FILE", "streamable": True},
        {"url": "s3://bucket/s 1/x.txt", "path": "/in/x.txt", "type": "FILE"},
    ]
    assert [each["type"] for each in task["inputs"][2:]] == ["DIRECTORY", "DIRECTORY"]
    assert task["outputs"][:2] == [
        {"path": "/work/results", "url": "gds://volume/s 1/", "type": "DIRECTORY"},
        {"path": "/work/x.txt", "url": "gds://volume/x.txt", "type": "FILE"},
    ]
    assert task["resources"] == {"cpu_cores": 8, "ram_gb": 2, "preemptible": True}
    [executor] = task["executors"]
    assert executor["image"] == "registry.example/tool@sha256:aa"
    assert executor["workdir"] == "/work"
    assert executor["command"][:2] == ["run", "--in"]
    assert executor["env"]["WORDS"] == "s 1 s 1"
    assert executor["env"]["SECURE_KEY"] == "k"
    assert executor["env"]["SECURE_TOKEN"] == "{{SECURE_TOKEN}}"
    assert task["tags"] == {"placeholders": "in.bam,list,SECURE_TOKEN,secure_login"}


def test_arguments_are_defaults_of_a_tool_and_never_those_of_secrets() -> None:
    given = {"sample": "s 1", "key": SECRET}
    exported = export.to_cwl(version(EVERYTHING), given)
    assert SECRET not in exported.text()
    assert "arguments.key: secret, not exported; an input" in exported.notes
    inputs = exported.document["inputs"]
    assert inputs["sample"] == {"type": "string", "default": "s 1"}
    secrets = exported.document["hints"]["cwltool:Secrets"]["secrets"]
    assert secrets == ["SECURE_TOKEN", "secure_login", "key"]
    url = "https://host.example/{{key}}/a.txt"
    variables = {"variables": {"SECURE_KEY": "{{key}}"}}
    signed = simple(inputs=[{"path": "/a.txt", "url": url}], environment=variables)
    assert SECRET not in export.to_cwl(signed, {"key": SECRET}).text()
    here = export.to_cwl(version(REAL["encrypt"]), {"bam": "/data/a b.bam", "logs": "gds://v/"})
    assert here.document["inputs"]["bam"]["default"]["location"] == "file:///data/a%20b.bam"
    assert "arguments.logs: not used" in here.notes


REFUSED = {
    "no placeholder 'sampel'; it has sample": ({"args": ["{{sample}}"]}, {"sampel": "x"}),
    "no placeholder 'x'; it has none": ({}, {"x": "1"}),
    "the version has no image": ({"image": None}, {}),
    "neither command nor args": ({"command": None}, {}),
    "inputs[0].type: it must be File, Folder or manifest": (
        {"inputs": [{"path": "/a", "url": "b", "type": "Tape"}]},
        {},
    ),
    "inputs[0].path: it is not set": ({"inputs": [{"url": "b"}]}, {}),
    "a null character": ({"args": ["a\0b"]}, {}),
    "outputs[0]: its type must be": ({"outputs": [{"path": "/a", "type": "Tape"}]}, {}),
}


@each_form
@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_exported_is_refused(message: str, convert: Convert) -> None:
    fields, arguments = REFUSED[message]
    execution = {"image": {"name": "busybox"}, "command": "sh", **fields}
    with pytest.raises(libtes.ApiValueError) as raised:
        convert(version(execution), arguments)
    assert message in str(raised.value)
    with pytest.raises(libtes.ApiValueError):
        convert(libtes.TaskVersion(version="1"))


def test_an_argument_is_asked_for_where_a_standard_needs_it() -> None:
    image = {"name": "{{name}}", "tag": "{{tag}}"}
    tagged = simple(image=image, environment={"variables": {"{{v}}": "1"}})
    with pytest.raises(libtes.ApiValueError, match=r"image\.name: no argument for name"):
        export.to_cwl(tagged, {"tag": "1"})
    with pytest.raises(libtes.ApiValueError, match=r"environment\.variables: no argument for v"):
        export.to_cwl(tagged, {"tag": "1", "name": "x"})
    found = export.to_cwl(tagged, {"tag": "1", "name": "x", "v": "V"})
    assert found.document["requirements"]["DockerRequirement"]["dockerPull"] == "x:1"
    assert found.document["requirements"]["EnvVarRequirement"]["envDef"] == {"V": "1"}
    assert export.to_ga4gh(tagged).document["executors"][0]["image"] == "{{name}}:{{tag}}"
    nameless = simple(inputs=[{"path": "/in/", "url": "{{file}}"}])
    with pytest.raises(libtes.ApiValueError, match=r"inputs\[0\]\.path: .* argument for file"):
        export.to_ga4gh(nameless)
    [made] = export.to_ga4gh(nameless, {"file": "gds://v/a.txt"}).document["inputs"]
    assert made["path"] == "/in/a.txt"


def test_arguments_must_not_make_two_variables_of_one_name() -> None:
    found = simple(environment={"variables": {"{{name}}": "1", "A": "2"}})
    for convert in (export.to_cwl, export.to_ga4gh):
        with pytest.raises(libtes.ApiValueError, match=r"two of them A|keys equal"):
            convert(found, {"name": "A"})


def test_without_a_command_the_image_decides_what_args_are() -> None:
    execution = {"image": {"name": "busybox"}, "args": ["--in", "{{file}}"]}
    tool = export.to_cwl(version(execution)).document
    assert tool["arguments"] == ["--in", "$(inputs.file)"]
    assert "baseCommand" not in tool
    for convert, more in ((export.to_cwl, {"workingDirectory": "/w"}), (export.to_ga4gh, {})):
        notes = convert(version({**execution, **more})).notes
        assert [note for note in notes if note.startswith("command: ")]


def test_what_a_standard_may_take_otherwise_is_told() -> None:
    resources = {"resources": {"type": "huge"}}
    outputs = [{"path": "/out/*.txt", "url": "gds://v/"}]
    found = simple("{{key}}", environment=resources, outputs=outputs, systemFiles={"url": "{{f}}"})
    exported = export.to_ga4gh(found, {"f": "gds://v/", "key": "1"})
    told = {note.partition(":")[0] for note in exported.notes}
    assert told == {"arguments.f", "environment.resources", "outputs[0].path", "systemFiles.url"}
    [declared] = export.to_cwl(found).document["outputs"].values()
    assert declared["outputBinding"] == {"glob": "[*].txt"}


def test_a_folder_of_the_image_is_not_hidden_by_an_output() -> None:
    found = export.to_cwl(simple(outputs=[{"path": "/usr/x.txt", "url": "gds://v/x.txt"}]))
    assert found.notes[0].startswith("outputs[0].path: /usr/x.txt is lost")
    assert found.document["outputs"] == {}


@pytest.mark.parametrize("name", ALL)
def test_a_task_is_valid_by_the_schema(name: str) -> None:
    made = export.to_ga4gh(version(ALL[name])).document
    jsonschema.validate(made, SCHEMA)


@pytest.mark.slow
def test_py_tes_reads_tasks() -> None:
    tes = engine.needs("tes")
    for name, execution in ALL.items():
        made = export.to_ga4gh(version(execution)).document
        task = tes.utils.unmarshal(json.dumps(made), tes.Task)
        assert task.is_valid() == (True, None), name
        assert task.as_dict() == made


@pytest.mark.slow
def test_cwltool_accepts_tools(tmp_path: Path) -> None:
    files = []
    for name, execution in ALL.items():
        files.append(tmp_path / f"{name}.cwl")
        files[-1].write_text(export.to_cwl(version(execution)).text(), encoding="utf-8")
    wrong = tmp_path / "wrong.cwl"
    wrong.write_text("cwlVersion: v1.2\nclass: CommandLineTool\n", encoding="utf-8")
    assert engine.refused(wrong, *files) == [wrong]
