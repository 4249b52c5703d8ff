"""``postwarden demo`` as a user runs it, and what it leaves behind when it ends in this way or that."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from mailbase.config import load
from postwarden.demo.scenario import STEPS
from postwarden.sandbox.gateway import Gateway
from postwarden.sandbox.guard import MARK
from postwarden.sandbox.waiting import wait_until

COMMAND = [sys.executable, "-m", "postwarden", "demo"]


def test_every_sample_mail_fares_as_it_should(real_postfix, tmp_path):
    folder = tmp_path / "run"
    done = subprocess.run(
        [*COMMAND, "--json", "--folder", str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == len(STEPS)
    assert all(result["expected"] and result["decision"] for result in results), results
    assert processes_of(folder) == []


def test_nothing_of_the_machines_own_gateway_is_read_or_written(tmp_path):
    with Gateway(tmp_path / "run") as gateway:
        gateway.write_config()
        settings = load(gateway.config)
    content = settings.contentfilter
    for path in (
        *(content.allowed_macros, content.rules.file, content.quarantine.folder, content.spool.folder),
        *(settings.store.path, settings.statistics.model, settings.policyd.journal.path),
    ):
        assert Path(path).is_relative_to(tmp_path), path


def test_without_postfix_they_fare_the_same(tmp_path):
    """Where there is no Postfix, or no root, a front end of our own stands in its place."""
    program = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from postwarden.demo import run
        from postwarden.sandbox.postfix import PostfixUnavailable

        def unavailable():
            raise PostfixUnavailable("not today")

        run.check_available = unavailable
        sys.exit(run.demo(Path(sys.argv[1]), keep=False, as_json=True))
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "not today" in done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["sent"] for result in results] == [step.title for step in STEPS]


ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


def test_it_cleans_up_however_it_ends(real_postfix, tmp_path):
    """Three demos side by side, each in a folder of its own and ended in its own way."""
    demos: list[tuple[signal.Signals, Path, subprocess.Popen[bytes]]] = []
    try:
        for number in ENDS:
            folder = tmp_path / number.name / "run"
            folder.parent.mkdir()
            with (folder.parent / "output").open("wb") as output:
                command = [*COMMAND, "--keep", "--folder", str(folder)]
                demos.append((number, folder, subprocess.Popen(command, stdout=output, stderr=output)))
        for demo in demos:
            ends_and_leaves_nothing(*demo)
    finally:
        for _, _, process in demos:
            process.kill()
            process.wait(10)


def ends_and_leaves_nothing(number: signal.Signals, folder: Path, demo: subprocess.Popen[bytes]) -> None:
    seen = folder.parent / "output"
    serving = "Ctrl-C ends it"
    wait_until(lambda: serving in seen.read_text() or demo.poll() is not None, 120.0, "it serves")
    assert demo.poll() is None, seen.read_text()
    postfix = (folder / "postfix").resolve()
    assert len(processes_of(folder)) >= 2
    assert processes_of(postfix)
    demo.send_signal(number)
    status = demo.wait(30)
    assert status == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    wait_until(
        lambda: not processes_of(folder) and not processes_of(postfix) and not postfix.exists(),
        20.0,
        "everything is gone",
        lambda: processes_of(folder) + processes_of(postfix),
    )


def test_a_second_demo_in_the_same_folder_is_refused(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / MARK).touch()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            [*COMMAND, "--folder", str(folder)], capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 1
    assert "running" in done.stderr


def test_a_folder_with_foreign_files_is_left_alone(tmp_path):
    (tmp_path / "precious").write_text("x")
    done = subprocess.run(
        [*COMMAND, "--folder", str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert (tmp_path / "precious").read_text() == "x"


def processes_of(folder: Path) -> list[str]:
    """Command lines of living processes that work in or for ``folder``."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            environment = (path / "environ").read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        # Postfix's daemons know their folder from MAIL_CONFIG.
        if f"{folder}/" in command or f"MAIL_CONFIG={folder}/" in environment:
            found.append(command)
    return found
