"""What options are written like, and what is said when they are not."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, Field, field_validator, model_validator

from conceptset.errors import UsageError
from conceptset.present.values import checked_options, parse_size


class Options(BaseModel):
    batch_size: int = Field(default=1, ge=1)
    fit: Literal["squash", "pad"] = "squash"
    quantile: str = "0.5"

    @field_validator("quantile")
    @classmethod
    def _decimal(cls, text: str) -> str:
        if text == "x":
            raise ValueError("is 'x', a decimal was expected")
        return text

    @model_validator(mode="after")
    def _together(self) -> Options:
        if self.batch_size == 7:
            raise ValueError("a batch of 7 brings no luck")
        return self


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batch_size": 0}, "--batch-size is 0: it should be greater than or equal to 1"),
        ({"fit": "wide"}, "--fit is 'wide': it should be 'squash' or 'pad'"),
        ({"quantile": "x"}, "--quantile is 'x', a decimal was expected"),
        ({"batch_size": 7}, "a batch of 7 brings no luck"),
        ({"fit": "a\x1b" * 100}, r"--fit is 'a\x1ba\x1b"),
    ],
)
def test_the_first_complaint_in_our_words(values, message):
    with pytest.raises(UsageError) as caught:
        checked_options(Options, values)
    assert str(caught.value).startswith(message)
    assert len(str(caught.value)) < 150


def test_good_options_pass():
    assert checked_options(Options, {"fit": "pad"}) == Options(fit="pad")


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", (1, 1)), (" 224 ", (224, 224)), ("3x4", (3, 4)), ("16384X1", (16384, 1))],
)
def test_sizes(text, size):
    assert parse_size(text, "--x") == size


@pytest.mark.parametrize(
    "text", ["", "0", "0x3", "16385", "3x", "x3", "-1", "1.5", "٣", "1e3", "3 4"]
)
def test_no_sizes(text):
    with pytest.raises(UsageError, match="--x is '"):
        parse_size(text, "--x")
    with pytest.raises(UsageError, match=r"was expected|were expected"):
        parse_size(text, "--x", also="keep")
