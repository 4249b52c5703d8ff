"""``policyd``, and ``python -m policyd``."""

import sys

from mailbase.beginning import begin


def main() -> int:
    """Run the command; returns the exit status."""
    return begin("policyd.cli")


if __name__ == "__main__":
    sys.exit(main())
