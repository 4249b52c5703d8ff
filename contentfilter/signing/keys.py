"""The private keys: one PEM file for each selector, in a folder that the daemon alone can read.

A file is ``SELECTOR.pem``: a line that says when it was made, and an unencrypted PKCS #8 key. Only the signer
keeps what it reads there; everybody else takes the public half and lets go of the rest.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from contentfilter.signing.public import ALGORITHMS, Algorithm, KeyProblem, PublicKey
from contentfilter.signing.signature import Key

RSA_BITS = 2048
"""Of new keys. Longer ones do not fit into one string of a record, and cost four times as much."""
MIN_RSA_BITS = 2048
"""RFC 8301 3.2; what is shorter, receivers may not take."""
MAX_RSA_BITS = 4096
MAX_FILE = 16 * 1024
"""Octets of a key file."""

_MADE = re.compile(rb"(?m)^Made: (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\r?$")
_BLOCK = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)
_STAMP = "%Y-%m-%dT%H:%M:%SZ"


def path_of(folder: Path, selector: str) -> Path:
    """The file with the key of a selector."""
    return folder / f"{selector}.pem"


def public_keys(
    folder: Path, selectors: Iterable[tuple[str, Algorithm]], owner: int
) -> tuple[PublicKey, ...]:
    """The keys that there are of those selectors, the newest of each algorithm first; RSA before the other.

    Arguments:
        folder: with the files.
        selectors: and what kind of key each of them has.
        owner: user id that folder and files must belong to.

    Raises:
        KeyProblem: a file is there and cannot be used, or others can read it.
    """
    check_folder(folder, owner)
    found = []
    for selector, algorithm in selectors:
        with contextlib.suppress(FileNotFoundError):
            public, _private = _read(path_of(folder, selector), selector, owner)
            if public.algorithm != algorithm:
                raise KeyProblem(
                    f"{path_of(folder, selector)} has a key for {public.algorithm}, but selector {selector} "
                    f"is for {algorithm} (identity.dkim_selectors, identity.dkim_ed25519_selectors)"
                )
            found.append(public)
    return tuple(sorted(found, key=lambda key: (ALGORITHMS.index(key.algorithm), -key.made, key.selector)))


def signing_key(folder: Path | str, selector: str, owner: int) -> Key:
    """The key of a selector, ready to sign; it holds the private half.

    Raises:
        KeyProblem: there is none, or it cannot be used.
    """
    path = path_of(Path(folder), selector)
    try:
        public, private = _read(path, selector, owner)
    except FileNotFoundError:
        raise KeyProblem(f"{path} is not there") from None
    if isinstance(private, RSAPrivateKey):
        rsa = private
        return Key(
            selector, public.algorithm, lambda data: rsa.sign(data, padding.PKCS1v15(), hashes.SHA256())
        )
    return Key(selector, public.algorithm, private.sign)


def make(folder: Path, selector: str, algorithm: Algorithm, now: float, replace: bool = False) -> PublicKey:
    """Make a key and its file; the file belongs to whom the folder belongs to. Whole, or not there at all.

    Arguments:
        folder: made if it is missing, for the owner of the folder around it.
        now: seconds since the epoch.
        replace: put it in the place of another.

    Raises:
        KeyProblem: there is a key already, or no file can be written.
    """
    private: RSAPrivateKey | Ed25519PrivateKey
    if algorithm == "rsa-sha256":
        private = generate_private_key(65537, RSA_BITS)
    else:
        private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    stamp = time.strftime(_STAMP, time.gmtime(now))
    text = (
        f"Private DKIM key of selector {selector}; for nobody else to read.\nMade: {stamp}\n\n".encode() + pem
    )
    path = path_of(folder, selector)
    try:
        owner = _prepare(folder)
        if path.exists() and not replace:
            raise KeyProblem(f"{path} is there already; 'postwarden dkim rotate' replaces a key")
        _write(path, text, owner, replace)
    except OSError as error:
        raise KeyProblem(f"{path} cannot be written: {error.strerror}") from error
    return _public(private, selector, float(int(now)))


def check_folder(folder: Path, owner: int) -> None:
    """Whether nobody but ``owner`` can put keys into a folder, or read them there.

    Raises:
        KeyProblem: others can, or there is no such folder.
    """
    try:
        about = os.stat(folder)
    except OSError as error:
        raise KeyProblem(f"{folder} cannot be used for DKIM keys: {error.strerror}") from error
    if not stat.S_ISDIR(about.st_mode):
        raise KeyProblem(f"{folder} cannot be used for DKIM keys: it is no folder")
    _check_access(folder, about, owner, "700")


def _read(path: Path, selector: str, owner: int) -> tuple[PublicKey, RSAPrivateKey | Ed25519PrivateKey]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise KeyProblem(f"{path} cannot be read: {error.strerror}") from error
    with open(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise KeyProblem(f"{path} cannot be read: it is no file")
        _check_access(path, about, owner, "600")
        text = file.read(MAX_FILE + 1)
    block = _BLOCK.search(text)
    if block is None or len(text) > MAX_FILE:
        raise KeyProblem(f"{path} holds no private key in PEM form; 'postwarden dkim new' makes one")
    try:
        private = load_pem_private_key(block[0] + b"\n", None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyProblem(f"{path} holds no private key that can be used without a password") from error
    if not isinstance(private, (RSAPrivateKey, Ed25519PrivateKey)):
        raise KeyProblem(f"{path} holds a key that is neither RSA nor Ed25519")
    if isinstance(private, RSAPrivateKey) and not MIN_RSA_BITS <= private.key_size <= MAX_RSA_BITS:
        raise KeyProblem(
            f"{path} holds an RSA key of {private.key_size} bits; expected {MIN_RSA_BITS} to {MAX_RSA_BITS}"
        )
    return _public(private, selector, _made(text, about.st_mtime)), private


def _made(text: bytes, otherwise: float) -> float:
    found = _MADE.search(text)
    if found is None:
        return otherwise
    try:
        return float(_epoch(found[1].decode("ascii")))
    except ValueError:
        return otherwise


def _epoch(stamp: str) -> int:
    import calendar

    return calendar.timegm(time.strptime(stamp, _STAMP))


def _public(private: RSAPrivateKey | Ed25519PrivateKey, selector: str, made: float) -> PublicKey:
    if isinstance(private, RSAPrivateKey):
        material = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return PublicKey(selector, "rsa-sha256", material, made, private.key_size)
    material = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return PublicKey(selector, "ed25519-sha256", material, made, 256)


def _check_access(path: Path, about: os.stat_result, owner: int, mode: str) -> None:
    if about.st_uid != owner:
        raise KeyProblem(
            f"{path} belongs to user {about.st_uid} and not to user {owner}, whom contentfilter runs as: "
            f"chown {owner} {path}"
        )
    if about.st_mode & 0o077:
        open_to = f"{stat.S_IMODE(about.st_mode):04o}"
        raise KeyProblem(
            f"{path} is open to others than its owner (mode {open_to}), and DKIM keys are for contentfilter "
            f"alone: chmod {mode} {path}"
        )


def _prepare(folder: Path) -> os.stat_result:
    """Make the folder if need be; returns about it."""
    if not folder.exists():
        try:
            folder.mkdir(mode=0o700, parents=False)
        except FileNotFoundError:
            if folder.parent.exists():
                raise
            raise KeyProblem(
                f"there is no folder {folder.parent}; make it first, for the user that contentfilter runs "
                f"as, such as: install -d -o postwarden -g postwarden {folder.parent}"
            ) from None
        around = os.stat(folder.parent)
        if os.geteuid() == 0:
            os.chown(folder, around.st_uid, around.st_gid)
    return os.stat(folder)


def _write(path: Path, text: bytes, owner: os.stat_result, replace: bool) -> None:
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            if os.geteuid() == 0:
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        if replace:
            os.replace(beside, path)
        else:
            # Unlike a renaming, it fails if somebody was quicker.
            os.link(beside, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
