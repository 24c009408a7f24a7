"""Archives that want out, want more than there is, or are not what they say."""

from __future__ import annotations

import gzip
import io
import os
import random
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conceptset.errors import ConceptsetError, SourceError, UnsafeError
from conceptset.io.archives import MAX_MEMBERS, unpack

MEMORY = 256 << 20  # of the whole process that unpacks


def zip_of(path, *members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def tar_of(path, *members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, data in members:
            member = tarfile.TarInfo(name) if isinstance(name, str) else name
            member.size = member.size or len(data)
            archive.addfile(member, io.BytesIO(data) if data else None)
    return path


def everything_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("pack", [zip_of, tar_of])
@pytest.mark.parametrize(
    "name",
    [
        *("../evil", "a/../../evil", "/etc/evil", "C:\\evil", "c:evil", "..\\evil", "\\\\host\\x"),
        *("a/..", "a\nb", "a\x1b[2Jb", "a\x00b", "x" * 300, "a/" * 1500 + "b"),
    ],
)
def test_names_that_lead_out_or_lie(tmp_path, pack, name):
    if pack is tar_of and "\x00" in name:
        pytest.skip("a tar name ends at a NUL")
    (tmp_path / "in").mkdir()
    placeholder = "Q" * len(name)  # zipfile would clean some names
    path = pack(tmp_path / "x.zip", (placeholder if pack is zip_of else name, b"1"))
    if pack is zip_of:
        path.write_bytes(path.read_bytes().replace(placeholder.encode(), name.encode()))
    with pytest.raises(UnsafeError) as caught:
        unpack(path, tmp_path / "in" / "out")
    assert caught.value.path == path
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert everything_in(tmp_path / "in") in ([], ["out"])


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        (stat.S_IFLNK, "a symbolic link"),
        (stat.S_IFCHR, "a device"),
        (stat.S_IFBLK, "a device"),
        (stat.S_IFIFO, "a pipe"),
        (stat.S_IFSOCK, "a socket"),
    ],
)
def test_zip_members_that_are_no_files(tmp_path, mode, kind):
    member = zipfile.ZipInfo("images/a.jpg")
    member.external_attr = (mode | 0o777) << 16
    path = zip_of(tmp_path / "x.zip", (member, "/etc/passwd"))
    with pytest.raises(UnsafeError, match=rf"x\.zip images/a\.jpg: is {kind}, plain files"):
        unpack(path, tmp_path / "out")
    assert everything_in(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a device"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"),
    ],
)
def test_tar_members_that_are_no_files(tmp_path, type_, kind):
    member = tarfile.TarInfo("a.jpg")
    member.type, member.linkname = type_, "/etc/passwd"
    path = tar_of(tmp_path / "x.tar", (member, b""))
    with pytest.raises(UnsafeError, match=rf"x\.tar a\.jpg: is {kind}"):
        unpack(path, tmp_path / "out")
    assert everything_in(tmp_path / "out") == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("pack", [zip_of, tar_of])
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a.json", "a.json"), "has the name of another member$"),
        (("a.json", "./a.json"), "has the name of another member$"),
        (("A.json", "a.json"), r"another member but for case or accents \(A\.json\)"),
        (("\u00e9", "e\u0301"), "another member but for case or accents"),
        (("stra\u00dfe", "STRASSE"), "another member but for case or accents"),
        (("a", "a/b"), "lies in a, which is a file"),
        (("a/b/c", "A/B"), "lies in A/B, which is a file"),
    ],
)
def test_two_members_with_one_name(tmp_path, pack, names, message):
    path = pack(tmp_path / "x", *((name, b"1") for name in names))
    with pytest.raises(UnsafeError, match=message):
        unpack(path, tmp_path / "out")


def limited(code, before=""):
    """Run with little memory; seconds of processor time and what was printed."""
    script = (
        "import resource, sys\nfrom pathlib import Path\n"
        "from conceptset.io.archives import unpack\nfrom conceptset.errors import ConceptsetError\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))\n{before}\n"
        f"try:\n    {code}\n"
        "except ConceptsetError as error:\n    print(type(error).__name__, error)\n"
        "usage = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(usage.ru_utime + usage.ru_stime)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    *lines, seconds = done.stdout.splitlines()
    return float(seconds), "\n".join(lines)


def refused(path, *, within, before=""):
    seconds, said = limited(f"unpack(Path({str(path)!r}), Path({str(path) + '.out'!r}))", before)
    assert seconds < within
    return said


def empty_files(count):
    """The bytes of a tar of that many empty files; tarfile would take ten times as long."""
    header = tarfile.TarInfo("000000").tobuf(tarfile.USTAR_FORMAT)
    rest = sum(header[6:148]) + 8 * ord(" ") + sum(header[156:])
    for name in (b"%06d" % place for place in range(count)):
        yield name + header[6:148] + b"%06o\0 " % (rest + sum(name)) + header[156:]
    yield bytes(1024)


def test_one_member_too_many(tmp_path):
    names = [(f"{place}.txt", b"") for place in range(MAX_MEMBERS + 1)]
    zip_of(tmp_path / "x.zip", *names, method=zipfile.ZIP_STORED)
    said = refused(tmp_path / "x.zip", within=5)
    assert f"holds more than {MAX_MEMBERS:,} members" in said
    assert everything_in(tmp_path / "x.zip.out") == []
    with gzip.open(tmp_path / "x.tar.gz", "wb", compresslevel=1) as stream:
        stream.write(b"".join(empty_files(5_001)))
    # its members are known, and written, one by one: a smaller limit, to write fewer
    fewer = "from conceptset.io.archives import members; members.MAX_MEMBERS = 5_000"
    said = refused(tmp_path / "x.tar.gz", within=5, before=fewer)
    assert "holds more than 5,000 members" in said


def test_a_list_of_members_longer_than_it_says(tmp_path):
    """One member is announced, half a million are listed: each would become an object."""
    entry = b"PK\x01\x02" + bytes(24) + struct.pack("<3H", 1, 0, 0) + bytes(12) + b"a"
    assert len(entry) == 47
    listing = entry * 500_000
    end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 1, 1, len(listing), 0, 0)
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04" + listing + end)
    assert "members" in refused(tmp_path / "x.zip", within=5)
    huge = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 1, 1, 100 << 20, 0, 0)
    with (tmp_path / "y.zip").open("wb") as stream:
        stream.write(b"PK\x03\x04")
        stream.seek(101 << 20)
        stream.write(huge)
    assert "lists its members in 104,857,600 bytes" in refused(tmp_path / "y.zip", within=5)


def test_bombs(tmp_path):
    zeros = bytes(1 << 20)
    packed = zipfile.ZIP_DEFLATED
    with (
        zipfile.ZipFile(tmp_path / "one.zip", "w", packed) as archive,
        archive.open("a.json", "w") as stream,
    ):
        for _ in range(200):
            stream.write(zeros)
    with zipfile.ZipFile(tmp_path / "many.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for place in range(200):  # each below what one member may have
            archive.writestr(f"{place}.json", zeros)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for place in range(200):
            member = tarfile.TarInfo(f"{place}.json")
            member.size = len(zeros)
            archive.addfile(member, io.BytesIO(zeros))
    for name in ("one.zip", "many.zip", "a.tar.gz"):
        said = refused(tmp_path / name, within=10)
        assert said.startswith("UnsafeError")
        assert "grows to more than 200 times its packed size" in said
        written = sum(p.stat().st_size for p in (tmp_path / f"{name}.out").rglob("*"))
        assert written < 80 << 20


def test_members_that_share_their_bytes(tmp_path):
    """The bomb without nesting: every entry of the list points to one member."""
    path = zip_of(tmp_path / "x.zip", ("000000", os.urandom(1 << 19)), method=zipfile.ZIP_STORED)
    data = path.read_bytes()
    place = data.rindex(b"PK\x01\x02")
    end = data.rindex(b"PK\x05\x06")
    entries = [data[place:end].replace(b"000000", b"%06d" % number) for number in range(1000)]
    listing = b"".join(entries)
    tail = struct.pack("<4H2LH", 0, 0, 1000, 1000, len(listing), place, 0)
    path.write_bytes(data[:place] + listing + b"PK\x05\x06" + tail)
    assert "as a bomb does" in refused(path, within=5)


def test_a_header_that_is_a_bomb(tmp_path):
    """Extended headers of a tar are read whole: one of 2 GB of zeros packs to 2 MB."""
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 2 << 30
    with gzip.open(tmp_path / "x.tar.gz", "wb", compresslevel=1) as stream:
        stream.write(header.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(64):
            stream.write(bytes(1 << 20))
    assert "has a header of more than 1024 KiB" in refused(tmp_path / "x.tar.gz", within=10)


def test_headers_that_never_end(tmp_path):
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 5
    block = header.tobuf(tarfile.GNU_FORMAT) + b"long\0".ljust(512, b"\0")
    with gzip.open(tmp_path / "x.tar.gz", "wb") as stream:
        stream.write(block * 5000)
    said = refused(tmp_path / "x.tar.gz", within=10)
    assert "damaged" in said or "header of more than" in said


@pytest.mark.parametrize(("field", "value"), [(24, 10), (24, 5000), (20, 3), (16, 7)])
def test_a_zip_that_lies(tmp_path, field, value):
    """Bytes unpacked, bytes packed, checksum: as the list of members has them."""
    path = zip_of(tmp_path / "x.zip", ("a.json", b'{"a": 1}' * 500))
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x01\x02") + field
    data[place : place + 4] = struct.pack("<L", value)
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"x\.zip a\.json: (is damaged|holds fewer)"):
        unpack(path, tmp_path / "out")


def test_a_zip_that_announces_more_than_any_disk_has(tmp_path):
    path = zip_of(tmp_path / "x.zip", ("a.json", b"{}"))
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x01\x02")
    data[place + 20 : place + 28] = struct.pack("<2L", 0xFFFFFFF0, 0xFFFFFFF0)
    entry = bytes(data[place : data.rindex(b"PK\x05\x06")])
    listing = b"".join(entry.replace(b"a.json", b"%06d" % number) for number in range(100))
    end = struct.pack("<4H2LH", 0, 0, 100, 100, len(listing), place, 0)
    path.write_bytes(data[:place] + listing + b"PK\x05\x06" + end)
    with pytest.raises(UnsafeError, match=r"x\.zip: holds more than 64 GiB when unpacked"):
        unpack(path, tmp_path / "out")


def test_what_cannot_be_read_says_why(tmp_path):
    path = zip_of(tmp_path / "x.zip", ("a.json", b"{}"))
    data = bytearray(path.read_bytes())
    for place in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
        data[place] |= 1
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"a\.json: is encrypted.*password"):
        unpack(path, tmp_path / "encrypted")
    zip_of(path, ("a.json", b"{}"), method=zipfile.ZIP_LZMA)
    with pytest.raises(SourceError, match=r"a\.json: is packed with lzma, which is not read"):
        unpack(path, tmp_path / "lzma")


def test_archives_inside_stay_closed(tmp_path):
    inner = zip_of(tmp_path / "inner.zip", ("../evil", b"1"))
    path = zip_of(tmp_path / "x.zip", ("inner.zip", inner.read_bytes()))
    unpack(path, tmp_path / "out")
    assert everything_in(tmp_path / "out") == ["inner.zip"]


def seeds():
    with tempfile.TemporaryDirectory() as folder:
        content = (("a.json", b'{"a": [1, 2]}' * 30), ("images/b.png", bytes(range(200))))
        yield zip_of(Path(folder, "a"), *content).read_bytes()
        yield zip_of(Path(folder, "b"), *content, method=zipfile.ZIP_STORED).read_bytes()
        yield tar_of(Path(folder, "c"), *content).read_bytes()
        yield tar_of(Path(folder, "d"), ("x" * 150, b"1"), *content, mode="w:gz").read_bytes()


SEEDS = list(seeds())


@given(
    seed=st.integers(0, len(SEEDS) - 1),
    changes=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=6),
    cut=st.none() | st.integers(0, 4000),
    shuffle=st.integers(0, 1 << 16),
)
def test_only_our_errors_and_only_inside(seed, changes, cut, shuffle):
    data = bytearray(SEEDS[seed])
    for place, value in changes:
        data[place % len(data)] = value
    if shuffle % 5 == 0:  # a piece somewhere else
        begin, end = sorted(random.Random(shuffle).sample(range(len(data)), 2))
        data[begin:end] = data[begin:end][::-1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.zip")
        path.write_bytes(data[:cut])
        said = str(path)
        try:
            unpack(path, Path(folder, "out"))
        except ConceptsetError as error:
            said = str(error)
        assert said.startswith(str(path))
        assert {one.name for one in Path(folder).iterdir()} <= {"x.zip", "out"}
        assert not any(one.is_symlink() for one in Path(folder).rglob("*"))


def test_a_listing_of_more_members_than_it_holds(tmp_path):
    end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 65_535, 65_535, 0, 0, 0)
    wide = b"PK\x06\x06" + struct.pack("<Q2H2L4Q", 44, 0, 0, 0, 0, 1 << 40, 1 << 40, 0, 0)
    place = b"PK\x06\x07" + struct.pack("<LQL", 0, 4, 1)
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04" + wide + place + end)
    with pytest.raises(UnsafeError, match="holds more than 65,535 members"):
        unpack(tmp_path / "x.zip", tmp_path / "out")


def test_one_member_larger_than_the_limit(tmp_path):
    member = tarfile.TarInfo("a.bin")
    member.size = 65 << 30
    (tmp_path / "x.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(UnsafeError, match=r"x\.tar: holds more than 64 GiB when unpacked"):
        unpack(tmp_path / "x.tar", tmp_path / "out")
