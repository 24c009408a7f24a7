"""Folders of labels, and DTD's list of further ones."""

from __future__ import annotations

import pytest

from conceptset.errors import SourceError
from conceptset.formats.base import Candidate
from conceptset.formats.masks import IMAGE_FOLDERS

SIZE = (6, 8)
NAMES = ("banded/banded_0002.jpg", "banded/banded_0005.jpg", "dotted/dotted_0001.jpg")


@pytest.fixture
def dtd(tmp_path, save):
    """The layout of DTD."""
    root = tmp_path / "dtd"
    for name in NAMES:
        save(root / "images" / name, SIZE)
    (root / "labels").mkdir()
    (root / "labels/labels_joint_anno.txt").write_text(
        "banded/banded_0002.jpg banded lined \n"
        "banded/banded_0005.jpg banded \n"
        "dotted/dotted_0001.jpg banded dotted \n"
    )
    return root


def tags(records):
    return {record.image: [region.name for region in record.regions] for record in records}


def test_dtd(dtd, read_format):
    said = IMAGE_FOLDERS.detect(Candidate(dtd))
    assert said.matches
    assert "labels/labels_joint_anno.txt" in said.reasons[1]
    assert list(IMAGE_FOLDERS.image_names(dtd)) == list(NAMES)
    records, findings = read_format(IMAGE_FOLDERS, dtd, dtd / "images")
    assert findings == []
    assert tags(records) == {
        NAMES[0]: ["banded", "lined"],
        NAMES[1]: ["banded"],
        NAMES[2]: ["dotted", "banded"],
    }
    regions = [region for record in records for region in record.regions]
    assert {(r.kind, r.category, r.geometry, r.person) for r in regions} == {
        ("tag", "texture", None, None)
    }
    origin = records[2].regions[1].origin
    assert (origin.file, origin.pointer) == ("dtd/labels/labels_joint_anno.txt", "line 3")
    assert records[2].regions[0].origin.file == "dtd/images/dotted/dotted_0001.jpg"


def test_plain_folders_only_on_request(dtd, read_format):
    (dtd / "labels/labels_joint_anno.txt").unlink()
    said = IMAGE_FOLDERS.detect(Candidate(dtd))
    assert (said.matches, said.on_request) == (False, True)
    records, findings = read_format(IMAGE_FOLDERS, dtd, dtd)
    assert findings == []
    assert [record.image for record in records] == [f"images/{name}" for name in NAMES]
    assert [region.name for record in records for region in record.regions] == [
        "banded",
        "banded",
        "dotted",
    ]
    assert {region.category for record in records for region in record.regions} == {None}


def test_the_innermost_folder_is_the_label(tmp_path, read_format, save):
    save(tmp_path / "train/a/abbey/1.jpg", SIZE)
    save(tmp_path / "val/a/abbey/2.png", SIZE)
    save(tmp_path / "3.png", SIZE)
    records, findings = read_format(IMAGE_FOLDERS, tmp_path, tmp_path, label="source")
    assert tags(records) == {"train/a/abbey/1.jpg": ["abbey"], "val/a/abbey/2.png": ["abbey"]}
    assert [(f.code, f.path) for f in findings] == [("SRC078", "source/3.png")]


def test_labels_hold_for_the_photograph_as_people_see_it(tmp_path, read_format, save):
    save(tmp_path / "street/1.jpg", SIZE, orientation=6)
    records, findings = read_format(IMAGE_FOLDERS, tmp_path, tmp_path)
    assert [(r.frame, r.size) for r in records] == [("upright", SIZE[::-1])]
    assert findings == []


def test_what_is_wrong_with_the_list(dtd, read_format):
    (dtd / "labels/labels_joint_anno.txt").write_text(
        "banded/banded_0002.jpg\n\nbanded/banded_0005.jpg banded x\nbanded/banded_0005.jpg y\n"
        "dotted/missing.jpg dotted\ndotted/dotted_0001.jpg \u200b\n"
    )
    records, findings = read_format(IMAGE_FOLDERS, dtd, dtd / "images")
    assert tags(records) == {NAMES[0]: ["banded"], NAMES[1]: ["banded", "x"], NAMES[2]: ["dotted"]}
    assert sorted((f.code, f.pointer) for f in findings) == [
        ("SRC001", "line 5"),
        ("SRC008", "line 4"),
        ("SRC015", "line 1"),
        ("SRC015", "line 6"),
    ]
    (dtd / "labels/labels_joint_anno.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(SourceError, match="UTF-8"):
        read_format(IMAGE_FOLDERS, dtd, dtd / "images")


def test_broken_photographs_and_links(dtd, read_format, save, tmp_path):
    (dtd / "images/dotted/bad.jpg").write_bytes(b"no image")
    save(tmp_path / "secret.jpg", SIZE)
    (dtd / "images/dotted/link.jpg").symlink_to(tmp_path / "secret.jpg")
    records, findings = read_format(IMAGE_FOLDERS, dtd, dtd / "images")
    assert len(records) == 3
    assert [(f.code, f.path) for f in findings] == [
        ("SRC003", "dtd/images/dotted/bad.jpg"),
        ("SRC006", "dtd/images/dotted/link.jpg"),
    ]


def test_nothing_to_read(tmp_path, read_format, save):
    save(tmp_path / "a.jpg", SIZE)
    said = IMAGE_FOLDERS.detect(Candidate(tmp_path))
    assert (said.matches, said.on_request) == (False, False)
    with pytest.raises(SourceError, match="no folder of images"):
        read_format(IMAGE_FOLDERS, tmp_path, tmp_path)
    (tmp_path / "conceptset.json").write_text("{}")
    assert "concept set" in IMAGE_FOLDERS.detect(Candidate(tmp_path)).reasons[0]
