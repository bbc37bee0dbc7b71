"""URLs refer to places in one folder or to files, and lead nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from libica.local.node.places import Places, Remote, real_within, shown


def test_urls_refer_to_places(tmp_path: Path) -> None:
    (tmp_path / ".s3").mkdir()
    places = Places(tmp_path)
    assert places.locate("gds://volume/a/b.txt").path == tmp_path / "volume/a/b.txt"
    assert places.locate("GDS://volume/a//b/").path == tmp_path / "volume/a/b"
    assert places.locate("gds://volume").path == tmp_path / "volume"
    assert places.locate("s3://bucket/key").path == tmp_path / ".s3/bucket/key"
    assert places.locate("file:///a%20b/c#d?e%3F").path == Path("/a b/c#d?e?")
    assert places.locate("file://localhost/a").path == Path("/a")
    assert places.locate("/a/b c").path == Path("/a/b c")


def test_the_gds_folder_may_be_a_url(tmp_path: Path) -> None:
    assert Places(tmp_path.as_uri()).locate("gds://volume/x").path == tmp_path / "volume/x"
    places = Places("memory://data/")
    assert places.locate("gds://volume//a/") == Remote("memory://data", "volume/a")
    assert places.locate(f"{places.logs}/x") == Remote("memory://data", "logs/x")


@pytest.mark.parametrize("url", ["https://host/x", "nosuch://user:secret@host/x", "gds://x"])
def test_a_gds_folder_that_nothing_can_reach_is_an_error_at_once(url: str) -> None:
    with pytest.raises(ValueError, match=f"gds cannot be {shown(url)}") as error:
        Places(url)
    assert "secret" not in str(error.value)


def test_a_url_that_refers_to_no_place_is_an_error(tmp_path: Path) -> None:
    urls = "gds:// gds:///a gds://volume/../../x gds://../x gds://.s3/bucket/x gds://volume/..\\x "
    urls += "s3://bucket/../x file://host/x http://host/x drs://x/y relative/x"
    for url in ("", *urls.split()):
        with pytest.raises(ValueError, match=r"."):
            Places(tmp_path).locate(url)


def test_a_link_out_of_the_folder_is_an_error(tmp_path: Path) -> None:
    gds = tmp_path / "gds"
    (gds / "volume").mkdir(parents=True)
    (gds / "volume/link").symlink_to(tmp_path)
    (gds / "volume/inside").symlink_to(gds)
    assert real_within(Places(gds).locate("gds://volume/inside/x")) == gds / "x"
    with pytest.raises(ValueError, match="leads out"):
        real_within(Places(gds).locate("gds://volume/link/x"))


def test_the_folder_may_itself_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "gds").symlink_to(tmp_path / "real")
    place = Places(tmp_path / "gds").locate("gds://volume/x")
    assert place.path.parent.parent.samefile(tmp_path / "real")


def test_a_shown_url_has_no_secrets() -> None:
    assert shown("https://me:pw@host/a/b?X-Amz-Signature=1#f") == "https://host/a/b"
    assert shown("gds://volume/what?") == "gds://volume/what?"
