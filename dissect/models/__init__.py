"""Models from every source, their weights and their layers."""

from __future__ import annotations

from dissect.models.layers import LayerInfo, list_layers, near_layers
from dissect.models.loading import LoadedModel, load_model

__all__ = ["LayerInfo", "LoadedModel", "list_layers", "load_model", "near_layers"]
