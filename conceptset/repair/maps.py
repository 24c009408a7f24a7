"""The label numbers that one map image holds, where there is one way to read them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from conceptset.build.fitting import fit_to
from conceptset.errors import ConceptsetError
from conceptset.geometry import BoolArray
from conceptset.io.images import ImageHeader, decode_stored, read_palette
from conceptset.repair.ledger import Note

Codes = NDArray[np.int32]
Palette = Literal["index", "color"]

_LOSSLESS = ("PNG", "BMP", "TIFF", "PPM", "GIF")
_COLOUR = ("RGB", "RGBA")
_GREY = ("L", "LA", "1", "I", "I;16", "I;16B", "I;16L")
_PNG = b"\x89PNG\r\n\x1a\n"
_DEPTH = 24  # offset of the bit depth in a PNG
_GREY_STEP = {2: 85, 4: 17}  # Pillow stretches grey of few bits to 0..255
MAX_CODE = 65_535


@dataclass(frozen=True, slots=True)
class MapReading:
    """What a map image says.

    Attributes:
        codes: (height, width) int32, numbers as the file has them; None where it cannot be used.
        notes: What had to be done to read it, or why it cannot be read.
        is_clean: The file is an RGB PNG as the layout wants it; its bytes can be kept.
    """

    codes: Codes | None
    notes: tuple[Note, ...] = ()
    is_clean: bool = False


def read_map(
    path: Path, name: str, data: bytes, *, known: BoolArray, palette: Palette | None
) -> MapReading:
    """The numbers in a map image, if there is exactly one reading in which all have names.

    Args:
        path: The file.
        name: Its path relative to the set; named in notes.
        data: Its bytes.
        known: (65536,) whether a number has a name; 0 counts as one.
        palette: What palette images hold, if the user said so.
    """
    try:
        header, pixels = decode_stored(Path(name), data=data)
        colours = read_palette(path) if header.mode == "P" else None
    except ConceptsetError as error:
        return _lost(name, "SEG002", f"the label map {error.message}; it is left out")
    depth = data[_DEPTH] if data.startswith(_PNG) else 8
    problem = _problem(header, depth)
    if problem is not None:
        return _lost(name, *problem)
    if header.mode in _COLOUR:
        return _coloured(name, header, pixels.astype(np.int32), known)
    if colours is not None:
        return _with_palette(name, pixels.astype(np.int32), colours, known, palette)
    grey = pixels[..., 0] if pixels.ndim == 3 else pixels
    return _grey(name, grey.astype(np.int64) // _GREY_STEP.get(depth, 1), known, depth)


def _problem(header: ImageHeader, depth: int) -> tuple[str, str] | None:
    """Why no numbers can be read from a file of this kind: a code and a sentence."""
    if header.format not in _LOSSLESS:
        text = f"the label map is a {header.format} file, its numbers are changed; it is left out"
        return "SEG003", text
    if header.mode in _COLOUR and depth > 8:
        text = "the label map has 16 bits a channel, either half could be meant; it is left out"
        return "SEG005", text
    if header.mode not in (*_COLOUR, *_GREY, "P"):
        text = f"the label map has mode {header.mode}, which holds no numbers; it is left out"
        return "SEG004", text
    return None


def _lost(name: str, code: str, text: str) -> MapReading:
    return MapReading(None, (Note("lost", code, text, name),))


def _changed(codes: NDArray[np.integer], code: str, text: str) -> MapReading:
    return MapReading(codes.astype(np.int32), (Note("changed", code, text),))


def _coloured(name: str, header: ImageHeader, pixels: Codes, known: BoolArray) -> MapReading:
    """R + 256 G; with blue in it only if that makes no difference, or all channels are one grey."""
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    codes: Codes = red + 256 * green
    if not blue.any():
        if header.mode == "RGBA":
            return _changed(codes, "SEG006", "alpha channels taken out of label maps")
        if header.format != "PNG":
            return _changed(codes, "SEG003", "label maps of another format written as PNG")
        return MapReading(codes, is_clean=True)
    plain = bool(known[codes].all())
    is_grey = np.array_equal(red, green) and np.array_equal(red, blue)
    grey = is_grey and bool(known[red].all())
    if plain == grey:
        which = "both have names" if plain else "neither has a name everywhere"
        text = f"the label map uses blue; read as R + 256 G and as grey, {which}; it is left out"
        return _lost(name, "SEG008", text)
    if plain:
        return _changed(codes, "SEG008", "blue channels of label maps cleared")
    return _changed(red, "SEG004", "grey, palette and deep label maps written as RGB")


def _with_palette(
    name: str,
    indices: Codes,
    colours: NDArray[np.integer],
    known: BoolArray,
    palette: Palette | None,
) -> MapReading:
    """The index, or the colour as R + 256 G: whichever has a name everywhere."""
    table = colours.astype(np.int32)
    pixels = table[np.minimum(indices, len(table) - 1)]
    coloured: Codes = pixels[..., 0] + 256 * pixels[..., 1]
    readings = {
        "index": indices if palette == "index" or known[indices].all() else None,
        "color": coloured
        if palette == "color" or (not pixels[..., 2].any() and known[coloured].all())
        else None,
    }
    if palette is not None:
        readings = {palette: readings[palette]}
    found = [codes for codes in readings.values() if codes is not None]
    if not found:
        text = "the label map has a palette, and neither index nor colour has a name everywhere"
        return _lost(name, "SEG004", f"{text}; it is left out")
    if any(not np.array_equal(found[0], other) for other in found):
        text = (
            "the label map has a palette, and both its indices and its colours are known labels; "
            "it is left out, --palette index or --palette color says which is meant"
        )
        return _lost(name, "SEG004", text)
    return _changed(found[0], "SEG004", "grey, palette and deep label maps written as RGB")


def _grey(name: str, codes: NDArray[np.int64], known: BoolArray, depth: int) -> MapReading:
    code = "SEG005" if depth > 8 else "SEG004"
    if int(codes.max()) > MAX_CODE or int(codes.min()) < 0:
        return _lost(name, code, "the label map holds numbers beyond 65535; it is left out")
    if codes.any() and not known[codes[codes > 0]].any():
        return _lost(name, code, "no value of the grey label map has a name; it is left out")
    return _changed(codes, code, "grey, palette and deep label maps written as RGB")


def resized(codes: Codes, size: tuple[int, int]) -> Codes | None:
    """The map at another size by one nearest-neighbour resize, None if its shape is another.

    Args:
        codes: (h, w).
        size: (height, width) wanted; sides that differ by more than rounding are another shape.
    """
    height, width = codes.shape
    if abs(height * size[1] - width * size[0]) > max(height, width, *size):
        return None
    return fit_to((height, width), size, "squash").labels(codes)
