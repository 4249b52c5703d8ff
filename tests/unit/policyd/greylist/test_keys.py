"""What counts as the same sender, recipient and network, and the keys that follow."""

from __future__ import annotations

import pytest

from mailbase.addresses import pack
from policyd.greylist.keys import (
    client_network,
    normal_recipient,
    normal_sender,
    own_key,
    pair_key,
    pair_text,
)


@pytest.mark.parametrize(
    ("sender", "normal"),
    [
        ("", "<>"),
        ("Someone@Example.ORG", "someone@example.org"),
        ("someone+list-17@example.org", "someone@example.org"),
        ("+odd@example.org", "+odd@example.org"),
        ("bounce-123-456=user=inst.example@list.example", "bounce-#-#=user=inst.example@list.example"),
        ("b77x8@example.org", "b#x#@example.org"),
        ("user@host7.example.org", "user@host7.example.org"),
        ("prvs=0123456789=someone@example.org", "someone@example.org"),
        ("prvs=someone=0123456789@example.org", "someone@example.org"),
        ("prvs=012345abcd=some.one@example.org", "some.one@example.org"),
        ("prvs=abc@example.org", "abc@example.org"),
        ("btv1==0123456789a==someone@example.org", "someone@example.org"),
        ("SRS0=HHH=TT=example.org=alice@fwd.example", "srs=example.org=alice@fwd.example"),
        ("SRS0+HHH=TT=example.org=alice@fwd.example", "srs=example.org=alice@fwd.example"),
        (
            "SRS1=XXX=fwd.example==HHH=TT=example.org=alice@two.example",
            "srs=fwd.example=example.org=alice@two.example",
        ),
        ("SRS0=only@fwd.example", "srs#=only@fwd.example"),
        ("no-domain", "no-domain"),
        ("a@b@c", "a@b@c"),
        ("=@x", "=@x"),
    ],
)
def test_what_changes_from_mail_to_mail_is_taken_out(sender: str, normal: str) -> None:
    assert normal_sender(sender) == normal


@pytest.mark.parametrize("tag", ["AB12=QP", "zz99=3k", "0000=00"])
def test_one_correspondent_keeps_one_key_through_a_forwarder(tag: str) -> None:
    assert normal_sender(f"SRS0={tag}=example.org=alice@fwd.example") == "srs=example.org=alice@fwd.example"


def test_the_recipient_is_compared_without_case() -> None:
    assert normal_recipient("Person@Inst.Example") == "person@inst.example"


@pytest.mark.parametrize(
    ("address", "v4", "v6", "exact", "network"),
    [
        ("192.0.2.130", 24, 64, False, "192.0.2.0/24"),
        ("192.0.2.130", 24, 64, True, "192.0.2.130"),
        ("192.0.2.130", 25, 64, False, "192.0.2.128/25"),
        ("192.0.2.130", 31, 64, False, "192.0.2.130/31"),
        ("192.0.2.130", 32, 64, False, "192.0.2.130"),
        ("192.0.2.130", 8, 64, False, "192.0.0.0/8"),
        ("2001:db8:1:2:3:4:5:6", 24, 64, False, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:3:4:5:6", 24, 47, False, "2001:db8::/47"),
        ("2001:db8:1:2:3:4:5:6", 24, 64, True, "2001:db8:1:2:3:4:5:6"),
        ("::ffff:192.0.2.130", 24, 64, False, "192.0.2.0/24"),
    ],
)
def test_the_network_of_a_client(address: str, v4: int, v6: int, exact: bool, network: str) -> None:
    packed = pack(address)
    assert packed is not None
    assert client_network(packed, v4, v6, exact=exact) == network


def test_keys_differ_in_each_part_and_do_not_run_together() -> None:
    pairs = [
        pair_text(*pair)
        for pair in (("a@x", "b@y"), ("a@xb", "@y"), ("a@x", "b@z"), ("a@x\ud800", "b@y"), ("i", "a@x\0b@y"))
    ]
    keys = {pair_key(pair) for pair in pairs}
    keys |= {own_key(identity, pair) for identity in ("i", "192.0.2.0/24", "192.0.2.0") for pair in pairs}
    assert len(keys) == 20
    assert {len(key) for key in keys} == {16}
