"""Every command line in README.md and docs/ is one that the program takes, and every link leads somewhere."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import contentfilter.cli
import policyd.cli
import postwarden.cli

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = {
    "policyd": policyd.cli._parser(),
    "contentfilter": contentfilter.cli._parser(),
    "postwarden": postwarden.cli.parser(),
}


def command_lines(text: str) -> Iterator[str]:
    """What is to be typed: in line, and in blocks up to a comment, a pipe, or the next command."""
    begins = rf"(?:{'|'.join(PROGRAMS)}) [a-z-]"
    found = re.findall(rf"`({begins}[^`\n]*)`", text)
    for block in re.findall(r"```\w*\n(.*?)```", text, re.S):
        typed = (re.sub(r"^\s*(\$ |\S*/bin/)", "", line) for line in block.splitlines())
        found += [line for line in typed if re.match(begins, line)]
    for line in found:
        line = re.split(r"\s+#|\s&&|\s\| (?=less|nft)|;|\s>", line)[0].rstrip()
        if " | " not in line:
            yield line


def is_a_name(program: str, words: list[str]) -> bool:
    """Whether it only speaks of a command or its option, and is not to be typed."""
    parser = PROGRAMS[program]
    for word in words:
        if word in parser._option_string_actions:
            continue
        below = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        if not below or word not in below[0].choices:
            return False
        parser = below[0].choices[word]
    return True


LINES = sorted({(page.name, line) for page in PAGES for line in command_lines(page.read_text())})


def test_there_is_something_to_try() -> None:
    assert len(LINES) > 80


@pytest.mark.parametrize(("page", "line"), LINES)
def test_the_program_takes_it(
    page: str, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the page leaves to the reader.
    program, *arguments = shlex.split(re.sub(r"\bID\b", "1xh8m627722vw", line.replace("…", "x")))
    monkeypatch.setattr("ssl.SSLContext.load_verify_locations", lambda *_: None)
    if is_a_name(program, arguments):
        return
    try:
        PROGRAMS[program].parse_args(arguments)
    except SystemExit:
        pytest.fail(f"{page}: {capsys.readouterr().err}")


def subcommands(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_readme_names_every_command(program: str) -> None:
    text = PAGES[0].read_text()
    told = set(re.findall(rf"\b{program} ([a-z]+)", text))
    for names in re.findall(rf"^{program} ((?:[a-z]+ \| )+[a-z]+)", text, re.M):
        told.update(names.split(" | "))
    # Deny stands beside allow, and the demo behind make.
    assert set(subcommands(PROGRAMS[program])) - {"deny", "demo"} <= told


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


ANCHORS = {page: {anchor(one) for one in re.findall(r"^#+ (.*)$", page.read_text(), re.M)} for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        path, _, part = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not part or part in ANCHORS[target], link
