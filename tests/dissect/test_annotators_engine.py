"""Every annotator in one pass: the same integers as one run for each, and dense votes by hand."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from conceptset.build import BuildOptions, build_set
from conceptset.errors import LayoutError, UsageError
from conceptset.layout.reading import open_concept_set, read_index
from dissect.analysis import INTERVAL_COLUMNS
from dissect.api import dissect_model
from dissect.cli import app
from dissect.counts import read_agreement, read_counts, read_without
from dissect.errors import RunExistsError
from dissect.given import read_thresholds
from dissect.hearing import hear_image
from dissect.state import RunLayout, open_run
from dissect.voices import open_panel

LAYERS = ("0", "2")

SIZE, MAP_SIZE = (32, 32), (16, 16)
WORDS = ("car", "tree", "house", "wood")
TAXONOMY = "name,concept,category,synonyms\nwood,wood,material,\nsunny,sunny,scene,\n"
IMAGES = [f"i{number:02d}.png" for number in range(14)]
# What everybody worked on; i12 is ben's second session's alone, i13 the model's.
WORKED = {
    "ada": range(10),
    "ben": [0, 1, 2, 3, 4, 5, 6, 11],
    "ben#2": [0, 1, 8, 9, 12],
    "cy": [0, 1, 2, 4, 5, 6, 7, 9, 10, 11],
    "dot": [1, 3, 5],
    "net": [0, 1, 2, 3, 13],
}


def scene(number):
    """The things in an image: name, x, y, width, height in source pixels."""
    rng = np.random.default_rng(number)
    return [
        (WORDS[rng.integers(len(WORDS))], *rng.integers(0, 22, 2), *rng.integers(6, 14, 2))
        for _ in range(4)
    ]


def drawn(who, number):
    """The things as one person draws them: some left out, some renamed, all a little off."""
    rng = np.random.default_rng([number, *who.encode()])
    for name, *box in scene(number):
        word, left_out = WORDS[rng.integers(len(WORDS))], rng.random() < 0.15
        x, y, width, height = (int(side) for side in box + rng.integers(-2, 3, 4))
        if not left_out:
            corners = (max(x, 0), max(y, 0), min(x + width, 32), min(y + height, 32))
            yield (word if rng.random() < 0.25 else name), corners


def write_cvat(path, who):
    """One person's file; sunny images carry a tag."""
    lines = ["<annotations><version>1.1</version>"]
    for number in WORKED[who]:
        lines.append(f'<image id="{number}" name="{IMAGES[number]}" width="32" height="32">')
        for name, (left, top, right, bottom) in drawn(who, number):
            points = f"{left},{top};{right},{top};{right},{bottom};{left},{bottom}"
            lines.append(f'<polygon label="{name}" points="{points}" occluded="0"/>')
        if (number + len(who)) % 3:
            lines.append('<tag label="sunny"/>')
        lines.append("</image>")
    path.write_text("\n".join([*lines, "</annotations>"]))


def write_coco(path, who):
    """One person's file; the last thing of every image is a crowd, which is no vote."""
    images, annotations = [], []
    for number in WORKED[who]:
        images.append({"id": number, "file_name": IMAGES[number], "height": 32, "width": 32})
        things = list(drawn(who, number))
        for place, (name, (left, top, right, bottom)) in enumerate(things):
            ring = [left, top, right, top, right, bottom, left, bottom]
            one = {"id": len(annotations), "image_id": number, "category_id": WORDS.index(name)}
            annotations.append({**one, "segmentation": [ring]})
            if place == len(things) - 1:
                full = np.zeros((32, 32), int)
                full[top:bottom, left:right] = 1
                flat = np.concatenate([[0], full.T.ravel(), [2]])
                runs = np.diff(np.flatnonzero(np.diff(flat)), prepend=0).tolist()
                counts = {"size": [32, 32], "counts": runs}
                annotations[-1] |= {"iscrowd": 1, "segmentation": counts}
    categories = [{"id": place, "name": word} for place, word in enumerate(WORDS)]
    document = {"images": images, "categories": categories, "annotations": annotations}
    path.write_text(json.dumps(document))


def build_scenes(root, **options):
    """A set of five people's sessions and a model."""
    (root / "images").mkdir(parents=True)
    rng = np.random.default_rng(1)
    for name in IMAGES:
        coarse = Image.fromarray(rng.integers(0, 256, (7, 7, 3), dtype=np.uint8))
        coarse.resize(SIZE, Image.Resampling.BILINEAR).save(root / "images" / name)
    files = []
    for who in WORKED:
        files.append(root / f"{who}{'.json' if who == 'ada' else '.xml'}")
        (write_coco if who == "ada" else write_cvat)(files[-1], who)
    (root / "taxonomy.csv").write_text(TAXONOMY)
    build_set(
        files,
        root / "set",
        BuildOptions(
            images=root / "images",
            image_size=SIZE,
            segmentation_size=MAP_SIZE,
            image_format="png",
            annotator_from="file",
            model_annotators=("net",),
            taxonomy=root / "taxonomy.csv",
            **options,
        ),
    )
    return root / "set"


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """The set that most tests use; nobody changes it."""
    return build_scenes(tmp_path_factory.mktemp("scenes"))


def dissect(out, root, layers=LAYERS, **options):
    """A run of a network of two convolutions."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        parts = nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(6, 9, 3, stride=2)
    settings = {"quantile": "0.05", "batch_size": 4, "top_images": 1, **options}
    return dissect_model(nn.Sequential(*parts), root, layers, out, **settings)


@pytest.fixture
def run(tmp_path):
    """`dissect` below the test's directory."""
    return lambda out="run", **options: dissect(
        tmp_path / out, options.pop("concept_set"), **options
    )


@pytest.fixture(scope="module")
def everybody(scenes, tmp_path_factory):
    """A run with both of ben's sessions, and its layout; nobody changes it."""
    wanted = ("ada", "ben", "ben#2", "cy", "dot", "net")
    outcome = dissect(tmp_path_factory.mktemp("everybody") / "run", scenes, annotators=wanted)
    return outcome, RunLayout(outcome.root)


def renumbered(table, rows):
    """The rows of a table of another index as rows of the root index; others are left out."""
    kept = np.array([row for row in table.tolist() if row[0] in rows], dtype=np.int64)
    kept = kept.reshape(-1, table.shape[1])
    kept[:, 0] = [rows[row] for row in kept[:, 0].tolist()]
    return kept[np.lexsort(kept.T[::-1])].tolist()


def same_counts(found, other, rows):
    """Whether two records are equal; `rows` leads from rows of the other's index to the root's."""
    for name in ("intersection", "area", "truth", "pixels"):
        own = getattr(found, name)
        assert own[np.lexsort(own.T[::-1])].tolist() == own.tolist(), f"{name} is not sorted"
        assert own.tolist() == renumbered(getattr(other, name), rows), name
    assert len(found.pixels)
    return True


def rows_of(root, index):
    """Row of an index to row of the root index, for images that the root has."""
    opened = open_concept_set(root)
    places = {entry.image: entry.row for entry in opened.entries}
    own = read_index(root, index, opened.categories)
    return {entry.row: places[entry.image] for entry in own if entry.image in places}


def with_thresholds(run, layout, root, index, out):
    """A run of its own on another index, with the thresholds of the first."""
    given = read_thresholds(layout.root, LAYERS)
    outcome = run(out, layers=LAYERS, concept_set=open_concept_set(root, index), index=index,
                  thresholds=given)  # fmt: skip
    assert outcome.run.annotators == ()
    return RunLayout(outcome.root)


def test_every_annotator_as_in_a_run_of_their_own(run, scenes, everybody):
    outcome, layout = everybody
    names = [(one.name, one.session, one.kind) for one in outcome.run.annotators]
    assert names == [("ada", 1, "person"), ("ben", 1, "person"), ("ben", 2, "person"),
                     ("cy", 1, "person"), ("dot", 1, "person"), ("net", 1, "model")]  # fmt: skip
    assert outcome.run.config.annotators == ("ada", "ben", "ben#2", "cy", "dot", "net")
    for one in outcome.run.annotators:
        index = f"annotators/{one.directory}/index.csv"
        own = with_thresholds(run, layout, scenes, index, f"only-{one.directory}")
        rows = rows_of(scenes, index)
        assert one.images == len(rows)
        for layer in LAYERS:
            found = read_counts(layout.counts(layer, annotator=one.directory))
            assert same_counts(found, read_counts(own.counts(layer)), rows)
            if len(rows) == len(read_counts(own.counts(layer)).pixels):  # all in the root, too
                tables = (layout.scores, own.scores), (layout.tally, own.tally)
                for place, plain in tables:
                    stored = pd.read_csv(place(layer, annotator=one.directory))
                    alone = pd.read_csv(plain(layer))
                    drawn = [
                        name for name in INTERVAL_COLUMNS if name in stored
                    ]  # by rows of an index
                    pd.testing.assert_frame_equal(
                        stored.drop(columns=drawn), alone.drop(columns=drawn), check_exact=True
                    )


def read_plain(path):
    """(sh, sw) labels of a map."""
    pixels = np.asarray(Image.open(path)).astype(int)
    return pixels[..., 0] + 256 * pixels[..., 1]


def read_annotators(root):
    """Rows of annotators.csv, each with its index by image."""
    with (root / "annotators.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        path = root / "annotators" / row["directory"] / "index.csv"
        with path.open(newline="") as stream:
            row["index"] = {one["image"]: one for one in csv.DictReader(stream)}
    return rows


def vote_densely(root, image, voters, category):
    """(sh, sw) labels by the majority of some annotators, pixel by pixel, and the tags."""
    maps, silent, tags = [], [], []
    for voter in voters:
        cell = voter["index"][image][category]
        entries = [entry for entry in cell.split(";") if entry]
        files = [entry for entry in entries if entry.endswith(".png")]
        assert len(files) <= 1
        maps.append(read_plain(root / "images" / files[0]) if files else np.zeros(MAP_SIZE, int))
        path = Path(image)
        mask = f"{path.parent}/{path.stem}_{category}_ignore.png"
        mask = root / "images/annotators" / voter["directory"] / mask
        silent.append(np.asarray(Image.open(mask)) > 0 if mask.is_file() else maps[-1] < 0)
        tags.append([int(entry) for entry in entries if not entry.endswith(".png")])
    result = np.zeros(MAP_SIZE, int)
    for y in range(MAP_SIZE[0]):
        for x in range(MAP_SIZE[1]):
            said = [own[y, x] for own, out in zip(maps, silent, strict=True) if not out[y, x]]
            if len(voters) == 1:
                said = [maps[0][y, x]]
            result[y, x] = next((one for one in said if 2 * said.count(one) > len(said)), 0)
    given = sorted({tag for own in tags for tag in own})
    return result, [t for t in given if 2 * sum(t in own for own in tags) > len(tags)]


def voters_of(people, image, without=""):
    """Everybody with a vote on an image: the first session of each that saw it."""
    first = {}
    for row in sorted(people, key=lambda row: int(row["session"])):
        if row["kind"] == "person" and image in row["index"] and row["annotator"] != without:
            first.setdefault(row["annotator"], row)
    return list(first.values())


def write_votes(source, target, without, *, categories=("object", "material", "scene")):
    """A copy of a set whose index `votes.csv` is the majority of everybody but one."""
    shutil.copytree(source, target)
    people = read_annotators(source)
    with (source / "index.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    kept, folder = [], target / "images" / "votes"
    folder.mkdir()
    for number, row in enumerate(rows):
        voters = voters_of(people, row["image"], without)
        for category in categories if voters else ():
            labels, tags = vote_densely(source, row["image"], voters, category)
            name = f"votes/{number}_{category}.png"
            rgb = np.stack([labels & 255, labels >> 8, labels * 0], axis=-1).astype(np.uint8)
            Image.fromarray(rgb).save(target / "images" / name)
            row[category] = ";".join([*([name] if labels.any() else []), *map(str, tags)])
        if voters:
            kept.append(row)
    with (target / "votes.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
    return target


@pytest.mark.parametrize("who", ["ada", "ben", "cy", "dot"])
def test_without_one_person_as_in_a_dense_majority(run, scenes, everybody, tmp_path, who):
    outcome, layout = everybody
    leave = outcome.run.leave_one_out
    assert (leave.method, leave.root_method, leave.base) == ("majority", "majority", "root")
    record = next(one for one in outcome.run.annotators if one.name == who)
    voted = sum(any(v["annotator"] == who for v in voters_of(read_annotators(scenes), e.image))
                for e in open_concept_set(scenes).entries)  # fmt: skip
    assert record.votes == voted > 0
    other = write_votes(scenes, tmp_path / "votes", who)
    own = with_thresholds(run, layout, other, "votes.csv", "votes-run")
    rows = rows_of(other, "votes.csv")
    for layer in LAYERS:
        root = read_counts(layout.counts(layer))
        found = read_without(layout.without(layer, annotator=record.directory), root)
        assert same_counts(found, read_counts(own.counts(layer)), rows)
        changed = found.truth.tolist() != root.truth.tolist()
        assert changed, "the person decides nothing: the test shows nothing"


def test_who_has_no_vote_is_not_left_out(everybody):
    outcome, layout = everybody
    votes = {(one.name, one.session): one.votes for one in outcome.run.annotators}
    assert votes["net", 1] is None
    assert votes["ben", 2] is None
    for one in outcome.run.annotators:
        path = layout.without("0", annotator=one.directory)
        assert path.is_file() == (one.votes is not None)
    assert not layout.consensus("0").exists()


def test_agreement_is_what_dense_maps_share(scenes, everybody):
    outcome, layout = everybody
    people = {(row["annotator"], int(row["session"])): row for row in read_annotators(scenes)}
    indices = [people[one.name, one.session]["index"] for one in outcome.run.annotators]
    shared, worked = [], []
    for entry in open_concept_set(scenes).entries:
        masks = {}
        for place, index in enumerate(indices):
            if entry.image not in index:
                continue
            worked.append([entry.row, place, 256])
            for category in ("object", "material", "scene"):
                for name in filter(None, index[entry.image][category].split(";")):
                    if name.endswith(".png"):
                        labels = read_plain(scenes / "images" / name)
                        given = {number: labels == number for number in np.unique(labels) if number}
                    else:
                        given = {int(name): np.ones(MAP_SIZE, bool)}
                    for number, mask in given.items():
                        masks.setdefault((int(number), place), np.zeros(MAP_SIZE, bool))
                        masks[int(number), place] |= mask
        for (label, a), (other, b) in combinations_with_replacement(sorted(masks), 2):
            pixels = int((masks[label, a] & masks[other, b]).sum())
            if label == other and pixels:
                shared.append([entry.row, label, a, b, pixels])
    found = read_agreement(layout.agreement)
    assert found.shared.tolist() == sorted(shared)
    assert found.worked.tolist() == sorted(worked)


def test_the_root_is_the_same_with_and_without_annotators(run, scenes, everybody, files_of):
    _, layout = everybody
    alone = run("alone", layers=LAYERS, concept_set=scenes, annotators=("none",))
    assert alone.run.annotators == ()
    assert alone.run.config.annotators == ()
    assert not (alone.root / "annotators").exists()
    assert not RunLayout(alone.root).agreement.exists()
    first, second = files_of(alone.root), files_of(layout.root)
    for layer in LAYERS:
        for name in ("thresholds.npy", "tally.csv", "scores.csv"):
            assert first[f"{layer}/{name}"] == second[f"{layer}/{name}"]
        ours, theirs = (read_counts(RunLayout(r).counts(layer)) for r in (alone.root, layout.root))
        assert same_counts(ours, theirs, {row: row for row in range(99)})


def test_threads_copies_and_disk_change_nothing(run, scenes, files_of, monkeypatch):
    several = run("several", concept_set=scenes, workers=3, layers=["0"])
    with monkeypatch.context() as patched:
        patched.setattr("dissect.tallying._MANY", 1)
        copied = run("copied", concept_set=scenes, workers=3, layers=["0"])
    assert files_of(several.root) == files_of(copied.root)
    monkeypatch.setattr("dissect.tallying._COUNTS_MEMORY", 1000)
    one = run("one", concept_set=scenes, workers=1, max_memory=1 << 20, layers=["0"])
    assert several.run.config.annotators == ("ada", "ben", "cy", "dot", "net")
    assert files_of(several.root) == files_of(one.root)
    assert not RunLayout(one.root).shards.exists()


def test_options_hold_for_every_annotator(run, scenes):
    outcome = run("part", layers=["0"], concept_set=scenes, limit=5, categories=("material",))
    layout = RunLayout(outcome.root)
    material = {label.number for label in open_concept_set(scenes).tables["material"]}
    for one in outcome.run.annotators:
        counts = read_counts(layout.counts("0", annotator=one.directory))
        assert set(counts.truth[:, 1].tolist()) <= material
        assert counts.pixels[:, 0].max(initial=0) < 5
        assert one.images == len(counts.pixels)
    assert set(read_agreement(layout.agreement).shared[:, 1].tolist()) <= material


def test_one_annotator_by_name_or_directory(run, scenes):
    outcome = run("second", layers=["0"], concept_set=scenes, annotators=("ben-2",))
    (record,) = outcome.run.annotators
    assert outcome.run.config.annotators == ("ben#2",)
    assert (record.name, record.session, record.images) == ("ben", 2, 5)
    assert record.votes == 11, "ben is left out, whichever session has the vote"
    again = run("second", layers=["0"], concept_set=scenes, annotators=("ben#2",))
    assert again.unchanged


def test_another_root_than_a_vote(run, tmp_path):
    """Without a consensus to compare with, everybody's majority is tallied as well."""
    root = build_scenes(tmp_path / "world", consensus="ada")
    assert [entry.row for entry in open_concept_set(root).entries] == list(range(10))
    outcome = run("named", layers=LAYERS, concept_set=root)
    layout = RunLayout(outcome.root)
    leave = outcome.run.leave_one_out
    assert (leave.method, leave.root_method, leave.base) == ("majority", "ada", "consensus")
    assert "one annotator" in leave.reason
    for who, found in (("", None), ("cy", "cy")):
        other = write_votes(root, tmp_path / f"votes{who}", who)
        own = with_thresholds(run, layout, other, "votes.csv", f"votes-run{who}")
        rows = rows_of(other, "votes.csv")
        for layer in LAYERS:
            base = read_counts(layout.consensus(layer))
            if found:
                base = read_without(layout.without(layer, annotator=found), base)
            assert same_counts(base, read_counts(own.counts(layer)), rows)


def assert_voted_again(root):
    """What everybody decides, voted again from their maps, is what the root index says."""
    opened = open_concept_set(root)
    panel = open_panel(opened, opened.entries, opened.categories, wanted=None, index="index.csv")
    panel = replace(panel, method=replace(panel.method, reason="so that all are asked"))
    labelled = 0
    for entry in opened.entries:
        heard = hear_image(opened, panel, entry, opened.categories)
        first, last = (heard.labels.of(heard.voices.index(v)) for v in (0, panel.everybody))
        for name in ("labels", "truth"):
            found, stored = (getattr(heard.labels, name)[part].tolist() for part in (last, first))
            assert found == stored, entry.image
        masks = heard.labels.weights[:, last] == heard.labels.weights[:, first]
        assert masks.all(), entry.image
        labelled += len(heard.labels.labels[first])
    assert labelled


@pytest.mark.parametrize("method", ["majority", "plurality", "ignore-unlabelled", "staple"])
def test_votes_of_all_give_the_root_again(tmp_path, method):
    root = build_scenes(tmp_path / "world", consensus=method)
    assert_voted_again(root)


def test_an_unknown_name(run, scenes):
    with pytest.raises(UsageError) as caught:
        run(concept_set=scenes, annotators=("ada", "eve"))
    assert "names 'eve', whom the set does not know" in str(caught.value)
    assert caught.value.hint == "It has: ada, ben, ben#2, cy, dot, net."


def test_a_set_without_annotators(run, small_set):
    assert run(layers=["0"], concept_set=small_set).run.config.annotators == ()
    with pytest.raises(UsageError) as caught:
        run("other", concept_set=small_set, annotators=("ada",))
    assert "no annotators.csv" in caught.value.hint
    assert run("third", concept_set=small_set, annotators=("all",)).run.annotators == ()


def test_beside_an_index_of_ones_own(run, scenes):
    index = "annotators/ada/index.csv"
    opened = open_concept_set(scenes, index)
    with pytest.raises(UsageError, match=re.escape(f"not with --index {index}")):
        run(concept_set=opened, index=index, annotators=("all",))
    outcome = run(layers=["0"], concept_set=opened, index=index, annotators=("none",))
    assert outcome.run.annotators == ()


def test_an_annotators_index_belongs_to_the_fingerprint(run, scenes, tmp_path):
    root = tmp_path / "changed"
    shutil.copytree(scenes, root)
    first = run(layers=["0"], concept_set=root)
    assert run(layers=["0"], concept_set=root).unchanged
    index = root / "annotators" / "dot" / "index.csv"
    index.write_text("\n".join(index.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(RunExistsError):
        run(layers=["0"], concept_set=root)
    anew = run(layers=["0"], concept_set=root, overwrite=True)
    assert anew.run.fingerprint != first.run.fingerprint
    assert open_run(anew.root).annotators[-2].images == 2


def test_maps_of_another_size(run, scenes, tmp_path):
    root = tmp_path / "changed"
    shutil.copytree(scenes, root)
    index = root / "annotators" / "dot" / "index.csv"
    index.write_text(index.read_text().replace(",16,16,", ",8,8,"))
    with pytest.raises(LayoutError, match="label maps of another size than"):
        run(concept_set=root)


NETWORK = """
from torch import nn
class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 3, 3, stride=2, padding=1))
"""


def test_on_the_command_line(scenes, tmp_path):
    (tmp_path / "net.py").write_text(NETWORK)
    command = ["run", str(scenes), "--model", f"{tmp_path / 'net.py'}:Net", "--layers", "0"]
    command += ["--out", str(tmp_path / "run"), "--mean", "0,0,0", "--std", "1,1,1"]
    command += ["--device", "cpu", "--threads", "1", "--quantile", "0.05", "--top-images", "0"]
    unknown = CliRunner().invoke(app, [*command, "--annotators", "eve"])
    assert (unknown.exit_code, "'eve', whom the set" in unknown.stderr) == (2, True)
    assert not (tmp_path / "run").exists()
    first = CliRunner().invoke(app, [*command, "--annotators", "ben#2, cy", "--quiet"])
    assert first.exit_code == 0, first.output
    assert "also against the labels of ben#2, cy; consensus without one" in first.stdout
    again = CliRunner().invoke(app, [*command, "--annotators", "cy,ben-2", "--json"])
    document = json.loads(again.stdout)
    assert document["unchanged"] is True
    assert [one["directory"] for one in document["annotators"]] == ["ben-2", "cy"]
    assert document["leave_one_out"]["method"] == "majority"


@pytest.mark.real
def test_cars_of_four_people(run, shared, tmp_path):
    """Real drawings with parts: each person as in a run of their own, and the root voted again."""
    source = shared / "samples/labelme_xml/multi_annotator_cars"
    options = BuildOptions(image_size=(64, 64), segmentation_size=(32, 32), on_error="collect")
    build_set([source], tmp_path / "cars", options)
    assert_voted_again(tmp_path / "cars")
    outcome = run(layers=LAYERS, concept_set=tmp_path / "cars")
    layout = RunLayout(outcome.root)
    assert outcome.run.config.annotators == ("ecyou", "mhsieh2", "sngandhi", "ylp")
    for one in outcome.run.annotators:
        index = f"annotators/{one.directory}/index.csv"
        own = with_thresholds(run, layout, tmp_path / "cars", index, f"only-{one.directory}")
        rows = rows_of(tmp_path / "cars", index)
        for layer in LAYERS:
            found = read_counts(layout.counts(layer, annotator=one.directory))
            assert same_counts(found, read_counts(own.counts(layer)), rows)
    agreement = read_agreement(layout.agreement)
    assert len(agreement.worked) == sum(one.images for one in outcome.run.annotators) == 40
    off = agreement.shared[agreement.shared[:, 2] != agreement.shared[:, 3]]
    assert len(off) > 20
