"""Addresses, and what systemd says."""

import pytest

from mailbase.service import split_address


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:25", ("127.0.0.1", 25)),
        ("[::1]:25", ("::1", 25)),
        (":25", ("", 25)),
        ("[::]:0", ("::", 0)),
    ],
)
def test_addresses(address, expected):
    assert split_address(address) == expected


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1", "25", "host:smtp", "host:-1", "host:65536", "::1:25", "host:"]
)
def test_what_is_no_address(address):
    with pytest.raises(ValueError, match="expected"):
        split_address(address)
