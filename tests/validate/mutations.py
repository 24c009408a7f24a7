"""All defects: (code, what is done to a valid set, whether the set is one of ours)."""

from __future__ import annotations

import mutations_ann  # noqa: F401  these fill the list
import mutations_cat  # noqa: F401
import mutations_idx  # noqa: F401
import mutations_lay  # noqa: F401
import mutations_seg  # noqa: F401
from breaking import MUTATIONS

__all__ = ["MUTATIONS"]
