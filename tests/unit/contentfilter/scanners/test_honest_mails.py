"""Odd mails of honest senders are not held against them."""

from __future__ import annotations

import pytest

from contentfilter.content.scan import scan_message
from contentfilter.disposition.verdict import decide
from mailbase.config import FlowsSettings
from mailbase.vocabulary import Action, Flow
from tests.samples.honest_mails import HONEST


def test_there_are_enough_of_them():
    assert len(HONEST) >= 60


@pytest.mark.parametrize("mail", HONEST.values(), ids=HONEST.keys())
def test_nothing_is_found(mail: bytes):
    result = scan_message(mail)
    assert result.findings == ()
    assert result.unscanned == ()
    assert decide("id", Flow.INBOUND, FlowsSettings().inbound, [result]).action is Action.ACCEPT
