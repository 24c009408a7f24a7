"""A model ready to be dissected: built, filled with weights, set to evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from conceptset.errors import UsageError
from dissect.models import inhouse, programs, timm_zoo, unavailable, zoo
from dissect.models.checkpoint import read_checkpoint
from dissect.models.matching import Match, fill, state_digest
from dissect.models.sources import Request, find_source, read_weights

# importing them registers them, in the order they are asked
_SOURCES = (timm_zoo, programs, unavailable, inhouse, zoo)


_STATED = ', or let the code return (module, {"mean": (R, G, B), "std": (R, G, B)}).'
PICKLE_WARNING = (
    "--allow-pickle: files of weights and programs may hold code, which runs with your rights as "
    "they are loaded."
)
"""What a command says before it loads a model that way."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in evaluation, on the CPU, that needs no gradient.

    Attributes:
        module: The model.
        name: What reports call it.
        source: Where it came from: `torchvision`, `timm`, `torch.export`, `in-house`.
        weights: `DEFAULT (...)`, a name, `none (random, seed 0)`, the file's name, or words.
        digest: SHA-256 of its state; equal for equal weights.
        mean: Subtracted from each channel of the image in 0..1.
        std: Divided by afterwards.
        assumed: Mean and std are the architecture's own, nobody stated them.
        notes: Lines for the user.
    """

    module: nn.Module
    name: str
    source: str
    weights: str
    digest: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    assumed: bool
    notes: tuple[str, ...] = ()


def load_model(
    spec: str,
    *,
    weights: str | None = None,
    num_classes: int | None = None,
    weights_match: Match = "name",
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    allow_pickle: bool = False,
) -> LoadedModel:
    """The model that MODEL and its options name.

    Args:
        spec: `resnet18`, `torchvision:resnet18`, `timm:NAME`, `FILE.pt2`,
            `package.module:callable` or `path/to/file.py:Class`.
        weights: None for the published ones, `none` for random ones (seed 0), the name of
            published ones, or a checkpoint file.
        num_classes: Outputs of the classifier.
        weights_match: How a checkpoint's tensors find their place.
        mean: Of the preprocessing, one value for each channel; with `std` or not at all.
        std: Standard deviation, likewise.
        allow_pickle: Run the code that a checkpoint or a program holds.

    Raises:
        UsageError: No such model or weights; they do not fit; preprocessing is not known.
        ModelError: A file cannot be read, or weights cannot be downloaded.
        UnsafeError: A checkpoint or a program holds code.
    """
    if num_classes is not None and num_classes < 1:
        raise UsageError(f"--num-classes is {num_classes}, at least 1 was expected")
    _check_preprocessing(mean, std)
    source = find_source(spec)
    choice = read_weights(weights)
    if weights_match == "order" and choice.file is None:
        raise UsageError("--weights-match order needs a checkpoint file, given with --weights")
    state: dict[str, Tensor] = {}
    if choice.file is not None and not isinstance(source, unavailable.Unavailable):
        state = read_checkpoint(choice.file, allow_pickle=allow_pickle)
    built = source.build(Request(spec, choice, num_classes, frozenset(state), allow_pickle))
    notes, text = list(built.notes), built.weights
    if choice.file is not None:
        notes += fill(built.module, state, match=weights_match, file=choice.file, model=built.name)
        text = choice.file.name
    assumed = mean is None and not built.stated
    mean, std = mean or built.mean, std or built.std
    if mean is None or std is None:
        raise UsageError(
            f"nothing is known of the preprocessing of {built.name}",
            hint="Give --mean R,G,B and --std R,G,B, for images in 0..1"
            + (_STATED if source.name == inhouse.InHouse.name else "."),
        )
    if assumed:
        notes.append(
            f"Preprocessing assumed from {built.name}: mean {_triple(mean)}, std {_triple(std)}; "
            "give --mean and --std if the model was trained with others."
        )
    module = built.module.eval().requires_grad_(requires_grad=False)
    digest = state_digest(module)
    return LoadedModel(
        module, built.name, source.name, text, digest, mean, std, assumed, tuple(notes)
    )


def load_architecture(
    spec: str, *, num_classes: int | None = None, allow_pickle: bool = False
) -> LoadedModel:
    """The model that MODEL names, to look at its layers: no weights are fetched.

    Raises:
        UsageError: No such model.
        ModelError: A file cannot be read.
        UnsafeError: A program holds code.
    """
    own = find_source(spec).name == programs.Programs.name
    return load_model(
        spec,
        weights=None if own else "none",
        num_classes=num_classes,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        allow_pickle=allow_pickle,
    )


def _check_preprocessing(mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> None:
    if (mean is None) != (std is None):
        given, wanted = ("--std", "--mean") if mean is None else ("--mean", "--std")
        raise UsageError(f"{given} is given without {wanted}, both are needed")
    if mean is not None and std is not None:
        for option, values in (("--mean", mean), ("--std", std)):
            if len(values) != 3:
                raise UsageError(f"{option} has {len(values)} values, 3 (R,G,B) were expected")
        if min(std) <= 0:
            raise UsageError("--std holds a value that is not above 0")


def _triple(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:g}" for value in values)
