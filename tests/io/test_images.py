"""Photographs and masks of every kind, and what is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from conceptset.errors import ImageError, UnsafeError
from conceptset.io.images import (
    decode_rgb,
    encode_flags,
    encode_label_map,
    encode_photograph,
    read_codes,
    read_header,
)

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def saved(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def with_orientation(value, kind):
    exif = Image.Exif()
    exif[0x0112] = value
    return saved(Image.fromarray(PIXELS), kind, exif=exif)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_read_from_the_header_alone(tmp_path, kind, orientation):
    data = with_orientation(orientation, kind)
    header = read_header(tmp_path / "x", data=data)
    assert (header.format, header.size, header.orientation) == (kind, (5, 7), orientation)
    turned = decode_rgb(tmp_path / "x", frame="upright", data=data)
    assert (turned.height, turned.width) == header.upright_size
    stored = decode_rgb(tmp_path / "x", frame="stored", data=data)
    assert (stored.height, stored.width) == (5, 7)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_upright_already(tmp_path, orientation):
    """Pillow turns it when it decodes; size and pixels must agree on that."""
    data = with_orientation(orientation, "TIFF")
    header = read_header(tmp_path / "x", data=data)
    for frame in ("stored", "upright"):
        decoded = decode_rgb(tmp_path / "x", frame=frame, data=data)
        assert (decoded.height, decoded.width) == header.size == header.upright_size


def test_an_impossible_orientation_counts_as_none(tmp_path):
    assert read_header(tmp_path / "x", data=with_orientation(77, "PNG")).orientation == 1


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(PIXELS[..., 0]), PIXELS[..., 0][..., None].repeat(3, axis=2)),
        (
            Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 256 + 3),
            PIXELS[..., 0][..., None].repeat(3, axis=2),
        ),
        (Image.fromarray(np.dstack([PIXELS, np.zeros((5, 7), np.uint8)])), PIXELS * 0),
        (Image.fromarray(np.dstack([PIXELS, np.full((5, 7), 255, np.uint8)])), PIXELS),
    ],
    ids=["grey", "16 bit", "transparent", "opaque"],
)
def test_every_mode_becomes_rgb(tmp_path, image, expected):
    decoded = decode_rgb(tmp_path / "x", frame="stored", data=saved(image))
    assert decoded.mode == "RGB"
    assert (np.asarray(decoded) == expected).all()


def test_codes_of_masks(tmp_path):
    codes = np.array([[0, 1, 255], [256, 65535, 16_777_215]])
    rgb = np.stack([codes & 255, codes >> 8 & 255, codes >> 16], axis=2).astype(np.uint8)
    assert (read_codes(tmp_path / "x", data=saved(Image.fromarray(rgb))) == codes).all()
    alpha = np.dstack([rgb, np.full((2, 3), 128, np.uint8)])
    assert (read_codes(tmp_path / "x", data=saved(Image.fromarray(alpha))) == codes).all()
    palette = Image.fromarray(np.array([[0, 3], [7, 3]], dtype=np.uint8), mode=None).convert("P")
    assert read_codes(tmp_path / "x", data=saved(palette)).shape == (2, 2)
    with pytest.raises(ImageError, match="mode I;16"):
        read_codes(tmp_path / "x", data=saved(Image.fromarray(codes[:, :2].astype(np.uint16))))
    with pytest.raises(ImageError, match=r"known format \(PNG\)"):
        read_codes(tmp_path / "x", data=saved(Image.fromarray(rgb), "JPEG"))


def test_label_maps_and_flags_survive_encoding(tmp_path):
    labels = np.array([[0, 1, 255, 256, 32_767]])
    assert (read_codes(tmp_path / "x", data=encode_label_map(labels)) == labels).all()
    flags = labels > 255
    with Image.open(io.BytesIO(encode_flags(flags))) as image:
        assert image.mode == "L"
        assert (np.asarray(image) == np.where(flags, 255, 0)).all()


def test_photographs_are_stored_without_chroma_subsampling():
    with Image.open(io.BytesIO(encode_photograph(Image.fromarray(PIXELS), "jpg"))) as image:
        assert {layer[1:3] for layer in image.layer} == {(1, 1)}
    with Image.open(io.BytesIO(encode_photograph(Image.fromarray(PIXELS), "png"))) as image:
        assert (np.asarray(image) == PIXELS).all()


def test_errors_name_the_file_and_the_reason(tmp_path):
    with pytest.raises(ImageError, match=r"gone\.png: the image does not exist"):
        read_header(tmp_path / "gone.png")
    with pytest.raises(ImageError, match="cannot be decoded"):
        decode_rgb(tmp_path / "x", frame="stored", data=saved(Image.fromarray(PIXELS))[:-40])
    header = saved(Image.fromarray(PIXELS))
    huge = header[:16] + (70_000).to_bytes(4, "big") * 2 + header[24:]
    with pytest.raises((UnsafeError, ImageError)):
        read_header(tmp_path / "x", data=huge)
    wide = saved(Image.new("1", (12_000, 8_000)))
    with pytest.raises(UnsafeError, match="decompression bomb"):
        read_header(tmp_path / "x", data=wide)
