"""A process that keeps its memory for the next large mail."""

from __future__ import annotations

import subprocess
import sys

import pytest

from contentfilter.pool.heap import VARIABLES

FETCHED = """
import resource, sys
from contentfilter.pool.heap import keep_memory

if sys.argv[1] == "told":
    assert keep_memory()

def fetched():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        blocks = [b"x" * (1 << 20) for _ in range(4)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

fetched()
print(fetched())
"""


@pytest.mark.parametrize("how", ["told", "born"])
def test_memory_is_fetched_once(how: str) -> None:
    environment = VARIABLES if how == "born" else {}
    command = [sys.executable, "-c", FETCHED, how]
    done = subprocess.run(
        command, env={"PYTHONPATH": ":".join(sys.path), **environment}, capture_output=True, check=True
    )
    assert int(done.stdout) < 100, "pages; 4,000 where it is given back"
