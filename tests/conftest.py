"""For every test: nothing is skipped silently."""

from __future__ import annotations

import pytest

_skipped: list[str] = []


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped:
        _skipped.append(item.nodeid)


def pytest_sessionfinish(session, exitstatus):
    """A skipped test has tested nothing, so the run has not passed."""
    if _skipped and exitstatus == 0:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter):
    if _skipped:
        terminalreporter.section("skipped tests count as failures")
        for nodeid in _skipped:
            terminalreporter.write_line(nodeid)
