"""The keys of the configuration, as the operator's commands see them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from contentfilter.signing.keys import public_keys
from contentfilter.signing.public import Algorithm, KeyProblem, PublicKey
from contentfilter.signing.service import selectors
from mailbase.config import Settings, load
from mailbase.config.signing import SigningSettings

BAD_CONFIGURATION = 78
"""Exit status, EX_CONFIG of sysexits.h."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys that there are.

    Arguments:
        settings: of the configuration file.
        keys: as :func:`contentfilter.signing.keys.public_keys` gives them.
    """

    settings: Settings
    keys: Sequence[PublicKey]

    @property
    def signing(self) -> SigningSettings:
        """``contentfilter.signing``, or its defaults where nothing is signed yet."""
        return self.settings.contentfilter.signing or SigningSettings()

    @property
    def folder(self) -> Path:
        return self.signing.keys

    @property
    def selectors(self) -> list[tuple[str, Algorithm]]:
        """The configured selectors, each with the kind of its key."""
        return selectors(self.settings.identity)

    def of(self, selector: str) -> PublicKey | None:
        """The key of a selector, if there is one."""
        return next((key for key in self.keys if key.selector == selector), None)


def read(config: Path, overrides: Sequence[str]) -> Keyring:
    """The keyring of a configuration; whoever owns the folder must own the files too.

    Raises:
        ConfigError: the configuration has mistakes.
        KeyProblem: a key cannot be used.
    """
    empty = Keyring(load(config, overrides), ())
    try:
        owner = os.stat(empty.folder).st_uid
    except FileNotFoundError:
        return empty
    except OSError as error:
        raise KeyProblem(f"{empty.folder} cannot be used for DKIM keys: {error.strerror}") from error
    return Keyring(empty.settings, public_keys(empty.folder, empty.selectors, owner))


def telling(work: Callable[[], int]) -> int:
    """Do ``work``; a key that cannot be used is told, and a bad configuration."""
    try:
        return work()
    except KeyProblem as error:
        print(f"postwarden: {error}", file=sys.stderr)
        return BAD_CONFIGURATION
