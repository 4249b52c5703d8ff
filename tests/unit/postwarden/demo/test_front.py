"""What the demo answers in Postfix's place."""

import pytest

from postwarden.demo.front import smtp_reply


@pytest.mark.parametrize(
    ("action", "served", "code"),
    [
        ("DUNNO", True, None),
        ("DUNNO", False, 554),
        ("OK", False, None),
        ("PREPEND X: y", True, None),
        ("554 5.7.1 Relay access denied", True, 554),
        ("REJECT go away", True, 554),
        ("DEFER_IF_PERMIT 4.2.0 Greylisted", True, 450),
        ("DEFER_IF_PERMIT 4.2.0 Greylisted", False, 554),
        ("DEFER_IF_REJECT 4.3.0 no policy", True, None),
        ("DEFER_IF_REJECT 4.3.0 no policy", False, 450),
    ],
)
def test_actions_become_what_postfix_would_answer(action, served, code):
    reply = smtp_reply(action, served)
    assert (reply.code if reply else None) == code
