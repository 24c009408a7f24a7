"""What the images of a run say in every voice, whatever units answer to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dissect.counts import Agreement, IntArray, stack, with_image
from dissect.hearing import Heard
from dissect.rows import Rows, as_array


@dataclass(frozen=True, slots=True)
class Said:
    """What a run keeps of one image's labels.

    Attributes:
        row: Of the index.
        voices: Those heard, rising.
        pixels: Of its label maps.
        truth: For each of these voices, (n, 3) int64 rows (image, label, pixels).
        shared: (n, 5) int64 rows (image, label, a, b, pixels), see `Heard.shared`.
    """

    row: int
    voices: tuple[int, ...]
    pixels: int
    truth: tuple[IntArray, ...]
    shared: IntArray

    @classmethod
    def of(cls, row: int, heard: Heard) -> Said:
        """What is kept of an image that was read."""
        labels = heard.labels
        own = [labels.of(place) for place in range(len(heard.voices))]
        return cls(
            row,
            heard.voices,
            labels.size[0] * labels.size[1],
            tuple(
                with_image(row, np.column_stack([labels.labels[part], labels.truth[part]]))
                for part in own
            ),
            with_image(row, heard.shared),
        )


class HeardImages:
    """What all images of a run say in every voice; no unit has a part in it."""

    def __init__(self, voices: int) -> None:
        """No image is known yet."""
        self._truth: list[list[IntArray]] = [[] for _ in range(voices)]
        self._pixels: list[list[tuple[int, int]]] = [[] for _ in range(voices)]
        self._shared: list[IntArray] = []

    def keep(self, said: Said) -> None:
        """Take an image, in rising order of rows."""
        for voice, truth in zip(said.voices, said.truth, strict=True):
            self._truth[voice].append(truth)
            self._pixels[voice].append((said.row, said.pixels))
        self._shared.append(said.shared)

    def truth(self, voice: int) -> IntArray:
        """(n, 3) int64 rows (image, label, pixels)."""
        return stack(self._truth[voice], 3)

    def pixels(self, voice: int) -> IntArray:
        """(n, 2) int64 rows (image, pixels of its label maps)."""
        return np.array(self._pixels[voice], dtype=np.int64).reshape(-1, 2)

    def agreement(self, annotators: int) -> Agreement:
        """Pixels that annotators, voices 1 .. n, gave the same label."""
        worked = [
            np.insert(self.pixels(place + 1), 1, place, axis=1) for place in range(annotators)
        ]
        rows = stack(worked, 3)
        return Agreement(stack(self._shared, 5), rows[np.lexsort((rows[:, 1], rows[:, 0]))])

    @staticmethod
    def widths(voices: int) -> dict[str, int]:
        """The tables of `tables`, with their columns."""
        each = {f"truth.{voice}": 3 for voice in range(voices)}
        return {**each, **{f"pixels.{voice}": 2 for voice in range(voices)}, "shared": 5}

    def tables(self) -> dict[str, Rows]:
        """All of it, for another process."""
        tables: dict[str, Rows] = {"shared": stack(self._shared, 5)}
        for voice in range(len(self._truth)):
            tables[f"truth.{voice}"] = self.truth(voice)
            tables[f"pixels.{voice}"] = self.pixels(voice)
        return tables

    @classmethod
    def of(cls, tables: Mapping[str, Rows]) -> HeardImages:
        """What `tables` gave in another process."""
        voices = sum(name.startswith("truth.") for name in tables)
        heard = cls(voices)
        heard._shared.append(as_array(tables["shared"]))
        for voice in range(voices):
            heard._truth[voice].append(as_array(tables[f"truth.{voice}"]))
            pixels = as_array(tables[f"pixels.{voice}"]).tolist()
            heard._pixels[voice] = [(row, number) for row, number in pixels]
        return heard

    def extend(self, later: HeardImages) -> None:
        """Take what later images say."""
        for voice in range(len(self._truth)):
            self._truth[voice] += later._truth[voice]
            self._pixels[voice] += later._pixels[voice]
        self._shared += later._shared
