"""A sample from the command line: lists that can be worked off, and what they come to."""

from __future__ import annotations

import csv
import json
import shutil

import jsonschema
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from conceptset import sample_set
from conceptset.cli import app
from conceptset.errors import LayoutError, UsageError
from conceptset.layout.schemas import schema
from conceptset.sampling import SampleOptions

SQUARE = [2, 2, 12, 2, 12, 12, 2, 12]
CONCEPTS = ["car", "bus", "tram"]


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(*arguments):
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result


def coco(names, concept_of):
    """Annotations of these images; None draws nothing."""
    drawn = [(i, concept_of(name)) for i, name in enumerate(names)]
    return json.dumps(
        {
            "images": [
                {"id": i, "file_name": name, "height": 20, "width": 20}
                for i, name in enumerate(names)
            ],
            "categories": [{"id": i, "name": name} for i, name in enumerate(CONCEPTS)],
            "annotations": [
                {"id": i, "image_id": i, "category_id": CONCEPTS.index(concept),
                 "segmentation": [SQUARE]}
                for i, concept in drawn
                if concept is not None
            ],
        }
    )  # fmt: skip


def concept_of(name):
    number = int(name.partition(".")[0][-2:])
    if number % 13 == 12:
        return None
    return "tram" if number in (5, 6) else CONCEPTS[number % 2]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Forty images: ada drew the first half, ben the second, both the first five."""
    root = tmp_path_factory.mktemp("sampling")
    (root / "photos" / "day").mkdir(parents=True)
    names = [f"day/{number:02}.png" for number in range(40)]
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "photos" / name)
    (root / "ada.json").write_text(coco(names[:20], concept_of))
    (root / "ben.json").write_text(coco([*names[:5], *names[20:]], concept_of))
    done("build", root / "ada.json", root / "ben.json", "--images", root / "photos",
         "--annotator-from", "file", "--out", root / "set")  # fmt: skip
    return root


def drawn(world, out, *options):
    done("sample", world / "set", "--out", out, *options)
    return json.loads((out / "sample.json").read_text())


def test_lists_and_document_agree(world, tmp_path):
    out = tmp_path / "sample"
    document = drawn(world, out, "--repeat", "30%", "--annotators", "ada,ben,cy")
    jsonschema.validate(document, schema("sample"))
    assert len(document["images"]) == 12
    for task in document["tasks"]:
        with (out / "tasks" / f"{task['directory']}.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        (listed,) = (out / "lists" / task["directory"]).iterdir()
        lines = listed.read_text().splitlines()
        mine = [one for one in document["images"] if task["annotator"] in one["tasks"]]
        assert [row["original"] for row in rows] == lines == [one["original"] for one in mine]
        assert {row["session"] for row in rows} == {"1"}
        assert [row["sha256"] for row in rows] == [one["sha256"] for one in mine]
        assert len(rows) == task["images"]
        assert all((world / "photos" / line).is_file() for line in lines)
    seen = {"ada": range(20), "ben": [*range(5), *range(20, 40)], "cy": []}
    for one in document["images"]:
        number = int(one["original"][-6:-4])
        assert one["done"] == [name for name, numbers in seen.items() if number in numbers]
        assert sorted(one["done"] + one["tasks"]) == ["ada", "ben", "cy"]


def test_images_that_both_have_done_are_not_drawn_again(world, tmp_path):
    document = drawn(world, tmp_path / "a", "--repeat", "35", "--annotators", "ada,ben")
    numbers = {int(one["original"][-6:-4]) for one in document["images"]}
    assert numbers == set(range(5, 40))
    (pair,) = document["pairs"]
    assert (pair["before"], pair["added"]) == (5, 35)
    assert document["notes"] == []


def test_rare_concepts_and_empty_images_are_in(world, tmp_path):
    document = drawn(world, tmp_path / "a", "--repeat", "8", "--annotators", "ada,ben")
    by_name = {one["concept"]: one for one in document["concepts"]}
    assert by_name["tram"] == {
        "category": "object", "concept": "tram", "images": 2, "finished": 0, "sampled": 2,
    }  # fmt: skip
    assert by_name[""]["sampled"] == 3  # all there are
    assert min(one["sampled"] + one["finished"] for one in document["concepts"]) == 2


def test_what_comes_back_makes_the_pairs_that_were_promised(world, tmp_path):
    """The lists are worked off as a person would, the exports merged, and pairs counted."""
    document = drawn(world, tmp_path / "out", "--repeat", "12", "--annotators", "ada,ben,cy")
    exports = []
    for task in document["tasks"]:
        (listed,) = (tmp_path / "out" / "lists" / task["directory"]).iterdir()
        exports.append(tmp_path / f"{task['annotator']}.json")
        exports[-1].write_text(coco(listed.read_text().splitlines(), concept_of))
    done("build", *exports, "--images", world / "photos", "--annotator-from", "file",
         "--out", tmp_path / "repeated")  # fmt: skip
    done("merge", world / "set", tmp_path / "repeated", "--out", tmp_path / "merged")
    worked = {}
    for name in ("ada", "ben", "cy"):
        with (tmp_path / f"merged/annotators/{name}/index.csv").open(newline="") as stream:
            worked[name] = {row["image"] for row in csv.DictReader(stream)}
    for pair in document["pairs"]:
        shared = worked[pair["a"]] & worked[pair["b"]]
        assert len(shared) == pair["before"] + pair["added"] >= 12
    assert len(document["pairs"]) == 3


def test_again_makes_second_sessions(world, tmp_path):
    document = drawn(
        world, tmp_path / "a", "--repeat", "40", "--annotators", "ada,cy", "--again"
    )  # fmt: skip
    lists = {(task["annotator"], task["session"]): task for task in document["tasks"]}
    assert {key: task["images"] for key, task in lists.items()} == {
        ("ada", 1): 20, ("ada", 2): 20, ("cy", 1): 40,
    }  # fmt: skip
    with (tmp_path / "a/tasks/ada-2.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["session"] for row in rows} == {"2"}
    assert {int(row["original"][-6:-4]) for row in rows} == set(range(20))
    pairs = {(pair["a"], pair["b"]): pair["added"] for pair in document["pairs"]}
    assert pairs[("ada", "ada#2")] == 20
    assert pairs[("ada", "cy")] == 40
    assert pairs[("ada", "ben")] == 20


def test_one_person_can_only_repeat(world, tmp_path):
    refused = call(
        "sample", world / "set", "--repeat", "5", "--annotators", "ada", "--out", tmp_path / "a"
    )
    assert refused.exit_code == 2
    assert "--again" in refused.stderr
    document = drawn(world, tmp_path / "a", "--repeat", "5", "--annotators", "ada", "--again")
    assert [one["tasks"] for one in document["images"]] == [["ada#2"]] * 5


def test_same_bytes_twice(world, tmp_path):
    for name in ("a", "b"):
        drawn(world, tmp_path / name, "--repeat", "25%", "--annotators", "ada,ben,cy")
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*")]
    assert len(files) == 7
    assert all(
        (tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files
    )


def test_terminal(world, tmp_path):
    result = done("sample", world / "set", "--repeat", "4", "--annotators", "ada,bne,Ben",
                  "--out", tmp_path / "a")  # fmt: skip
    assert "a: 4 images" in result.stdout
    assert "conceptset merge" in result.stdout
    assert "every concept is in" in result.stdout
    assert "'bne' has annotated nothing in this set" in result.stderr
    assert "did you mean 'ben'?" in result.stderr
    assert "will share 4 images; intervals need 10: --repeat 10 would do" in result.stderr
    machine = done("sample", world / "set", "--repeat", "4", "--annotators", "ada,bne,Ben",
                   "--out", tmp_path / "b", "--json")  # fmt: skip
    assert json.loads(machine.stdout) == json.loads((tmp_path / "a/sample.json").read_text())


@pytest.mark.parametrize(
    ("repeat", "people", "said"),
    [
        ("0", "ada,ben", "a share such as 10%"),
        ("2.5", "ada,ben", "a share such as 10%"),
        ("half", "ada,ben", "a share such as 10%"),
        ("101%", "ada,ben", "at most 100%"),
        ("41", "ada,ben", "the set has 40 images"),
        ("5", "ada, ada", "twice"),
        ("5", "ada#2,ben", "--again"),
        ("5", ",", "nobody"),
    ],
)
def test_refusals(world, tmp_path, repeat, people, said):
    result = call("sample", world / "set", "--repeat", repeat, "--annotators", people,
                  "--out", tmp_path / "a")  # fmt: skip
    assert result.exit_code == 2
    assert said in result.stderr
    assert not list(tmp_path.iterdir())


def test_target_that_exists(world, tmp_path):
    (tmp_path / "a").mkdir()
    options = SampleOptions(repeat="5", annotators=("ada", "ben"))
    with pytest.raises(UsageError, match="exists already"):
        sample_set(world / "set", tmp_path / "a", options)
    sample_set(world / "set", tmp_path / "a", options.model_copy(update={"overwrite": True}))
    assert (tmp_path / "a/sample.json").is_file()


def test_an_address_is_near_the_name(world, tmp_path):
    options = SampleOptions(repeat="12", annotators=("ada@example.org", "ben", "eve"))
    notes = sample_set(world / "set", tmp_path / "a", options).notes
    assert notes[0].endswith("did you mean 'ada'?")
    assert notes[1].startswith("'eve' has annotated nothing")
    assert "did you mean" not in notes[1]


def test_hostile_names_stay_below_the_directory(world, tmp_path):
    names = ["../../evil", "a/b", "con", "ada.csv", "Ä\u202e", "x" * 500]
    options = SampleOptions(repeat="3", annotators=tuple(names))
    document = sample_set(world / "set", tmp_path / "out" / "a", options)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]
    tables = {path.name for path in (tmp_path / "out/a/tasks").iterdir()}
    assert tables == {f"{task.directory}.csv" for task in document.tasks}
    assert len(tables) == len(names)
    result = done("sample", world / "set", "--repeat", "3", "--annotators", "ada,b\x1b[2J",
                  "--out", tmp_path / "b")  # fmt: skip
    assert "\x1b" not in result.output


def copy_of(world, tmp_path):
    shutil.copytree(world / "set", tmp_path / "set")
    return tmp_path / "set"


OPTIONS = SampleOptions(repeat="5", annotators=("ada", "ben"))


def test_models_get_no_task_list(world, tmp_path):
    root = copy_of(world, tmp_path)
    table = root / "annotators.csv"
    table.write_text(table.read_text().replace("ben,1,person", "ben,1,model"))
    with pytest.raises(UsageError, match="which is a model in this set"):
        sample_set(root, tmp_path / "a", OPTIONS)
    document = sample_set(
        root, tmp_path / "a", OPTIONS.model_copy(update={"annotators": ("ada", "cy")})
    )
    assert {name for pair in document.pairs for name in (pair.a, pair.b)} == {"ada", "cy"}


def test_nothing_left(world, tmp_path):
    (tmp_path / "ada.json").write_text(coco(["day/00.png", "day/01.png"], concept_of))
    (tmp_path / "ben.json").write_text(coco(["day/00.png", "day/01.png"], concept_of))
    done("build", tmp_path / "ada.json", tmp_path / "ben.json", "--images", world / "photos",
         "--annotator-from", "file", "--out", tmp_path / "set")  # fmt: skip
    result = call("sample", tmp_path / "set", "--repeat", "1", "--annotators", "ada,ben",
                  "--out", tmp_path / "a")  # fmt: skip
    assert result.exit_code == 2
    assert "ada, ben have annotated all 2 images, nothing is left to draw from" in result.stderr
    document = sample_set(tmp_path / "set", tmp_path / "a",
                          SampleOptions(repeat="100%", annotators=("ada", "cy")))  # fmt: skip
    assert "the set is too small for more" in document.notes[-1]


def test_broken_sets(world, tmp_path):
    root = copy_of(world, tmp_path)
    segments = root / "annotators/ada/segments.jsonl"
    good = segments.read_bytes()
    number = b'{"image": 1, "kind": "tag", "category": "", "concept": ""}'
    for bad in (b"{}\n", b"[" * 100_000, number):
        segments.write_bytes(bad)
        with pytest.raises(LayoutError, match="is no segment"):
            sample_set(root, tmp_path / "a", OPTIONS)
    segments.unlink()
    with pytest.raises(LayoutError, match="cannot be read"):
        sample_set(root, tmp_path / "a", OPTIONS)
    segments.write_bytes(good)
    images = root / "images.csv"
    images.write_text(images.read_text().replace("day/00.png", "../00.png"))
    with pytest.raises(LayoutError, match="original"):
        sample_set(root, tmp_path / "a", OPTIONS)
    lines = images.read_text().splitlines()
    images.write_text("\n".join([lines[0], *lines[2:]]) + "\n")
    with pytest.raises(LayoutError, match="has no row for"):
        sample_set(root, tmp_path / "a", OPTIONS)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_foreign_layout(world, tmp_path):
    """Broden's own files: nobody is named, every label of the maps is a concept."""
    root = copy_of(world, tmp_path)
    for name in ("conceptset.json", "images.csv", "annotators.csv"):
        (root / name).unlink()
    document = sample_set(root, tmp_path / "a", OPTIONS)
    assert {one.concept: one.images for one in document.concepts}["tram"] == 2
    assert [task.known for task in document.tasks] == [False, False]
    assert all(len(one.tasks) == 2 for one in document.images)
