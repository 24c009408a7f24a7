"""Photographs that come inside annotation files: which file they are, and what finds them."""

from __future__ import annotations

import io
import unicodedata

import pytest
from PIL import Image

from conceptset.errors import ImageError, OutputError, UnsafeError, UsageError
from conceptset.io.catalogue import ImageCatalogue, NotFound


def png(grey: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (8, 6), grey).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def catalogue(tmp_path):
    (tmp_path / "images/sub").mkdir(parents=True)
    (tmp_path / "workspace").mkdir()
    return ImageCatalogue(tmp_path / "images", tmp_path / "workspace")


def test_without_a_file_of_its_name_it_is_kept_in_the_workspace(catalogue, tmp_path):
    photograph = catalogue.adopt("sub/a.png", png(1))
    assert photograph.key == "sub/a.png"
    assert photograph.header.size == (6, 8)
    assert photograph.path.parent == tmp_path / "workspace"
    assert photograph.path.read_bytes() == png(1)
    assert catalogue.find("sub/a.png") is photograph
    assert list((tmp_path / "images").rglob("*.png")) == []


def test_equal_bytes_are_the_file_on_disk(catalogue, tmp_path):
    (tmp_path / "images/sub/a.png").write_bytes(png(1))
    for name in ("sub/a.png", "a.png", "elsewhere\\a.png"):
        photograph = catalogue.adopt(name, png(1))
        assert photograph.key == "sub/a.png"
        assert photograph.stored is None
    assert list((tmp_path / "workspace").iterdir()) == []


def test_normalisation_is_bridged(catalogue, tmp_path):
    name = "é.png"
    (tmp_path / "images" / unicodedata.normalize("NFD", name)).write_bytes(png(1))
    assert catalogue.adopt(unicodedata.normalize("NFC", name), png(1)).stored is None


def test_other_bytes_leave_the_file_on_disk_its_key(catalogue, tmp_path):
    (tmp_path / "images/sub/a.png").write_bytes(png(1))
    embedded = catalogue.adopt("sub/a.png", png(2))
    assert embedded.key == "sub/a-embedded.png"
    assert embedded.path.read_bytes() == png(2)
    assert catalogue.find("sub/a.png").path.read_bytes() == png(1)
    assert catalogue.find("sub/a-embedded.png") is embedded
    assert catalogue.adopt("sub/a.png", png(2)) is embedded


def test_also_where_that_key_is_taken(catalogue, tmp_path):
    (tmp_path / "images/a.png").write_bytes(png(1))
    (tmp_path / "images/a-embedded.png").write_bytes(png(2))
    assert catalogue.adopt("a.png", png(3)).key == "a-embedded-embedded.png"
    assert catalogue.adopt("a.png", png(2)).key == "a-embedded.png"


def test_a_file_elsewhere_of_the_same_last_name_does_not_matter(catalogue, tmp_path):
    (tmp_path / "images/sub/a.png").write_bytes(png(1))
    assert catalogue.adopt("a.png", png(2)).key == "a.png"
    assert catalogue.locate("a.png") == "sub/a.png"


def test_names_do_not_lead_to_adopted_photographs(catalogue):
    """Else a file that names no photograph of its own would depend on who was read before it."""
    catalogue.adopt("sub/a.png", png(1))
    assert catalogue.locate("sub/a.png") is NotFound.MISSING
    assert catalogue.locate("a.png", "sub") is NotFound.MISSING


def test_one_image_in_the_files_of_several_people(catalogue):
    first = catalogue.adopt("ada/a.png", png(1))
    assert catalogue.adopt("bob/a.png", png(1)) is first
    assert catalogue.adopt("cid/a.png", png(2)).key == "cid/a.png"
    assert catalogue.adopt("bob/b.png", png(1)).key == "bob/b.png"


def test_two_images_of_one_name_are_refused(catalogue):
    first = catalogue.adopt("a.png", png(1))
    with pytest.raises(ImageError, match="two different images"):
        catalogue.adopt("a.png", png(2))
    assert catalogue.adopt("a.png", png(1)) is first
    assert catalogue.adopt("b.png", png(1)).path == first.path


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "C:\\a.png", "a\n.png", "", "x" * 300])
def test_names_that_lead_out_are_refused(catalogue, name):
    with pytest.raises(UnsafeError):
        catalogue.adopt(name, png(1))


def test_links_that_lead_out_are_refused(catalogue, tmp_path):
    (tmp_path / "a.png").write_bytes(png(1))
    (tmp_path / "images/link").symlink_to(tmp_path)
    with pytest.raises(UnsafeError, match="leads out"):
        catalogue.adopt("link/a.png", png(1))


def test_what_is_no_image_is_not_kept(catalogue, tmp_path):
    with pytest.raises(ImageError, match="not an image"):
        catalogue.adopt("a.png", b"no image")
    assert list((tmp_path / "workspace").iterdir()) == []


def test_a_workspace_is_needed_and_must_be_writable(tmp_path):
    with pytest.raises(UsageError, match="workspace"):
        ImageCatalogue(tmp_path).adopt("a.png", png(1))
    with pytest.raises(OutputError, match="cannot be put there"):
        ImageCatalogue(tmp_path, tmp_path / "missing").adopt("a.png", png(1))


def test_a_name_of_many_wide_characters_is_refused(catalogue):
    """As many bytes as no path may have; the system would fail in the middle of a look-up."""
    with pytest.raises(UnsafeError, match="longer than any file name"):
        catalogue.locate("/".join(["\U0001f600" * 60] * 30))
