"""Which addresses are spamtraps."""

from __future__ import annotations

import pytest

from mailbase.config import ConfigError, loads
from mailbase.spamtraps import Spamtraps


@pytest.mark.parametrize(
    ("pattern", "recipient", "hit"),
    [
        ("trap@Inst.example", "Trap@inst.example", True),
        ("trap@inst.example", "<trap@inst.example>", True),
        ("trap@inst.example", '"trap"@inst.example', True),
        ("trap@inst.example", "trap+news@inst.example", True),
        ("trap@inst.example", "trap@inst.example.", True),
        ("trap@inst.example", "trap@sub.inst.example", False),
        ("trap@inst.example", "atrap@inst.example", False),
        ("trap@inst.example", "trap", False),
        ("trap@inst.example", "", False),
        ('"a trap"@inst.example', "a trap@inst.example", True),
        ('"a trap"@inst.example', '"A trap"@inst.example', True),
        ("trap@bücher.example", "trap@xn--bcher-kva.example", True),
        ("@old.example", "anybody@OLD.example", True),
        ("@old.example", "anybody@new.old.example", False),
        ("@old.example", "anybody@bold.example", False),
        ("/^old-.*@inst\\.example$/", "Old-7@inst.example", True),
        ("/^old-.*@inst\\.example$/", "old-7@inst.example.", True),
        ("/^old-.*@inst\\.example$/", "older@inst.example", False),
    ],
)
def test_a_pattern_and_a_recipient(pattern: str, recipient: str, hit: bool) -> None:
    assert Spamtraps([pattern]).match(recipient) is hit


def test_several_patterns_and_none() -> None:
    traps = Spamtraps(["a@x.example", "@y.example"])
    assert traps
    assert traps.match("a@x.example")
    assert traps.match("b@y.example")
    assert not Spamtraps()
    assert not Spamtraps().match("a@x.example")


@pytest.mark.parametrize("pattern", ["trap", "@", "a b", "/[/", "trap@", "x.example", "//"])
def test_what_is_no_pattern_is_a_mistake(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"spamtraps\.addresses\[0\]: "):
        loads(f"spamtraps: {{addresses: ['{pattern}']}}")
