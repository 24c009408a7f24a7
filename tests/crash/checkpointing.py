"""`dissect`, which keeps what it has found after every batch, not once a minute."""

import dissect.scan
from dissect.cli import main

__all__ = ["main"]

dissect.scan.CHECKPOINT_SECONDS = 0
