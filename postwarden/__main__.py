"""``postwarden``, and ``python -m postwarden``."""

import sys

from mailbase.beginning import begin


def main() -> int:
    """Run the command; returns the exit status."""
    return begin("postwarden.cli")


if __name__ == "__main__":
    sys.exit(main())
