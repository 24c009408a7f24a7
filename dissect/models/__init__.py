"""Models from every source, their weights and their layers."""

from __future__ import annotations

from dissect.models.layers import LayerInfo, list_layers, near_layers
from dissect.models.loading import PICKLE_WARNING, LoadedModel, load_architecture, load_model
from dissect.models.programs import check_input

__all__ = [
    "PICKLE_WARNING",
    "LayerInfo",
    "LoadedModel",
    "check_input",
    "list_layers",
    "load_architecture",
    "load_model",
    "near_layers",
]
