"""``python -m contentfilter``."""

import sys

from contentfilter.cli import main

sys.exit(main())
