"""Trains the network of `make demo` on the training scenes of a world.

A torchvision network learns which things are in a picture. It learns faster when it is also asked
where they are: small heads on two of its layers name the thing and the part in each cell. The heads
are thrown away; what is saved is the plain network.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import torchvision
from things import THINGS
from torch import Tensor, nn
from torch.nn import functional as F

from dissect.heap import kept_memory

MODEL = "squeezenet1_1"
NUM_CLASSES = len(THINGS)
LAYERS = ("features.7", "features.12")
CELL = 4  # pixels from one label that the heads learn from to the next
HEADS = {"features.7": 256, "features.12": 512}  # and their units
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # what torchvision's networks expect


class Teacher(nn.Module):
    """The network with a head on some of its layers that names objects and parts cell by cell."""

    def __init__(self, network: nn.Module, shares: list[Tensor]) -> None:
        """A new teacher; `shares` says how much of the scenes each object and each part covers."""
        super().__init__()
        self.network = network
        self.groups = [len(share) for share in shares]
        self.seen: dict[str, Tensor] = {}
        self.heads = nn.ModuleDict()
        for name, units in HEADS.items():
            layer = network.get_submodule(name)
            layer.register_forward_hook(lambda _module, _in, out, name=name: self.keep(name, out))
            head = nn.Conv2d(units, sum(self.groups), 1)
            head.bias.data = torch.cat(shares).clamp_min(1e-4).log()
            self.heads[name.replace(".", "_")] = head

    def keep(self, name: str, output: Tensor) -> None:
        """Remember what a layer gave."""
        self.seen[name] = output

    def loss(self, images: Tensor, truth: list[Tensor]) -> Tensor:
        """The loss of a batch.

        Args:
            images: (images, 3, H, W) normalised.
            truth: (images, names, h, w) for objects and for parts, one-hot; name 0 is "none".
        """
        present = truth[0][:, 1:].amax(dim=(2, 3))
        present = present / present.sum(dim=1, keepdim=True).clamp_min(1)
        total = F.cross_entropy(self.network(images), present)
        for name in HEADS:
            seen = self.seen[name]
            guess = self.heads[name.replace(".", "_")](seen).split(self.groups, dim=1)
            for logits, named in zip(guess, truth, strict=True):
                share = F.adaptive_avg_pool2d(named, seen.shape[-2:])
                total = total - (F.log_softmax(logits, dim=1) * share).sum(dim=1).mean()
        return total


@contextmanager
def settled(seed: int, threads: int) -> Iterator[None]:
    """Fixes torch's random numbers and threads, and puts back what was there before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)


def new_network() -> nn.Module:
    """The network with random weights."""
    network = torchvision.models.get_model(MODEL, weights=None, num_classes=NUM_CLASSES)
    return network.to(memory_format=torch.channels_last)


def save(network: nn.Module, path: Path) -> Path:
    """Write the network's state dict; `torch.load(path, weights_only=True)` reads it."""
    torch.save({key: value.contiguous() for key, value in network.state_dict().items()}, path)
    return path


class Batches:
    """Random batches of training scenes, mirrored and recoloured by exchanging channels."""

    def __init__(self, path: Path, size: int, window: int) -> None:
        with np.load(path) as arrays:
            self.images = torch.from_numpy(arrays["images"])
            self.maps = [
                torch.from_numpy(arrays[key][:, CELL // 2 :: CELL, CELL // 2 :: CELL])
                for key in ("objects", "parts")
            ]
        counts = [torch.bincount(labels.flatten()) for labels in self.maps]
        self.shares = [count / count.sum() for count in counts]
        self.size, self.window = size, window
        self.order = torch.randperm(0)

    def draw(self) -> tuple[Tensor, list[Tensor]]:
        """Images and truth as `Teacher.loss` takes them, cut to the same random window."""
        if len(self.order) < self.size:
            self.order = torch.randperm(len(self.images))
        rows, self.order = self.order[: self.size], self.order[self.size :]
        side, room = self.window // CELL, (self.images.shape[1] - self.window) // CELL
        top, left = torch.randint(room + 1, (2,)).tolist()
        y, x = slice(top * CELL, (top + side) * CELL), slice(left * CELL, (left + side) * CELL)
        images = self.images[rows, y, x][..., torch.randperm(3)].float() / 255
        images = ((images - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2)
        truth = [
            F.one_hot(labels[rows, top : top + side, left : left + side].long(), len(share))
            .permute(0, 3, 1, 2)
            .float()
            for labels, share in zip(self.maps, self.shares, strict=True)
        ]
        if torch.rand(()) < 0.5:
            images, truth = images.flip(3), [t.flip(3) for t in truth]
        return images, truth


def train(
    directory: Path,
    seed: int,
    *,
    steps: int = 240,
    batch_size: int = 16,
    window: int = 96,
    rate: float = 2e-3,
    threads: int = 1,
) -> Path:
    """Train a network on `training.npz` of a world and write it beside it.

    `untrained.pth` holds the weights before the first step, `trained.pth` those after the last.

    Args:
        directory: What `write_world` wrote.
        seed: Decides the first weights and the order of the scenes.
        steps: Number of batches.
        batch_size: Scenes in a batch.
        window: Pixels of a scene's side that are shown at once, a multiple of CELL.
        rate: The highest learning rate; it first rises and then falls.
        threads: Threads torch may use. Other numbers give slightly other weights.

    Returns:
        The path of `trained.pth`.
    """
    with settled(seed, threads), kept_memory():
        network = new_network()
        save(network, directory / "untrained.pth")
        batches = Batches(directory / "training.npz", batch_size, window)
        teacher = Teacher(network, batches.shares).train()
        optimiser = torch.optim.AdamW(teacher.parameters(), lr=rate, betas=(0.9, 0.99))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
        for _ in range(steps):
            loss = teacher.loss(*batches.draw())
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(teacher.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        return save(network, directory / "trained.pth")


if __name__ == "__main__":
    train(Path(sys.argv[1]), int(sys.argv[2]))
