"""Container paths in texts are mapped, and nothing that only looks like one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from libica.local.node.container_paths import ContainerPaths

ROOT = "/s"


def container(*paths: str, search: str = "", **more: Any) -> ContainerPaths:
    return ContainerPaths(
        Path(ROOT), {"inputs": [{"path": path} for path in paths], **more}, search
    )


@pytest.mark.parametrize(
    ("text", "mapped"),
    [
        ("/data/in", "/s/data/in"),
        ("/data/in/", "/s/data/in/"),
        ("/data/in/a.bam", "/s/data/in/a.bam"),
        ("cat '/data/in/a' \"/data/in/b\" >/data/log;", None),
        ("--x=/data/in,/data/out:/data/in", "--x=/s/data/in,/s/data/out:/s/data/in"),
        ("-I/data/in", "-I/s/data/in"),
        ("run -I/data/in", "run -I/s/data/in"),
        ("file:///data/in", "file:///s/data/in"),
        ("@/data/list", "@/s/data/list"),
        ("ls /data/*.bam", "ls /s/data/*.bam"),
        ("/data", "/s/data"),
        ("/data//in", "/s/data//in"),
    ],
)
def test_declared_paths_their_parents_and_what_is_beneath_are_mapped(
    text: str, mapped: str
) -> None:
    expected = text.replace("/data", "/s/data") if mapped is None else mapped
    assert container("/data/in", "/data/out/").mapped(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "/database/in",
        "/data2",
        "/data-old/x",
        "/data.txt",
        "s3://bucket/data/in",
        "https://host/data/in",
        "x/data/in",
        "./data/in",
        "../data/in",
        "~/data/in",
        "$HOME/data/in",
        "${HOME}/data/in",
        "$(pwd)/data/in",
        "--long/data/in",
        r"s/\/data\/in//",
        "/usr/data/in",
        "*/data/in",
    ],
)
def test_longer_names_urls_and_other_folders_are_not_mapped(text: str) -> None:
    assert container("/data/in").mapped(text) == text


def test_folders_of_an_image_are_mapped_only_where_they_are_declared() -> None:
    those = container("/usr/share/x.fa", "/opt/data/y", "/tmp/in/z", "/etc/app/conf")
    assert those.mapped("/usr/share/x.fa /usr/share/y") == "/s/usr/share/x.fa /usr/share/y"
    assert those.mapped("/opt/data/q /opt/tool") == "/s/opt/data/q /opt/tool"
    assert those.mapped("/tmp/in/q /tmp/other") == "/s/tmp/in/q /tmp/other"
    assert those.mapped("/etc/passwd") == "/etc/passwd"


def test_a_shared_folder_is_mapped_as_the_parent_of_a_declared_path() -> None:
    assert container("/mnt/a.txt").mapped("ls /mnt/") == "ls /s/mnt/"


def test_nothing_is_mapped_without_declared_paths() -> None:
    assert container("/", "relative").mapped("/data /") == "/data /"


def test_the_working_directory_is_mapped() -> None:
    assert container(workingDirectory="/work").mapped("cd /work/x") == "cd /s/work/x"


def test_relative_paths_lie_in_the_working_directory() -> None:
    assert container(workingDirectory="/work/").at("out/x") == Path("/s/work/out/x")
    assert container().at("out/x") == Path("/s/out/x")


@pytest.mark.parametrize("path", ["/../../etc", "../../etc", "//../etc", "/a/../../etc"])
def test_no_path_leads_out_of_the_folder(path: str) -> None:
    assert container().at(path) == Path("/s/etc")


def test_names_with_any_characters_are_mapped_as_they_are() -> None:
    assert container("/da ta/(x)+[y].txt").mapped("cat '/da ta/(x)+[y].txt'") == (
        "cat '/s/da ta/(x)+[y].txt'"
    )


def test_a_program_of_the_image_becomes_the_one_on_the_path(tmp_path: Path) -> None:
    tool = tmp_path / "dragen"
    tool.write_text("")
    tool.chmod(0o755)
    those = container("/mount/in/", "/opt/edico/bin/declared", search=str(tmp_path))
    assert those.mapped("/opt/edico/bin/dragen -i /mount/in; x") == f"{tool} -i /s/mount/in; x"
    assert those.mapped("/opt/x/bin/other") == "/opt/x/bin/other"
    assert those.mapped("/opt/edico/bin/declared") == "/s/opt/edico/bin/declared"
    assert those.mapped("/mount/bin/other/x") == "/s/mount/bin/other/x"


def test_a_program_that_exists_here_is_left_alone() -> None:
    assert container("/data/in", search="/usr/bin:/bin").mapped("/bin/sh -c x") == "/bin/sh -c x"


def test_a_command_is_found_on_the_path_or_by_its_last_name(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("")
    tool.chmod(0o755)
    assert container(search=str(tmp_path)).program("tool") == str(tool)
    assert container(search=str(tmp_path)).program("/not/here/tool") == str(tool)
    with pytest.raises(FileNotFoundError, match="'absent' is not on this machine"):
        container(search=str(tmp_path)).program("absent")


def test_a_staged_command_comes_before_one_of_this_machine(tmp_path: Path) -> None:
    staged = tmp_path / "bin/sh"
    staged.parent.mkdir()
    staged.write_text("")
    execution = {"inputs": [{"path": "/bin/sh"}]}
    assert ContainerPaths(tmp_path, execution, "/bin").program("/bin/sh") == str(staged)
    assert ContainerPaths(tmp_path / "empty", {}, "/bin").program("/bin/sh") == "/bin/sh"
