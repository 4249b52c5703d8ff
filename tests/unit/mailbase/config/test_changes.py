"""What a reload changes."""

from __future__ import annotations

import pytest

from mailbase.config import Settings, changes, loads


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("policyd: {greylist: {delay: 300}}", []),
        (
            "policyd: {greylist: {delay: 1m}}\nlogging: {level: debug}",
            ["policyd.greylist.delay", "logging.level"],
        ),
        ("flows: {upstream: {actions: {virus: tag}}}", ["flows.upstream.actions.virus"]),
        ("policyd: {listen: ['127.0.0.1:10023', 'unix:/x']}", ["policyd.listen[1]"]),
        ("contentfilter: {clamd: {}}", ["contentfilter.clamd"]),
        (
            "contentfilter: {listeners: [{listen: '127.0.0.1:10024', reinject: '127.0.0.1:1'}]}",
            ["contentfilter.listeners[0].reinject", "contentfilter.listeners[1]"],
        ),
    ],
)
def test_changed_keys_are_named(text: str, expected: list[str]) -> None:
    assert changes(Settings(), loads(text)) == expected


def test_another_registry_file_is_a_change_and_has_its_name_in_the_file() -> None:
    new = Settings().model_copy(update={"registry_path": "/x"})
    assert changes(Settings(), new) == ["registry"]
