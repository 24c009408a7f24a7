"""From SOURCE arguments to annotation files: which are read, by whom, with which photographs."""

from __future__ import annotations

import csv
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from conceptset.build import BuildOptions, build_set
from conceptset.build.sources import open_sources
from conceptset.errors import SourceError, UsageError
from conceptset.formats.base import Detection
from conceptset.records import ImageRecord

SIZE = (16, 24)
DRAWN = [("a.png", "car", (0, 0, 12, 9))]


def options(**more):
    return BuildOptions(image_size=SIZE, segmentation_size=SIZE, **more)


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def people_of(out):
    return [(r["annotator"], int(r["session"])) for r in rows_of(out / "annotators.csv")]


def tree(root):
    return {p.relative_to(root): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def pack(folder, archive, *, top=""):
    """Zip or tar a folder, its files in an order of their own."""
    files = sorted((p for p in folder.rglob("*") if p.is_file()), reverse=True)
    names = [(p, f"{top}{p.relative_to(folder).as_posix()}") for p in files]
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as stream:
            for path, name in names:
                stream.write(path, name)
    else:
        with tarfile.open(archive, "w:gz") as stream:
            for path, name in names:
                stream.add(path, name)
    return archive


@pytest.fixture
def export(world):
    """A folder as a tool exports it: coco.json and images/."""
    world.photograph("a.png")
    world.photograph("sub/b.png")
    world.coco("coco.json", {"a.png": SIZE, "sub/b.png": SIZE}, DRAWN)
    return world.root


@pytest.mark.parametrize("name", ["world.zip", "world.tar.gz"])
def test_zipped_or_not_is_the_same_set(export, tmp_path, name):
    """But for what the sources are called."""
    build_set([export], tmp_path / "folder", options(annotator="ada"))
    archive = pack(export, tmp_path / name)
    for out in (tmp_path / "first", tmp_path / "deep" / "second"):
        report = build_set([archive], out, options(annotator="ada"))
        assert report.manifest.sources[0].file == f"{name}/coco.json"
    first, second = tree(tmp_path / "first"), tree(tmp_path / "deep" / "second")
    assert first == second
    plain = tree(tmp_path / "folder")
    other = {Path("conceptset.json"), Path("annotators/ada/segments.jsonl")}
    assert first.keys() == plain.keys()
    assert {path for path in plain if plain[path] != first[path]} == other
    assert (
        plain[Path("annotators/ada/segments.jsonl")].replace(b"world/", f"{name}/".encode())
        == (first[Path("annotators/ada/segments.jsonl")])
    )
    for data in first.values():
        assert b"conceptset-" not in data
        assert bytes(tmp_path) not in data


def test_nothing_stays_beside_the_set(export, tmp_path):
    archive = pack(export, tmp_path / "e.zip")
    (tmp_path / "out").mkdir()
    build_set([archive], tmp_path / "out" / "set", options())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["set"]
    bad = json.loads((export / "coco.json").read_text())
    bad["annotations"][0]["segmentation"] = [[1, 2]]
    (export / "coco.json").write_text(json.dumps(bad))
    archive = pack(export, tmp_path / "bad.zip")
    with pytest.raises(SourceError) as caught:
        build_set([archive], tmp_path / "out" / "bad", options())
    assert str(caught.value).startswith("bad.zip/coco.json /annotations/0")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["set"]


def test_errors_of_readers_name_the_archive(export, tmp_path, monkeypatch):
    """Whatever path a reader puts into them."""
    archive = pack(export, tmp_path / "e.zip", top="in/")

    def broken(path, context):
        del context
        raise SourceError(f"cannot be read, see {path.parent}", path=path)

    monkeypatch.setattr("conceptset.formats.coco.FORMAT.read", broken, raising=False)
    with pytest.raises(SourceError) as caught:
        build_set([archive], tmp_path / "set", options())
    assert str(caught.value) == f"{archive}/in/coco.json: cannot be read, see {archive}/in"


def test_a_zip_and_a_folder_of_two_people(world, tmp_path):
    """Both hold the same photographs; one image each, drawn by both."""
    for person, box in (("ada", (0, 0, 12, 9)), ("ben", (0, 0, 10, 9))):
        folder = world.root / person
        (folder / "images").mkdir(parents=True)
        world.photograph("a.png")
        shutil.copy(world.root / "images/a.png", folder / "images/a.png")
        world.coco(f"{person}/instances.json", {"a.png": SIZE}, [("a.png", "car", box)])
    archive = pack(world.root / "ben", tmp_path / "ben.zip")
    shutil.rmtree(world.root / "images")
    sources = [world.root / "ada", archive]
    report = build_set(sources, tmp_path / "set", options(annotator_from="folder"))
    assert report.manifest.counts.images == 1
    assert people_of(tmp_path / "set") == [("ada", 1), ("ben", 1)]
    files = [entry.file for entry in report.manifest.sources]
    assert files == ["ada/instances.json", "ben.zip/instances.json"]
    again = build_set(sources[::-1], tmp_path / "again", options(annotator_from="folder"))
    assert (tmp_path / "set/index.csv").read_bytes() == (tmp_path / "again/index.csv").read_bytes()
    assert [entry.file for entry in again.manifest.sources] == files[::-1]


@pytest.mark.parametrize("order", [1, -1])
def test_photographs_that_only_another_source_has(world, tmp_path, order):
    world.photograph("a.png")
    world.coco("ada.json", {"a.png": SIZE}, DRAWN)
    ada = pack(world.root, tmp_path / "ada.zip")
    (world.root / "ada.json").rename(tmp_path / "ben.json")
    with zipfile.ZipFile(tmp_path / "ben.zip", "w") as archive:
        archive.write(tmp_path / "ben.json", "instances.json")
    (tmp_path / "elsewhere").mkdir()
    ben = (tmp_path / "ben.zip").rename(tmp_path / "elsewhere/ben.zip")
    report = build_set([ada, ben][::order], tmp_path / "set", options(annotator_from="file"))
    assert report.manifest.counts.images == 1
    assert people_of(tmp_path / "set") == [("ada", 1), ("ben", 1)]
    assert [r["source"] for r in rows_of(tmp_path / "set/images.csv")] == ["images"]
    with pytest.raises(SourceError, match=r'ben\.zip/instances\.json: names images, such as "a'):
        build_set([ben], tmp_path / "no", options())


@pytest.mark.parametrize("place", ["images", "Images", "JPEGImages", "."])
def test_photographs_beside_an_archive(world, tmp_path, place):
    """CVAT exports annotations alone unless told otherwise."""
    world.coco("instances.json", {"a.png": SIZE}, DRAWN)
    archive = pack(world.root, tmp_path / "e.zip")
    (tmp_path / place).mkdir(exist_ok=True)
    world.photograph("a.png").rename(tmp_path / place / "a.png")
    with open_sources([archive]) as opened:
        assert opened.sources[0].catalogue.root == tmp_path / place


def test_the_same_title_gets_its_folder(world, tmp_path):
    world.photograph("a.png")
    world.coco("job.json", {"a.png": SIZE}, DRAWN)
    given = []
    for person in ("ada", "ben"):
        (tmp_path / person).mkdir()
        given.append(pack(world.root, tmp_path / person / "export.zip"))
    with open_sources([*given, world.root]) as opened:
        assert [source.label for source in opened.sources] == [
            *("ada/export.zip/job.json", "ben/export.zip/job.json", "world/job.json")
        ]


def test_things_named_twice(export, tmp_path):
    archive = pack(export, tmp_path / "e.zip")
    for given in ([archive, archive], [export, export / "coco.json"], [export, export]):
        with pytest.raises(UsageError, match="is named twice among the sources"):
            build_set(given, tmp_path / "set", options())


def test_several_formats_in_a_folder_and_what_is_passed_over(export, tmp_path):
    (export / "labels").mkdir()
    shape = {"label": "dog", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}
    document = {
        "version": "5.4.1",
        "flags": {},
        "shapes": [shape],
        "imagePath": "b.png",
        "imageData": None,
        "imageHeight": 16,
        "imageWidth": 24,
    }
    shutil.copy(export / "images/sub/b.png", export / "labels/b.png")
    (export / "labels/b.json").write_text(json.dumps(document))
    (export / "cut.json").write_text('{"images": [')
    (export / ".hidden.json").write_text('{"images": [')
    (export / "__MACOSX").mkdir()
    (export / "__MACOSX/x.json").write_text('{"images": [')
    (export / "notes.txt").write_text("not annotations")
    (export / "people.csv").write_text("file,annotator\n")
    pack(export / "images", export / "more.zip")
    report = build_set([export], tmp_path / "set", options())
    read = [(entry.file, entry.format) for entry in report.manifest.sources]
    assert read == [("world/coco.json", "coco"), ("world/labels/b.json", "labelme")]
    assert report.manifest.counts.left_out == {
        "archives inside other sources (name them as sources)": 1,
        "files of no known format ('conceptset detect FILE' says why)": 1,
        "images nobody worked on (--annotator names who did)": 1,
    }
    assert sorted(r["name"] for r in rows_of(tmp_path / "set/label.csv")) == ["car", "dog"]


def test_a_set_among_the_sources_is_no_annotation(export, tmp_path):
    build_set([export / "coco.json"], export / "old", options())
    report = build_set([export], tmp_path / "set", options())
    assert [entry.file for entry in report.manifest.sources] == ["world/coco.json"]
    assert report.manifest.counts.left_out.keys() == {
        "images nobody worked on (--annotator names who did)"
    }


def test_one_root_for_all_files_of_a_folder(world, tmp_path):
    """One catalogue, one <source> in the set, wherever the files lie."""
    (world.root / "images").rename(world.root / "Images")
    for name in ("ada", "ben", "cem"):
        (world.root / "annotations" / name).mkdir(parents=True)
        file = world.coco(f"annotations/{name}/x.json", {"a.png": SIZE, "b/c.png": SIZE}, DRAWN)
        assert file.is_file()
    (world.root / "Images/b").mkdir()
    for path in ("Images/a.png", "Images/b/c.png"):
        Image.new("RGB", SIZE[::-1], (9, 9, len(path))).save(world.root / path)
    for given in (world.root, world.root / "annotations"):
        with open_sources([given]) as opened:
            assert len(opened.sources) == 3
            assert len({id(source.catalogue) for source in opened.sources}) == 1
            assert opened.sources[0].catalogue.root == world.root / "Images"
    build_set([world.root], tmp_path / "set", options(annotator_from="folder"))
    assert [r["source"] for r in rows_of(tmp_path / "set/images.csv")] == ["Images", "Images"]
    assert people_of(tmp_path / "set") == [("ada", 1), ("ben", 1), ("cem", 1)]


def test_files_that_share_no_root_get_their_own(world):
    for part in ("train", "val"):
        (world.root / "images" / part).mkdir()
        Image.new("RGB", (24, 16)).save(world.root / f"images/{part}/a.png")
        world.coco(f"instances_{part}.json", {"a.png": SIZE}, DRAWN)
    with open_sources([world.root]) as opened:
        roots = {source.path.name: source.catalogue.root.name for source in opened.sources}
    assert roots == {"instances_train.json": "train", "instances_val.json": "val"}


@pytest.mark.parametrize("inside", ["", "images/"])
def test_a_folder_for_each_person_with_photographs_of_one_name(world, tmp_path, inside):
    """Each file means its own, though the names are equal."""
    for number, person in enumerate(("ada", "ben")):
        (world.root / person / inside).mkdir(parents=True)
        Image.new("RGB", SIZE[::-1], (number, 0, 0)).save(world.root / person / inside / "a.png")
        world.coco(f"{person}/x.json", {"a.png": SIZE}, DRAWN)
    two = options(annotator_from="folder", match="bytes")
    report = build_set([world.root], tmp_path / "set", two)
    assert report.manifest.counts.images == 2
    rows = rows_of(tmp_path / "set/annotators.csv")
    assert [(row["annotator"], row["images"]) for row in rows] == [("ada", "1"), ("ben", "1")]


def test_a_file_without_its_photographs_gets_the_root_of_the_others(world, tmp_path):
    """Its reader reports each of them; it does not cost the others."""
    world.photograph("a.png")
    world.coco("good.json", {"a.png": SIZE}, DRAWN)
    world.coco("lost.json", {"lost.png": SIZE}, [("lost.png", "car", (0, 0, 9, 9))])
    report = build_set([world.root], tmp_path / "set", options(on_error="collect"))
    assert [(finding.path, finding.code) for finding in report.findings] == [
        ("world/lost.json", "SRC001")
    ]
    with pytest.raises(SourceError, match="--images DIR"):
        build_set([world.root / "lost.json"], tmp_path / "no", options())


def test_images_decides_for_all(export, tmp_path):
    (tmp_path / "photos").mkdir()
    shutil.copytree(export / "images", tmp_path / "photos", dirs_exist_ok=True)
    archive = pack(export, tmp_path / "e.zip")
    with open_sources([export, archive], images=tmp_path / "photos") as opened:
        assert {source.catalogue.root for source in opened.sources} == {tmp_path / "photos"}
    with pytest.raises(UsageError, match="no directory of images"):
        build_set([export], tmp_path / "set", options(images=tmp_path / "none"))


class Told:
    """A format that says what it is told."""

    name, title = "told", "Told"

    def __init__(self, answers, names=()):
        self.answers, self.names, self.read_with = answers, names, {}

    def detect(self, candidate):
        answer = self.answers.get(candidate.path.name)
        return Detection(
            *(self.name, answer == "yes", ("was told so",)), on_request=answer == "asked"
        )

    def image_names(self, path):
        del path
        return self.names

    def read(self, path, context):
        self.read_with[path.name] = context
        for name in self.names:
            key = context.catalogue.find(name, context.beside).key
            yield ImageRecord(key, SIZE, "stored", (), (), None)


@pytest.fixture
def told(monkeypatch):
    def register(answers, names=()):
        reader = Told(answers, names)
        monkeypatch.setattr("conceptset.build.sources.formats", lambda: {"told": reader})
        monkeypatch.setattr("conceptset.build.sources.format_named", lambda _: reader)
        return reader

    return register


def read_paths(*given, **more):
    with open_sources(list(given), **more) as opened:
        return [source.label for source in opened.sources]


def test_a_folder_as_a_whole(world, tmp_path, told):
    (world.root / "a.told").touch()
    told({"world": "yes", "a.told": "yes"})
    assert read_paths(world.root) == ["world"]
    assert read_paths(pack(world.root, tmp_path / "world.zip")) == ["world.zip"]
    assert read_paths(pack(world.root, tmp_path / "e.zip", top="x/world/")) == ["e.zip/x/world"]


def test_what_is_read_on_request_only(world, told):
    (world.root / "a.told").touch()
    told({"a.told": "asked"})
    with pytest.raises(SourceError, match="holds no annotations in a known format"):
        read_paths(world.root)
    assert read_paths(world.root, format_name="told") == ["world/a.told"]
    told({})
    with pytest.raises(SourceError, match=r"holds no Told annotations .*told: was told so"):
        read_paths(world.root, format_name="told")
    assert read_paths(world.root / "a.told", format_name="told") == ["a.told"]  # as it was asked


def test_photographs_that_come_with_the_annotations(world, told):
    """A file that names no image is no reason to stop before it is read."""
    (world.root / "a.told").touch()
    told({"a.told": "yes"})
    with open_sources([world.root]) as opened:
        assert opened.sources[0].catalogue.root == world.root
        stored = opened.sources[0].catalogue
        data = world.photograph("z.png").read_bytes()
        key = stored.adopt("new.png", data).key
        kept = stored.find(key).path
        assert kept.read_bytes() == data
    assert not kept.exists()


@pytest.mark.parametrize(
    ("photographs", "annotations", "given", "root", "beside"),
    [
        ("d/x.png", "d/a.told", ".", ".", "d"),  # LabelMe JSON: side by side in sub-folders
        ("d/x.png", "d/a.told", "d", "d", ""),
        ("Images/x.png", "Annotations/a.told", ".", "Images", ""),  # LabelMe XML, put together
        ("Images/ada/x.png", "Annotations/ada/a.told", ".", "Images", "ada"),
        ("Images/ada/x.png", "Annotations/ada/a.told", "Annotations", "Images", "ada"),
        ("Images/ada/x.png", "Annotations/ada/a.told", "Annotations/ada", "Images", "ada"),
        ("Images/ada/x.png", "Annotations/ada/a.told", "Annotations/ada/a.told", "Images", "ada"),
        ("Images/x.png", "Annotations/ada/a.told", ".", "Images", ""),
        ("images/x.png", "a.told", ".", "images", ""),
        ("images/x.png", "deep/er/a.told", ".", "images", ""),
        ("JPEGImages/x.png", "a.told", "a.told", "JPEGImages", ""),
    ],
)
def test_where_photographs_lie(world, told, photographs, annotations, given, root, beside):
    shutil.rmtree(world.root / "images")
    for path in (photographs, annotations):
        (world.root / path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 16)).save(world.root / photographs)
    (world.root / annotations).touch()
    told({"a.told": "yes"}, ["x.png"])
    with open_sources([world.root / given]) as opened:
        (source,) = opened.sources
        assert (source.catalogue.root, source.beside) == (world.root / root, beside)
        assert source.catalogue.find("x.png", source.beside).path.samefile(world.root / photographs)


def test_of_many_files_some_are_asked(world, told, monkeypatch):
    """Ten thousand small files are not read three times."""
    world.photograph("x.png")
    for place in range(1000):
        (world.root / f"{place}.told").touch()
    reader = told({f"{place}.told": "yes" for place in range(1000)}, ["x.png"])
    asked = []
    monkeypatch.setattr(reader, "image_names", lambda path: asked.append(path) or ["x.png"])
    with open_sources([world.root]) as opened:
        assert len(opened.sources) == 1000
        assert {source.catalogue.root.name for source in opened.sources} == {"images"}
    assert 0 < len(asked) <= 64


def test_the_reader_is_told_where_and_with_how_many(world, tmp_path, told):
    shutil.rmtree(world.root / "images")
    (world.root / "d").mkdir()
    Image.new("RGB", (24, 16)).save(world.root / "d/x.png")
    (world.root / "d/a.told").touch()
    reader = told({"a.told": "yes"}, ["x.png"])
    with pytest.raises(SourceError, match="no label is left"):
        build_set([world.root], tmp_path / "set", options(annotator="ada", jobs=3))
    context = reader.read_with["a.told"]
    assert (context.beside, context.jobs, context.label) == ("d", 3, "world/d/a.told")


def test_overwriting_never_removes_the_archive_that_is_read(export, tmp_path):
    build_set([export], tmp_path / "set", options())
    archive = pack(export, tmp_path / "set" / "e.zip")
    with pytest.raises(UsageError, match=r"e\.zip: lies in the directory that --overwrite"):
        build_set([archive], tmp_path / "set", options(overwrite=True))
    assert archive.is_file()


@pytest.mark.real
def test_real_exports_zipped(shared, tmp_path):
    """The tools' own folders, zipped: same index as unzipped, with the people the files name."""
    samples = shared / "samples"
    cases = {
        "labelme_xml/multi_annotator_cars": ["ecyou", "mhsieh2", "sngandhi", "ylp"],
        "coco/coco_val2017_20": None,
        "labelme_json/instance_segmentation/data_annotated": ["ada"],
    }
    for number, (name, people) in enumerate(cases.items()):
        plain, zipped = tmp_path / f"plain{number}", tmp_path / f"zipped{number}"
        more = {"on_error": "collect", "annotator": "ada" if people == ["ada"] else None}
        archive = pack(samples / name, tmp_path / f"{Path(name).name}.zip")
        build_set([samples / name], plain, options(**more))
        build_set([archive], zipped, options(**more))
        for table in ("index.csv", "label.csv", "images.csv", "annotators.csv"):
            assert (plain / table).read_bytes() == (zipped / table).read_bytes(), (name, table)
        if people is not None:
            assert [name for name, _ in people_of(zipped)] == people


def test_names_that_lead_out_are_found_by_their_last_part(world, told):
    """The reader refuses or reports them; the folder of the photographs is known all the same."""
    world.photograph("x.png")
    (world.root / "a.told").touch()
    told({"a.told": "yes"}, ["../../photos/x.png", "C:\\photos\\x.png"])
    with open_sources([world.root]) as opened:
        assert opened.sources[0].catalogue.root == world.root / "images"
    told({"a.told": "yes"}, ["..", "/"])
    with pytest.raises(SourceError, match=r"names images, such as .*none of them was found"):
        read_paths(world.root)


def test_a_reader_that_fails_to_name_images_says_so_when_it_reads(world, told, monkeypatch):
    reader = told({"a.told": "yes"})
    (world.root / "a.told").touch()

    def broken(path):
        raise SourceError("is broken", path=path)

    monkeypatch.setattr(reader, "image_names", broken)
    assert read_paths(world.root) == ["world/a.told"]


def test_archives_are_the_only_thing_in_a_folder(export, tmp_path):
    (tmp_path / "exports").mkdir()
    for person in ("ada", "ben"):
        pack(export, tmp_path / "exports" / f"{person}.zip")
    with pytest.raises(SourceError, match=r'such as "ada\.zip", which are not opened: name them'):
        read_paths(tmp_path / "exports")
