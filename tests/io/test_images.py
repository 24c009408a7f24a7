"""Photographs of every kind, brought to RGB; broken ones refused with the right reason."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from conceptset.errors import ImageError
from conceptset.io.images import decode_rgb, read_header

RAMP = np.linspace(0, 65535, 12 * 16).astype(np.uint16).reshape(12, 16)


def pixels_of(path, frame="stored"):
    return np.asarray(decode_rgb(path, frame=frame))


def colours(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_sixteen_bit_grey_keeps_its_tones(tmp_path, name):
    """A 16-bit PGM came out white: Pillow opens it as 32-bit integers and clips those."""
    path = tmp_path / name
    if name == "a.pgm":
        path.write_bytes(b"P5 16 12 65535\n" + RAMP.astype(">u2").tobytes())
    else:
        Image.fromarray(RAMP).save(path)
    assert np.array_equal(pixels_of(path), np.repeat((RAMP >> 8)[..., None], 3, axis=2))


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_numbers_without_a_range_are_refused(tmp_path, dtype):
    Image.fromarray(RAMP.astype(dtype)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match="8 or 16 bit were expected"):
        decode_rgb(tmp_path / "a.tif", frame="stored")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(colours()).save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        stored = np.asarray(image.convert("RGB"))
    assert np.array_equal(pixels_of(path, "upright"), expected)
    assert np.array_equal(pixels_of(path), stored)
    assert read_header(path).upright_size == expected.shape[:2]


def test_exif_that_cannot_be_read_costs_no_photograph(tmp_path):
    """Here the orientation is a text; the photograph was called broken."""
    entry = struct.pack("<HHI4s", 0x0112, 2, 4, b"up\0\0")
    exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00" + entry + b"\x00\x00\x00\x00"
    Image.fromarray(colours()).save(tmp_path / "a.jpg", exif=exif)
    assert read_header(tmp_path / "a.jpg").orientation == 1
    assert pixels_of(tmp_path / "a.jpg", "upright").shape == (12, 16, 3)


def test_nothing_but_pixels_leaves_the_file(tmp_path):
    Image.fromarray(colours()).save(tmp_path / "a.png", icc_profile=b"cmyk" * 40)
    assert decode_rgb(tmp_path / "a.png", frame="stored").info == {}


def test_a_file_that_may_not_be_read_is_not_called_broken(tmp_path, monkeypatch):
    Image.fromarray(colours()).save(tmp_path / "a.png")

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(ImageError, match=r"cannot be read \(Permission denied\)$"):
        read_header(Path(tmp_path / "a.png"))
