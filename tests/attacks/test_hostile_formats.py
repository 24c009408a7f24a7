"""Hostile files of every format, through the command line: refused or left out, never harmful."""

from __future__ import annotations

import sys
import time

import pytest

from conceptset.formats.base import Candidate
from conceptset.formats.labelme_xml import FORMAT as LABELME_XML
from conceptset.parsing.values import MAX_NAME, clean_name, described
from conceptset.present import console
from conceptset.records import Person

HARMFUL = "a\x1b[2J\u202eb"


@pytest.mark.parametrize("text", ["1" * 200_000, "#" * 200_000, " " * 200_000 + "x#100"])
def test_a_long_annotator_is_parsed_at_once(text):
    begin = time.process_time()
    assert Person.parse(text) == Person(text.strip())
    assert time.process_time() - begin < 1


def test_a_username_that_never_ends_is_looked_at_once(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<annotation><object><polygon><username>" + " " * 60_000)
    begin = time.process_time()
    assert LABELME_XML.detect(Candidate(path)).matches
    assert time.process_time() - begin < 2


def test_a_name_is_no_longer_than_tables_take():
    assert clean_name(" " + "x" * MAX_NAME) == "x" * MAX_NAME
    assert clean_name("x" * (MAX_NAME + 1)) is None
    assert described("x" * 20_000).endswith("of 20,000 characters")
    assert len(described("x" * 20_000)) < 100


def test_a_terminal_gets_no_control_characters(monkeypatch, capsys):
    console.show(f"{HARMFUL},1\nb\n")
    assert capsys.readouterr().out == f"{HARMFUL},1\nb\n"  # a file gets what is there
    console.say(HARMFUL)
    console.note(HARMFUL)
    console.show_table([("name", "left")], [("[/x]",)], title=f"[/{HARMFUL}]")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    console.show(f"{HARMFUL},1\nb\n")
    shown, told = capsys.readouterr()
    assert shown.count("a\\x1b[2J\\u202eb") == 3
    assert told == "a\\x1b[2J\\u202eb\n"
    assert "[/x]" in shown
    assert (shown + told).replace("\n", "").isprintable()
