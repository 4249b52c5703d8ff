"""A callout's connection under what the daemon's unit forbids."""

from __future__ import annotations

import subprocess
import sys

import pytest

from postwarden.sandbox.sink import Sink
from tests.integration import certificates

SCRIPT = """
import ctypes, sys

PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
# As MemoryDenyWriteExecute= of systemd; a kernel before 6.3 does not know it, and then nothing is forbidden.
ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0)

from twisted.internet import reactor
from policyd.callout.conversation import Script
from policyd.callout.dialling import Dialler

def end(outcome):
    print(outcome.tls, outcome.failure, [reply.code for reply in outcome.replies])
    reactor.stop()

script = Script("mx.gate.example", (b"<ada@inst.example>",))
dial = Dialler(reactor)
until = reactor.seconds() + 20
dial(sys.argv[1], int(sys.argv[2]), script, "mail.inst.example", connect=5, until=until).addBoth(end)
reactor.run()
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_tls_works_without_memory_that_can_be_written_and_executed(tmp_path, host):
    sink = Sink(host=host, tls=certificates.context(certificates.write(tmp_path, "other.example")))
    try:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, host, str(sink.port)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        sink.close()
    assert done.stdout == "True  [250]\n", done.stderr
    assert sink.asked == [(b"<ada@inst.example>", True)]
