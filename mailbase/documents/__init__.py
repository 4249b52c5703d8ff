"""YAML files read into typed models, every mistake told as ``file:line: path: what was expected``.

The configuration and the registry are both such files.
"""

from mailbase.documents.problems import ConfigError, Location, Problem
from mailbase.documents.reading import Document, parse, read
from mailbase.documents.section import Count, FilledListing, FilledText, Flag, Listing, Section, Table, Text
from mailbase.documents.validation import Origin, build

__all__ = [
    "ConfigError",
    "Count",
    "Document",
    "FilledListing",
    "FilledText",
    "Flag",
    "Listing",
    "Location",
    "Origin",
    "Problem",
    "Section",
    "Table",
    "Text",
    "build",
    "parse",
    "read",
]
