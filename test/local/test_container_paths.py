"""Container paths in texts are replaced, and nothing that only looks like one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from libica.local.node.container_paths import ContainerPaths


def container(*paths: str, search: object = "", **more: Any) -> ContainerPaths:
    inputs = [{"path": path} for path in paths]
    return ContainerPaths(Path("/s"), {"inputs": inputs, **more}, str(search))


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """A program in a folder for the PATH."""
    tool = tmp_path / "tool"
    tool.write_text("")
    tool.chmod(0o755)
    return tool


def test_declared_paths_their_parents_and_their_content_are_replaced() -> None:
    for text in (
        "/data/in /data/in/ /data/in/a.bam /data//in",
        "cat '/data/in/a' \"/data/in/b\" >/data/log;",
        "--x=/data/in,/data/out:/data/in",
        "-I/data/in",
        "run -I/data/in @/data/list",
        "file:///data/in",
        "ls /data/*.bam",
    ):
        mapped = container("/data/in", "/data/out/").mapped(text)
        assert mapped == text.replace("/data", "/s/data")


def test_longer_names_urls_and_other_folders_are_not_replaced() -> None:
    for text in (
        "/database/in /data2 /data-old/x /data.txt s3://bucket/data/in x/data/in ./data/in",
        "../data/in ~/data/in $HOME/data/in ${HOME}/data/in $(pwd)/data/in --long/data/in",
        r"s/\/data\/in// /usr/data/in */data/in",
    ):
        assert container("/data/in").mapped(text) == text
        assert [container("/data/in").mapped(each) for each in text.split()] == text.split()


@pytest.mark.parametrize(
    ("declared", "text", "mapped"),
    [
        ("/usr/share/x.fa", "/usr/share/x.fa /usr/share/y", "/s/usr/share/x.fa /usr/share/y"),
        ("/opt/data/y", "/opt/data/q /opt/tool", "/s/opt/data/q /opt/tool"),
        ("/tmp/in/z", "/tmp/in/q /tmp/other", "/s/tmp/in/q /tmp/other"),
        ("/etc/app/conf", "/etc/passwd", "/etc/passwd"),
        ("/mnt/a.txt", "ls /mnt/", "ls /s/mnt/"),
        ("/", "/data /", "/data /"),
        ("relative", "/data relative", "/data relative"),
        ("/da ta/(x)+[y].txt", "cat '/da ta/(x)+[y].txt'", "cat '/s/da ta/(x)+[y].txt'"),
    ],
)
def test_folders_of_an_image_are_replaced_only_as_far_as_declared(
    declared: str, text: str, mapped: str
) -> None:
    assert container(declared).mapped(text) == mapped


def test_the_working_directory_is_replaced_and_relative_paths_lie_in_it() -> None:
    assert container(workingDirectory="/work").mapped("cd /work/x") == "cd /s/work/x"
    assert container(workingDirectory="/work/").at("out/x") == Path("/s/work/out/x")
    assert container().at("out/x") == Path("/s/out/x")
    for path in ("/../../etc", "../../etc", "//../etc", "/a/../../etc"):
        assert container().at(path) == Path("/s/etc")


def test_a_missing_program_of_the_image_becomes_the_one_on_the_path(tool: Path) -> None:
    those = container("/mount/in/", "/opt/edico/bin/declared", search=tool.parent)
    assert those.mapped("/opt/edico/bin/tool -i /mount/in; x") == f"{tool} -i /s/mount/in; x"
    assert those.mapped("/opt/x/bin/other") == "/opt/x/bin/other"
    assert those.mapped("/opt/edico/bin/declared") == "/s/opt/edico/bin/declared"
    assert those.mapped("/mount/bin/other/x") == "/s/mount/bin/other/x"
    assert container("/data/in", search="/usr/bin:/bin").mapped("/bin/sh -c x") == "/bin/sh -c x"


def test_a_command_is_found_on_the_path_or_by_its_last_name(tool: Path) -> None:
    those = container(search=tool.parent)
    assert those.program("tool") == str(tool)
    assert those.program("/not/here/tool") == str(tool)
    with pytest.raises(FileNotFoundError, match="'absent' was not found"):
        those.program("absent")


def test_a_command_among_the_inputs_comes_before_one_of_this_machine(tmp_path: Path) -> None:
    staged = tmp_path / "bin/sh"
    staged.parent.mkdir()
    staged.write_text("")
    execution = {"inputs": [{"path": "/bin/sh"}]}
    assert ContainerPaths(tmp_path, execution, "/bin").program("/bin/sh") == str(staged)
    assert ContainerPaths(tmp_path / "empty", {}, "/bin").program("/bin/sh") == "/bin/sh"
