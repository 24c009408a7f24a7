"""Every rule: one set it passes, and one it fails alone."""

from __future__ import annotations

import re

import pytest
from mutations import MUTATIONS
from small_sets import SmallSet

from conceptset.errors import UsageError
from conceptset.findings import Severity
from conceptset.parsing.defects import DEFECTS
from conceptset.validate import explain, rules, titles, validate
from conceptset.validate.registry import rule

# Findings in tables name the line where there is a row to look at; here there is none.
WITHOUT_A_LINE = {"LAY004", "LAY005", "LAY009", "CAT002", "CAT005", "CAT010", "CAT014"}


@pytest.mark.parametrize("people", [("ada", "bob"), ("ada",)])
def test_valid_set_of_ours(tmp_path, people):
    small = SmallSet(people)
    if len(people) == 1:
        del small.names[5]
        small.count()
    report = validate(small.write(tmp_path / "set"))
    assert report.findings == ()
    assert (report.images, report.maps) == (3, 4 + (3 if len(people) == 1 else 5))


def test_valid_foreign_set(tmp_path):
    report = validate(SmallSet(ours=False).write(tmp_path / "set"))
    assert report.findings == ()


def test_every_code_has_a_set_it_fails(tmp_path):
    assert {code for code, _, _ in MUTATIONS} == set(rules())
    applicable = {code for code, rule in rules().items() if rule.foreign is not None}
    assert {code for code, _, ours in MUTATIONS if not ours} <= applicable


@pytest.mark.parametrize(
    ("code", "change", "ours"), MUTATIONS, ids=[f"{c}-{f.__name__}" for c, f, _ in MUTATIONS]
)
def test_fails_alone(tmp_path, code, change, ours):
    small = SmallSet(ours=ours)
    change(small)
    root = small.write(tmp_path / "set")
    report = validate(root)
    assert {finding.code for finding in report.findings} == {code}, report.findings
    one = rules()[code]
    for finding in report.findings:
        assert finding.severity is (one.severity if ours else one.foreign)
        assert finding.hint == one.fix
        assert finding.message
        assert finding.path
        assert ".." not in finding.path
        if finding.path.endswith(".csv") and code not in WITHOUT_A_LINE:
            assert finding.line is not None, finding
    assert report.failed("warning")
    assert report.failed() == (report.findings[0].severity is Severity.ERROR)
    assert validate(root, ignore=[code]).findings == ()


def test_evidence_of_pixels(tmp_path):
    expected = {"SEG008": (2, 3), "SEG009": (2, 3), "SEG011": (0, 1), "SEG015": (0, 0)}
    found = {}
    for number, (code, change, ours) in enumerate(MUTATIONS):
        if code in expected and code not in found:
            small = SmallSet(ours=ours)
            change(small)
            report = validate(small.write(tmp_path / str(number)))
            found[code] = report.findings[0].pixel
            assert report.findings[0].path.startswith("images/")
    assert found == expected


def test_codes_and_texts():
    known = {"LAY", "IDX", "CAT", "SEG", "SPL", "ANN"}
    assert {code[:3] for code in rules()} == known
    assert len(rules()) >= 34
    assert list(rules()) == sorted(rules())
    whats = [one.what for one in rules().values()]
    assert len(set(whats)) == len(whats)
    for code, one in rules().items():
        assert re.fullmatch(r"[A-Z]{3}\d{3}", code)
        assert one.check.__module__.rpartition(".")[2].startswith(code[:3].lower())
        for text in (one.what, one.why, one.fix):
            assert text[0].isupper() or text.startswith(("ih", "first", "images.csv", "conceptset",
                "annotators.csv", "category.csv", "index.csv", "label.csv", "count", "0 ", "255",
                "`"))  # fmt: skip
            assert text.endswith(".")


def test_every_code_has_a_title():
    listed = titles()
    assert [code for code, _, _ in listed] == sorted([*rules(), *DEFECTS])
    assert all(severity in ("error", "warning") and title for _, severity, title in listed)


def test_explain():
    text = explain("SEG003")
    assert text.startswith("SEG003 (error)\n\nA label map is no PNG.\n\n")
    assert "\n\nHow to fix: Write the map as PNG" in text
    assert explain("IDX007").startswith("IDX007 (error; in a foreign layout: warning)")
    assert explain("LAY001").startswith("LAY001 (error; in a foreign layout: not checked)")
    code = min(DEFECTS)
    assert DEFECTS[code].fix in explain(code)


@pytest.mark.parametrize(("code", "near"), [("SEG999", "SEG0"), ("seg003", "SEG003"), ("?", "LAY")])
def test_explain_unknown(code, near):
    with pytest.raises(UsageError) as caught:
        explain(code)
    assert near in str(caught.value)


def test_one_code_one_rule():
    before = len(rules())
    with pytest.raises(ValueError, match="two rules have the code LAY001"):
        rule("LAY001", Severity.ERROR, foreign=None)(lambda context: iter(()))
    with pytest.raises(ValueError, match="1 parts, 3 are needed"):
        rule("LAY999", Severity.ERROR, foreign=None)(lambda context: iter(()))
    assert len(rules()) == before
