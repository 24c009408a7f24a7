"""Photographs are Pillow's pixels whoever decodes them, and normalised to the bit."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from conceptset.errors import ImageError
from conceptset.io.images import decode_rgb
from conceptset.layout.reading import open_concept_set
from dissect import photographs
from dissect.loader import load_batches
from dissect.photographs import (
    decode_plain,
    jpeg_size,
    look_up,
    normalise,
    normalising_table,
    read_photograph,
)

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DECODES = photographs._torchvision_decoder() is not None
needs_decoder = pytest.mark.skipif(not DECODES, reason="torchvision has no decoders here")


def picture(size=(213, 321), mode="RGB", seed=0):
    """Blobs of many sizes: smooth parts, edges and noise."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (9, 13, 3), dtype=np.uint8))
    large = np.asarray(small.resize((size[1], size[0]), Image.Resampling.BICUBIC), np.int16)
    noisy = large + rng.integers(-20, 20, large.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).convert(mode)


def encoded(image, **options):
    stream = io.BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


@needs_decoder
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_both_decoders_give_the_same_pixels(tmp_path, mode, progressive, subsampling):
    for size in [(213, 321), (17, 33), (1, 1), (8, 15)]:
        for quality in (30, 95):
            data = encoded(
                picture(size, mode), quality=quality, progressive=progressive,
                subsampling=subsampling, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0",
            )  # fmt: skip
            assert jpeg_size(data) == size
            expected = decode_rgb(tmp_path, frame="stored", data=data)
            assert np.array_equal(decode_plain(data), np.asarray(expected))


@needs_decoder
@pytest.mark.real
def test_both_decoders_agree_on_real_photographs(shared):
    paths = sorted(shared.rglob("*.jp*g"))[::3]
    assert len(paths) > 50
    read = 0
    for path in paths:
        data = path.read_bytes()
        if jpeg_size(data) is not None:
            read += 1
            assert np.array_equal(decode_plain(data), np.asarray(decode_rgb(path, frame="stored")))
    assert read > 0.9 * len(paths)


def test_which_files_torchvision_gets():
    data = encoded(picture((20, 30)))
    frame = data.index(b"\xff\xc0")
    changed = bytearray(data)
    changed[frame + 4] = 12  # bits
    assert jpeg_size(bytes(changed)) is None
    changed = bytearray(data)
    changed[frame + 1] = 0xC9  # arithmetic coding
    assert jpeg_size(bytes(changed)) is None
    changed = bytearray(data)
    changed[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"  # a bomb
    assert jpeg_size(bytes(changed)) is None
    assert jpeg_size(encoded(picture((20, 30), "CMYK"))) is None
    stream = io.BytesIO()
    picture((20, 30)).save(stream, "PNG")
    for other in (stream.getvalue(), b"", b"\xff\xd8", data[: frame + 6], data[:2] + data[5:]):
        assert jpeg_size(other) is None
    for end in range(len(data)):
        assert jpeg_size(data[:end]) in (None, (20, 30))


@pytest.fixture
def jpegs(build_set, make_pictures):
    """A set whose photographs are JPEG files by content."""
    root = build_set(make_pictures(3))
    for seed, path in enumerate(sorted((root / "images/src").glob("p00?.png"))):
        path.write_bytes(encoded(picture((32, 32), seed=seed)))
    return open_concept_set(root)


def test_the_decoder_changes_nothing(jpegs, monkeypatch):
    sizes = [(32, 32), (20, 48)]
    with_torchvision = [[read_photograph(jpegs, e, s) for e in jpegs.entries] for s in sizes]
    monkeypatch.setattr(photographs, "_torchvision_decoder", lambda: None)
    with_pillow = [[read_photograph(jpegs, e, s) for e in jpegs.entries] for s in sizes]
    for one, other in zip(with_torchvision, with_pillow, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
        assert one[0].dtype == np.uint8


def test_defects_have_the_words_of_the_general_decoder(jpegs):
    entry = jpegs.entries[0]
    path = jpegs.file(entry.image)
    data = path.read_bytes()
    path.write_bytes(data[:-40])
    with pytest.raises(ImageError, match=r"p000\.png: cannot be decoded .*truncated.* cut short"):
        read_photograph(jpegs, entry, (32, 32))
    path.write_bytes(encoded(picture((31, 32))))
    with pytest.raises(ImageError, match=r"is 31x32, the index says 32x32"):
        read_photograph(jpegs, entry, (32, 32))
    path.write_bytes(b"no image")
    with pytest.raises(ImageError, match="is not an image of a known format"):
        read_photograph(jpegs, entry, (32, 32))
    path.unlink()
    with pytest.raises(ImageError, match=r"cannot be read \(No such file"):
        read_photograph(jpegs, entry, (32, 32))
    path.mkdir()
    with pytest.raises(ImageError, match="is no plain file"):
        read_photograph(jpegs, entry, (32, 32))


@pytest.mark.parametrize(
    ("mean", "std"), [(MEAN, STD), ((0, 0, 0), (1, 1, 1)), (STD, (3, 7, 1e-3))]
)
def test_a_table_holds_the_bits_of_the_formula(mean, std):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 40, 30, 3), dtype=np.uint8)
    expected = pixels / np.float32(255)
    expected -= np.asarray(mean, np.float32)
    expected /= np.asarray(std, np.float32)
    table = normalising_table(mean, std)
    assert table.dtype == expected.dtype == np.float32
    found = np.full_like(expected, np.nan)
    for source, target in zip(pixels, found, strict=True):
        normalise(source, table, target)
    assert found.tobytes() == expected.tobytes()
    on_device = look_up(torch.from_numpy(pixels), torch.from_numpy(table))
    assert on_device.is_contiguous(memory_format=torch.channels_last)
    assert on_device.permute(0, 2, 3, 1).contiguous().numpy().tobytes() == expected.tobytes()


def test_memory_is_used_again_only_when_nobody_can_see_it(jpegs):
    def batches():
        return load_batches(
            jpegs, jpegs.entries * 20, size=(32, 32), batch_size=1, mean=MEAN, std=STD, workers=3
        )

    kept = [batch.pixels for batch in batches()]
    parts = [batch.pixels[0, 1, 2:3].numpy() for batch in batches()]
    addresses = set()
    for place, batch in enumerate(batches()):
        addresses.add(batch.pixels.data_ptr())
        assert torch.equal(batch.pixels, kept[place])
        assert np.array_equal(parts[place], kept[place][0, 1, 2:3].numpy())
    assert len({pixels.data_ptr() for pixels in kept}) == 60
    assert len(addresses) <= 8
    for place in range(3):
        assert all(torch.equal(pixels, kept[place]) for pixels in kept[place::3])


def test_batches_taken_in_inference_mode_are_tensors_like_any_other(jpegs):
    options = {"size": (32, 32), "batch_size": 2, "mean": MEAN, "std": STD, "workers": 1}
    with torch.inference_mode():
        batches = list(load_batches(jpegs, jpegs.entries * 5, **options))
    assert not any(batch.pixels.is_inference() for batch in batches)
    assert torch.equal(batches[-1].pixels[0], batches[-1].pixels[1])


def test_a_loop_that_is_left_early_ends_its_threads(jpegs):
    import threading

    before = threading.active_count()
    source = load_batches(
        jpegs, jpegs.entries * 50, size=(32, 32), batch_size=4, mean=MEAN, std=STD, workers=2
    )
    next(source)
    assert threading.active_count() > before
    source.close()
    assert threading.active_count() == before


def test_batches_for_another_device(jpegs):
    """`meta` stands for one that is no GPU of NVIDIA's: it computes nothing but has a place."""
    [batch] = load_batches(
        jpegs, jpegs.entries, size=(32, 32), batch_size=4, mean=MEAN, std=STD, workers=1,
        device=torch.device("meta"),
    )  # fmt: skip
    assert batch.pixels.device.type == "meta"
    assert batch.pixels.shape == (4, 3, 32, 32)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_batches_on_a_gpu_have_the_bits_of_the_cpu(jpegs):
    options = {"size": (32, 32), "batch_size": 4, "mean": MEAN, "std": STD, "workers": 3}
    device = torch.device("cuda")
    here = list(load_batches(jpegs, jpegs.entries * 30, **options))
    there = load_batches(jpegs, jpegs.entries * 30, **options, device=device)
    for one, other in zip(here, there, strict=True):
        torch.cuda._sleep(1_000_000)  # the stream that uses a batch lags behind
        assert other.pixels.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(one.pixels, other.pixels.clone().cpu())
