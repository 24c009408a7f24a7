"""Three runs of one little network whose weights drift: what a sweep over a training looks like."""

from __future__ import annotations

import torch
from torch import nn

from dissect.api import dissect_model

LAYERS = ("stages.second.0", "stem")
NAMES = ("net_epoch1", "net_epoch9", "net_epoch10")


class Net(nn.Module):
    """Six units, then nine."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU())
        self.stages = nn.ModuleDict({"second": nn.Sequential(nn.Conv2d(6, 9, 3))})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.stages["second"](self.stem(x))


def write_sweep(root, concept_set, **options):
    """Runs below `root`, one for each name; the later the more noise in the weights."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = Net().eval()
        for place, name in enumerate(NAMES):
            with torch.no_grad():
                for parameter in net.parameters():
                    parameter.add_(0.3 * place * torch.randn_like(parameter))
            chosen = {"quantile": "0.05", "batch_size": 4, "top_images": 3, **options}
            dissect_model(net, concept_set, LAYERS, root / name, **chosen)
    return root
