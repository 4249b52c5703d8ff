"""The digest by which a macro is known again, in whatever document it comes.

It covers the source of all modules that hold code. What Office itself changes when a document is saved or its
modules are copied to another plays no part: names and order of the modules, attribute lines, modules without
a line, upper and lower case outside of strings, white space around and between words, line ends. All else
does, comments included: what one reader takes for a comment, another may run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

LENGTH = 40
"""Hexadecimal digits."""
_DIGEST = re.compile(f"[0-9a-f]{{{LENGTH}}}")


def is_digest(text: str) -> bool:
    """Whether ``text`` has the form of such a digest."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(modules: Iterable[str]) -> str:
    """The digest of a project.

    Arguments:
        modules: source of each module, as :func:`contentfilter.containers.vba_source.normal_source` gives it.
    """
    whole = hashlib.sha256()
    for source in sorted(filter(None, modules)):
        raw = source.encode("utf-8", "surrogatepass")
        whole.update(b"%d\n" % len(raw) + raw)
    return whole.hexdigest()[:LENGTH]
