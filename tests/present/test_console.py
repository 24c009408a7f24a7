"""Progress and tables, as a terminal gets them."""

from __future__ import annotations

import io
import re
import sys
import time

import pytest

from conceptset.errors import ConceptsetError, printable
from conceptset.findings import Finding, Problems, Severity
from conceptset.present import console


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_shows_on_a_terminal_only(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with console.progress("painting") as advance:
        for done in range(1, 30):
            advance(done, 30)
    assert "painting" in terminal.getvalue()
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with console.progress("painting") as advance:
        advance(1, 2)
    assert pipe.getvalue() == ""


@pytest.mark.parametrize(("total", "shown"), [(0, "40/?"), (80, "40/80")])
def test_progress_says_how_fast_it_is(monkeypatch, total, shown):
    """Also while nobody knows how much there is to come: a file that is being read."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with console.progress("reading") as advance:
        for done in range(1, 41):
            advance(done, total)
            time.sleep(0.01)
    assert re.search(r"\d+ images/s", terminal.getvalue())
    assert shown in terminal.getvalue()


def test_hostile_cells_cannot_move_the_cursor(capsys):
    console.show_table([("name", "left")], [("a\x1b[2Jb\u202ec",)], title="t")
    shown = capsys.readouterr().out
    assert "\x1b[2J" not in shown
    assert "\\x1b[2Jb\\u202ec" in shown


def test_messages_have_place_reason_and_remedy():
    error = ConceptsetError("is broken", path="a\nb.csv", pointer="line 3", hint="Mend it.")
    assert str(error) == "a\\nb.csv line 3: is broken. Mend it."
    assert printable("x" * 1000, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(("mode", "kept", "skipped"), [("skip", 1, 1), ("collect", 2, 1)])
def test_what_is_done_with_findings(mode, kept, skipped):
    def finding(severity):
        return Finding(code="SRC001", severity=severity, message="m", path="p", hint="h", line=2)

    problems = Problems(mode)
    problems.extend([finding(Severity.ERROR), finding(Severity.WARNING), finding(Severity.WARNING)])
    assert len(problems.findings) == kept
    assert problems.skipped == skipped
    assert str(problems.findings[0]).startswith("p:2: SRC001")
