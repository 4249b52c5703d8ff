"""contentfilter learn undo: what a person is told of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contentfilter import cli
from contentfilter.learning import commands


@pytest.mark.parametrize(("undone", "status", "told"), [(5, 0, ""), (0, 1, "no such run")])
def test_a_run_that_is_not_there_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    undone: int,
    status: int,
    told: str,
) -> None:
    class Answer:
        def wait(self) -> dict[str, Any]:
            return {"undone": undone}

    config = tmp_path / "c.yaml"
    config.write_text("")
    monkeypatch.setattr(commands, "ask", lambda *_, **__: Answer())
    assert cli.main(["learn", "undo", "--run", "20301224-180000-3f2a", "--config", str(config)]) == status
    printed = capsys.readouterr()
    assert printed.out == f"undone: {undone} mails\n"
    assert told in printed.err
    assert bool(printed.err) == bool(told)
