"""Whether a directory holds masks or folders of labels; what was looked for, and what is missing.

Of the masks themselves a few are looked into. Annotations of another format in the same directory
keep these readers from being chosen without `--format`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

from conceptset.errors import ConceptsetError
from conceptset.formats.base import Candidate, Detection
from conceptset.formats.masks.arranging import (
    LISTS,
    Arrangement,
    Matcher,
    arrange,
    class_list,
    is_jpeg,
)
from conceptset.formats.masks.class_lists import IGNORE, ClassList
from conceptset.formats.masks.folders import joint_file, photo_home
from conceptset.formats.masks.listing import (
    folder_kind,
    is_concept_set,
    is_image,
    is_mask_folder,
    listed,
    other_annotations,
    photographs_around,
    picture,
)
from conceptset.formats.masks.scanning import IndexTask, scan_grey, scan_index
from conceptset.io.paths import resolve_inside
from conceptset.parsing.values import quoted

SAMPLE = 4


def detect_index(candidate: Candidate, name: str) -> Detection:
    """What `masks` says about a path."""
    refusal = _no_directory(candidate)
    if refusal is not None:
        return Detection(name, matches=False, reasons=(refusal,))
    root = candidate.path
    files = listed(candidate)
    arrangement = arrange(root, files)
    said, classes = _class_list(root, arrangement)
    masks = [mask for mask in arrangement.masks if not is_jpeg(mask)]
    at_least = "" if files is candidate.files else "at least "
    where = f"{at_least}{len(masks)} masks {arrangement.how}"
    if not masks:
        jpegs = len(arrangement.masks)
        missing = (
            f"{jpegs} JPEG images {arrangement.how}: JPEG destroys codes, binary-masks reads "
            "one black and white image per concept"
            if jpegs
            else "no PNG in a folder such as masks/, labels/ or SegmentationClass/, nor beside "
            "photographs"
        )
        return Detection(name, matches=False, reasons=(missing, said))
    if classes is None:
        return Detection(name, matches=False, reasons=(where, said))
    wrong = _wrong_codes(root, arrangement, classes)
    if wrong is not None:
        return Detection(name, matches=False, reasons=(where, said, wrong))
    seen = len(arrangement.photographs)
    photographs = f"{seen} photographs" if seen else "no photographs in it"
    other = other_annotations(root, files, [classes.path])
    return _found(name, other, where, said, photographs)


def detect_binary(candidate: Candidate, name: str) -> Detection:
    """What `binary-masks` says about a path."""
    refusal = _no_directory(candidate)
    if refusal is not None:
        return Detection(name, matches=False, reasons=(refusal,))
    root = candidate.path
    files = listed(candidate)
    images = [picture(file) for file in files if is_image(file)]
    outside = [one for one in images if folder_kind(one.name) is None]
    matcher = Matcher(one.name for one in outside)
    named = [one.name for one in images if matcher.owner(one) is not None]
    if not named and is_mask_folder(root):
        matcher = Matcher(photographs_around(root.absolute()))
        named = [one.name for one in images if matcher.owner(one) is not None]
    if not named:
        return Detection(
            name,
            matches=False,
            reasons=(
                "no image is called like a photograph, '_' and a concept (a.jpg, a_door.png)",
            ),
        )
    where = f"{len(named)} images are called like a photograph, '_' and a concept"
    sample = [path for path in (_inside(root, file) for file in _sample(named)) if path]
    sharp = sum(scan_grey(path).is_two_level for path in sample)
    looked = f"{sharp} of {len(sample)} that were looked into are black and white"
    if 2 * sharp <= len(sample):
        return Detection(name, matches=False, reasons=(where, looked))
    if detect_index(candidate, "").matches:
        return Detection(name, matches=False, reasons=(where, "a class list says what codes mean"))
    return _found(name, other_annotations(root, files, []), where, looked)


def detect_folders(candidate: Candidate, name: str) -> Detection:
    """What `image-folders` says about a path."""
    refusal = _no_directory(candidate)
    if refusal is not None:
        return Detection(name, matches=False, reasons=(refusal,))
    root = candidate.path
    home = photo_home(root).relative_to(root).as_posix()
    below = [
        PurePosixPath(file).relative_to(home).parent.name
        for file in listed(candidate)
        if is_image(file) and (home == "." or file.startswith(f"{home}/"))
    ]
    labels = Counter(label for label in below if label)
    if not labels:
        return Detection(name, matches=False, reasons=("no folder with images in it",))
    more = ", ..." if len(labels) > 3 else ""
    named = ", ".join(quoted(label) for label in sorted(labels)[:3])
    where = f"{labels.total()} images in folders called {named}{more}"
    joint = joint_file(root)
    if joint is not None:
        return Detection(name, matches=True, reasons=(where, f"{joint} has further labels (DTD)"))
    return Detection(
        name,
        matches=False,
        on_request=True,
        reasons=(where, f"--format {name} takes these names as labels"),
    )


def _no_directory(candidate: Candidate) -> str | None:
    """Why a path is none for these formats."""
    if not candidate.is_directory:
        return "is a file, a directory was expected"
    if is_concept_set(candidate.files):
        return "is a concept set already (index.csv and label.csv, or conceptset.json)"
    return None


def _found(name: str, other: str | None, *reasons: str) -> Detection:
    """A match, unless annotations of another kind lie in the directory too."""
    if other is None:
        return Detection(name, matches=True, reasons=reasons)
    reason = f"{quoted(other)} looks like annotations of another format (--format {name} insists)"
    return Detection(name, matches=False, on_request=True, reasons=(*reasons, reason))


def _class_list(root: Path, arrangement: Arrangement) -> tuple[str, ClassList | None]:
    """What is said of the class list, and the list."""
    try:
        classes = class_list(root, arrangement)
    except ConceptsetError as error:
        known = error.path is not None and Path(error.path).name in LISTS
        return (f"{Path(str(error.path)).name} {error.message}" if known else error.message), None
    kind = "colours" if classes.is_colours else "codes"
    return f"{classes.path.name} lists {len(classes.names)} {kind}", classes


def _wrong_codes(root: Path, arrangement: Arrangement, classes: ClassList) -> str | None:
    """Why a few of the masks are no index masks; None if they are."""
    for name in _sample([mask.name for mask in arrangement.masks]):
        path = _inside(root, name)
        if path is None or path.suffix.lower() != ".png":
            continue
        scan = scan_index(IndexTask(path, None, classes.is_colours))
        if scan.failure is not None:
            if not arrangement.is_told_by_name:
                return f"{quoted(name)} {scan.failure}"
            continue  # the reader reports a broken mask
        keys = {found.key for found in scan.found}
        unknown = keys - classes.names.keys() - {0, IGNORE}
        if unknown and not arrangement.is_told_by_name:
            return f"{quoted(name)} has the code {min(unknown)}, which the list does not have"
        if 255 in keys and keys <= {0, 255} and not classes.is_colours and 255 not in classes.names:
            return f"{quoted(name)} is black and white: binary-masks reads one image per concept"
    return None


def _sample(names: list[str]) -> list[str]:
    """A few, spread evenly."""
    return names[:: max(1, len(names) // SAMPLE)][:SAMPLE]


def _inside(root: Path, name: str) -> Path | None:
    """Where a file lies; None if it is none or leads out of its folder."""
    try:
        path = resolve_inside(root, name)
    except ConceptsetError:
        return None
    return path if path.is_file() else None
