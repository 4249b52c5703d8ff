"""``postwarden dkim new``: a first key, or a further one."""

from __future__ import annotations

import argparse
import sys
import time

from contentfilter.signing.keys import make, path_of
from contentfilter.signing.public import KeyProblem
from postwarden.dkim import keyring, records
from postwarden.registry.choice import complain


def run(options: argparse.Namespace) -> int:
    """Make a key and print its record; 1 if there is nothing to make.

    Arguments:
        options: ``config``, ``set``, ``selector``.
    """

    def work() -> int:
        ring = keyring.read(options.config, options.overrides)
        kinds = dict(ring.selectors)
        free = [selector for selector in kinds if ring.of(selector) is None]
        selector = options.selector or next(iter(free), "")
        if not selector:
            return complain(["every selector has a key; 'postwarden dkim rotate' replaces one by another"])
        if selector not in kinds:
            raise KeyProblem(
                f"{selector} is none of identity.dkim_selectors or identity.dkim_ed25519_selectors: "
                f"{', '.join(kinds)}"
            )
        key = make(ring.folder, selector, kinds[selector], time.time())
        sys.stdout.writelines(records.lines(key, ring.settings.identity))
        print(f"made {path_of(ring.folder, selector)}; publish the record above", file=sys.stderr)
        return 0

    return keyring.telling(work)
