"""Which images several people should annotate again, so that their consistency can be told."""

from __future__ import annotations

from conceptset.sampling.assembly import sample_set
from conceptset.sampling.options import SampleOptions

__all__ = ["SampleOptions", "sample_set"]
