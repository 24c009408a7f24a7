"""Options and the description of a run."""

from __future__ import annotations

from fractions import Fraction

import pytest
from pydantic import ValidationError

from conceptset.errors import LayoutError, SourceError
from conceptset.io.tables import format_json
from dissect.state import ModelRecord, RunConfig, SetRecord, fingerprint_of, open_run

MODEL = ModelRecord(
    name="m",
    source="s",
    weights="w",
    digest="0" * 64,
    mean=(0, 0, 0),
    std=(1, 1, 1),
    assumed=False,
)
SET = SetRecord(name="set", digest="1" * 64)


@pytest.mark.parametrize(
    ("text", "share"), [("0.0050", "0.005"), (".1", "0.1"), ("5e-05", "0.00005"), ("0.29", "0.29")]
)
def test_a_quantile_has_one_spelling(text, share):
    config = RunConfig(layers=("a",), quantile=text)
    assert config.quantile == share
    assert config.share == Fraction(share)


@pytest.mark.parametrize("text", ["0", "1", "1.5", "0.0", "-0.1", "nan", "1/3", "", "0.1 ", "1e0"])
def test_what_is_no_quantile(text):
    with pytest.raises(ValidationError, match="between 0 and 1"):
        RunConfig(layers=("a",), quantile=text)


def test_a_layer_is_named_once():
    with pytest.raises(ValidationError, match="the layer a is named twice"):
        RunConfig(layers=("a", "b", "a"))


def test_the_fingerprint_follows_content_and_no_place():
    config = RunConfig(layers=("a",))
    first = fingerprint_of(config, SET, MODEL)
    assert first == fingerprint_of(config, SET.model_copy(update={"name": "moved"}), MODEL)
    for other in ({"threads": 7}, {"layers": ("b",)}, {"device": "cuda"}, {"top_images": 1}):
        assert first != fingerprint_of(config.model_copy(update=other), SET, MODEL)
    assert first != fingerprint_of(config, SET.model_copy(update={"digest": "2" * 64}), MODEL)
    assert first != fingerprint_of(config, SET, MODEL.model_copy(update={"mean": (1, 0, 0)}))


def test_a_directory_that_is_no_run(tmp_path):
    with pytest.raises(SourceError, match="is no run"):
        open_run(tmp_path)
    (tmp_path / "run.json").write_bytes(format_json({"schema_version": 1}))
    with pytest.raises(LayoutError, match=r"run\.json /generator"):
        open_run(tmp_path)
