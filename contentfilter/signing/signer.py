"""A signer: the process that holds the private keys. It takes a descriptor, reads what is behind it, signs.

It runs as the daemon's user, reads its keys, and then gives up what a scan worker gives up: files, network,
system calls (:mod:`contentfilter.pool.confinement`). Scan workers, who parse mail, never have a key; the
daemon, which speaks with the world, does not keep one.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from contentfilter.pool.beginning import begin, settle, where
from contentfilter.pool.confinement import AddressSpace, CpuTime, Orphaned, confine
from contentfilter.pool.frames import Done, Failed, Garbage, Ready
from contentfilter.signing.keys import signing_key
from contentfilter.signing.messages import MAX_TASK, Answer, Result, Signed, SignTask, Unsigned, encode
from contentfilter.signing.public import KeyProblem
from contentfilter.signing.signature import Key, NotSigned, Transmission, digest, sign
from contentfilter.signing.transit import Unforeseeable
from contentfilter.spool.unstuffing import unstuffed

CHUNK = 256 * 1024
"""Octets read at once."""


@dataclass(frozen=True, slots=True)
class SignerSettings:
    """What the daemon tells a signer at its start.

    Arguments:
        parent: process id of the daemon.
        folder: with the keys, from the root.
        owner: user id that they belong to.
        selectors: of the keys to load.
        memory: octets of address space.
        cpu_time: seconds of processor time for each message.
        line_length: see :class:`Transmission`.
        keep_stray: likewise.
    """

    parent: int
    folder: str
    owner: int
    selectors: tuple[str, ...]
    memory: int
    cpu_time: float
    line_length: int
    keep_stray: bool

    def encode(self) -> str:
        return json.dumps(asdict(self))


def work(task: SignTask, descriptor: int, keys: Mapping[str, Key], transmission: Transmission) -> Result:
    """Sign one message.

    Raises:
        OSError: it cannot be read.
        KeyError: there is no such key.
    """
    chosen = [keys[selector] for selector in task.selectors]
    try:
        message = digest(unstuffed(_pieces(descriptor, task.size)), transmission)
        return Signed(sign(message, task.domain, chosen, task.now))
    except NotSigned as error:
        return Unsigned(error.reason)
    except Unforeseeable:
        return Unsigned("unforeseeable")


def _pieces(descriptor: int, size: int) -> Iterator[bytes]:
    place = 0
    while place < size:
        piece = os.pread(descriptor, min(CHUNK, size - place), place)
        if not piece:
            raise EOFError("the message is shorter than announced")
        place += len(piece)
        yield piece


def main(argument: str) -> int:
    """Run a signer; returns the process's exit code."""
    settings = SignerSettings(**json.loads(argument))
    tasks, answers = begin()
    try:
        keys = {name: signing_key(settings.folder, name, settings.owner) for name in settings.selectors}
        transmission = Transmission(settings.line_length, settings.keep_stray)
        settle()
        memory = AddressSpace()
        missing = confine(settings.memory, settings.parent)
        _answer(answers, Ready(tuple(missing)))
        _loop(tasks, answers, keys, transmission, settings, memory)
    except KeyProblem as error:
        # It could be used when the daemon looked.
        print(error, file=sys.stderr, flush=True)
        return 78
    except (BrokenPipeError, ConnectionError, Orphaned):
        return 1
    return 0


def _loop(
    tasks: socket.socket,
    answers: int,
    keys: Mapping[str, Key],
    transmission: Transmission,
    settings: SignerSettings,
    memory: AddressSpace,
) -> None:
    enough = (memory.used() + settings.memory) // 2
    cpu_time = CpuTime(settings.cpu_time)
    while True:
        packet, descriptors, _flags, _address = socket.recv_fds(tasks, MAX_TASK, 1)
        if not packet:
            return
        if len(descriptors) != 1:
            raise Garbage("a task without a descriptor")
        cpu_time.allow()
        answer: Answer
        try:
            result = work(SignTask.decode(packet), descriptors[0], keys, transmission)
            answer = Done(result, retire=memory.used() > enough)
        except MemoryError:
            answer = Failed("out-of-memory")
        except Exception as error:  # noqa: BLE001 - the boundary: the daemon counts and logs it
            answer = Failed("crashed", where(error))
        finally:
            os.close(descriptors[0])
        _answer(answers, answer)
        if isinstance(answer, Failed):
            return


def _answer(answers: int, answer: Answer) -> None:
    frame = memoryview(encode(answer))
    while frame:
        frame = frame[os.write(answers, frame) :]
