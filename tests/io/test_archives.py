"""Archives arrive whole, with the names their makers gave, whatever packed them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from conceptset.errors import ConceptsetError, OutputError, SourceError, UnsafeError
from conceptset.io.archives import archive_stem, has_archive_name, is_archive, members, unpack
from conceptset.io.workspace import open_workspace

CONTENT = {
    "annotations.xml": b"<a/>" * 5000,
    "images/Träger 1.jpg": bytes(range(256)) * 300,
    "images/deep/er/b.jpg": b"",
    "x" * 200 + ".json": b"{}",
}


def pack_zip(path, content, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def pack_tar(path, content, mode, kind=tarfile.PAX_FORMAT):
    with tarfile.open(path, mode, format=kind) as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def unpacked(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


PACKERS = {
    "zip": pack_zip,
    "stored zip": lambda path, content: pack_zip(path, content, zipfile.ZIP_STORED),
    "tar": lambda path, content: pack_tar(path, content, "w"),
    "gnu tar": lambda path, content: pack_tar(path, content, "w", tarfile.GNU_FORMAT),
    "tar.gz": lambda path, content: pack_tar(path, content, "w:gz"),
}


@pytest.mark.parametrize("kind", PACKERS)
def test_every_file_arrives(tmp_path, kind):
    path = tmp_path / "export"  # known by its content: the name says nothing
    PACKERS[kind](path, CONTENT)
    assert is_archive(path)
    told = []
    unpack(path, tmp_path / "out", lambda done, total: told.append((done, total)))
    assert unpacked(tmp_path / "out") == CONTENT
    assert [done for done, _ in told] == list(range(1, 5))
    assert {total for _, total in told} == {4 if "zip" in kind else 0}


@pytest.mark.parametrize("kind", PACKERS)
def test_what_macos_adds_stays_behind(tmp_path, kind):
    extra = {"__MACOSX/._a.json": b"shadow", "images/.DS_Store": b"view", "a.json": b"{}"}
    PACKERS[kind](tmp_path / "x", extra)
    unpack(tmp_path / "x", tmp_path / "out")
    assert unpacked(tmp_path / "out") == {"a.json": b"{}"}


def test_folders_are_no_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("images/", b"")
        archive.writestr("images/a.txt", b"1")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in (".", "./images"):
            folder = tarfile.TarInfo(name)
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
        member = tarfile.TarInfo("./images/a.txt")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"1"))
    for name in ("a.zip", "a.tar"):
        unpack(tmp_path / name, tmp_path / f"{name}.out")
        assert unpacked(tmp_path / f"{name}.out") == {"images/a.txt": b"1"}


def rename(path, old, new):
    """Another name of the same length in both headers; flags stay as they are."""
    assert len(old) == len(new)
    path.write_bytes(path.read_bytes().replace(old, new))


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("é.txt".encode(), "é.txt"),  # macOS: UTF-8, and does not say so
        ("é.txt".encode("cp437"), "é.txt"),  # DOS letters, by the book
        (rb"a\b.txt", "a/b.txt"),  # Windows
    ],
)
def test_names_of_other_systems(tmp_path, raw, name):
    placeholder = b"Q" * len(raw)
    pack_zip(tmp_path / "a.zip", {placeholder.decode(): b"1"})
    rename(tmp_path / "a.zip", placeholder, raw)
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert unpacked(tmp_path / "out") == {name: b"1"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; zip, tar or tar.gz was expected"),
        (b"<html>please log in</html>", "is no archive, whatever its name says"),
        (b"7z\xbc\xaf\x27\x1c rest", "is a 7z archive, which is not unpacked.*name the folder"),
        (b"Rar!\x1a\x07\x00", "is a rar archive"),
        (b"\xfd7zXZ\x00", "is a xz archive"),
        (b"\x1f\x8b\x08 broken", "no whole tar archive is inside"),
        (b"PK\x03\x04 cut short", "the list of its members is missing"),
    ],
)
def test_what_is_called_an_archive_and_is_none(tmp_path, content, message):
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    assert is_archive(path)
    with pytest.raises(SourceError, match=rf"a\.zip: .*{message}"):
        unpack(path, tmp_path / "out")


def test_annotation_files_are_no_archives(tmp_path):
    for name, text in (("a.json", '{"images": []}'), ("b.xml", "<annotations/>"), ("c", "")):
        (tmp_path / name).write_text(text)
        assert not is_archive(tmp_path / name)
    assert not is_archive(tmp_path)
    assert not has_archive_name("a.json.gz")
    assert [archive_stem(Path(name)) for name in ("a.b.tar.gz", "A.ZIP", ".zip", "a.tgz")] == [
        *("a.b", "A", ".zip", "a")
    ]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_cut_short_anywhere(tmp_path, kind):
    """Bytes missing at the end never pass for a whole archive.

    Only the padding behind a tar's mark of its end says nothing.
    """
    PACKERS[kind](tmp_path / "whole", {"a.txt": b"0123456789" * 50, "b.txt": b"abc" * 700})
    whole = (tmp_path / "whole").read_bytes()
    end = len(whole.rstrip(b"\0")) if kind == "tar" else len(whole)
    for place, length in enumerate(range(600, end, 97)):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(SourceError, match="cut"):
            unpack(tmp_path / "cut", tmp_path / f"out{place}")


@pytest.mark.parametrize("kind", ["stored zip", "zip", "tar.gz"])
def test_a_flipped_bit_is_seen(tmp_path, kind):
    PACKERS[kind](tmp_path / "a", {"a.txt": b"0123456789" * 500})
    data = bytearray((tmp_path / "a").read_bytes())
    data[60] ^= 4
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(SourceError, match=r"damaged|no whole"):
        unpack(tmp_path / "a", tmp_path / "out")


def test_a_full_disk_is_told_before(tmp_path, monkeypatch):
    pack_zip(tmp_path / "a.zip", {"a.txt": b"1" * 1000})
    free = type("Usage", (), {"free": 999})
    monkeypatch.setattr(members.shutil, "disk_usage", lambda _: free)
    with pytest.raises(OutputError, match=r"a\.zip: needs 0\.0 GB .* are free") as caught:
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert caught.value.exit_code == 3
    assert unpacked(tmp_path / "out") == {}


def test_a_workspace_goes_and_is_never_named(tmp_path):
    pack_zip(tmp_path / "ex.zip", {"in/a.json": b"{}"})
    (tmp_path / "near").mkdir()

    def work(workspace):
        folder = workspace.unpack(tmp_path / "ex.zip", lambda *_: None)
        assert folder.name == "ex"
        assert unpacked(folder) == {"in/a.json": b"{}"}
        assert workspace.origin(folder / "in") == tmp_path / "ex.zip" / "ex" / "in"
        assert workspace.origin(tmp_path) == tmp_path
        file = folder / "in/a.json"
        message, hint = f"is odd, see {file}", f"Mend {file}."
        raise SourceError(message, path=file, pointer=f"{file} 1", hint=hint)

    with pytest.raises(SourceError) as caught, open_workspace(tmp_path / "near") as workspace:
        work(workspace)
    shown = f"{tmp_path}/ex.zip/in/a.json"
    assert str(caught.value) == f"{shown} {shown} 1: is odd, see {shown}. Mend {shown}."
    assert caught.value.args == (f"is odd, see {shown}",)
    assert list((tmp_path / "near").iterdir()) == []


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ZeroDivisionError, UnsafeError])
def test_a_workspace_goes_however_the_work_ends(tmp_path, kind):
    pack_zip(tmp_path / "ex.zip", {"a.json": b"{}"})
    (tmp_path / "near").mkdir()

    def work(workspace):
        workspace.unpack(tmp_path / "ex.zip", lambda *_: None)
        assert list((tmp_path / "near").iterdir()) != []
        raise kind("x")

    with pytest.raises(kind), open_workspace(tmp_path / "near") as workspace:
        work(workspace)
    assert list((tmp_path / "near").iterdir()) == []


def test_nothing_is_made_that_nobody_needs(tmp_path):
    with open_workspace(tmp_path):
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="nope") as caught, open_workspace(tmp_path) as workspace:
        raise OSError(2, "nope", str(workspace.embedded / "x"))
    assert caught.value.filename == "an embedded image, x"
    with (
        pytest.raises(ConceptsetError, match="no directory for temporary files"),
        open_workspace(tmp_path / "absent") as workspace,
    ):
        workspace.path.touch()


def test_zip_with_the_extensions_for_large_archives(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    pack_zip(tmp_path / "a.zip", CONTENT)
    assert b"PK\x06\x06" in (tmp_path / "a.zip").read_bytes()
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert unpacked(tmp_path / "out") == CONTENT


def test_a_comment_behind_the_list_of_members(tmp_path):
    pack_zip(tmp_path / "a.zip", CONTENT)
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.comment = b"exported by a tool " * 100
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert unpacked(tmp_path / "out") == CONTENT


def test_bytes_before_and_between_members(tmp_path):
    """A list of members that breaks off is damage, whoever counts first."""
    pack_zip(tmp_path / "a.zip", {"a.txt": b"1", "b.txt": b"2"})
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.rindex(b"PK\x01\x02") + 1] = 0
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(SourceError, match=r"a\.zip: is damaged \(Bad magic number"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_broken_header_inside_a_tar_is_not_its_end(tmp_path):
    pack_tar(tmp_path / "a.tar", {"a.txt": b"1" * 512, "b.txt": b"2"}, "w", tarfile.USTAR_FORMAT)
    data = bytearray((tmp_path / "a.tar").read_bytes())
    data[1024 + 3] ^= 1  # the name of the second member
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(SourceError, match=r"a\.tar: is damaged: the header of a member is broken"):
        unpack(tmp_path / "a.tar", tmp_path / "out")


def test_a_size_below_zero(tmp_path):
    member = tarfile.TarInfo("a.txt")
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = b"\xff" * 11 + b"\x00"  # -256 as a binary number
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    (tmp_path / "a.tar").write_bytes(bytes(block) + bytes(1024))
    with pytest.raises(SourceError, match=r"a\.tar a\.txt: is damaged: its size is negative"):
        unpack(tmp_path / "a.tar", tmp_path / "out")


def test_what_lies_behind_the_last_member(tmp_path, monkeypatch):
    pack_tar(tmp_path / "a.tar", {"a.txt": b"1"}, "w")
    with (tmp_path / "a.tar").open("ab") as stream:
        stream.write(b"x" * 5000)
    unpack(tmp_path / "a.tar", tmp_path / "out")
    monkeypatch.setattr("conceptset.io.archives.tarred.SMALL", 4000)
    with pytest.raises(UnsafeError, match=r"a\.tar: holds more than 0 MiB behind its last member"):
        unpack(tmp_path / "a.tar", tmp_path / "again")


@pytest.mark.parametrize("fails", ["mkdir", "open", "write"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_disk_that_fails(tmp_path, monkeypatch, kind, fails):
    PACKERS[kind](tmp_path / "a", {"a.txt": b"1" * 1000})
    full = OSError(28, "No space left on device")
    opened = Path.open

    class Full(io.BytesIO):
        def write(self, data):
            raise full

    def refuse(path, mode="r", *rest, **more):
        if mode != "xb":
            return opened(path, mode, *rest, **more)
        if fails == "open":
            raise full
        return Full()

    def no_folder(*_, **__):
        raise full

    if fails == "mkdir":
        monkeypatch.setattr(Path, "mkdir", no_folder)
    else:
        monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OutputError, match=r"a: cannot be unpacked \(No space left on device\)"):
        unpack(tmp_path / "a", tmp_path / "out")


def test_an_archive_that_cannot_be_read(tmp_path, monkeypatch):
    pack_zip(tmp_path / "a.zip", CONTENT)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    for look in (is_archive, lambda path: unpack(path, tmp_path / "out")):
        with pytest.raises(SourceError, match=r"a\.zip: cannot be read \(Permission denied\)"):
            look(tmp_path / "a.zip")


def test_a_disk_for_which_two_names_are_one(tmp_path, monkeypatch):
    """What our own comparison of names does not foresee."""
    pack_zip(tmp_path / "a.zip", {"A": b"1", "a": b"2"})
    monkeypatch.setattr(members, "_folded", lambda name: name)
    opened = Path.open
    monkeypatch.setattr(
        *(Path, "open"),
        lambda path, *rest: opened(path.with_name("A") if path.name == "a" else path, *rest),
    )
    with pytest.raises(UnsafeError, match="has the name of another member for this disk"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_the_least_archives(tmp_path):
    """No member at all; and a tar without the mark of its end."""
    pack_zip(tmp_path / "a.zip", {})
    assert (tmp_path / "a.zip").stat().st_size == 22
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert unpacked(tmp_path / "out") == {}
    pack_tar(tmp_path / "a.tar", {"a.txt": b"1"}, "w", tarfile.USTAR_FORMAT)
    (tmp_path / "b.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:1024])
    with pytest.raises(SourceError, match=r"b\.tar: is cut short: the mark of its end is missing"):
        unpack(tmp_path / "b.tar", tmp_path / "cut")
    with pytest.raises(OSError, match="bare"), open_workspace(tmp_path):
        raise OSError("bare")
