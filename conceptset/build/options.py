"""What a build can be told."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from conceptset.build.colors import METHOD
from conceptset.errors import UsageError
from conceptset.findings import OnError
from conceptset.present import values as present

Fit = Literal["squash", "crop", "pad"]
Size = tuple[int, int]


class SourceOptions(BaseModel):
    """What is told of annotation files by whatever reads them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: str | None = None
    images: Path | None = None
    taxonomy: Path | None = None
    annotator: str | None = None
    annotator_from: str | None = None
    aliases: dict[str, str] = Field(default_factory=dict)
    match: Literal["bytes", "path"] | None = None


class BuildOptions(SourceOptions):
    """Every setting of a build; those that shape the result are recorded in the manifest.

    Sizes are (height, width); None for `image_size` keeps each photograph's own, None for
    `segmentation_size` means half of the photograph's.
    """

    image_size: Size | None = (224, 224)
    segmentation_size: Size | None = None
    fit: Fit = "squash"
    image_format: Literal["jpg", "png"] = "jpg"
    overlap: Literal["area", "order"] = "area"
    split: dict[str, str] = Field(default_factory=lambda: {"train": "0.7", "val": "0.3"})
    split_by: str | None = None
    consensus: str = "majority"
    min_frequency: int = Field(default=1, ge=1)
    min_coverage: float = Field(default=0.0, ge=0)
    on_error: OnError = "raise"
    boxes: bool = False
    colors: bool = False
    model_annotators: tuple[str, ...] = ()
    jobs: int = Field(default=1, ge=1)
    overwrite: bool = False

    def recorded(self) -> dict[str, JsonValue]:
        """The settings that shape the result, without paths of this machine."""
        settings: dict[str, JsonValue] = self.model_dump(
            mode="json", exclude={"images", "jobs", "overwrite", "format"}
        )
        for key in ("taxonomy", "annotator_from"):
            value = settings[key]
            if isinstance(value, str):
                settings[key] = Path(value).name
        settings["colors"] = METHOD if self.colors else None
        settings["split"] = ",".join(f"{name}={share}" for name, share in self.split.items())
        return settings


def parse_size(text: str, option: str) -> Size | None:
    """A size from `224`, `HxW` or, of photographs, `keep` (None).

    Raises:
        UsageError: Something else, or a side outside 1..16384.

    >>> parse_size("120x160", "--image-size"), parse_size("keep", "--image-size")
    ((120, 160), None)
    """
    if option != "--image-size":
        return present.parse_size(text, option)
    return None if text == "keep" else present.parse_size(text, option, also="keep")


def parse_split(text: str) -> dict[str, str]:
    """Shares by name from `train=0.7,val=0.3`; they must add up to 1 exactly.

    Raises:
        UsageError: They do not, or a name or number cannot be used.

    >>> parse_split("train=0.7,val=0.3")
    {'train': '0.7', 'val': '0.3'}
    """
    shares: dict[str, str] = {}
    for part in text.split(","):
        name, sign, share = (piece.strip() for piece in part.partition("="))
        try:
            value = Fraction(share)
        except (ValueError, ZeroDivisionError):
            value = Fraction(-1)
        if not sign or not re.fullmatch(r"[A-Za-z0-9_-]+", name) or name in shares or value < 0:
            raise UsageError(
                f"--split is {text!r}, distinct names with shares were expected, as in "
                "train=0.7,val=0.3"
            )
        shares[name] = share
    total = sum(Fraction(share) for share in shares.values())
    if total != 1:
        raise UsageError(f"--split adds up to {float(total):g}, its shares must add up to 1")
    return shares


def parse_aliases(pairs: list[str]) -> dict[str, str]:
    """Old name to new from `OLD=NEW` each; both may name a session (`ada#2`).

    An empty OLD stands for everybody without a name.

    Raises:
        UsageError: One has no `=` or no new name, or a name is renamed twice.

    >>> parse_aliases(["ada.l=ada", "bob2=bob#2"])
    {'ada.l': 'ada', 'bob2': 'bob#2'}
    """
    aliases: dict[str, str] = {}
    for pair in pairs:
        old, sign, new = (piece.strip() for piece in pair.partition("="))
        if not sign or not new or aliases.setdefault(old, new) != new:
            raise UsageError(f"--alias is {pair!r}, one OLD=NEW per name was expected")
    return aliases
