"""What went into a run, in words."""

from __future__ import annotations

from dataclasses import dataclass

from conceptset.present.page import shown_name, shown_number
from dissect.state import Run

_UNION = {
    "annotated": "on every image that carries the concept’s category",
    "lite": "only on images where the mask meets the concept’s category",
}
_UPSAMPLE = {
    "half-pixel": "bilinear, cells laid evenly over the image",
    "receptive-field": "bilinear, cells at the centres of their receptive fields",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the page's head; text from elsewhere has been made safe to show.

    Attributes:
        term: What it says something about.
        text: What it says.
        note: A remark in smaller type.
    """

    term: str
    text: str
    note: str = ""


def list_facts(run: Run) -> list[Fact]:
    """Model, set and settings; of the settings that are rarely used, only those that were."""
    config, model = run.config, run.model
    size = config.image_size
    given = config.thresholds is not None
    facts = [
        Fact("Model", shown_name(model.name), f"from {shown_name(model.source)}"),
        Fact("Weights", shown_name(model.weights), f"digest {model.digest[:12]}"),
        Fact("Concept set", shown_name(run.set.name), f"digest {run.set.digest[:12]}"),
        Fact("Images", shown_number(run.counts.images, 0)),
        Fact(
            "Concepts",
            shown_number(run.counts.labels, 0),
            f"of {shown_name(', '.join(run.counts.categories))}",
        ),
        Fact(
            "Threshold of a unit",
            "given" if given else f"top {config.quantile} of its activations",
            "taken from a file" if given else "exact, over all positions of all images",
        ),
        Fact("A detector has", f"IoU above {config.iou_threshold:g}"),
        Fact("Mask pixels count", config.union, _UNION[config.union]),
        Fact("Upsampling", config.upsample, _UPSAMPLE[config.upsample]),
        Fact(
            "Preprocessing",
            f"mean {_triple(model.mean)}; std {_triple(model.std)}",
            "assumed: the architecture’s own, nobody stated it" if model.assumed else "as given",
        ),
    ]
    rare = [
        ("Index", config.index if config.index != "index.csv" else None),
        ("Split", config.split),
        ("Limited to", f"the first {config.limit} images" if config.limit else None),
        ("Image size", f"{size[0]} × {size[1]}, squashed" if size else None),
        ("Precision", config.precision if config.precision != "fp32" else None),
    ]
    return facts + [Fact(term, shown_name(text)) for term, text in rare if text]


def _triple(values: tuple[float, float, float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
