"""Photographs in batches, decoded and brought to the device while the network is at work."""

from __future__ import annotations

import itertools
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conceptset.layout.reading import ConceptSet, IndexEntry
from dissect.photographs import (
    ByteArray,
    PixelArray,
    look_up,
    normalise,
    normalising_table,
    read_photograph,
)

_AHEAD = 3  # batches that are being decoded while another one is used
_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Batch:
    """Photographs for one forward pass.

    Attributes:
        entries: Their rows of the index; the last batch may have fewer than the batch size.
        pixels: (batch size, 3, height, width) float32 on the device, normalised, in channels_last
            memory; a batch that is not full is filled up with its last photograph, so that every
            batch is computed alike.
    """

    entries: tuple[IndexEntry, ...]
    pixels: Tensor


class _Memory(Protocol):
    """Where batches are put together, and how they get to the device from there."""

    def lend(self) -> Tensor:
        """(batch size, height, width, 3) on the host, for the threads to write to."""

    def put(self, photograph: ByteArray, target: NDArray[Any]) -> None:
        """Write one photograph to its place, (height, width, 3)."""

    def send(self, memory: Tensor) -> Callable[[], Tensor]:
        """Bring what is complete to the device.

        Returns:
            What gives the batch, as `Batch.pixels`, to the thread that uses it.
        """


class _HostMemory:
    """Normalised by the threads that decode; on the CPU a batch is the very memory they wrote to.

    New memory costs a page fault for every 4 KiB, much more than writing to it. So memory comes
    back to be lent again once nothing refers to it any more, and not before.
    """

    def __init__(
        self, shape: tuple[int, int, int, int], table: PixelArray, device: torch.device
    ) -> None:
        self._shape = shape
        self._table = table
        self._device = device
        self._free: deque[PixelArray] = deque()

    def lend(self) -> Tensor:
        try:
            memory = self._free.pop()
        except IndexError:
            memory = np.empty(self._shape, dtype=np.float32)
        loan = memory[:]
        weakref.finalize(loan, self._free.append, memory).atexit = False
        return torch.from_numpy(loan)

    def put(self, photograph: ByteArray, target: NDArray[Any]) -> None:
        normalise(photograph, self._table, target)

    def send(self, memory: Tensor) -> Callable[[], Tensor]:
        pixels = memory.permute(0, 3, 1, 2).to(self._device)
        return lambda: pixels


class _PinnedMemory:
    """Bytes in pinned memory, copied on a stream of their own and normalised on the GPU.

    torch keeps the memory of a copy that is under way, and memory of a tensor that another stream
    still works on, from being used again (`record_stream`).
    """

    def __init__(
        self, shape: tuple[int, int, int, int], table: PixelArray, device: torch.device
    ) -> None:
        self._shape = shape
        self._table = torch.from_numpy(table).to(device)
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def lend(self) -> Tensor:
        return torch.empty(self._shape, dtype=torch.uint8, pin_memory=True)

    def put(self, photograph: ByteArray, target: NDArray[Any]) -> None:
        target[:] = photograph

    def send(self, memory: Tensor) -> Callable[[], Tensor]:
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            pixels = look_up(memory.to(self._device, non_blocking=True), self._table)
            sent = self._stream.record_event()

        def arrive() -> Tensor:
            stream = torch.cuda.current_stream(self._device)
            stream.wait_event(sent)
            pixels.record_stream(stream)
            return pixels

        return arrive


def load_batches(
    concept_set: ConceptSet,
    entries: Sequence[IndexEntry],
    *,
    size: tuple[int, int],
    batch_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    workers: int,
    device: torch.device = _CPU,
) -> Iterator[Batch]:
    """The photographs in batches, decoded ahead by threads: `(rgb / 255 - mean) / std`, float32.

    The time in which no batch is ready is the time that `next` takes. Pixels are the same bits on
    every device. A batch belongs to who took it; its memory is used again when it is let go.

    Args:
        concept_set: Where they lie.
        entries: Which, in order; batches are cut at multiples of `batch_size`.
        size: (height, width) they are brought to.
        batch_size: Photographs in each batch.
        mean: Per channel, in [0, 1].
        std: Per channel.
        workers: Decoding threads, >= 1.
        device: Where the batches are wanted.

    Raises:
        ImageError: A photograph cannot be decoded, or has another size than the index says.
    """
    make = _PinnedMemory if device.type == "cuda" else _HostMemory
    memory: _Memory = make((batch_size, *size, 3), normalising_table(mean, std), device)

    def prepare(entry: IndexEntry, target: NDArray[Any]) -> None:
        memory.put(read_photograph(concept_set, entry, size), target)

    def complete(batch: Tensor, jobs: Sequence[Future[None]]) -> Callable[[], Tensor]:
        for job in jobs:
            job.result()
        places = batch.numpy()
        places[len(jobs) :] = places[len(jobs) - 1]
        return memory.send(batch)

    parts = [entries[start : start + batch_size] for start in range(0, len(entries), batch_size)]
    decoders = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    courier = ThreadPoolExecutor(1, thread_name_prefix="send")  # one, so that order is kept
    pending: deque[Future[Callable[[], Tensor]]] = deque()

    def begin(part: Sequence[IndexEntry]) -> None:
        with torch.inference_mode(mode=False):  # a tensor like any other, whoever calls `next`
            batch = memory.lend()
        places = zip(part, batch.numpy(), strict=False)
        jobs = [decoders.submit(prepare, *place) for place in places]
        pending.append(courier.submit(complete, batch, jobs))

    try:
        for part in parts[:_AHEAD]:
            begin(part)
        for part, later in itertools.zip_longest(parts, parts[_AHEAD:]):
            arrived = pending.popleft().result()
            if later is not None:
                begin(later)
            yield Batch(tuple(part), arrived())
    finally:
        decoders.shutdown(wait=True, cancel_futures=True)
        courier.shutdown(wait=True, cancel_futures=True)
