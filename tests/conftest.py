"""For every test: nothing is skipped silently, and none fails because the machine has other work."""

from __future__ import annotations

# Its plugin loads it at the end of a run otherwise, past all that tests leave behind, and there the
# assertion rewriting of CPython 3.11.2 may stop with "AST constructor recursion depth mismatch".
import hypothesis

# How long an example takes is not what is tested. The first text of a fresh checkout is slow to make:
# Hypothesis finds out first what letters there are.
hypothesis.settings.register_profile(
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

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
