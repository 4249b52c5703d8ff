"""For every test: nothing is skipped silently."""

from __future__ import annotations

# Its plugin loads it at the end of a run otherwise, past all that tests leave behind, and there the
# assertion rewriting of CPython 3.11.2 may stop with "AST constructor recursion depth mismatch".
import hypothesis  # noqa: F401

_skipped: list[str] = []


def pytest_runtest_logreport(report):
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session, exitstatus):
    """A skipped test has tested nothing, so the run has not passed."""
    if _skipped and exitstatus == 0:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter):
    if _skipped:
        terminalreporter.section("skipped tests count as failures")
        for nodeid in _skipped:
            terminalreporter.write_line(nodeid)
