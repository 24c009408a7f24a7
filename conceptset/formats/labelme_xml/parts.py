"""Which object is a part of which, from what both sides say."""

from __future__ import annotations

from collections.abc import Sequence

from conceptset.formats.labelme_xml.document import Drawing
from conceptset.parsing.defects import Spot
from conceptset.parsing.values import quoted

MAX_NESTING = 16  # parts of parts of parts ...; real files have two or three


def wholes(
    drawings: Sequence[Drawing], is_live: Sequence[bool], spots: Sequence[Spot]
) -> dict[int, int]:
    """The place of the whole by that of the part; free of circles.

    It is enough that one side says it. Ids that no live object has are passed over: the tool
    leaves them behind when an object is deleted.

    Args:
        drawings: All objects of a file.
        is_live: Which of them were neither deleted nor left out.
        spots: Where they stand.
    """
    places = _places(drawings, is_live, spots)
    claims: dict[int, dict[int, None]] = {}
    for place, drawing in enumerate(drawings):
        for key in drawing.part_of:
            if is_live[place] and key in places:
                claims.setdefault(place, {})[places[key]] = None
    for place, drawing in enumerate(drawings):
        for key in drawing.has_parts:
            if is_live[place] and key in places:
                claims.setdefault(places[key], {})[place] = None
    return _without_deep_ones(_without_circles(claims, drawings, spots), drawings, spots)


def _places(
    drawings: Sequence[Drawing], is_live: Sequence[bool], spots: Sequence[Spot]
) -> dict[str, int]:
    """Places of the live objects by id; the first has it, if several do."""
    places: dict[str, int] = {}
    for place, drawing in enumerate(drawings):
        if is_live[place] and places.setdefault(drawing.key, place) != place:
            spots[place].at("id").report(
                "SRC014", f"the id {quoted(drawing.key)} is that of an earlier object, too."
            )
    return places


def _without_circles(
    claims: dict[int, dict[int, None]], drawings: Sequence[Drawing], spots: Sequence[Spot]
) -> dict[int, int]:
    links: dict[int, int] = {}
    root_of: dict[int, int] = {}  # shortened as it is walked, so that long chains stay cheap

    def root(place: int) -> int:
        passed = []
        while place in root_of:
            passed.append(place)
            place = root_of[place]
        root_of.update(dict.fromkeys(passed, place))
        return place

    for part, said in sorted(claims.items()):
        whole, *others = said
        named = quoted(drawings[part].name)
        if others:
            spots[part].at("parts").report(
                "SRC064", f"{named} is a part of {len(said)} objects; the first one is taken."
            )
        if root(whole) == part:
            spots[part].at("parts").report("SRC064", f"{named} is a part of itself.")
            continue
        links[part] = root_of[part] = whole
    return links


def _without_deep_ones(
    links: dict[int, int], drawings: Sequence[Drawing], spots: Sequence[Spot]
) -> dict[int, int]:
    depths: dict[int, int] = {}
    kept: dict[int, int] = {}
    for start in links:
        chain = [start]
        while chain[-1] in links and chain[-1] not in depths:
            chain.append(links[chain[-1]])
        depths.setdefault(chain[-1], 0)
        for place in reversed(chain[:-1]):
            depth = depths[links[place]] + 1
            if depth > MAX_NESTING:
                spots[place].at("parts").report(
                    "SRC064",
                    f"{quoted(drawings[place].name)} is a part of more than {MAX_NESTING} objects "
                    "that lie in one another.",
                )
                depth = 0
            else:
                kept[place] = links[place]
            depths[place] = depth
    return kept
