"""The five forms of a report."""

from __future__ import annotations

import json

import pytest
from small_sets import SmallSet

from conceptset.errors import UsageError
from conceptset.validate import Report, format_report, rules, validate
from conceptset.validate.output import OUTPUT_FORMATS


@pytest.fixture
def report(tmp_path):
    small = SmallSet()
    small.put("label.csv", 2, "frequency", 3)
    small.put("label.csv", 2, "syns", "dog")
    small.put("index.csv", 3, "split", "")
    small.files["images/cam/50%, or \u202e:so.txt"] = b""
    pixels = small.maps["cam/a_part.png"]
    pixels[2, 3] = 300
    return validate(small.write(tmp_path / "set"))


def test_sorted(report):
    keys = [(finding.path, finding.line or 0, finding.code) for finding in report.findings]
    assert keys == sorted(keys)
    assert [code for _, _, code in keys] == ["LAY011", "SEG009", "SPL001", "CAT017", "CAT023"]
    assert (report.errors, report.warnings) == (3, 2)
    assert report.failed()
    assert report.failed("warning")


def test_text(report):
    text = format_report(report)
    assert "label.csv:2: CAT023 frequency is 3, 2 images carry the label 1 [frequency]\n" in text
    assert "label.csv:2: CAT017 (warning) the synonym" in text
    assert "[row 2, column 3]" in text
    assert "    hint: Write the number of images" in text
    assert text.endswith("Checked 3 images and 9 label maps: 3 errors, 2 warnings.\n")
    assert "\u202e" not in text
    assert "      1  SPL001  A photograph belongs to no split.\n" in text


def test_text_says_each_hint_once(tmp_path):
    small = SmallSet()
    for line in (2, 3, 4):
        small.put("index.csv", line, "split", "")
    text = format_report(validate(small.write(tmp_path / "set")))
    assert text.count("SPL001") == 4  # three findings, one line of the summary
    assert text.count("hint:") == 1


def test_text_without_findings(tmp_path):
    report = validate(SmallSet().write(tmp_path / "set"))
    assert format_report(report) == "Checked 3 images and 9 label maps: nothing found.\n"
    assert not report.failed("warning")


def test_warnings_alone_do_not_fail(report):
    warnings = tuple(one for one in report.findings if one.severity == "warning")
    only = Report(warnings, 3, 9)
    assert not only.failed()
    assert only.failed("warning")


@pytest.mark.parametrize("limit", [0, 1, 4])
def test_limit(report, limit):
    left = 5 - limit
    text = format_report(report, limit=limit)
    assert f"... and {left} more finding{'s' if left > 1 else ''}, left out by the limit." in text
    assert text.count("hint:") == limit
    document = json.loads(format_report(report, "json", limit))
    assert (len(document["findings"]), document["left_out"]) == (limit, left)
    assert document["errors"] == 3
    lines = format_report(report, "jsonl", limit).splitlines()
    assert len(lines) == limit + 1
    assert json.loads(lines[-1]) == {"left_out": left}
    run = json.loads(format_report(report, "sarif", limit))["runs"][0]
    assert (len(run["results"]), run["properties"]["leftOut"]) == (limit, left)
    assert f"{left} more finding" in format_report(report, "github", limit).splitlines()[-1]


def test_limit_not_reached(report):
    for name in OUTPUT_FORMATS:
        assert format_report(report, name, 5) == format_report(report, name)


def test_json_and_jsonl_hold_the_findings(report):
    document = json.loads(format_report(report, "json"))
    lines = [json.loads(line) for line in format_report(report, "jsonl").splitlines()]
    expected = [finding.model_dump(mode="json") for finding in report.findings]
    assert document["findings"] == lines == expected
    assert (document["images"], document["maps"]) == (3, 9)


def test_sarif(report):
    document = json.loads(format_report(report, "sarif"))
    assert document["version"] == "2.1.0"
    assert document["$schema"].startswith("https://")
    assert document["$schema"].endswith("sarif-2.1.0.json")
    (run,) = document["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "conceptset"
    listed = [one["id"] for one in driver["rules"]]
    assert listed == sorted({finding.code for finding in report.findings})
    for result, finding in zip(run["results"], report.findings, strict=True):
        assert listed[result["ruleIndex"]] == result["ruleId"] == finding.code
        assert result["level"] in ("error", "warning")
        assert finding.hint in result["message"]["text"]
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert " " not in place["artifactLocation"]["uri"]
        assert place.get("region", {}).get("startLine") == finding.line
    orphan = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert orphan == "images/cam/50%25%2C%20or%20%E2%80%AE%3Aso.txt"
    assert run["results"][1]["properties"]["pixel"] == [2, 3]


def test_github(report):
    lines = format_report(report, "github").splitlines()
    assert lines[0].startswith("::warning file=images/cam/50%25%2C or ")
    assert "%3Aso.txt,title=LAY011::" in lines[0]
    assert lines[2].startswith("::error file=index.csv,line=3,title=SPL001::cam/b.jpg has no split")
    assert all(line.startswith(("::error ", "::warning ")) for line in lines)


def test_unknown_format(report):
    with pytest.raises(UsageError, match="text, json, jsonl, sarif, github"):
        format_report(report, "yaml")


def test_catalogue_is_used_for_the_summary(report):
    text = format_report(report)
    for code in {finding.code for finding in report.findings}:
        assert rules()[code].what in text
