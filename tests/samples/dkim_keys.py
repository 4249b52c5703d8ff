"""DKIM keys, made once a process, and what DNS says of them."""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path

from contentfilter.signing import keys
from contentfilter.signing.public import Algorithm, PublicKey
from contentfilter.signing.record import record_name, record_text
from contentfilter.signing.signature import Key

MADE = 1_790_000_000.0


def key(selector: str = "dkim001", algorithm: Algorithm = "rsa-sha256") -> tuple[PublicKey, Key]:
    """Both halves."""
    public, private, _file = _made(selector, algorithm)
    return public, private


def lay_down(folder: Path, selector: str = "dkim001", algorithm: Algorithm = "rsa-sha256") -> PublicKey:
    """Put the key's file into a folder, as ``postwarden dkim new`` would."""
    public, _private, file = _made(selector, algorithm)
    folder.mkdir(mode=0o700, exist_ok=True)
    path = keys.path_of(folder, selector)
    path.touch(mode=0o600)
    path.write_bytes(file)
    return public


def records(domain: str, *public: PublicKey) -> dict[str, str]:
    """TXT records by name."""
    return {record_name(one.selector, domain): record_text(one) for one in public}


@functools.cache
def _made(selector: str, algorithm: Algorithm) -> tuple[PublicKey, Key, bytes]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        public = keys.make(folder, selector, algorithm, MADE)
        file = keys.path_of(folder, selector).read_bytes()
        return public, keys.signing_key(folder, selector, os.geteuid()), file
