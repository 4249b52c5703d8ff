"""What ``make fuzz`` can run: a name, and the module with ``SEEDS`` to begin from and ``target`` to try."""

from __future__ import annotations

TARGETS = {
    "message": "tests.fuzz.guided.message",
    "smime": "tests.fuzz.guided.smime",
    "winmail": "tests.fuzz.guided.winmail",
}
