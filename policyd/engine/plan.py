"""Which checks run when, and what each does ahead of its turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from policyd.checks import Check, ExceptionsCheck, PreparedCheck, RelayCheck
from policyd.evidence.context import Context, Scope
from policyd.protocol.request import Stage

ASKED_FOR_RELAYING = frozenset({ExceptionsCheck.name, RelayCheck.name})
"""Who is denied relays nothing; all other checks are asked once, with the recipient restrictions."""


class Course(NamedTuple):
    """What is done with a request.

    Arguments:
        preparations: of those checks that have one, each a step of its own; before all checks.
        checks: in order.
    """

    preparations: tuple[Callable[[Context], None], ...]
    checks: tuple[Check, ...]


Plan = dict[tuple[Stage, Scope], Course]
"""What is done by stage and scope."""


def make_plan(checks: list[Check]) -> Plan:
    """Which of ``checks`` run when. Asked for relaying alone, only :data:`ASKED_FOR_RELAYING` do."""
    plan: Plan = {}
    for stage in Stage:
        there = [check for check in checks if stage in check.stages]
        plan[stage, Scope.BOTH] = plan[stage, Scope.RECIPIENT] = _course(there)
        plan[stage, Scope.RELAY] = _course([check for check in there if check.name in ASKED_FOR_RELAYING])
    return plan


def _course(checks: list[Check]) -> Course:
    return Course(
        tuple(check.prepare for check in checks if isinstance(check, PreparedCheck)),
        tuple(checks),
    )
