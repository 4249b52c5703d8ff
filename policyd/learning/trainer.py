"""A process that trains a model: lessons come in, the model goes into its file, a summary comes out.

It is one of its own since training takes seconds to minutes of a processor, which policyd has not. Input: for
each lesson an octet (1 spam, 0 ham), its length in two octets, the lesson. Output: one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
import time
from array import array
from pathlib import Path
from typing import BinaryIO

from mailbase.statistics.lesson import MAX_PACKED, unpack
from mailbase.statistics.model import write_model
from policyd.learning.training import Example, train

NICENESS = 15


def frame(spam: bool, packed: bytes) -> bytes:
    """A lesson on its way to a trainer."""
    return bytes((spam,)) + len(packed).to_bytes(2, "big") + packed


def read(stream: BinaryIO) -> list[Example]:
    """The lessons that come; those of another version are left out.

    Raises:
        ValueError: the stream ends in the middle of one.
    """
    found = []
    while head := stream.read(3):
        length = int.from_bytes(head[1:], "big")
        if len(head) != 3 or length > MAX_PACKED:
            raise ValueError("not a stream of lessons")
        packed = stream.read(length)
        if len(packed) != length:
            raise ValueError("the stream of lessons is cut off")
        try:
            found.append(Example(array("I", unpack(packed)), bool(head[0])))
        except ValueError:
            continue
    return found


def main(path: str) -> int:
    """Train the model at ``path``; the process's exit code."""
    os.nice(NICENESS)
    began = time.time()
    try:
        trained = train(read(sys.stdin.buffer), began)
        write_model(Path(path), trained.weights, trained.description)
    except (OSError, ValueError) as error:
        print(json.dumps({"error": str(error)}))
        return 1
    told = trained.description
    print(
        json.dumps(
            {
                "trained": told.trained,
                "spam": told.spam,
                "ham": told.ham,
                "tokens": trained.known,
                "judges": bool(told.knots),
                "missed": round(trained.missed, 5),
                "wronged": round(trained.wronged, 5),
                "seconds": round(time.time() - began, 3),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
