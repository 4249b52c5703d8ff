"""A store's file belongs to one process."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailbase.claim import StoreInUse, claim


def test_a_store_in_use_is_told_with_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "policyd.sqlite"
    held = claim(path)
    assert held is not None
    with pytest.raises(StoreInUse, match=f"in use by another process \\({os.getpid()}\\): give each policyd"):
        claim(path)
    os.close(held)
    again = claim(path)
    assert again is not None
    os.close(again)


def test_a_claim_ends_with_its_process_whatever_its_end(tmp_path: Path) -> None:
    path = tmp_path / "policyd.sqlite"
    program = (
        "import os, signal, pathlib, mailbase.claim as c; "
        f"c.claim(pathlib.Path({str(path)!r})); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert path.with_name("policyd.sqlite.lock").read_text().strip().isdigit()
    held = claim(path)
    assert held is not None
    os.close(held)


def test_where_nothing_can_be_claimed_the_store_is_left_to_complain(tmp_path: Path) -> None:
    assert claim(tmp_path / "missing" / "policyd.sqlite") is None


def test_a_full_disk_keeps_nobody_from_claiming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "policyd.sqlite"
    monkeypatch.setattr(os, "pwrite", full)
    held = claim(path)
    assert held is not None
    with pytest.raises(StoreInUse, match="unknown"):
        claim(path)
    os.close(held)
