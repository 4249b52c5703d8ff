"""What ``make fuzz`` can run: a name, and the module with ``SEEDS`` to begin from and ``target`` to try."""

from __future__ import annotations

TARGETS = {
    "message": "tests.fuzz.guided.message",
    "rar": "tests.fuzz.guided.rar_archive",
    "sevenzip": "tests.fuzz.guided.sevenzip_archive",
    "smime": "tests.fuzz.guided.smime",
    "tar": "tests.fuzz.guided.tar_archive",
    "winmail": "tests.fuzz.guided.winmail",
    "zip": "tests.fuzz.guided.zip_archive",
}
