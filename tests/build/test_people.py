"""Who drew: names with sessions wherever a name comes in, aliases, tables of annotators."""

from __future__ import annotations

import csv
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conceptset.build import BuildOptions, build_set
from conceptset.build.people import Aliases, AnnotatorTable, Called
from conceptset.errors import UsageError
from conceptset.records import Person
from conceptset.validate import validate

SIZE = (16, 24)
DRAWN = [("a.png", "car", (0, 0, 12, 9))]


def options(**more):
    return BuildOptions(image_size=SIZE, segmentation_size=SIZE, **more)


def people_of(out):
    with (out / "annotators.csv").open(newline="") as stream:
        return [
            (row["annotator"], int(row["session"]), row["directory"])
            for row in csv.DictReader(stream)
        ]


@pytest.mark.parametrize(
    ("text", "person"),
    [
        ("ada", Person("ada")),
        (" ada ", Person("ada")),
        ("ada#2", Person("ada", 2)),
        ("ada #12", Person("ada", 12)),
        ("ada#99", Person("ada", 99)),
        ("ada#1", Person("ada#1")),
        ("ada#0", Person("ada#0")),
        ("ada#02", Person("ada#02")),
        ("ada#100", Person("ada#100")),
        ("ada#-2", Person("ada#-2")),
        ("ada#2b", Person("ada#2b")),
        ("#2", Person("#2")),
        ("", Person("")),
        ("a\nb#3", Person("a\nb", 3)),
    ],
)
def test_a_name_with_a_session(text, person):
    assert Person.parse(text) == person


@given(st.text(max_size=8), st.integers(1, 99))
def test_what_is_printed_is_read_again(name, session):
    person = Person.parse(str(Person(name.strip(), session)))
    assert Person.parse(str(person)) == person


def test_the_whole_spelling_comes_before_the_name():
    names = {"labeller12": "labeller1#2", "ada.l": "ada", "bob#2": "cem", "eva#3": "ada#2"}
    aliases = Aliases(names)
    cases = {
        Person("labeller12"): Person("labeller1", 2),
        Person("ada.l"): Person("ada"),
        Person("ada.l#2"): Person("ada", 2),
        Person("ada.l", 2): Person("ada", 2),
        Person("bob", 2): Person("cem"),
        Person("bob"): Person("bob"),
        Person("eva", 3): Person("ada", 2),
        Person("eva", 2): Person("eva", 2),
        Person("labeller12", 3): Person("labeller1", 3),
        Person("x"): Person("x"),
    }
    assert {met: aliases.person(met) for met in cases} == cases
    assert aliases.notes() == []


def test_an_alias_of_nobody_is_told():
    aliases = Aliases({"adda": "ada", "bob": "b", "cem#2": "c"})
    for name in ("ada", "bob#2", "cem"):
        aliases.person(Person(name))
    assert aliases.notes() == [
        '--alias adda=ada: nobody is called "adda"; there are ada, bob, cem',
        '--alias cem#2=c: nobody is called "cem#2"; there are ada, bob, cem',
    ]


def test_an_alias_where_nobody_has_a_name():
    aliases = Aliases({"ada": "eva"})
    aliases.person(Person(""))
    assert aliases.notes() == ['--alias ada=eva: nobody is called "ada"; there are no names']


def called(*keys, stem="s", folder="f"):
    return Called(stem, folder, keys)


def test_a_table_of_annotators(tmp_path):
    path = tmp_path / "who.csv"
    path.write_text(
        "file,annotator\nworld/x.json,ada#2\nx.json,bob\nold\\a.json,cem\n./b,dora\nempty,\n"
        "typo.json,ada\n"
    )
    table = AnnotatorTable(str(path))
    assert table.person_of(called("world/x.json", "x.json")) == Person("ada", 2)
    assert table.person_of(called("other/x.json", "x.json", "x")) == Person("bob")
    assert table.person_of(called("s/old/a.json", "old/a.json")) == Person("cem")
    assert table.person_of(called("q.json", "b")) == Person("dora")
    assert table.person_of(called("empty")) is None
    assert table.notes() == [
        '--annotator-from who.csv: 1 row matches no file, such as "typo.json" (line 7)'
    ]
    with pytest.raises(UsageError, match=r"who\.csv has no row for a/new\.json"):
        table.person_of(called("a/new.json", "new.json"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,person\n", "needs the columns file,annotator"),
        ("file,annotator\na.json,x\na.json,y\n", "line 3: names two annotators for 'a.json'"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, message):
    (tmp_path / "who.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        AnnotatorTable(str(tmp_path / "who.csv"))
    with pytest.raises(UsageError, match="file, folder or a CSV"):
        AnnotatorTable("nowhere.csv")


def test_two_sessions_of_one_person_stay_two(world, tmp_path):
    """Named by option, by the file's name, by a table, in the file, and by an alias."""
    world.photograph("a.png")
    plain = world.coco("ada.json", {"a.png": SIZE}, DRAWN)
    second = world.coco("ada#2.json", {"a.png": SIZE}, [("a.png", "car", (0, 0, 10, 9))])
    both = [("ada", 1, "ada"), ("ada", 2, "ada-2")]
    build_set([plain, second], tmp_path / "file", options(annotator_from="file"))
    assert people_of(tmp_path / "file") == both
    (tmp_path / "who.csv").write_text("file,annotator\nada.json,ada\nada#2.json,ada#2\n")
    table = str(tmp_path / "who.csv")
    build_set([plain, second], tmp_path / "table", options(annotator_from=table))
    assert people_of(tmp_path / "table") == both
    inside = world.coco(
        *("x.json", {"a.png": SIZE}),
        [
            ("a.png", "car", {"segmentation": [[0, 0, 9, 0, 9, 9]], "annotator": name})
            for name in ("ada", "ada#2")
        ],
    )
    build_set([inside], tmp_path / "inside", options())
    assert people_of(tmp_path / "inside") == both
    aliases = {"ada": "eva", "ada#2": "eva#3"}
    build_set([inside], tmp_path / "alias", options(aliases=aliases))
    assert people_of(tmp_path / "alias") == [("eva", 1, "eva"), ("eva", 3, "eva-3")]
    build_set([plain], tmp_path / "option", options(annotator="ada#2"))
    assert people_of(tmp_path / "option") == [("ada", 2, "ada-2")]
    assert not validate(tmp_path / "inside").failed("error")


def test_two_files_without_a_name_for_one_image_are_told(world, tmp_path):
    """They are one person for the build; two people would be it as well, without a word."""
    world.photograph("a.png")
    world.photograph("b.png")
    one = world.coco("one.json", {"a.png": SIZE, "b.png": SIZE}, DRAWN)
    two = world.coco("two.json", {"a.png": SIZE}, DRAWN)
    other = world.coco("other.json", {"b.png": SIZE}, [("b.png", "car", (0, 0, 9, 9))])
    said = build_set([one, two], tmp_path / "set", options())
    assert said.notes == (
        '"one.json" and "two.json" draw in the same image and do not say who did: taken as one '
        "person. If they are two, --annotator-from tells them apart",
    )
    assert people_of(tmp_path / "set") == [("", 1, "unnamed")]
    assert build_set([one, other], tmp_path / "apart", options()).notes == ()
    for number, named in enumerate(({"annotator_from": "file"}, {"annotator": "ada"})):
        assert build_set([one, two], tmp_path / f"named{number}", options(**named)).notes == ()


def test_aliases_reach_names_from_every_place(world, tmp_path):
    world.photograph("a.png")
    one = world.coco("Ada L..json", {"a.png": SIZE}, DRAWN)
    report = build_set(
        *([one], tmp_path / "set"),
        options(annotator_from="file", aliases={"Ada L.": "ada#2", "nobody": "x"}),
    )
    assert people_of(tmp_path / "set") == [("ada", 2, "ada-2")]
    assert report.notes == ('--alias nobody=x: nobody is called "nobody"; there are Ada L.',)


def archive_of(path, *members):
    with zipfile.ZipFile(path, "w") as archive:
        for source, name in members:
            archive.write(source, name)
    return path


def test_who_drew_what_comes_out_of_archives(world, tmp_path):
    photograph = world.photograph("a.png")
    file = world.coco("instances.json", {"a.png": SIZE}, DRAWN)
    photo = (photograph, "images/a.png")
    only = archive_of(tmp_path / "ada.zip", photo, (file, "annotations/instances.json"))
    top = archive_of(tmp_path / "ben#2.zip", photo, (file, "x.json"), (file, "y/z.json"))

    def people(rule, *sources):
        out = tmp_path / f"set{len(list(tmp_path.iterdir()))}"
        report = build_set(list(sources), out, options(annotator_from=rule))
        return [str(Person(name, session)) for name, session, _ in people_of(out)], report.notes

    assert people("file", only, top) == (["ada", "x", "z"], ())
    assert people("folder", only, top) == (["annotations", "ben#2", "y"], ())
    table = tmp_path / "who.csv"
    table.write_text("file,annotator\nada.zip,Ada\nben#2,Ben\ny/z.json,Cem\ny,Dora\n")
    names, notes = people(str(table), only, top)
    assert names == ["Ada", "Ben", "Cem"]
    assert notes == ()
    table.write_text("file,annotator\nada,Ada\nben#2.zip,Ben\nada.json,x\nz.json,y\n")
    names, notes = people(str(table), only, top)
    assert names == ["Ada", "Ben", "y"]
    assert notes == (
        '--annotator-from who.csv: 1 row matches no file, such as "ada.json" (line 4)',
    )
