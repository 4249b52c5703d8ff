"""What becomes of Ctrl-C while a command's modules are loaded."""

from __future__ import annotations

import configparser
import importlib
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mailbase import beginning

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("chosen", [signal.default_int_handler, signal.SIG_IGN])
def test_loading_is_ended_without_a_word_and_the_command_in_its_own_way(
    chosen: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []

    def load(name: str) -> ModuleType:
        seen.append((name, signal.getsignal(signal.SIGINT)))
        loaded = ModuleType(name)

        def main() -> int:
            seen.append(("main", signal.getsignal(signal.SIGINT)))
            return 3

        loaded.main = main  # type: ignore[attr-defined]
        return loaded

    monkeypatch.setattr(importlib, "import_module", load)
    before = signal.signal(signal.SIGINT, chosen)
    try:
        assert beginning.begin("policyd.cli") == 3
    finally:
        signal.signal(signal.SIGINT, before)
    loading = signal.SIG_DFL if chosen is signal.default_int_handler else chosen
    assert seen == [("policyd.cli", loading), ("main", chosen)]


@pytest.mark.parametrize("program", ["policyd", "contentfilter", "postwarden"])
def test_all_programs_begin_so(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert f"{program} = {program}.__main__:main" in settings["options.entry_points"]["console_scripts"]
    entry = importlib.import_module(f"{program}.__main__")
    cli = importlib.import_module(f"{program}.cli")
    assert cli is sys.modules[f"{program}.cli"]
    monkeypatch.setattr(cli, "main", lambda: 5)
    assert entry.main() == 5
