"""How a source image is brought to the size of the set: squashed, cropped or padded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from conceptset.build.options import Fit, Size
from conceptset.geometry import BoolArray

_GREY = (124, 116, 104)  # the mean of natural photographs: padding that says little to a network


@dataclass(frozen=True, slots=True)
class Fitting:
    """Where which part of a source image goes.

    Attributes:
        size: (height, width) of the result.
        box: (left, top, right, bottom) of the source that is used, in source pixels.
        place: (left, top, width, height) of the result that it fills.
    """

    size: Size
    box: tuple[float, float, float, float]
    place: tuple[int, int, int, int]

    @property
    def is_identity(self) -> bool:
        """Whether the image is used as it is."""
        height, width = self.size
        whole = (0, 0, width, height)
        return tuple(self.box) == whole and self.place == whole

    def photograph(self, image: Image.Image) -> Image.Image:
        """The photograph at the size of the set, bilinear."""
        left, top, width, height = self.place
        if (left, top, width, height) == (0, 0, self.size[1], self.size[0]):
            return image.resize((width, height), Image.Resampling.BILINEAR, box=self.box)
        canvas = Image.new("RGB", (self.size[1], self.size[0]), _GREY)
        canvas.paste(
            image.resize((width, height), Image.Resampling.BILINEAR, box=self.box), (left, top)
        )
        return canvas

    def labels(self, labels: NDArray[np.int32]) -> NDArray[np.int32]:
        """A map at the size of the set, by one nearest-neighbour resize; padding is unlabelled."""
        return np.asarray(self._nearest(Image.fromarray(labels)), dtype=np.int32)

    def flags(self, flags: BoolArray) -> BoolArray:
        """A mask at the size of the set, by the same rule as its map."""
        grey = self._nearest(Image.fromarray(flags.astype(np.uint8)))
        return np.asarray(grey, dtype=bool)

    def _nearest(self, image: Image.Image) -> Any:  # noqa: ANN401 - Pillow images as arrays
        left, top, width, height = self.place
        inner = image.resize((width, height), Image.Resampling.NEAREST, box=self.box)
        if (left, top, width, height) == (0, 0, self.size[1], self.size[0]):
            return inner
        canvas = Image.new(image.mode, (self.size[1], self.size[0]), 0)
        canvas.paste(inner, (left, top))
        return canvas


def fit_to(source: Size, target: Size, fit: Fit) -> Fitting:
    """How an image of size `source` fills `target`; sizes are (height, width).

    `squash` uses all of it and changes the aspect. `crop` keeps the aspect and the centre, `pad`
    keeps the aspect and everything, with a margin.

    >>> fit_to((100, 200), (50, 50), "crop").box
    (50.0, 0.0, 150.0, 100.0)
    >>> fit_to((100, 200), (50, 50), "pad").place
    (0, 12, 50, 25)
    """
    (height, width), (rows, columns) = source, target
    whole = (0.0, 0.0, float(width), float(height))
    if fit == "crop":
        scale = max(rows / height, columns / width)
        used_width, used_height = columns / scale, rows / scale
        left, top = (width - used_width) / 2, (height - used_height) / 2
        box = (max(0.0, left), max(0.0, top), left + used_width, top + used_height)
        return Fitting(
            target, (*box[:2], min(box[2], whole[2]), min(box[3], whole[3])), (0, 0, columns, rows)
        )
    if fit == "pad":
        scale = min(rows / height, columns / width)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        place = ((columns - inner[0]) // 2, (rows - inner[1]) // 2, *inner)
        return Fitting(target, whole, place)
    return Fitting(target, whole, (0, 0, columns, rows))


def half(size: Size) -> Size:
    """The label map's size that goes with a photograph's: half of it, at least one pixel.

    >>> half((224, 225))
    (112, 112)
    """
    return max(1, size[0] // 2), max(1, size[1] // 2)
