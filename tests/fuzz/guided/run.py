"""Fuzzing guided by coverage (atheris): ``python tests/fuzz/guided/run.py [TARGET ...] --seconds 600``.

Begins from the seeds alone and with the same random numbers, so that two runs try the same. What makes a
target fail stays under ``.fuzz/TARGET/``; the same command with ``--input FILE`` tries that once more.
"""

from __future__ import annotations

import argparse
import importlib
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from tests.fuzz.guided.targets import TARGETS  # noqa: E402

SLOW = 10
"""Seconds for one input, instrumented as it is, beyond which it counts as a hang."""
MEMORY = 1024
"""MiB."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("--input", type=pathlib.Path, help="try this file alone")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    names = arguments.targets or list(TARGETS)
    if arguments.here:
        _fuzz(names[0], arguments.seconds, arguments.input)
    failed = [name for name in names if not _in_a_process(name, arguments)]
    for name in names:
        print(f"{name}: {'FAILED, see .fuzz/' + name if name in failed else 'ok'}")
    return 1 if failed else 0


def _in_a_process(name: str, arguments: argparse.Namespace) -> bool:
    """libFuzzer ends the process that it runs in."""
    command = [sys.executable, __file__, name, "--here", "--seconds", str(arguments.seconds)]
    if arguments.input:
        command += ["--input", str(arguments.input)]
    print(f"fuzzing {name} for {arguments.seconds} s", flush=True)
    return subprocess.run(command, check=False).returncode == 0


def _fuzz(name: str, seconds: int, only: pathlib.Path | None) -> None:
    import atheris

    with atheris.instrument_imports(include=["contentfilter"]):
        module = importlib.import_module(TARGETS[name])
    kept = ROOT / ".fuzz" / name
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"fuzz-{name}-") as corpus:
        for number, seed in enumerate(module.SEEDS):
            (pathlib.Path(corpus) / f"seed-{number:04}").write_bytes(seed)
        flags = [
            f"-timeout={SLOW}",
            f"-rss_limit_mb={MEMORY}",
            f"-artifact_prefix={kept}/",
            "-seed=1",
            "-max_len=16384",
        ]
        flags += [str(only)] if only else [f"-max_total_time={seconds}", "-print_final_stats=1", corpus]
        atheris.Setup([sys.argv[0], *flags], module.target)
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
