"""Builds from awkward input: names that clash, tables with holes, joins over several roots."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conceptset.build import BuildOptions, build_set
from conceptset.build.drawings import Block, Drawn, pack_drawings
from conceptset.build.encoding import EncodeSettings, EncodeTask, encode_image
from conceptset.build.gather import GatheredImage
from conceptset.build.options import parse_size
from conceptset.build.rendering import RenderSettings, RenderTask, render_image
from conceptset.build.vocabulary import Usage, number_concepts
from conceptset.build.voting import Electorate
from conceptset.errors import SourceError, TaxonomyError, UsageError
from conceptset.geometry import Rings, box_ring
from conceptset.io.catalogue import ImageCatalogue
from conceptset.io.images import read_codes
from conceptset.io.spool import Spool
from conceptset.io.tables import format_table, read_table
from conceptset.layout.reading import open_concept_set
from conceptset.records import Origin, Person
from conceptset.taxonomy import Taxonomy, parse_taxonomy
from conceptset.validate import validate

SIZE = (16, 24)
HALF = (0, 0, 12, 16)


def same_size(**more):
    return BuildOptions(image_size=SIZE, segmentation_size=SIZE, **more)


def rows_of(path):
    return [record for _, record in read_table(path).records()]


def codes(out):
    return {finding.code for finding in validate(out).findings}


def test_no_map_takes_the_name_of_a_photograph(world, tmp_path):
    """`a.jpg` becomes `a-2` beside `a.png`; its map must not be `a-2_object`, a photograph."""
    files = ["a.png", "a.jpg", "a-2_object.png", "A_object.png", "x.png", "x_object.png"]
    for name in files:
        world.photograph(name)
    source = world.coco("c.json", dict.fromkeys(files, SIZE), [(n, "car", HALF) for n in files])
    build_set([source], tmp_path / "set", same_size(image_format="png"))
    assert codes(tmp_path / "set") == set()


def test_categories_that_end_alike_share_no_map(world, tmp_path):
    """`x` has the map `x_object_part`; so would `x_object` in the category `part`."""
    for name in ("x.png", "x_object.png"):
        world.photograph(name)
    (world.root / "t.csv").write_text(
        "name,concept,category\nhand,hand,part\nhead,head,object_part\n"
    )
    drawn = [(n, word, HALF) for n in ("x.png", "x_object.png") for word in ("hand", "head")]
    source = world.coco("c.json", {"x.png": SIZE, "x_object.png": SIZE}, drawn)
    build_set([source], tmp_path / "set", same_size(taxonomy=world.root / "t.csv"))
    assert codes(tmp_path / "set") == set()
    assert len(list((tmp_path / "set/images/images").glob("*.png"))) == 4


NAMES = ["semi;colon", "esc\x1b[31m", "nul\x00x", "rtl\u202eabc", "\ufeffbom", "car\rret", "a\nb"]


def test_any_drawn_name_becomes_a_name_that_validates(world, tmp_path):
    world.photograph("a.png")
    drawn = [("a.png", name, (3 * place, 0, 3, 16)) for place, name in enumerate(NAMES)]
    build_set([world.coco("c.json", {"a.png": SIZE}, drawn)], tmp_path / "set", same_size())
    assert codes(tmp_path / "set") == set()
    names = {row["name"] for row in rows_of(tmp_path / "set/label.csv")}
    assert names == {"semi,colon", "esc[31m", "nulx", "rtlabc", "bom", "car ret", "a b"}


def test_a_name_that_cannot_be_seen_is_reported(world, tmp_path):
    world.photograph("a.png")
    source = world.coco("c.json", {"a.png": SIZE}, [("a.png", "\u200b", HALF)])
    with pytest.raises(SourceError, match="name of the category"):
        build_set([source], tmp_path / "set", same_size())


def test_a_carriage_return_survives_in_a_table():
    data = format_table(["a", "b"], [["x\ry", 1], ["z", 2]])
    assert list(csv.reader(io.StringIO(data.decode(), newline=""))) == [
        ["a", "b"],
        ["x\ry", "1"],
        ["z", "2"],
    ]


@pytest.mark.parametrize("row", ["car,vehicle,object", "car,vehicle,object,a,b"])
def test_a_taxonomy_row_with_missing_or_further_cells_is_refused(world, tmp_path, row):
    """It was passed over in silence: the name then meant itself."""
    world.photograph("a.png")
    source = world.coco("c.json", {"a.png": SIZE}, [("a.png", "car", HALF)])
    (world.root / "t.csv").write_text(f"name,concept,category,synonyms\n{row}\n")
    with pytest.raises(TaxonomyError, match=r"t\.csv line 2: has \d cells, the header has 4"):
        build_set([source], tmp_path / "set", same_size(taxonomy=world.root / "t.csv"))


def test_an_annotator_table_with_a_ragged_row_is_refused(world, tmp_path):
    world.photograph("a.png")
    source = world.coco("c.json", {"a.png": SIZE}, [("a.png", "car", HALF)])
    (world.root / "who.csv").write_text("file,annotator,note\nc.json,ada\n")
    with pytest.raises(SourceError, match=r"who\.csv line 2: has 2 cells"):
        build_set([source], tmp_path / "set", same_size(annotator_from=str(world.root / "who.csv")))


def test_an_index_row_with_missing_cells_is_not_passed_over(world, tmp_path):
    world.photograph("a.png")
    source = world.coco("c.json", {"a.png": SIZE}, [("a.png", "car", HALF)])
    build_set([source], tmp_path / "set", same_size())
    with (tmp_path / "set/index.csv").open("a") as stream:
        stream.write("images/b.jpg,train\n")
    with pytest.raises(SourceError, match="line 3"):
        open_concept_set(tmp_path / "set")


def test_a_name_with_a_row_of_its_own_is_nobodys_synonym():
    rows = [("car", "auto", "bus"), ("bus", "coach", "")]
    taxonomy = parse_taxonomy(
        ("name", "concept", "category", "synonyms"),
        [
            (line, {"name": name, "concept": concept, "category": "object", "synonyms": more})
            for line, (name, concept, more) in enumerate(rows, start=2)
        ],
    )
    assert taxonomy.meaning("bus", "region").concept == "coach"
    assert taxonomy.synonyms("auto") == ("car",)


def four_roots(world):
    """One photograph under two names and in two versions, over four roots; a file of each."""
    sources = []
    for root, name, seed in (("A", "a", 1), ("B", "b", 1), ("C", "b", 2), ("D", "d", 2)):
        folder = world.root / root
        folder.mkdir()
        made = world.photograph(f"{root}.png", seed=seed)
        shutil.copy(made, folder / f"{name}.png")
        path = world.coco(
            f"{root}/{root}.json", {f"{name}.png": SIZE}, [(f"{name}.png", root, HALF)]
        )
        sources.append(path)
    return sources


def test_equality_of_photographs_is_passed_on(world, tmp_path):
    """A = B by bytes, B = C by path, C = D by bytes: one image, and nobody's work is lost."""
    options = same_size(annotator_from="file", match="path")
    report = build_set(four_roots(world), tmp_path / "set", options)
    assert (report.manifest.counts.images, report.manifest.counts.segments) == (1, 4)


def test_the_folder_that_names_a_person_is_the_one_that_was_given(world, tmp_path):
    """Not the one a symbolic link leads to."""
    world.photograph("a.png")
    source = world.coco("c.json", {"a.png": SIZE}, [("a.png", "car", HALF)])
    (world.root / "ada").mkdir()
    (world.root / "ada/c.json").symlink_to(source)
    options = same_size(annotator_from="folder", images=world.root / "images")
    build_set([world.root / "ada/c.json"], tmp_path / "set", options)
    assert [row["annotator"] for row in rows_of(tmp_path / "set/annotators.csv")] == ["ada"]


def test_more_annotators_than_files_may_be_open(world, tmp_path):
    world.photograph("a.png")
    drawn = [
        ("a.png", "car", {"segmentation": [[0, 0, 9, 0, 9, 9]], "annotator": f"w{place}"})
        for place in range(60)
    ]
    source = world.coco("c.json", {"a.png": SIZE}, drawn)
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))\n"
        "from conceptset.cli import main\n"
        f"sys.argv = ['conceptset', 'build', {str(source)!r}, '--out', {str(tmp_path / 'set')!r}]\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(rows_of(tmp_path / "set/annotators.csv")) == 60


def test_only_photographs_can_keep_their_size():
    assert parse_size("keep", "--image-size") is None
    with pytest.raises(UsageError, match=r"HxW \(240x320\) was expected"):
        parse_size("keep", "--segmentation-size")


def drawn(concept, category, box, *, plane=0, kind="region", part_of=None):
    geometry = None if box is None else Rings((box_ring(*box),))
    return Drawn(
        concept, category, concept, kind, geometry, plane, 0, part_of, Origin("c.json", "/0")
    )


def encoded(world, tmp_path, drawings):
    """The maps and counts of one image on which these people drew, by scope."""
    world.photograph("a.png")
    photograph = ImageCatalogue(world.root / "images").find("a.png")
    people = {Person(name): list(own) for name, own in drawings.items()}
    with Spool(tmp_path / "drawings") as spool:
        blocks = {
            person: [Block(spool.append(pack_drawings(own)), len(own))]
            for person, own in people.items()
        }
    image = GatheredImage(photograph, "stored", SIZE, "0" * 64, blocks)
    identifiers = {
        name: place
        for place, name in enumerate(sorted({d.concept for own in people.values() for d in own}), 1)
    }
    for folder in ("s", *(f"annotators/{p.name}/s" for p in people), "consensus/s"):
        (tmp_path / folder).mkdir(parents=True)
    rendered = render_image(
        RenderSettings(tmp_path, spool.path, same_size(), identifiers),
        RenderTask(image, "s/a.jpg", tuple(range(len(people)))),
    )
    usage = Usage()
    usage.add(rendered.layers)
    vocabulary = number_concepts(usage, identifiers, min_frequency=1, min_coverage=0)
    everybody = Electorate(tuple(people), frozenset(), "majority")
    settings = EncodeSettings(tmp_path, vocabulary, everybody, tuple(p.name for p in people))
    result = encode_image(settings, EncodeTask(rendered.layers.painted, "s", "a"))
    return result, {name: place for place, name in enumerate(vocabulary.names, start=1)}


def test_a_part_of_a_part_stands_in_a_further_map(world, tmp_path):
    whole = drawn("car", "object", (0, 0, 20, 16))
    door = drawn("door", "part", (2, 2, 10, 10), part_of=0)
    knob = drawn("knob", "part", (4, 4, 3, 3), plane=1, part_of=1)
    result, number = encoded(world, tmp_path, {"ada": [whole, door, knob]})
    assert result.scopes[-1].cells["part"] == "s/a_part_1.png;s/a_part_2.png"
    first, second = (read_codes(tmp_path / f"s/a_part_{place}.png") for place in (1, 2))
    assert (first == number["door"]).sum() == 100
    assert (second == number["knob"]).sum() == 9


def test_a_label_in_two_maps_of_a_category_is_painted_once(world, tmp_path):
    """A peer would count the pixel twice."""
    outer = drawn("wheel", "part", (2, 2, 10, 10))
    inner = drawn("wheel", "part", (4, 4, 3, 3), plane=1, part_of=0)
    result, number = encoded(world, tmp_path, {"ada": [outer, inner]})
    assert result.scopes[-1].pixels == {(number["wheel"], "part"): 100}


def test_a_label_of_the_whole_image_needs_no_pixels(world, tmp_path):
    drawings = [drawn("fog", "scene", None, kind="tag"), drawn("fog", "object", (0, 0, 6, 6))]
    result, number = encoded(world, tmp_path, {"ada": drawings})
    assert result.scopes[-1].pixels == {(number["fog"], "scene"): SIZE[0] * SIZE[1]}
    assert "object" not in result.scopes[-1].cells


def test_a_tag_without_majority_does_not_cost_the_pixels(world, tmp_path):
    region = drawn("fog", "object", (0, 0, 6, 6))
    result, number = encoded(
        world,
        tmp_path,
        {"ada": [drawn("fog", "scene", None, kind="tag"), region], "ben": [region]},
    )
    assert result.scopes[-1].pixels == {(number["fog"], "object"): 36}


def test_a_category_without_labels_is_not_put_to_the_vote(world, tmp_path):
    world.photograph("a.png")
    world.photograph("b.png")
    (world.root / "t.csv").write_text("name,concept,category\ncrowd,crowd,material\n")
    shape = {"segmentation": [[0, 0, 9, 0, 9, 9]]}
    drawings = [
        (image, "car", {**shape, "annotator": who})
        for image in ("a.png", "b.png")
        for who in ("ada", "ben")
    ]
    drawings += [
        ("a.png", "crowd", {**shape, "iscrowd": 1, "annotator": who}) for who in ("ada", "ben")
    ]
    source = world.coco("c.json", {"a.png": SIZE, "b.png": SIZE}, drawings)
    report = build_set(
        [source], tmp_path / "set", same_size(taxonomy=world.root / "t.csv", min_frequency=2)
    )
    assert report.manifest.counts.undecided == 0
    assert not list((tmp_path / "set").rglob("*material*"))


def test_names_without_entry_mean_their_visible_self():
    assert Taxonomy().meaning("a;b\n c\u200b", "region").concept == "a,b c"


def test_the_votes_of_all_are_counted_where_a_label_has_two_categories(world, tmp_path):
    """The root holds each label once per pixel too."""
    both = [drawn("door", "object", (0, 0, 6, 6)), drawn("door", "part", (0, 0, 6, 4))]
    result, number = encoded(world, tmp_path, {"ada": both, "ben": both, "cyd": both})
    assert result.scopes[-1].pixels == {(number["door"], "object"): 36}
    maps = [read_codes(path) for path in (tmp_path / "s").glob("*.png")]
    assert int(np.sum([pixels > 0 for pixels in maps])) == 36


def test_a_build_that_fails_leaves_nothing_while_workers_still_write(world, tmp_path):
    files = [f"{place:02}.png" for place in range(64)]
    for name in files:
        world.photograph(name)
    bad = world.root / "images/01.png"
    bad.write_bytes(bad.read_bytes()[:-300])
    source = world.coco("c.json", dict.fromkeys(files, SIZE), [(n, "car", HALF) for n in files])
    folder = tmp_path / "out"
    with pytest.raises(SourceError, match="image file is truncated"):
        build_set([source], folder / "set", BuildOptions(jobs=3, image_size=(1500, 1500)))
    assert list(folder.iterdir()) == []


def one_car(world, **extra):
    world.photograph("a.png")
    return world.coco("c.json", {"a.png": SIZE}, [("a.png", "car", HALF)], **extra)


def test_overwrite_never_removes_what_it_reads(world, tmp_path):
    """Annotations inside the old set went with it."""
    source = one_car(world)
    build_set([source], tmp_path / "set", same_size())
    inside = tmp_path / "set/c.json"
    shutil.copy(source, inside)
    options = same_size(overwrite=True, images=world.root / "images")
    with pytest.raises(UsageError, match="lies in the directory that --overwrite would remove"):
        build_set([inside], tmp_path / "set", options)
    assert inside.is_file()


def test_the_working_directory_can_be_the_set(world, tmp_path, monkeypatch):
    source = one_car(world)
    (tmp_path / "set").mkdir()
    monkeypatch.chdir(tmp_path / "set")
    for _ in range(2):
        build_set([source], Path(), same_size(overwrite=True))
        monkeypatch.chdir(tmp_path / "set")
    assert codes(tmp_path / "set") == set()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "world"]


def test_a_folder_of_sequences_that_holds_no_image_is_refused(world, tmp_path):
    """A misspelt one would let neighbours into both splits."""
    source = one_car(world)
    with pytest.raises(UsageError, match="--split-by is 'days', but no image lies"):
        build_set([source], tmp_path / "set", same_size(split_by="days"))


def test_a_model_that_nobody_is_is_refused(world, tmp_path):
    with pytest.raises(UsageError, match=r"--model-annotator is 'sam', .*Annotators: 'ada'"):
        build_set(
            [one_car(world)], tmp_path / "set", same_size(annotator="ada", model_annotators=["sam"])
        )


def test_what_is_wrong_with_a_photograph_is_said_once(world, tmp_path):
    source = one_car(world)
    Image.fromarray(np.zeros(SIZE, dtype=np.float32)).save(world.root / "images/a.png", "TIFF")
    with pytest.raises(SourceError, match=r"^a\.png: has pixels of mode F"):
        build_set([source], tmp_path / "set", same_size())


def test_a_file_cut_short_in_a_folder_is_not_lost_without_a_word(world, tmp_path):
    text = one_car(world).read_text()
    (world.root / "ben.json").write_text(text[: len(text) // 2])
    report = build_set([world.root], world.root / "set", same_size())
    assert list(report.manifest.counts.left_out.items()) == [
        ("files of no known format ('conceptset detect FILE' says why)", 1)
    ]
    again = build_set([world.root], tmp_path / "set", same_size())  # a set is no source
    assert again.manifest.counts == report.manifest.counts
