"""The mails at a path: a file, a folder, a Maildir, an mbox (RFC 4155). Pure but for the files."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from contentfilter.content.limits import MIB
from contentfilter.offline.batch import Unreadable
from contentfilter.offline.offline import HEAD, files, is_folder, is_message

MAX_MAIL = 64 * MIB
"""Octets of one mail; a larger one is cut."""

_BEGIN = re.compile(rb"From [^\r\n]{1,300}\r?\n")
_SEPARATOR = re.compile(rb"\r?\n\r?\nFrom (?=[^\r\n]{0,300}\d:\d\d)[^\r\n]{1,300}\r?\n")
"""Between two mails: an empty line, and a line with sender and time."""
_QUOTED = re.compile(rb"(?m)^>(?=>*From )")


@dataclass(frozen=True, slots=True)
class Mail:
    """Arguments:
    name: for people: the path, of an mbox with the number of the mail in it.
    descriptor: of its octets, for the receiver to close.
    size: how many.
    """

    name: str
    descriptor: int
    size: int


def mails(paths: Iterable[Path], complain: Callable[[Unreadable], None]) -> Iterator[Mail]:
    """The mails at ``paths``, in the order of the names. Each is to be closed before many more are taken.

    Arguments:
        complain: told of what cannot be read, and of a named file that is no mail.
    """
    for path in paths:
        yield from _mails_at(path, complain)


def _mails_at(path: Path, complain: Callable[[Unreadable], None]) -> Iterator[Mail]:
    named = not is_folder(path)
    silent = True

    def tell(problem: Unreadable) -> None:
        nonlocal silent
        silent = False
        complain(problem)

    for file in files([path], tell):
        # What a Maildir's writer has not finished, and what programs keep beside the mails.
        if not named and (file.parent.name == "tmp" or file.name.startswith((".", "dovecot"))):
            continue
        try:
            for mail in _mails_of(file, named):
                silent = False
                yield mail
        except Unreadable as error:
            tell(error)
        except OSError as error:
            tell(Unreadable(f"{file}: {error.strerror}"))
    if silent:
        # Its name may be a slip.
        complain(Unreadable(f"{path}: no mails there"))


def _mails_of(path: Path, named: bool) -> Iterator[Mail]:
    # Not blocking: a FIFO would wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    keep = False
    try:
        if not path.is_file():
            raise Unreadable(f"{path}: not a file")
        size = os.fstat(descriptor).st_size
        head = os.pread(descriptor, HEAD, 0)
        if _BEGIN.match(head):
            with mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) as memory:
                yield from _of_mbox(path, memory)
        elif is_message(path.name, head):
            keep = True
            yield Mail(str(path), descriptor, min(size, MAX_MAIL))
        elif named:
            raise Unreadable(f"{path}: neither a mail nor an mbox")
    finally:
        if not keep:
            os.close(descriptor)


def _of_mbox(path: Path, memory: mmap.mmap) -> Iterator[Mail]:
    begin = _BEGIN.match(memory)
    at, number = (begin.end() if begin else 0), 1
    while True:
        separator = _SEPARATOR.search(memory, max(0, at - 4))
        end = separator.start() if separator else len(memory)
        content = _QUOTED.sub(b"", memory[at : min(max(at, end), at + MAX_MAIL)])
        yield _in_memory(f"{path} ({number})" if separator or number > 1 else str(path), content)
        if separator is None:
            return
        at, number = separator.end(), number + 1


def _in_memory(name: str, content: bytes) -> Mail:
    descriptor = os.memfd_create("mail", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as stream:
            stream.write(content)
    except BaseException:
        os.close(descriptor)
        raise
    return Mail(name, descriptor, len(content))
