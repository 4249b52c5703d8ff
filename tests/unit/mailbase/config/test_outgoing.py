"""Mistakes in ``policyd.outgoing``, and what is said of them."""

from __future__ import annotations

import pytest

from mailbase.config import ConfigError, loads


def message(configuration: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loads(f"policyd:\n  outgoing: {{{configuration}}}\n")
    (problem,) = caught.value.problems
    assert problem.line == 2
    return str(problem)


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ("factor: 0.5", "policyd.outgoing.factor: expected 1 to 1000, got 0.5"),
        ("factor: true", "expected a number, got"),
        ("day: much", "expected a number, got 'much'"),
        (
            "users: {floor: {messages: 0}}",
            "policyd.outgoing.users.floor.messages: expected 1 to 1000000000, got 0",
        ),
        ("users: {floor: {mesages: 5}}", "mesages"),
        ("systems: {suspend: {refused: -3}}", "expected 1 to 1000000000, got -3"),
        ("suspend_reply: bounce", "bounce"),
        ("suspend_for: 1s", "expected 5m to 30d, got 1s"),
        ("notices: {to: [nobody]}", "expected a mail address such as abuse@example.org, got 'nobody'"),
        ("notices: {to: ['f\u00fcr@x.example']}", "expected a mail address"),
        ("notices: {webhook: 'ftp://x.example'}", "expected a URL such as https://hooks.example.org/mail"),
        ("notices: {webhook: 'https://user:secret@x.example/'}", "expected a URL"),
        ("notices: {webhook: 'https://x.example:99999/'}", "expected a URL"),
        ("notices: {webhook: 'https://x.example/ y'}", "expected a URL"),
        ("notices: {webhook: 'https:///x'}", "expected a URL"),
        ("notices: {smtp: localhost}", "expected host:port, [v6]:port"),
        (
            "notices: {webhook: 'http://x.example/', token_file: t}",
            "expected notices.webhook to be a https URL: the token would be readable on its way",
        ),
        ("notices: {token_file: t}", "expected notices.webhook to be a https URL"),
        (
            "own: {addresses: [mx.example.org]}",
            "expected an IP address such as 192.0.2.25, got 'mx.example.org'",
        ),
    ],
)
def test_mistakes(configuration: str, expected: str) -> None:
    assert expected in message(configuration)


def test_figures_are_laid_over_the_built_in_ones() -> None:
    outgoing = loads(
        "policyd: {outgoing: {users: {floor: {messages: 100, points: null}, suspend: {refused: null}}}}"
    ).policyd.outgoing
    floor, suspend = outgoing.users.floor, outgoing.users.suspend
    assert (floor.messages, floor.recipients, floor.points) == (100, 200, None)
    assert (suspend.recipients, suspend.refused) == (10_000, None)
    assert loads("policyd: {outgoing: {users: {floor: }}}").policyd.outgoing.users.floor.messages == 45
