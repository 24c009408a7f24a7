"""`dissect`, which keeps what it has found after every batch, not once a minute.

What takes longest in a small run is done once, for all the processes that are killed.
"""

import dissect.drawing
import dissect.scan
import dissect.scanning
import dissect.tile_kernels
from dissect.cli import main
from dissect.compiling import Body
from dissect.report.writing import _environment

__all__ = ["main"]

dissect.scan.CHECKPOINT_SECONDS = 0

for _name in _environment().list_templates(["html"]):
    _environment().get_template(_name)
for _module in (dissect.drawing, dissect.scanning, dissect.tile_kernels):
    assert [body.address for body in vars(_module).values() if isinstance(body, Body)]
