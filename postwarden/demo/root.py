"""Only root can run a private Postfix: starts the demo again through sudo where that is possible."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from postwarden.sandbox.postfix import find_program


def become_root() -> None:
    """Run this very command again as root, if Postfix is here, we are not root, and sudo lets us.

    Returns only if not; whoever runs a sandbox says then what it does without.
    """
    if os.geteuid() == 0 or not find_program("postfix") or not shutil.which("sudo"):
        return
    allowed = (
        subprocess.run(["sudo", "-n", "true"], capture_output=True, timeout=30, check=False).returncode == 0
    )
    if not allowed and not sys.stdin.isatty():
        return
    print("Postfix needs root: asking sudo for it (--no-sudo to do without) …", file=sys.stderr, flush=True)
    # Compiled modules would belong to root; the files of the demo are given back when it ends.
    again = ["sudo", sys.executable, "-B", "-m", "postwarden", *sys.argv[1:], "--no-sudo"]
    os.execvp("sudo", again)  # noqa: S606  (no shell is wanted)


def give_back(folder: Path) -> None:
    """Give ``folder`` and what is in it to the user who called sudo, if somebody did."""
    user, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() != 0 or not user.isdigit() or not group.isdigit():
        return
    with contextlib.suppress(OSError):
        for path in (folder, *folder.rglob("*")):
            os.chown(path, int(user), int(group), follow_symlinks=False)
