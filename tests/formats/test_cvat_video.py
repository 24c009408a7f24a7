"""CVAT for video: on which frames an object is, where it is in between, who had which frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conceptset.errors import OutputError, SourceError, UnsafeError
from conceptset.formats.cvat import FORMAT, scratch, tracks
from conceptset.formats.cvat.scratch import Scratch
from conceptset.formats.cvat.tracks import FrameIndex, Listed
from conceptset.raster import rasterize
from conceptset.records import Person

SIZE = (20, 30)


def meta(start=0, stop=9, extra=""):
    return (
        f"<meta><task><id>1</id><mode>interpolation</mode><start_frame>{start}</start_frame>"
        f"<stop_frame>{stop}</stop_frame>{extra}<owner><username>max</username></owner>"
        "<original_size><width>30</width><height>20</height></original_size></task></meta>"
    )


def box(frame, left=1, keyframe=1, outside=0, more=""):
    return (
        f'<box frame="{frame}" keyframe="{keyframe}" outside="{outside}" xtl="{left}" ytl="2" '
        f'xbr="{left + 4}" ybr="6" {more}/>'
    )


def track(*shapes, label="car", more=""):
    return f'<track id="0" label="{label}" {more}>{"".join(shapes)}</track>'


@pytest.fixture
def read(tmp_path, save, read_format):
    def run(body, frames=range(10), suffix=".png", folder="", **options):
        root = tmp_path / "images"
        root.mkdir(exist_ok=True)
        for frame in frames:
            save(root / folder / f"frame_{frame:06d}{suffix}", SIZE)
        path = tmp_path / "annotations.xml"
        path.write_text(f"<annotations><version>1.1</version>{body}</annotations>")
        return read_format(FORMAT, path, root, **options)

    return run


def shown(records):
    """(frame, left edge of the box or kind, interpolated) of everything there is."""
    found = []
    for record in records:
        frame = int(record.image.rpartition("_")[2].partition(".")[0])
        for region in record.regions:
            left = region.kind
            if region.geometry is not None:
                left = float(region.geometry.rings[0][:, 0].min())
            found.append((frame, left, region.interpolated))
    return found


def test_what_the_server_exports(read):
    """Every frame is listed, the drawn ones and the computed ones; then it leaves."""
    listed = [box(n, left=n, keyframe=int(n in (2, 5)), outside=int(n == 5)) for n in range(2, 6)]
    records, findings = read(meta() + track(*listed), on_error="raise")
    assert not findings
    assert shown(records) == [(2, 2, False), (3, 3, True), (4, 4, True)]
    assert len(records) == 10  # opened, and left empty where nothing is shown
    assert {record.workers for record in records} == {(Person("max"),)}
    region = records[3].regions[0]
    assert (region.person, region.name) == (Person("max"), "car")
    assert region.origin.pointer == "/track[1]/box[2]"
    assert [record.size for record in records] == [SIZE] * 10


def test_keyframes_alone_are_filled_in(read):
    records, _ = read(meta() + track(box(1, 1), box(5, 9), box(7, 9, outside=1), box(8, 3)))
    assert shown(records) == [
        (1, 1, False), (2, 3, True), (3, 5, True), (4, 7, True), (5, 9, False), (6, 9, True),
        (8, 3, False),
    ]  # fmt: skip
    region = records[3].regions[0]
    assert region.origin.pointer == "/track[1]/box[1]"
    assert int(rasterize(region.geometry, SIZE).sum()) == 16


def test_boxes_turn_the_short_way_round(read):
    body = track(box(0, 10, more='rotation="350"'), box(2, 10, more='rotation="10"'))
    records, _ = read(meta() + body)
    rings = [record.regions[0].geometry.rings[0] for record in records[:3]]
    assert np.array_equal(rings[1], [[10, 2], [14, 2], [14, 6], [10, 6]])
    assert not np.allclose(rings[0], rings[1])


def test_other_shapes_hold_on(read):
    polygons = [
        f'<polygon frame="{frame}" keyframe="1" outside="0" points="{left},1;9,1;9,9"/>'
        for frame, left in ((0, 1), (4, 5))
    ]
    records, _ = read(meta() + track(*polygons))
    assert shown(records) == [
        (0, 1, False), (1, 1, True), (2, 1, True), (3, 1, True), (4, 5, False),
    ]  # fmt: skip


def test_nothing_is_shown_behind_the_last_listed_frame(read):
    """A shape drawn on the last frame but one has no frame on which it leaves."""
    records, _ = read(meta() + track(box(8)))
    assert shown(records) == [(8, 1, False)]


def test_a_box_that_leaves_to_nowhere_holds_on(read):
    gone = box(3, outside=1).replace('xtl="1"', 'xtl="nan"')
    records, findings = read(meta() + track(box(1), gone))
    assert shown(records) == [(1, 1, False), (2, 1, True)]
    assert not findings


def test_frames_of_the_task_only(read):
    """start 10, every third frame; photographs of all frames are there."""
    body = meta(10, 19, "<frame_filter>step=3</frame_filter>")
    records, _ = read(body + track(box(10), box(16, 7)), frames=range(25))
    assert [int(record.image[6:12]) for record in records] == [10, 13, 16, 19]
    assert shown(records) == [(10, 1, False), (13, 4, True), (16, 7, False)]


def test_without_a_stop_the_size_or_the_last_listed_frame_ends_it(read):
    start = "<meta><task><start_frame>1</start_frame>{}</task></meta>"
    records, _ = read(start.format("<size>3</size>") + track(box(2)))
    assert [int(record.image[6:12]) for record in records] == [1, 2, 3]
    records, _ = read(start.format("") + track(box(2), box(5)))
    assert [int(record.image[6:12]) for record in records] == [1, 2, 3, 4, 5]


def test_a_video_in_which_nothing_was_drawn(read):
    records, findings = read(meta(2, 4))
    assert [(int(record.image[6:12]), record.regions) for record in records] == [
        (2, ()), (3, ()), (4, ()),
    ]  # fmt: skip
    assert not findings


def test_a_job_states_the_size_beside_it(read):
    body = (
        "<meta><job><start_frame>2</start_frame><stop_frame>3</stop_frame>"
        "<assignee><username>ann</username></assignee></job>"
        "<original_size><width>30</width><height>20</height></original_size></meta>"
    )
    records, findings = read(body + track(box(2)), on_error="raise")
    assert not findings
    assert [record.workers for record in records] == [(Person("ann"),)] * 2


def test_frames_without_a_photograph(read):
    body = meta() + track(box(1), box(3, 5), box(9))
    records, findings = read(body, frames=[1, 2])
    assert shown(records) == [(1, 1, False), (2, 3, True)]
    assert [(f.code, f.pointer) for f in findings] == [
        ("SRC001", '/track/*[@frame="3"]'),
        ("SRC001", '/track/*[@frame="9"]'),
    ]


@pytest.mark.parametrize("suffix", [".PNG", ".jpg", ".jpeg", ".bmp"])
def test_any_ending(read, suffix):
    records, findings = read(meta() + track(box(1)), frames=[1], suffix=suffix)
    assert [record.image for record in records] == [f"frame_000001{suffix}"]
    assert not findings


def test_two_photographs_of_one_frame(read):
    read(meta(), frames=[1], suffix=".jpg")
    records, findings = read(meta() + track(box(1)), frames=[1])
    assert records == []
    assert [f.code for f in findings] == ["SRC002"]


def test_photographs_below_the_folder_of_the_file_are_meant(read):
    read(meta(), frames=[1], folder="other/images")
    records, _ = read(meta() + track(box(1)), frames=[1], folder="one/images", beside="one")
    assert [record.image for record in records] == ["one/images/frame_000001.png"]


def test_a_project_counts_the_frames_of_a_subset_on(read):
    """The second task of a subset begins where the first one ended: start + step * size."""
    tasks = "".join(
        f"<task><id>{number}</id><size>2</size><subset>{subset}</subset>"
        f"<start_frame>{start}</start_frame><stop_frame>{start + 1}</stop_frame>"
        f"<assignee><username>{name}</username></assignee></task>"
        for number, subset, start, name in (
            (1, "Train", 3, "ann"), (2, "Train", 0, "bob"), (3, "Test", 3, "cy"),
        )
    )  # fmt: skip
    body = f"<meta><project><tasks>{tasks}</tasks></project></meta>" + "".join(
        track(box(frame, left), more=f'task_id="{number}" subset="{subset}"')
        for number, subset, frame, left in (
            (1, "Train", 3, 1), (2, "Train", 6, 2), (3, "Test", 4, 3),
        )
    )  # fmt: skip
    read(body, frames=[3, 4, 5, 6], folder="Train")
    records, findings = read(body, frames=[3, 4, 5, 6], folder="Test")
    assert {f.code for f in findings} == {"SRC005"}
    assert [(record.image, str(record.workers[0]), len(record.regions)) for record in records] == [
        ("Train/frame_000003.png", "ann", 1),
        ("Train/frame_000004.png", "ann", 0),
        ("Train/frame_000005.png", "bob", 0),
        ("Train/frame_000006.png", "bob", 1),
        ("Test/frame_000003.png", "cy", 0),
        ("Test/frame_000004.png", "cy", 1),
    ]


def test_order_is_that_of_the_tracks(read):
    body = track(box(1), label="a") + track(box(0), box(2), label="b")
    records, _ = read(meta() + body + track(box(1, more='z_order="5"'), label="c"))
    assert [(r.name, r.z_order) for r in records[1].regions] == [("a", 0), ("b", 0), ("c", 5)]


def test_skeletons_leave_with_all_their_joints(read):
    def skeleton(frame, *outside):
        joints = "".join(
            f'<points label="{n}" outside="{gone}" points="1,1"/>' for n, gone in enumerate(outside)
        )
        return f'<skeleton frame="{frame}" keyframe="1">{joints}</skeleton>'

    records, _ = read(meta() + track(skeleton(1, 0, 1), skeleton(3, 1, 1)))
    assert shown(records) == [(1, "mark", False), (2, "mark", True)]


def test_what_is_wrong_with_tracks(read):
    body = meta() + "".join(
        [
            track(box(1), label=""),
            track(box("x"), box(""), box(-1), box(10**12), box(4)),
            track(box(1), box(1, 9), box(2, outside=1)),
            track('<star frame="1"/>', '<tag frame="1" label="x"/>', box(5, outside="maybe")),
            track(box(3, more='z_order="top"')),
            "<track label='empty'/>",
        ]
    )
    records, findings = read(body)
    assert shown(records) == [(1, 1, False), (3, 1, False), (4, 1, False), (5, 1, False)]
    assert sorted((f.pointer, f.code) for f in findings) == [
        ("/track[1]", "SRC010"),
        ("/track[2]/box[1]", "SRC044"),
        ("/track[2]/box[2]", "SRC044"),
        ("/track[2]/box[3]", "SRC044"),
        ("/track[2]/box[4]", "SRC044"),
        ("/track[3]", "SRC046"),
        ("/track[4]/box[1]", "SRC040"),
        ("/track[4]/star[1]", "SRC041"),
        ("/track[4]/tag[1]", "SRC041"),
        ("/track[5]/box[1]", "SRC040"),
    ]


def test_images_and_tracks_in_one_file(read):
    body = '<image name="frame_000003.png" width="30" height="20"><tag label="x"/></image>'
    records, _ = read(meta(0, 3) + body + track(box(1)))
    assert [record.image[6:12] for record in records] == [
        "000003", "000000", "000001", "000002", "000003",
    ]  # fmt: skip


def test_meta_comes_first(read):
    with pytest.raises(SourceError, match="behind images or tracks"):
        read(track(box(1)) + meta())


def plain_frames(listed, existing, until):
    """Frame after frame: what is shown, by the latest listing before it."""
    found = []
    rest = sorted(listed)
    for frame in sorted({*existing, *(frame for frame, *_ in listed)}):
        before = [one for one in rest if one[0] <= frame]
        if not before or before[-1][1]:
            continue
        now = before[-1]
        following = [one for one in rest if one[0] > frame]
        if now[0] == frame:
            found.append((frame, now[3], None, not now[2]))
        elif following:
            found.append((frame, now[3], following[0][3], True))
        elif frame <= until:
            found.append((frame, now[3], None, True))
    return found


@given(
    st.lists(
        st.dictionaries(
            st.integers(0, 15), st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=6
        ),
        max_size=4,
    ),
    st.sets(st.integers(0, 15)),
    st.integers(-1, 15),
)
def test_the_index_against_going_through_frames_one_by_one(several, existing, until):
    index = FrameIndex("a.xml")
    expected = []
    for place, listed in enumerate(several):
        rows = [
            (frame, hidden, drawn, 100 * place + number)
            for number, (frame, (hidden, drawn)) in enumerate(listed.items())
        ]
        track = Listed()
        for frame, hidden, drawn, number in rows:
            track.append(frame, number, hidden=hidden, drawn=drawn)
        assert index.add(track, sorted(existing), until=until) is None
        expected += plain_frames(rows, existing, until)
    ours = [(frame, *one) for frame, group in index.frames() for one in group]
    assert ours == sorted(expected, key=lambda one: (one[0], one[1] // 100))


def test_filling_is_bounded(read, monkeypatch):
    monkeypatch.setattr(tracks, "MAX_FILLED", 15)
    body = meta() + track(box(0), box(9))
    assert len(shown(read(body)[0])) == 10
    with pytest.raises(UnsafeError, match="nothing is listed"):
        read(body + track(box(0), box(9)))


def test_frame_numbers_of_any_size_cost_nothing(read):
    records, findings = read(
        meta(0, 999_999_999) + track(box(0), box(999_999_999)), frames=[0, 1, 2]
    )
    assert [frame for frame, *_ in shown(records)] == [0, 1, 2]
    assert [f.code for f in findings] == ["SRC001"]


def test_no_room_for_temporary_files(read, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scratch.tempfile, "TemporaryFile", full)
    with pytest.raises(OutputError, match="No space left on device"):
        read(meta() + track(box(1)))


def test_no_room_in_the_temporary_file():
    values = Scratch()
    values.put(1)
    values.close()
    with Path("/dev/full").open("wb", buffering=0) as full:
        values._file = full
        with pytest.raises(OutputError, match="No space left on device"):
            values.put({"a": 1})
        with pytest.raises(OutputError):
            values.get(0)


@given(st.lists(st.recursive(st.none() | st.text(max_size=5), st.lists, max_leaves=5), max_size=9))
def test_scratch_gives_back_what_was_put(values):
    kept = Scratch()
    numbers = []
    for value in values:
        numbers.append(kept.put(value))
        assert kept.get(numbers[-1]) == value
    assert [kept.get(number) for number in numbers] == values
    kept.close()
