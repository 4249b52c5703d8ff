"""contentfilter, called as an operator does."""

from __future__ import annotations

from contentfilter import cli
from mailbase.vocabulary import Finding

MACRO = Finding("office-macro", "a.docm", "AutoOpen")


def run(*arguments: str) -> int:
    try:
        return cli.main(arguments)
    except SystemExit as end:
        return int(end.code or 0)
