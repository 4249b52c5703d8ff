"""The prefix table against ipaddress, and address reading against any noise."""

from __future__ import annotations

import ipaddress

from hypothesis import given, settings
from hypothesis import strategies as st

from mailbase.addresses import domain_of, is_host_name, normal_address, normal_domain, pack, split_mailbox
from mailbase.networks import NetworkTable, parse_network

BOUNDED = settings(max_examples=300, deadline=None)
MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")

# Few bits differ, so that networks nest and addresses fall into them.
first_v4 = st.integers(0, 255).map(lambda n: (10 << 24) | (n & 0xF0) << 12 | (n & 0x0F))
first_v6 = st.integers(0, 255).map(lambda n: (0x2001 << 112) | (n & 0xF0) << 60 | (n & 0x0F))
networks = st.one_of(
    st.builds(lambda n, size: ipaddress.ip_network((n, size), strict=False), first_v4, st.integers(0, 32)),
    st.builds(lambda n, size: ipaddress.ip_network((n, size), strict=False), first_v6, st.integers(0, 128)),
)
addresses = st.one_of(
    first_v4.map(ipaddress.IPv4Address),
    first_v6.map(ipaddress.IPv6Address),
    st.ip_addresses(),
)


@BOUNDED
@given(st.lists(networks, max_size=40), st.lists(addresses, min_size=1, max_size=20))
def test_the_longest_prefix_as_ipaddress_sees_it(
    nets: list[ipaddress.IPv4Network | ipaddress.IPv6Network],
    asked: list[ipaddress.IPv4Address | ipaddress.IPv6Address],
) -> None:
    table = NetworkTable((str(net), net) for net in nets)
    for address in asked:
        plain = (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address
        holding = [net for net in nets if net.version == plain.version and plain in net]
        expected = max(holding, key=lambda net: net.prefixlen, default=None)
        assert table.lookup(address.packed) == expected


@BOUNDED
@given(
    st.one_of(networks.map(str), st.text(max_size=25), st.from_regex(r"[0-9a-f:./]{1,20}", fullmatch=True))
)
def test_networks_are_read_as_ipaddress_reads_them(text: str) -> None:
    try:
        packed, length = parse_network(text)
    except ValueError:
        packed, length = b"", -1
    try:
        if "%" in text or ("/" in text and not text.partition("/")[2].isdigit()):
            raise ValueError
        expected = ipaddress.ip_network(text.strip())
    except ValueError:
        assert length == -1
        return
    if isinstance(expected, ipaddress.IPv6Network) and expected.subnet_of(MAPPED):
        assert (packed, length) == (expected.network_address.packed[12:], expected.prefixlen - 96)
    else:
        assert (packed, length) == (expected.network_address.packed, expected.prefixlen)


@BOUNDED
@given(st.ip_addresses())
def test_addresses_are_packed_as_ipaddress_packs_them(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    assert pack(str(address)) == (mapped or address).packed


noise = (
    st.text(max_size=60) | st.binary(max_size=60) | st.from_regex(r'["\\@.\[\]a-zäßİ-]{0,12}', fullmatch=True)
)


@settings(max_examples=1000, deadline=None)
@given(noise)
def test_noise_is_none_or_a_normal_form(text: str | bytes) -> None:
    pack(text)
    if (domain := normal_domain(text)) is not None:
        assert normal_domain(domain) == domain
        assert domain.isascii()
        assert domain.isprintable()
        assert " " not in domain
        is_host_name(domain)
    if (mailbox := split_mailbox(text)) is not None:
        assert mailbox.local
        whole = f"{mailbox.local}@{mailbox.domain}" if mailbox.domain else mailbox.local
        assert split_mailbox(whole) == mailbox
        assert domain_of(text) == (mailbox.domain or None)
    if isinstance(text, str) and (address := normal_address(text)) is not None:
        assert normal_address(address) == address
