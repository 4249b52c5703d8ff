"""``contentfilter``, and ``python -m contentfilter``."""

import sys

from mailbase.beginning import begin


def main() -> int:
    """Run the command; returns the exit status."""
    return begin("contentfilter.cli")


if __name__ == "__main__":
    sys.exit(main())
