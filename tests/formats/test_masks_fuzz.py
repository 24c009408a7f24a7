"""Mask folders from generated names and bytes: only our own errors come out."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from conceptset.errors import ConceptsetError
from conceptset.formats.base import Candidate
from conceptset.formats.masks import BINARY_MASKS, IMAGE_FOLDERS, MASKS
from conceptset.raster import rasterize


def image(mode, kind, seed):
    rng = np.random.default_rng(seed)
    picture = Image.fromarray(rng.choice(np.array([0, 1, 2, 255], np.uint8), (4, 5)))
    stream = io.BytesIO()
    picture.convert(mode).save(stream, kind)
    return stream.getvalue()


SEEDS = [
    *(image(mode, "PNG", 1) for mode in ("L", "RGB", "RGBA", "P", "1", "LA", "I;16")),
    *(image(mode, "JPEG", 2) for mode in ("L", "RGB", "CMYK")),
    image("F", "TIFF", 3),
    image("L", "BMP", 4),
    b"",
]
LISTS = [
    b"0 void\n1 door\n2 wall",
    b"void\ndoor\nwall",
    b"door\nwall",
    b"a:0,0,0::\nb:1,1,1::",
    b'{"1": "door"}',
    b"",
    b"\xff",
]
FOLDERS = ["", "images/", "masks/", "SegmentationClass/", "SegmentationObject/", "x/", "x/labels/"]
STEMS = ["a", "a_door", "a_mask", "a_door_1", "b", "\u00e9", "=a", "a\nb", "\u202ea", "_", "a_"]
ENDINGS = [".png", ".jpg", ".PNG", ".tif", ".bmp"]


@st.composite
def spoiled(draw):
    """The bytes of an image, some of them changed."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 4))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))]) if draw(st.booleans()) else bytes(data)


FILES = st.dictionaries(
    st.builds(
        lambda *parts: "".join(parts),
        st.sampled_from(FOLDERS),
        st.sampled_from(STEMS),
        st.sampled_from(ENDINGS),
    ),
    st.one_of(st.sampled_from(SEEDS), spoiled()),
    max_size=7,
)


@pytest.mark.parametrize("reader", [MASKS, BINARY_MASKS, IMAGE_FOLDERS], ids=lambda one: one.name)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=FILES,
    classes=st.one_of(st.sampled_from(LISTS), st.binary(max_size=20)),
    list_name=st.sampled_from(
        ["classes.txt", "classes.json", "labelmap.txt", "labels/labels_joint_anno.txt"]
    ),
    images=st.sampled_from(["", "images", "x"]),
)
def test_only_our_errors(reader, tmp_path_factory, read_format, files, classes, list_name, images):
    root = tmp_path_factory.mktemp("fuzz") / "source"
    for name, data in {**files, list_name: classes}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / images).mkdir(exist_ok=True)
    said = reader.detect(Candidate(root))
    assert said.reasons
    assert all(reason.isprintable() for reason in said.reasons)
    failure = None
    try:
        assert all(isinstance(name, str) for name in reader.image_names(root))
        records, findings = read_format(reader, root, root / images)
    except ConceptsetError as error:
        failure = str(error)
    if failure is not None:
        assert failure.isprintable()
        return
    known = {os.path.relpath(root / name, root / images) for name in files}
    for record in records:
        assert record.image in known
        for region in record.regions:
            if region.geometry is not None:
                assert rasterize(region.geometry, record.size).any()
    for finding in findings:
        assert str(finding).isprintable()
