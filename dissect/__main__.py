"""`python -m dissect`."""

from __future__ import annotations

from dissect.cli import main

if __name__ == "__main__":
    main()
