"""Mask folders: index masks with a class list, binary masks per concept, folders of labels.

All three are directories. None of them names an annotator: `--annotator` does, or one folder per
person with `--annotator-from folder`. Masks are pixels of the stored photograph unless only the
photograph turned upright has their size.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from conceptset.formats.base import Candidate, Detection, ReadContext
from conceptset.formats.masks.binary import binary_names, read_binary_masks
from conceptset.formats.masks.detection import detect_binary, detect_folders, detect_index
from conceptset.formats.masks.folders import folder_names, read_image_folders
from conceptset.formats.masks.indexed import index_names, read_index_masks
from conceptset.records import ImageRecord

__all__ = [
    "BINARY_MASKS",
    "IMAGE_FOLDERS",
    "MASKS",
    "BinaryMasksFormat",
    "ImageFoldersFormat",
    "MasksFormat",
]


class MasksFormat:
    """One image of class codes per photograph, see `conceptset.formats.base.Format`.

    The masks lie in a folder (masks/, labels/, annotations/, SegmentationClass/) or beside the
    photographs. With SegmentationObject/ (VOC) every object is a region of its own. Pixels of code
    0 and 255 belong to no concept unless the class list names them.
    """

    name = "masks"
    title = "Mask images with a class list"

    def detect(self, candidate: Candidate) -> Detection:
        """Whether there are index masks and a class list; a few masks are looked into."""
        return detect_index(candidate, self.name)

    def image_names(self, path: Path) -> list[str]:
        """The photographs in the directory, or those that the masks are called after.

        Raises:
            SourceError: The directory holds more files than are read.
        """
        return index_names(path)

    def read(self, path: Path, context: ReadContext) -> Iterator[ImageRecord]:
        """One record per mask, sorted by name; classes in the order of their codes.

        Raises:
            SourceError: There is no mask, or no class list that can be used.
            AnnotationError: A bad mask or list, under the policy `raise`.
        """
        return read_index_masks(path, context)


class BinaryMasksFormat:
    """One black and white image per photograph and concept, see `binary`."""

    name = "binary-masks"
    title = "One binary image per concept"

    def detect(self, candidate: Candidate) -> Detection:
        """Whether images are called `{stem}_{concept}`, and a few of them are black and white."""
        return detect_binary(candidate, self.name)

    def image_names(self, path: Path) -> list[str]:
        """The photographs in the directory, as far as names alone tell them.

        Raises:
            SourceError: The directory holds more files than are read.
        """
        return binary_names(path)

    def read(self, path: Path, context: ReadContext) -> Iterator[ImageRecord]:
        """One record per photograph that has a mask, sorted by name; concepts sorted.

        Raises:
            SourceError: There is no mask.
            AnnotationError: A bad mask, under the policy `raise`.
        """
        return read_binary_masks(path, context)


class ImageFoldersFormat:
    """One folder per image-level label, see `folders`."""

    name = "image-folders"
    title = "One folder per image-level label"

    def detect(self, candidate: Candidate) -> Detection:
        """Whether there are folders of images; a match only with DTD's list of labels."""
        return detect_folders(candidate, self.name)

    def image_names(self, path: Path) -> list[str]:
        """The images in the folders.

        Raises:
            SourceError: The directory holds more files than are read.
        """
        return folder_names(path)

    def read(self, path: Path, context: ReadContext) -> Iterator[ImageRecord]:
        """One record per image, sorted by name; its labels as tags.

        Raises:
            SourceError: There is no folder of images, or the list of labels cannot be read.
            AnnotationError: A bad entry, under the policy `raise`.
        """
        return read_image_folders(path, context)


MASKS = MasksFormat()
BINARY_MASKS = BinaryMasksFormat()
IMAGE_FOLDERS = ImageFoldersFormat()
