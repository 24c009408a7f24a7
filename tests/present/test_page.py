"""The frame of every page."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from jinja2 import DictLoader, UndefinedError

from conceptset.present.page import (
    page_environment,
    render_page,
    shown_name,
    shown_number,
    shown_percent,
)


def environment(body):
    found = page_environment("conceptset.present")
    text = '{% extends "page.html" %}{% block body %}' + body + "{% endblock %}"
    found.loader.loaders.insert(0, DictLoader({"toy.html": text}))
    return found


def digest(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_policy_names_style_and_script():
    page = render_page(
        environment("<p>{{ word }}</p>"), "toy.html", title="a <b>", word="<i>", scripts=["let x;"]
    ).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page).group(1)
    policy = policy.replace("&#39;", "'").replace("&#43;", "+")
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL).group(1)
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL).group(1)
    assert "default-src 'none'" in policy
    assert f"'sha256-{digest(style)}'" in policy
    assert f"'sha256-{digest(script)}'" in policy
    assert "unsafe" not in policy
    assert "<p>&lt;i&gt;</p>" in page
    assert "<title>a &lt;b&gt;</title>" in page
    assert "let x;" in script


def test_missing_name_is_an_error():
    with pytest.raises(UndefinedError):
        render_page(environment("{{ word }}"), "toy.html", title="t")


@pytest.mark.parametrize("kind", ["styles", "scripts"])
def test_assets_cannot_end_their_element(kind):
    with pytest.raises(ValueError, match="would end"):
        render_page(environment(""), "toy.html", title="t", **{kind: ["</STYLE></script>"]})


def test_filters():
    assert shown_name("a\x00b\u202ec") == "a\\x00b\\u202ec"
    assert len(shown_name("x" * 1000)) == 160
    assert shown_number(None) == "–"
    assert shown_number(0.12349) == "0.123"
    assert shown_number(1234.5, 1) == "1\u202f234.5"
    assert shown_percent(0) == "0\u202f%"
    assert shown_percent(0.0004) == "0.0\u202f%"
    assert shown_percent(0.0999) == "10\u202f%"
