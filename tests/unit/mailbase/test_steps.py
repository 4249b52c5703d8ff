"""Going on with what was awaited."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from mailbase.steps import step


async def careful(waiting: Deferred[str]) -> str:
    try:
        return await waiting
    except KeyError as error:
        return f"without {error}"


class Follower:
    """Follows an awaitable to its end."""

    def __init__(self, waiting: Any) -> None:
        self.steps = waiting.__await__()
        self.end: object = None
        self.go_on(None)

    def go_on(self, result: object) -> None:
        try:
            step(self.steps, result).addBoth(self.go_on)
        except StopIteration as stop:
            self.end = stop.value
        except Exception as error:
            self.end = error


@pytest.mark.parametrize("within", [careful, lambda waiting: waiting])
def test_what_fails_while_it_is_waited_for_fails_as_itself(within: Any) -> None:
    """Not with an assertion of Twisted's, which nobody expects."""
    waiting: Deferred[str] = Deferred()
    follower = Follower(within(waiting))
    assert follower.end is None
    waiting.errback(KeyError("it"))
    end = follower.end
    assert end == "without 'it'" if within is careful else isinstance(end, KeyError)


def test_what_is_there_or_comes_goes_on() -> None:
    waiting: Deferred[str] = Deferred()
    follower = Follower(careful(waiting))
    waiting.callback("it")
    assert follower.end == "it"
    assert Follower(careful(succeed("now"))).end == "now"
    assert Follower(careful(fail(KeyError("it")))).end == "without 'it'"
