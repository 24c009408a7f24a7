"""What the sets must agree on: how labels are formed, and who is a person."""

from __future__ import annotations

from collections.abc import Sequence

from conceptset.build import checks
from conceptset.consensus import METHODS
from conceptset.errors import UsageError
from conceptset.layout import names
from conceptset.layout.models import SourceEntry
from conceptset.merge.inputs import Input
from conceptset.merge.outlines import Painting


def consensus_of(inputs: Sequence[Input], asked: str | None) -> str:
    """How the root's labels are formed: as in the sets that several people drew.

    Raises:
        UsageError: They differ, or follow one person.
    """
    if asked is not None:
        checks.check_voter(asked, [s.person for one in inputs for s in one.sessions])
        return asked
    several = [one for one in inputs if one.manifest is not None and len(one.sessions) > 1]
    methods = {
        one.name: str(one.manifest.settings.get("consensus", "majority"))
        for one in several
        if one.manifest is not None
    }
    if len(set(methods.values())) > 1:
        said = ", ".join(f"{name}: {method}" for name, method in sorted(methods.items()))
        raise UsageError(
            f"the sets form their consensus in different ways ({said})",
            hint="--consensus METHOD says which one the merged set uses.",
        )
    method = next(iter(methods.values()), "majority")
    people = {session.person.name for one in inputs for session in one.sessions}
    if method in people - set(METHODS) and len(inputs) > 1:
        raise UsageError(
            f"the labels of {next(iter(methods))} are those of {method!r} alone, who does not "
            "speak for other sets",
            hint="--consensus majority forms them from everybody.",
        )
    return method


def models_of(inputs: Sequence[Input]) -> frozenset[str]:
    """Names of those who are no persons."""
    kinds: dict[str, str] = {}
    for one in inputs:
        for session in one.sessions:
            name = session.person.name
            if kinds.setdefault(name, session.kind) != session.kind:
                raise UsageError(
                    f"{name!r} is a person in one set and a model in another",
                    hint="--alias OLD=NEW renames one of them in all sets; build one set with "
                    "another name.",
                )
    return frozenset(name for name, kind in kinds.items() if kind == "model")


def painting_of(one: Input) -> Painting:
    """How a set was painted; a merged one does not say if its sets differ."""
    settings = {} if one.manifest is None else one.manifest.settings
    fit, overlap = settings.get("fit"), settings.get("overlap")
    return Painting(
        "crop" if fit == "crop" else "pad" if fit == "pad" else "squash",
        "order" if overlap == "order" else "area",
    )


def entries_of(one: Input) -> list[SourceEntry]:
    """What a set was made from; a foreign layout is a source itself."""
    if one.manifest is not None:
        return [
            entry.model_copy(update={"file": f"{one.name}/{entry.file}"})
            for entry in one.manifest.sources
        ]
    images = len(one.concepts.entries)
    return [
        SourceEntry(
            file=f"{one.name}/{names.INDEX}",
            format="broden",
            sha256=one.sha256,
            images=images,
            regions=0,
        )
    ]
