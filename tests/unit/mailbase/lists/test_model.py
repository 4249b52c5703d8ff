"""What a list's answers mean, and what they say of the list."""

from __future__ import annotations

from typing import Any

import pytest

from mailbase.addresses import pack
from mailbase.config import loads
from mailbase.dns import BadName, Found, NoData, NxDomain, Temporary, TimedOut
from mailbase.lists.model import DnsList, Trouble, make_list


def make(extra: str = "", kind: str = "dnsbl") -> DnsList:
    text = f"policyd: {{lists: {{bl: {{kind: {kind}, zone: BL.Example., {extra}}}}}}}"
    return make_list("bl", loads(text).policyd.lists["bl"])


def found(*addresses: str) -> Any:
    return Found(tuple(pack(address) for address in addresses), 300.0, "x.bl.example")


CODES = "codes: {sbl: 127.0.0.2, xbl: 127.0.0.4-7, high: 127.0.*.3, bits: mask 64}"


@pytest.mark.parametrize(
    ("addresses", "fact"),
    [
        (["127.0.0.2"], "bl.sbl"),
        (["127.0.0.5"], "bl.xbl"),
        (["127.0.9.3"], "bl.high"),
        (["127.0.0.66"], "bl.bits"),
        (["127.0.0.10"], "bl"),
        # Several answers: the first code of the table, whatever their order.
        (["127.0.0.10", "127.0.0.4", "127.0.0.2"], "bl.sbl"),
        (["127.0.0.10", "127.0.0.4"], "bl.xbl"),
    ],
)
def test_a_listing_has_the_name_of_its_code(addresses: list[str], fact: str) -> None:
    reading = make(CODES).read(found(*addresses))
    assert (reading.fact, reading.trouble) == (fact, None)
    assert reading.detail == ",".join(addresses)


@pytest.mark.parametrize("answer", [NxDomain(), NoData(), BadName()])
def test_not_listed(answer: Any) -> None:
    reading = make().read(answer)
    assert (reading.fact, reading.trouble) == ("", None)


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (Temporary(), Trouble.UNANSWERED),
        (TimedOut(), Trouble.UNANSWERED),
        (found("127.255.255.252"), Trouble.REFUSED),
        (found("127.255.255.254"), Trouble.REFUSED),
        (found("127.0.0.2", "127.255.255.255"), Trouble.REFUSED),
        (found("127.0.0.255"), Trouble.REFUSED),
        (found("192.0.2.1"), Trouble.FOREIGN),
        (found("127.0.0.2", "192.0.2.1"), Trouble.FOREIGN),
        (found("126.255.255.255"), Trouble.FOREIGN),
        (found("128.0.0.0"), Trouble.FOREIGN),
    ],
)
def test_an_answer_that_lists_nothing(answer: Any, trouble: Trouble) -> None:
    reading = make("refused: 127.0.0.255").read(answer)
    assert (reading.fact, reading.trouble) == ("", trouble)


def test_the_detail_is_bounded() -> None:
    reading = make().read(found(*(f"127.0.0.{number}" for number in range(2, 60))))
    assert reading.detail == "127.0.0.2,127.0.0.3,127.0.0.4,127.0.0.5,127.0.0.6"


V6 = "0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20 + ".bl.example"


@pytest.mark.parametrize(
    ("extra", "kind", "listed", "clean"),
    [
        ("", "dnsbl", ["2.0.0.127.bl.example"], ["1.0.0.127.bl.example"]),
        ("families: ipv6", "dnsbl", ["2." + V6], ["1." + V6]),
        (
            "families: [ipv4, ipv6]",
            "dnswl",
            ["2.0.0.127.bl.example", "2." + V6],
            ["1.0.0.127.bl.example", "1." + V6],
        ),
        ("", "rhsbl", ["test.bl.example"], ["invalid.bl.example"]),
        ("test_listed: Point.Example., test_clean: []", "rhsbl", ["point.example.bl.example"], []),
        ("test_listed: bücher.example, test_clean: []", "rhsbl", ["xn--bcher-kva.example.bl.example"], []),
        (
            "test_listed: [192.0.2.7, '2001:db8::1'], test_clean: []",
            "dnsbl",
            ["7.2.0.192.bl.example", "1" + ".0" * 23 + ".8.b.d.0.1.0.0.2.bl.example"],
            [],
        ),
    ],
)
def test_the_test_points(extra: str, kind: str, listed: list[str], clean: list[str]) -> None:
    made = make(extra, kind)
    assert (list(made.listed), list(made.clean)) == (listed, clean)


@pytest.mark.parametrize(
    ("listed", "clean", "trouble", "detail"),
    [
        (found("127.0.0.2"), NxDomain(), None, ""),
        # Whatever it answers is good, as long as it is a listing.
        (found("127.0.10.0"), NoData(), None, ""),
        (NxDomain(), NxDomain(), Trouble.MISSES, "does not list 2.0.0.127"),
        (found("127.0.0.2"), found("127.0.0.2"), Trouble.LISTS_ALL, "lists 1.0.0.127"),
        (
            found("127.255.255.254"),
            found("127.255.255.254"),
            Trouble.REFUSED,
            "127.255.255.254 for 2.0.0.127",
        ),
        (found("127.0.0.2"), found("192.0.2.1"), Trouble.FOREIGN, "192.0.2.1 for 1.0.0.127"),
        (TimedOut(), NxDomain(), Trouble.UNANSWERED, "no answer to 2.0.0.127"),
        (found("127.0.0.2"), Temporary(), Trouble.UNANSWERED, "no answer to 1.0.0.127"),
        # What is wrong for certain outweighs what is not known.
        (TimedOut(), found("127.0.0.2"), Trouble.LISTS_ALL, "lists 1.0.0.127"),
    ],
)
def test_the_test_is_judged(listed: Any, clean: Any, trouble: Trouble | None, detail: str) -> None:
    reading = make().judge([listed], [clean])
    assert (reading.trouble, reading.detail) == (trouble, detail)


def test_a_list_without_test_points_passes() -> None:
    made = make("test_listed: [], test_clean: []")
    assert made.judge([], []).trouble is None
