"""Reads the registry, a file or a folder of files, and checks it as a whole."""

from __future__ import annotations

from pathlib import Path

from mailbase.documents import ConfigError, Problem, build, read
from mailbase.registry.assembly import Assembly
from mailbase.registry.file import RegistryFile
from mailbase.registry.model import Registry

_SUFFIXES = (".yaml", ".yml")


def load_registry(path: Path) -> Registry:
    """The registry at ``path``: a file, or a folder whose ``*.yaml`` files are taken together.

    Raises:
        ConfigError: with every problem of every file.
    """
    assembly = Assembly()
    problems: list[Problem] = []
    for file in _files(path):
        try:
            document = read(file)
            entries = build(RegistryFile, document.data, document)
        except ConfigError as error:
            problems += error.problems
        else:
            assembly.add(document, entries)
    # A file that could not be read would make the others' references look wrong.
    problems += assembly.check() if not problems else assembly.problems
    if problems:
        raise ConfigError(problems)
    return assembly.registry()


def _files(path: Path) -> list[Path]:
    try:
        if not path.is_dir():
            return [path]
        files = sorted(
            file
            for file in path.iterdir()
            if file.suffix in _SUFFIXES and not file.name.startswith(".") and not file.is_dir()
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError([Problem(str(path), 0, "", f"cannot be read: {reason}")]) from None
    if not files:
        raise ConfigError(
            [Problem(str(path), 0, "", "no *.yaml file in this folder; expected one for each server")]
        )
    return files
