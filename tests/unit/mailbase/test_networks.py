"""Networks and longest prefixes."""

# The messages stand in one piece, as they are read.
# ruff: noqa: E501

from __future__ import annotations

import random

import pytest

from mailbase.addresses import pack
from mailbase.networks import NetworkTable, network_named, parse_network


def packed(text: str) -> bytes:
    result = pack(text)
    assert result is not None
    return result


@pytest.mark.parametrize(
    ("text", "address", "length"),
    [
        ("192.0.2.0/24", "192.0.2.0", 24),
        ("192.0.2.1", "192.0.2.1", 32),
        ("0.0.0.0/0", "0.0.0.0", 0),
        ("2001:db8::/32", "2001:db8::", 32),
        ("::1", "::1", 128),
        ("::/0", "::", 0),
        ("::ffff:192.0.2.0/120", "192.0.2.0", 24),
        ("::ffff:0:0/96", "0.0.0.0", 0),
        (" 192.0.2.0/24 ", "192.0.2.0", 24),
    ],
)
def test_network(text: str, address: str, length: int) -> None:
    assert parse_network(text) == (packed(address), length)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("192.0.2.5/24", "expected the network's first address, 192.0.2.0/24, got '192.0.2.5/24'"),
        ("2001:db8::1/32", "expected the network's first address, 2001:db8::/32, got '2001:db8::1/32'"),
        ("1.2.3.4/0", "expected the network's first address, 0.0.0.0/0, got '1.2.3.4/0'"),
        ("192.0.2.0/33", "expected a prefix length of 0 to 32 after the slash, got '192.0.2.0/33'"),
        ("::/129", "expected a prefix length of 0 to 128 after the slash, got '::/129'"),
        ("192.0.2.0/", "expected a prefix length of 0 to 32 after the slash, got '192.0.2.0/'"),
        ("192.0.2.0/-1", "expected a prefix length of 0 to 32 after the slash, got '192.0.2.0/-1'"),
        ("192.0.2.0/255.255.255.0", "expected a prefix length of 0 to 32 after the slash, got '192.0.2.0/255.255.255.0'"),
        ("192.0.2.0/٢٤", "expected a prefix length of 0 to 32 after the slash, got '192.0.2.0/??'"),
        ("192.0.2/24", "expected a network such as 192.0.2.0/24 or 2001:db8::/32, got '192.0.2/24'"),
        ("host\n", "expected a network such as 192.0.2.0/24 or 2001:db8::/32, got 'host?'"),
        ("", "expected a network such as 192.0.2.0/24 or 2001:db8::/32, got ''"),
    ],
)  # fmt: skip
def test_no_network(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared below
        parse_network(text)
    assert str(caught.value) == message


def test_the_longest_prefix_wins() -> None:
    names = [
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.1.2.0/24",
        "10.1.2.3",
        "::/0",
        "2001:db8::/32",
        "2001:db8::1",
    ]
    table = NetworkTable((name, name) for name in names)
    for address, expected in [
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.4", "10.1.2.0/24"),
        ("10.1.3.3", "10.1.0.0/16"),
        ("10.2.0.1", "10.0.0.0/8"),
        ("11.0.0.0", "0.0.0.0/0"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:db8::2", "2001:db8::/32"),
        ("::1", "::/0"),
    ]:
        assert table.lookup(packed(address)) == expected, address
    assert len(table) == 8


def test_an_address_as_the_kernel_gives_it_on_a_dual_stack_socket_is_the_ipv4_one() -> None:
    table = NetworkTable([("192.0.2.0/24", "v4"), ("::/0", "v6")])
    assert table.lookup(bytes(10) + b"\xff\xff" + packed("192.0.2.1")) == "v4"


def test_an_empty_table_and_one_of_the_other_family_know_nothing() -> None:
    table: NetworkTable[str] = NetworkTable()
    assert table.lookup(packed("192.0.2.1")) is None
    table.add("192.0.2.0/24", "a")
    assert table.lookup(packed("::1")) is None
    assert table.lookup(packed("192.0.2.1")) == "a"


def test_what_is_added_later_is_found_and_replaces() -> None:
    table = NetworkTable([("192.0.2.0/24", 1)])
    assert table.lookup(packed("192.0.2.1")) == 1
    table.add("192.0.2.0/25", 2)
    table.add("192.0.2.0/24", 3)
    assert table.lookup(packed("192.0.2.1")) == 2
    assert table.lookup(packed("192.0.2.200")) == 3


def test_no_lookup_takes_more_than_eight_probes_whatever_the_table_holds() -> None:
    class Counting(dict[int, object]):
        probes = 0

        def __contains__(self, key: object) -> bool:
            Counting.probes += 1
            return super().__contains__(key)

    choose = random.Random(1)
    table: NetworkTable[int] = NetworkTable()
    for number in range(5000):
        length = choose.randint(0, 128)
        first = choose.getrandbits(length) << (128 - length) if length else 0
        table.add(
            f"{':'.join(f'{first >> shift & 0xFFFF:x}' for shift in range(112, -1, -16))}/{length}", number
        )
    table.prepare()

    def instrument(step: object) -> object:
        if step is None:
            return None
        assert isinstance(step, tuple)
        shift, entries, shorter, longer = step
        return shift, Counting(entries), instrument(shorter), instrument(longer)

    table._v6 = instrument(table._v6)  # type: ignore[assignment]
    for _ in range(2000):
        Counting.probes = 0
        table.lookup(choose.randbytes(16))
        assert 1 <= Counting.probes <= 8


@pytest.mark.parametrize(
    "term", ["anna", "host/mx.example", "inst.example", "a@b", "", "/", "x/24", "1.2.3/24"]
)
def test_a_term_that_means_something_else_is_no_network(term: str) -> None:
    assert network_named(term) is None


@pytest.mark.parametrize(
    "term", ["192.0.2.1/24", "1.2.3.4/33", "1.2.3.4/", "2001:db8::1/32", " 192.0.2.1/24"]
)
def test_a_term_that_should_be_a_network_and_is_none(term: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        network_named(term)


def test_a_term_that_is_a_network() -> None:
    assert network_named("192.0.2.0/24") == (packed("192.0.2.0"), 24)
    assert network_named("::1") == (packed("::1"), 128)
