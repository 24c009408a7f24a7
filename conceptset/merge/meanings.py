"""One name for one concept over several sets: by name, by synonym, by taxonomy."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from conceptset.merge.inputs import Input
from conceptset.taxonomy import Form, Meaning, Taxonomy, concept_name


@dataclass(frozen=True, slots=True)
class Joined:
    """A name that is another one now.

    Attributes:
        name: As some sets have it.
        concept: What it is called in the merged set.
    """

    name: str
    concept: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """A synonym that might join two labels and does not.

    Attributes:
        name: The label that is a synonym elsewhere.
        others: The labels that list it.
        reason: Why they stay apart.
    """

    name: str
    others: tuple[str, ...]
    reason: str


class Meanings:
    """What every label of every set means in the merged one.

    Equal names are one concept. A name that one label of another set lists as a synonym joins that
    label, if both occur in one category, no other label lists it, and no set has both as labels of
    their own. The taxonomy is asked first.

    Args:
        inputs: The sets.
        taxonomy: The user's word on names.
    """

    def __init__(self, inputs: Sequence[Input], taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy
        self._labels = [_categories_of(one) for one in inputs]
        self._listed: defaultdict[str, set[str]] = defaultdict(set)  # synonym to labels
        for one in inputs:
            for name, synonyms in one.synonyms.items():
                for synonym in synonyms:
                    self._listed[synonym].add(name)
        self._weights = _weights(inputs)
        self.doubts: list[Doubt] = []
        self._canonical = self._join()
        self._used: dict[str, set[str]] = {}  # concept to the names it had

    @property
    def joined(self) -> list[Joined]:
        """The names that joined another by a synonym, sorted."""
        return [
            Joined(name, concept)
            for name, concept in sorted(self._canonical.items())
            if name != concept
        ]

    def meaning(self, name: str, category: str, form: Form) -> Meaning | None:
        """Concept and category of a label; None if the taxonomy leaves it out.

        Args:
            name: As the set has it.
            category: The same.
            form: How it occurs.
        """
        name = concept_name(name)
        canonical = self._canonical.get(name, name)
        asked = name if name in self._taxonomy else canonical
        found = self._taxonomy.meaning(asked, "part" if category == "part" else form, category)
        if found is not None:
            self._used.setdefault(found.concept, set()).add(name)
        return found

    def synonyms(self, concept: str) -> list[str]:
        """The other names of a concept, sorted; none that is a concept of its own."""
        names = self._used.get(concept, {concept})
        listed = {synonym for synonym, labels in self._listed.items() if labels & names}
        known = {*names, *listed, *self._taxonomy.synonyms(concept)}
        return sorted(known - {concept, ""} - self._used.keys())

    def _join(self) -> dict[str, str]:
        """Every label name to the one that stands for it."""
        parents = {name: name for labels in self._labels for name in labels}

        def top(name: str) -> str:
            while parents[name] != name:
                name = parents[name]
            return name

        for name in sorted(parents):
            others = sorted(self._listed.get(name, set()) - {name})
            others = [other for other in others if not self._is_mutual(name, other)] or others
            reason = self._reason_against(name, others)
            if reason:
                self.doubts.append(Doubt(name, tuple(others), reason))
            elif others:
                parents[top(name)] = top(others[0])
        groups: defaultdict[str, list[str]] = defaultdict(list)
        for name in parents:
            groups[top(name)].append(name)
        result: dict[str, str] = {}
        for group in groups.values():
            if any(len(labels.keys() & set(group)) > 1 for labels in self._labels):
                first, *others = sorted(group)
                why = "a set has two of them as labels of their own"
                self.doubts.append(Doubt(first, tuple(others), why))
                result.update({name: name for name in group})
                continue
            best = min(group, key=lambda name: (-self._weights[name], name))
            result.update(dict.fromkeys(group, best))
        return result

    def _is_mutual(self, name: str, other: str) -> bool:
        return other in self._listed and name in self._listed[other]

    def _reason_against(self, name: str, others: Sequence[str]) -> str | None:
        if not others:
            return None
        if len(others) > 1:
            return "several labels list it as a synonym"
        if any(name in labels and others[0] in labels for labels in self._labels):
            return "a set has both as labels of their own"
        mine = {c for labels in self._labels for c in labels.get(name, ())}
        theirs = {c for labels in self._labels for c in labels.get(others[0], ())}
        if not mine & theirs:
            return "they occur in different categories"
        return None


def _categories_of(one: Input) -> dict[str, set[str]]:
    """The categories of every label of a set, by name."""
    found: dict[str, set[str]] = {concept_name(name): set() for name in one.concepts.names.values()}
    for category, labels in one.concepts.tables.items():
        for label in labels:
            name = one.concepts.names.get(label.number)
            if name is not None:
                found[concept_name(name)].add(category)
    return found


def _weights(inputs: Sequence[Input]) -> Counter[str]:
    """In how many images each label occurs, by the tables."""
    weights: Counter[str] = Counter()
    for one in inputs:
        for labels in one.concepts.tables.values():
            for label in labels:
                name = one.concepts.names.get(label.number)
                if name is not None:
                    weights[concept_name(name)] += label.frequency
    return weights
