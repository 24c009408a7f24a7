"""`python -m conceptset`."""

from __future__ import annotations

from conceptset.cli import main

if __name__ == "__main__":
    main()
