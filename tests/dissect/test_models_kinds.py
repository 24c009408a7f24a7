"""Networks of every kind: what is seen at a place of a map answers to that place of the photograph.

No golden holds the layouts: each photograph is changed in one quarter, and the cells that change
most have to lie there. A grid that is transposed, shifted by a token or cut wrongly fails.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer

from dissect.activations import Recorder, probe_layers
from dissect.models import list_layers
from dissect.outputs import maps_view, units_last_view

CPU = torch.device("cpu")


class AnyShape(VisionTransformer):
    """torchvision's, without its rule that photographs are square."""

    def __init__(self, size, **options):
        super().__init__(image_size=size[0], **options)
        tokens = 1 + size[0] * size[1] // options["patch_size"] ** 2
        side = torch.randn(1, tokens, options["hidden_dim"]) * 0.02
        self.encoder.pos_embedding = nn.Parameter(side)

    def _process_input(self, x):
        return self.conv_proj(x).flatten(2).transpose(1, 2)


SMALL = {"num_layers": 2, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 24, "num_classes": 3}


def vit():
    net = VisionTransformer(image_size=32, patch_size=8, **SMALL)
    nn.init.normal_(net.heads.head.weight)
    return net


def wide_vit():
    return AnyShape((16, 48), patch_size=8, **SMALL)


def swin():
    return SwinTransformer(
        patch_size=[4, 4],
        embed_dim=12,
        depths=[1, 1],
        num_heads=[2, 2],
        window_size=[2, 2],
        num_classes=3,
    )


class Sequence(nn.Module):
    """Tokens first, (L, B, U), as torch.nn.TransformerEncoderLayer takes them by default."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.start = nn.Parameter(torch.randn(1, 1, 16))
        self.layer = nn.TransformerEncoderLayer(16, 2, 16, dropout=0.0)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).permute(2, 0, 1)
        tokens = torch.cat([self.start.expand(1, len(x), 16), tokens])
        return self.layer(tokens)[0]


class Several(nn.Module):
    """A tuple, a dictionary, a module that runs twice, and one that never runs."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 2, 1)
        self.relu = nn.ReLU(inplace=True)
        self.pair = Pair()
        self.table = Table()
        self.never = nn.ReLU()

    def forward(self, x):
        x = self.relu(self.first(x))
        a, b = self.pair(x)
        return self.table(self.relu(a - b))


class Pair(nn.Module):
    def forward(self, x):
        return x, x.roll(1, 1)


class Table(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        return {"out": self.head(x.permute(0, 2, 3, 1)), "deep": {"feat": [x]}}


def transformer(name):
    """A small network of timm's, with registers, non-square, without tokens before the grid."""
    timm = pytest.importorskip("timm", reason="timm is not installed")
    if name == "registers":
        vits = timm.models.vision_transformer.VisionTransformer
        size = {"img_size": (32, 48), "patch_size": 16, "embed_dim": 16, "num_heads": 2}
        return vits(depth=1, reg_tokens=4, num_classes=3, **size)
    if name == "mixer":
        return timm.models.mlp_mixer.MlpMixer(
            img_size=32, patch_size=8, embed_dim=20, num_blocks=1, num_classes=3
        )
    return timm.create_model(name, num_classes=3)


def small(builder, **options):
    return lambda: builder(weights=None, num_classes=5, **options)


CASES = [  # network, size, layer, (kind, units, h, w, units last, tokens before)
    (small(models.resnet18), (48, 64), "layer2", ("maps", 128, 6, 8, False, 0)),
    (small(models.resnet18), (48, 64), "layer1.0.bn1", ("maps", 64, 12, 16, False, 0)),
    (small(models.vgg11), (32, 32), "features.0", ("maps", 64, 32, 32, False, 0)),
    (small(models.squeezenet1_1), (49, 65), "features.4", ("maps", 128, 12, 16, False, 0)),
    (small(models.convnext_tiny), (32, 48), "features.1.0.block.3", ("maps", 384, 8, 12, True, 0)),
    (small(models.convnext_tiny), (32, 48), "features.1.0.block", ("maps", 96, 8, 12, False, 0)),
    (vit, (32, 32), "conv_proj", ("maps", 16, 4, 4, False, 0)),
    (vit, (32, 32), "encoder.layers.encoder_layer_0", ("tokens", 16, 4, 4, True, 1)),
    (vit, (32, 32), "encoder.layers.encoder_layer_0.mlp.0", ("tokens", 24, 4, 4, True, 1)),
    (wide_vit, (16, 48), "encoder.ln", ("tokens", 16, 2, 6, True, 1)),
    (swin, (16, 32), "features.0", ("maps", 12, 4, 8, True, 0)),
    (swin, (16, 32), "features.1.0.mlp.1", ("maps", 48, 4, 8, True, 0)),
    (swin, (32, 64), "features.2", ("maps", 24, 4, 8, True, 0)),
    (swin, (32, 64), "permute", ("maps", 24, 4, 8, False, 0)),
    (Sequence, (16, 32), "layer", ("tokens", 16, 2, 4, True, 1)),
    (Several, (16, 24), "relu@1", ("maps", 8, 8, 12, False, 0)),
    (Several, (16, 24), "relu@2", ("maps", 8, 8, 12, False, 0)),
    (Several, (16, 24), "pair[1]", ("maps", 8, 8, 12, False, 0)),
    (Several, (16, 24), "table[out]", ("maps", 5, 8, 12, True, 0)),
    (Several, (16, 24), "table[deep][feat][0]", ("maps", 8, 8, 12, False, 0)),
    ("registers", (32, 48), "blocks.0", ("tokens", 16, 2, 3, True, 5)),
    ("mixer", (32, 32), "blocks.0.mlp_channels", ("tokens", 20, 4, 4, True, 0)),
    ("test_vit", (160, 160), "blocks.1.mlp.fc1", ("tokens", 192, 10, 10, True, 1)),
    ("test_convnext", (64, 128), "stages.1.blocks.0.mlp.act", ("maps", 128, 8, 16, True, 0)),
]


@pytest.fixture(scope="module")
def build():
    known = {}

    def make(network):
        if network not in known:
            torch.manual_seed(1)
            made = transformer(network) if isinstance(network, str) else network()
            known[network] = made.eval()
        return known[network]

    return make


@pytest.mark.parametrize(
    ("network", "size", "layer", "expected"), CASES, ids=[f"{case[2]}-{case[1]}" for case in CASES]
)
def test_places(build, network, size, layer, expected):
    module = build(network)
    (shape,) = probe_layers(module, [layer], size=size, device=CPU)
    kind, units, height, width, last, before = expected
    assert (shape.name, shape.kind, shape.units) == (layer, kind, units)
    assert (shape.map_size, shape.units_last, shape.first_token) == ((height, width), last, before)
    generator = torch.Generator().manual_seed(5)
    photograph = torch.randn(3, *size, generator=generator) * 0.1
    places = [(y, x) for y in (0, 1) for x in (0, 1)]
    batch = photograph.repeat(len(places) + 1, 1, 1, 1)
    for number, (y, x) in enumerate(places, start=1):
        rows = slice(y * size[0] // 2, (y + 1) * size[0] // 2)
        columns = slice(x * size[1] // 2, (x + 1) * size[1] // 2)
        part = batch[number, :, rows, columns]
        part += torch.randn(part.shape, generator=generator)
    seen = {}

    def sink(_name, output):
        seen["maps"] = maps_view(output, shape).clone()
        seen["view"], seen["first"] = units_last_view(output, shape)[0].clone(), before

    with Recorder(module, [layer], sink=sink) as recorder, torch.inference_mode():
        recorder.run(batch.contiguous(memory_format=torch.channels_last))
    grid = seen["view"][:, before:].unflatten(1, (height, width)).permute(0, 3, 1, 2)
    assert torch.equal(grid, seen["maps"])
    change = (seen["maps"][1:] - seen["maps"][:1]).square().sum(1)
    for number, found in enumerate(change):
        quarters = [
            found[
                y * height // 2 : (y + 1) * height // 2, x * width // 2 : (x + 1) * width // 2
            ].mean()
            for y, x in places
        ]
        assert int(torch.stack(quarters).argmax()) == number


def test_every_layer_that_is_listed_can_be_had(build):
    """`dissect layers` and a run decide by the same logic."""
    for network, size in ((Several, (16, 24)), (swin, (16, 32)), (vit, (32, 32))):
        module = build(network)
        infos = [info for info in list_layers(module, image_size=size) if info.reason is None]
        shapes = probe_layers(module, [info.name for info in infos], size=size, device=CPU)
        for info, shape in zip(infos, shapes, strict=True):
            assert (info.kind, info.shape) == (shape.kind, (shape.units, *shape.map_size))
            assert info.units_last == shape.units_last
            assert info.first_token == shape.first_token


def test_lines_of_parts_and_runs(build):
    infos = {info.name: info for info in list_layers(build(Several), image_size=(16, 24))}
    assert list(infos) == [
        *("first", "relu", "relu@1", "relu@2", "pair", "pair[0]", "pair[1]"),
        *("table", "table[out]", "table[deep][feat][0]", "table.head", "never"),
    ]
    assert infos["first"].changed_by == "relu"
    assert infos["relu"].reason == "it runs 2 times in one pass: relu@1, relu@2"
    assert infos["pair"].reason == "its output is a tuple of tensors at [0], [1]"
    assert infos["table"].reason == "its output is a dict of tensors at [out], [deep][feat][0]"
    assert infos["never"].reason == "it did not run"


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_a_part_in_torchscript():
    inner = torch.jit.trace(nn.Conv2d(3, 4, 1), torch.zeros(1, 3, 4, 4))
    module = nn.Sequential(inner, nn.ReLU())
    infos = {info.name: info for info in list_layers(module, image_size=(8, 8))}
    assert infos["0"].reason == "it is TorchScript, which takes no hooks"
    assert infos["1"].shape == (4, 8, 8)
    with pytest.raises(Exception, match="TorchScript, on which hooks do not work"):
        probe_layers(module, ["0"], size=(8, 8), device=CPU)
