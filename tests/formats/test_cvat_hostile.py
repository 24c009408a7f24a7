"""CVAT files that were made to harm, or broken on the way: one bad thing costs only itself."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from conceptset.errors import ConceptsetError, printable
from conceptset.formats.base import Candidate
from conceptset.formats.cvat import FORMAT
from conceptset.formats.cvat import runs as module
from conceptset.formats.cvat.runs import Budget, rle_from_runs
from conceptset.geometry import MAX_PIXELS

SIZE = (40, 60)
GOOD = '<polygon label="good" points="1,1;9,1;9,9"/>'


@pytest.fixture
def read(tmp_path, save, read_format):
    def run(element, attributes='width="60" height="40"', name="a.png", **options):
        save(tmp_path / "images/a.png", SIZE)
        path = tmp_path / "annotations.xml"
        path.write_text(
            f'<annotations><image name="{name}" {attributes}>{GOOD}{element}{GOOD}</image>'
            '<image name="a.png" width="60" height="40"/></annotations>',
            encoding="utf-8",
        )
        return read_format(FORMAT, path, tmp_path / "images", **options)

    return run


MASK = '<mask label="x" rle="{rle}" left="{left}" top="{top}" width="{width}" height="{height}"/>'


def mask(rle="2, 2", left="0", top="0", width="2", height="2"):
    return MASK.format(rle=rle, left=left, top=top, width=width, height=height)


@pytest.mark.parametrize(
    ("element", "code"),
    [
        ('<polygon label="x" points="1,1;9,1;nan,9"/>', "SRC018"),
        ('<polygon label="x" points="1,1;9,1;inf,9"/>', "SRC018"),
        ('<polygon label="x" points="1,1;9,1;1e400,9"/>', "SRC018"),
        ('<polygon label="x" points="1,1;9,1;1e300,9"/>', "SRC019"),
        ('<polygon label="x" points="1,1;9,1;9"/>', "SRC020"),
        ('<polygon label="x" points="1,1;9,1;9,9,9"/>', "SRC020"),
        ('<polygon label="x" points="1,2,3;4;5,6"/>', "SRC020"),
        ('<polygon label="x" points="1,1;9,1;9,9;"/>', "SRC020"),
        ('<polygon label="x" points="1,1;9,1;1.2.3,9"/>', "SRC018"),
        ('<polygon label="x" points="1,1;9,1;,9"/>', "SRC018"),
        ('<polygon label="x" points="1,1;9,1;1_0,9"/>', "SRC018"),
        ('<polygon label="x" points="1,1;9,1;\u0661,9"/>', "SRC018"),
        ('<polygon label="x" points="1,1;9,1;&#160;9,9"/>', "SRC018"),
        ('<polygon label="x" points=""/>', "SRC020"),
        ('<polygon label="x"/>', "SRC016"),
        ('<polygon label="x" points="1,1;9,1;1,1;9,1"/>', "SRC017"),
        ('<box label="x" xtl="1" ytl="1" xbr="5"/>', "SRC018"),
        ('<box label="x" xtl="1" ytl="1" xbr="5" ybr=""/>', "SRC018"),
        ('<box label="x" xtl="1" ytl="1" xbr="5" ybr="-inf"/>', "SRC018"),
        ('<box label="x" xtl="1" ytl="1" xbr="5" ybr="1e8"/>', "SRC019"),
        ('<box label="x" xtl="5" ytl="1" xbr="1" ybr="5"/>', "SRC022"),
        ('<box label="x" xtl="1" ytl="1" xbr="1" ybr="5"/>', "SRC022"),
        ('<box label="x" xtl="1" ytl="1" xbr="5" ybr="5" rotation="x"/>', "SRC018"),
        ('<box label="x" xtl="1" ytl="1" xbr="5" ybr="5" rotation="1e99"/>', "SRC019"),
        ('<ellipse label="x" cx="1" cy="1" rx="0" ry="5"/>', "SRC042"),
        ('<ellipse label="x" cx="1" cy="1" rx="5" ry="-5"/>', "SRC042"),
        ('<ellipse label="x" cx="1" cy="1" rx="5"/>', "SRC018"),
        ('<cuboid label="x" xtl1="1"/>', "SRC018"),
        (mask(rle=""), "SRC023"),
        (mask(rle="2,,2"), "SRC023"),
        (mask(rle="2, x"), "SRC023"),
        (mask(rle="2, 2.5"), "SRC023"),
        (mask(rle="5, -1"), "SRC023"),
        (mask(rle="2, 3"), "SRC023"),
        (mask(rle="1e308, 1e308"), "SRC023"),
        (mask(rle="9" * 5000), "SRC023"),
        (mask(rle="9223372036854775807, 9223372036854775807, 6"), "SRC023"),
        (mask(left="x"), "SRC023"),
        (mask(left="1.5"), "SRC023"),
        (mask(width="0"), "SRC023"),
        (mask(width="-2"), "SRC023"),
        (mask(width=""), "SRC023"),
        (mask(width="9" * 5000), "SRC023"),
        (mask(width="999999999", height="999999999"), "SRC024"),
        (mask(rle="122", width="61"), "SRC024"),
        ('<tag label=""/>', "SRC010"),
        ('<tag label=" &#9; "/>', "SRC010"),
        ('<tag label="&#x200b;"/>', "SRC010"),
        ("<tag/>", "SRC010"),
        ('<circle label="x" cx="1"/>', "SRC041"),
        ('<tag label="x" z_order="1e5"/>', "SRC040"),
        ('<tag label="x" z_order="99999999999999999999"/>', "SRC040"),
        ("<!-- a comment --><?pi some?>", None),
        ('<tag label="x"><attribute/><attribute name="&#x202e;">\u0000x</attribute></tag>', "bad"),
    ],
)
def test_one_bad_shape_among_good_ones(read, element, code):
    if code == "bad":  # NUL is no XML: the file as a whole is broken
        with pytest.raises(ConceptsetError, match="not well-formed"):
            read(element)
        return
    records, findings = read(element)
    assert [region.name for region in records[0].regions if region.name != "x"] == ["good"] * 2
    assert [finding.code for finding in findings if finding.code != "SRC046"] == (
        [] if code is None else [code]
    )
    for finding in findings:
        assert finding.pointer.startswith("/image[")
        assert len(finding.message) < 400
        assert finding.message == printable(finding.message, 400)


@pytest.mark.parametrize(
    ("name", "attributes", "code"),
    [
        ("", 'width="60" height="40"', "SRC007"),
        ("../a.png", 'width="60" height="40"', "SRC006"),
        ("/etc/passwd", 'width="60" height="40"', "SRC006"),
        ("C:\\a.png", 'width="60" height="40"', "SRC006"),
        ("a&#10;.png", 'width="60" height="40"', "SRC006"),
        ("x" * 10_000, 'width="60" height="40"', "SRC006"),
        ("b.png", 'width="60" height="40"', "SRC001"),
        ("a.png", 'width="40" height="60"', "SRC004"),
        ("a.png", 'width="99999999999" height="40"', "SRC004"),
        ("a.png", 'width="-60" height="40"', "SRC005"),
        ("a.png", 'width="" height="x"', "SRC005"),
        ("a.png", 'width="60" height="40" subset="../.."', "SRC045"),
        ("a.png", 'width="60" height="40" subset="&#10;" task_id="&#x202e;"', "SRC045"),
    ],
)
def test_one_bad_image_among_good_ones(read, name, attributes, code):
    records, findings = read("", attributes, name)
    lost = code not in ("SRC045", "SRC005")
    second = [] if code == "SRC045" else [0]  # the same file, listed without a subset
    assert [len(record.regions) for record in records] == ([0] if lost else [2, *second])
    codes = [finding.code for finding in findings]
    assert [one for one in codes if one != "SRC046"] == ([code] if code else [])


def test_a_name_can_be_anything_but_is_printed_safely(read):
    label = "&#x202e;=cmd()&#10;" + "y" * 10_000
    records, findings = read(f'<polygon label="{label}" points="1,1"/>')
    assert len(records[0].regions) == 2
    text = str(findings[0])
    assert "\\u202e=cmd()\\ny" in text
    assert len(text) < 600
    assert text.isprintable()


def test_runs_that_are_many_by_columns():
    """Stripes: 4,000 runs along the rows, 20 million along the columns."""
    size = (4000, 5000)
    stripes = np.full(4000, 5000.0)
    with pytest.raises(ValueError, match="20,000,000 runs by columns"):
        rle_from_runs(stripes, (0, 0, 5000, 4000), size, Budget())


def test_many_masks_of_one_image(read, monkeypatch):
    monkeypatch.setattr(module, "MAX_CHANGES_OF_IMAGE", 300)
    whole = mask("0, 2400", width="60", height="40")
    records, findings = read(whole)
    assert not [f for f in findings if f.code == "SRC023"]
    monkeypatch.setattr(Budget.__init__, "__defaults__", (300,))
    records, findings = read(whole * 4)
    assert [f.pointer for f in findings if f.code == "SRC023"] == [
        "/image[1]/mask[3]", "/image[1]/mask[4]",
    ]  # fmt: skip
    assert len(records[0].regions) == 4


def test_a_mask_of_the_largest_image_is_quick():
    side = int(MAX_PIXELS**0.5)
    third = float(side * side // 3)
    begin = time.process_time()
    for _ in range(10):
        rle = rle_from_runs(
            np.array([third, third, side * side - 2 * third]), (0, 0, side, side), (side, side),
            Budget(),
        )  # fmt: skip
    assert time.process_time() - begin < 2
    assert int(rle.counts[1::2].sum()) == int(third)


def measured(tmp_path, body):
    """(records, regions, findings by code, peak MiB, CPU seconds) in a process of its own."""
    program = f"""
        import time
        from collections import Counter
        from pathlib import Path
        from conceptset.errors import ConceptsetError
        from conceptset.findings import Problems
        from conceptset.formats.base import Candidate, ReadContext
        from conceptset.formats.cvat import FORMAT
        from conceptset.io.catalogue import ImageCatalogue

        path = Path({str(tmp_path)!r})
        problems = Problems("collect")
        context = ReadContext(ImageCatalogue(path / "images"), problems, "a.xml")
        begin = time.process_time()
        regions, said = 0, ""
        FORMAT.detect(Candidate(path / "a.xml"))
        try:
            for record in FORMAT.read(path / "a.xml", context):
                regions += len(record.regions)
        except ConceptsetError as error:
            said = type(error).__name__
        codes = ",".join(sorted({{finding.code for finding in problems.findings}}))
        status = Path("/proc/self/status").read_text()  # ru_maxrss would be pytest's, if larger
        peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
        print(regions, said or "-", codes or "-", peak, time.process_time() - begin)
    """
    with (tmp_path / "a.xml").open("w") as stream:
        stream.writelines(body)
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    regions, said, codes, peak, seconds = result.stdout.split()
    return int(regions), said, codes, float(peak), float(seconds)


def image(*elements):
    yield '<annotations><image name="a.png" width="4000" height="3000">'
    yield from elements
    yield "</image></annotations>"


@pytest.mark.parametrize(
    ("body", "regions", "said", "codes"),
    [
        (lambda: image('<polygon label="x" points="', "1,1;" * 5_000_000, '1,1"/>'), 0,
         "UnsafeError", "-"),
        (lambda: image('<polygon label="x" points="', "1,1;12,3;5,9;" * 1_000_000, '1,1"/>'), 1,
         "-", "-"),
        (lambda: image(*['<polygon label="x" points="1,1"/>'] * 20_000), 0, "-", "SRC017"),
        (lambda: image(*[mask("0, 12000000", width="4000", height="3000")] * 5_000), 2_000, "-",
         "SRC023"),
        (lambda: image('<mask label="x" left="0" top="0" width="4000" height="3000" rle="',
                       "4000, " * 2_999, '4000"/>'), 0, "-", "SRC023"),
        (lambda: image('<tag label="', "&#x1f600;" * 1_000_000, '"/>'), 0, "-", "SRC010"),
        (lambda: ["<annotations>", *(f'<track label="{n}"><box frame="{n}" xtl="1" ytl="1" '
                                     'xbr="2" ybr="2"/></track>' for n in range(20_000))],
         0, "SourceError", "-"),
    ],
    ids=["20-million", "5-million", "slips", "whole-masks", "stripes", "label", "cut-short"],
)  # fmt: skip
def test_memory_and_time_are_bounded(tmp_path, save, body, regions, said, codes):
    save(tmp_path / "images/a.png", (3000, 4000))
    found = measured(tmp_path, body())
    assert found[:3] == (regions, said, codes)
    assert found[3] < 900
    assert found[4] < 60


def test_a_file_cut_short_keeps_what_came_before(tmp_path, save, read_format):
    save(tmp_path / "a.png", SIZE)
    path = tmp_path / "a.xml"
    text = f'<annotations><image name="a.png" width="60" height="40">{GOOD}</image><image name="'
    path.write_text(text)
    found = FORMAT.detect(Candidate(path))
    assert found.matches
    with pytest.raises(ConceptsetError, match="is no valid XML"):
        read_format(FORMAT, path, tmp_path)
