"""Durations, sizes, places."""

from __future__ import annotations

import pytest

from mailbase.config.places import Place, Systemd, Tcp, Unix, parse_place
from mailbase.config.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("200ms", 0.2),
        ("30s", 30),
        ("5m", 300),
        ("2h", 7200),
        ("35d", 35 * 86400),
        ("2w", 14 * 86400),
        ("1.5h", 5400),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("5 m", 300),
        (" 5m ", 300),
        ("0s", 0),
        (300, 300),
        (0.5, 0.5),
    ],
)
def test_duration(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert type(parse_duration(text)) is float


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "5",
        "5 minutes",
        "5M",
        "-5m",
        "m",
        "5m-",
        "1..5m",
        "٥m",
        "5m\n6",
        None,
        True,
        -1,
        [],
        1e300,
        float("nan"),
    ],
)
def test_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 5m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("51MiB", 51 << 20),
        ("1 GiB", 1 << 30),
        ("64KiB", 65536),
        ("2TiB", 2 << 40),
        ("100", 100),
        (100, 100),
        (0, 0),
    ],
)
def test_size(text: object, octets: int) -> None:
    assert parse_size(text) == octets


@pytest.mark.parametrize(
    "text", ["", "51MB", "51 mib", "5M", "1.5MiB", "-1KiB", None, True, -1, 1.5, 1 << 60, "9" * 16]
)
def test_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="expected a size such as 51MiB"):
        parse_size(text)


@pytest.mark.parametrize("text", ["200ms", "1s", "90s", "5m", "90m", "2d", "35d"])
def test_a_duration_prints_so_that_it_can_be_read_back(text: str) -> None:
    assert format_duration(parse_duration(text)) == text
    assert parse_duration(format_duration(86400 * 1.5)) == 86400 * 1.5


@pytest.mark.parametrize("text", ["100", "64KiB", "51MiB", "4GiB", "1TiB"])
def test_a_size_prints_so_that_it_can_be_read_back(text: str) -> None:
    assert format_size(parse_size(text)) == text


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:10023", Tcp("127.0.0.1", 10023)),
        ("mx.example.org:25", Tcp("mx.example.org", 25)),
        ("[::1]:10023", Tcp("::1", 10023)),
        (":10023", Tcp("", 10023)),
        ("127.0.0.1:0", Tcp("127.0.0.1", 0)),
        ("unix:/run/x.sock", Unix("/run/x.sock")),
        ("systemd:policyd", Systemd("policyd")),
    ],
)
def test_place(text: str, place: Place) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10023",
        "a:b",
        "127.0.0.1:65536",
        "::1:10023",
        "[::1]",
        "unix:",
        "systemd:",
        "systemd:a b",
        "a b:1",
        "a:1\n",
    ],
)
def test_no_place(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected host:port, \[v6\]:port, unix:/path or systemd:NAME"):
        parse_place(text)


def test_a_socket_path_has_the_length_that_the_kernel_takes() -> None:
    assert parse_place("unix:" + "/" * 107) == Unix("/" * 107)
    with pytest.raises(ValueError, match="at most 107 bytes"):
        parse_place("unix:" + "/" * 108)
