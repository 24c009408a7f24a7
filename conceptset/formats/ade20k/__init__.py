"""ADE20K, the releases of 2017 and 2021: objects and parts as mask images, one scene per image.

Beside every photograph `NAME.jpg` lie `NAME_seg.png` with the visible pixels of the objects and
`NAME_parts_1.png`, `NAME_parts_2.png`, ... with those of parts, parts of parts, and so on. A colour
of such a mask is one object: its class is (R div 10) * 256 + G, B keeps objects of one class apart.
What the objects are called stands in `NAME.json` (2021) or `NAME_atr.txt` (2017).

* Pixels are those of the mask images, exactly: what is hidden behind other objects belongs to what
  hides it, as in Broden. The masks of single objects that the release of 2021 adds (the folder
  `NAME`: 255 visible, 128 hidden) are not opened; they would add the hidden pixels only.
* B is no number that the JSON knows: it is the rank of the object in some order of depth, spread
  over 1..255 (round(255 k / n) for n objects of a level). `matching` finds the object of each
  colour by its outline; on the three published sample images all 139 objects are found as their own
  masks have them.
* The name of an object is the first of its synonyms ("car" of "car, auto, automobile"): so do
  Broden and the benchmarks made of ADE20K, and other sources call it so too. Classes that share the
  first synonym become one concept, as in Broden.
* The scene is a tag of the image: the last entry of `scene` (2021), or the folders below the one
  letter that they are sorted by (2017: `b/bakery/shop` is `bakery-shop`).
* One person drew everything and is named nowhere. Attributes, "occluded" and "crop" say nothing
  about pixels and are not read.

The release of 2017 is read as its documentation describes it (instance numbers count the values of
B that occur, from 1, level by level); no file of it was at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from conceptset.formats.ade20k.listing import detect, listed
from conceptset.formats.ade20k.reader import read_images
from conceptset.formats.base import Candidate, Detection, ReadContext
from conceptset.records import ImageRecord

__all__ = ["FORMAT", "Ade20kFormat"]

_NAMES = 400


class Ade20kFormat:
    """The ADE20K format, see `conceptset.formats.base.Format`."""

    name = "ade20k"
    title = "ADE20K"

    def detect(self, candidate: Candidate) -> Detection:
        """Whether a directory holds photographs with their ADE20K masks and descriptions."""
        return detect(candidate)

    def image_names(self, path: Path) -> list[str]:
        """The paths of some photographs below the directory."""
        return [image.photograph for image in islice(listed(path), _NAMES)]

    def read(self, path: Path, context: ReadContext) -> Iterator[ImageRecord]:
        """One record per photograph with a mask, sorted by path; objects first, then their parts.

        Raises:
            AnnotationError: A bad annotation, under the policy `raise`.
        """
        return read_images(path, context)


FORMAT = Ade20kFormat()
