"""From a file's path to settings that can be put in force, or to everything that is wrong with it."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from mailbase.config import overrides as layers
from mailbase.config.places import FOLDER
from mailbase.config.policyd import SHIPPED
from mailbase.config.settings import Settings, conflicts
from mailbase.documents import ConfigError, Location, Origin, Problem, build, parse, read
from mailbase.documents.problems import dotted
from mailbase.registry import load_registry

MISSING = "no such file"
"""What there is to say of a path that leads to nothing."""


def load(path: Path, overrides: Sequence[str] = ()) -> Settings:
    """The settings of the configuration file at ``path``, with its registry, all checked.

    A reload calls this and puts the result in force only if it returns: a bad file leaves the old settings
    as they are.

    Arguments:
        overrides: ``key.path=value``, laid over the file in their order; the value is YAML.

    Raises:
        ConfigError: with every problem found; never anything else because of a file's content.
    """
    layered = layers.apply(read(path), overrides)
    return _settings(layered, layered.data, path.absolute().parent)


def loads(
    text: str | bytes, overrides: Sequence[str] = (), source: str = "<text>", folder: Path | None = None
) -> Settings:
    """As :func:`load`, from text instead of a file; relative paths are taken from ``folder``."""
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    layered = layers.apply(parse(content, source), overrides)
    return _settings(layered, layered.data, folder)


def _settings(origin: Origin, data: object, folder: Path | None) -> Settings:
    settings = build(Settings, data, origin, {} if folder is None else {FOLDER: folder})
    problems = [_problem(origin, *conflict) for conflict in conflicts(settings)]
    problems += [_problem(origin, *missing) for missing in _missing_files(settings)]
    if settings.registry_path is not None and _why_not(settings.registry_path, True) != MISSING:
        try:
            settings = settings.with_registry(load_registry(settings.registry_path))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return settings


def _problem(origin: Origin, location: Location, message: str) -> Problem:
    return Problem(*origin.where(location), dotted(location), message)


def _missing_files(settings: Settings) -> Iterator[tuple[Location, str]]:
    # Why it cannot be read otherwise, reading it says.
    if settings.registry_path is not None and _why_not(settings.registry_path, True) == MISSING:
        yield ("registry",), f"no such file or folder: {settings.registry_path}"
    greylist = settings.policyd.greylist
    for key, entries in (("clients", greylist.clients), ("recipients", greylist.recipients)):
        for index, entry in enumerate(entries):
            # As with postgrey, a *.local file may be missing.
            if entry.startswith(SHIPPED) or entry.endswith(".local"):
                continue
            if why := _why_not(Path(entry)):
                yield ("policyd", "greylist", key, index), f"{why}: {entry}"
    store = settings.store
    for location, path in (
        (("privacy", "key_file"), settings.privacy.key_file),
        (("store", "password_file"), store.password_file),
        (("store", "sentinel_password_file"), store.sentinel_password_file),
        (("store", "ca_file"), store.ca_file),
    ):
        if path is not None and (why := _why_not(path)):
            yield location, f"{why}: {path}"


def _why_not(path: Path, folder: bool = False) -> str:
    """Why no file can be read at ``path``, as far as it shows without opening it; empty if one can.

    Arguments:
        folder: a folder will do as well.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        return error.strerror or MISSING
    except ValueError:
        return MISSING
    return "" if stat.S_ISREG(mode) or (folder and stat.S_ISDIR(mode)) else "not a file"
