"""``policyd.lists``: what an operator may write, and what each mistake is called."""

from __future__ import annotations

import pytest

from mailbase.config import ConfigError, loads
from mailbase.config.list_codes import parse_code
from mailbase.config.lists import MAX_CODES, MAX_LISTS, ListKind, spread


def number(address: str) -> int:
    return int.from_bytes(bytes(map(int, address.split("."))))


@pytest.mark.parametrize(
    ("text", "fits", "does_not"),
    [
        ("127.0.0.2", ["127.0.0.2"], ["127.0.0.1", "127.0.0.3", "127.0.1.2"]),
        ("127.0.0.4-127.0.0.7", ["127.0.0.4", "127.0.0.7"], ["127.0.0.3", "127.0.0.8"]),
        ("127.0.0.4-7", ["127.0.0.4", "127.0.0.5", "127.0.0.7"], ["127.0.0.3", "127.0.0.8", "127.0.1.5"]),
        ("127.0.0.4 - 7", ["127.0.0.6"], ["127.0.0.3"]),
        ("127.0.0.250-127.0.1.3", ["127.0.0.255", "127.0.1.0"], ["127.0.1.4"]),
        ("127.0.*.3", ["127.0.0.3", "127.0.255.3"], ["127.0.9.2", "127.1.9.3"]),
        ("127.*.*.*", ["127.0.0.1", "127.255.255.254"], ["126.0.0.1", "128.0.0.1"]),
        ("mask 8", ["127.0.0.8", "127.0.0.24"], ["127.0.0.2", "127.0.0.16", "127.8.0.2"]),
        ("mask 0.0.0.24", ["127.0.0.8", "127.0.0.16", "127.0.0.10"], ["127.0.0.2"]),
        ("mask 0x18", ["127.0.0.16"], ["127.0.0.4"]),
        ("mask 0.1.0.0", ["127.1.0.2"], ["127.0.1.2"]),
    ],
)
def test_a_code_fits(text: str, fits: list[str], does_not: list[str]) -> None:
    code = parse_code(text)
    assert [address for address in fits if not code.matches(number(address))] == []
    assert [address for address in does_not if code.matches(number(address))] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2",
        "10.0.0.1",
        "128.0.0.1",
        "127.0.0",
        "127.0.0.256",
        "127.0.0.7-4",
        "127.0.0.4-",
        "127.0.0.4-128.0.0.1",
        "126.0.0.1-127.0.0.1",
        "*.0.0.3",
        "10.*.0.1",
        "mask",
        "mask 0",
        "mask 127.0.0.1",
        "mask 0x1000000",
        "mask x",
        "mask 010.0.0.1",
        "127.0.0.2\n",
        "127.0.0.٢",
        "127.0.0.*-7",
    ],
)
def test_what_is_no_code(text: str) -> None:
    if text.endswith("\n"):
        assert parse_code(text).matches(number("127.0.0.2"))  # space around it does no harm
        return
    with pytest.raises(ValueError, match="expected answers of a list"):
        parse_code(text)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ("{Bad: {kind: dnsbl, zone: x.example}}", r"policyd\.lists\.Bad: expected a name of lower case"),
        ("{a.b: {kind: dnsbl, zone: x.example}}", r"policyd\.lists\[a\.b\]: expected a name"),
        ("{temporary: {kind: dnsbl, zone: x.example}}", r"policyd\.lists\.temporary: expected a name"),
        ("{a: {zone: x.example}}", r"policyd\.lists\.a\.kind: is missing"),
        ("{a: {kind: dnsbl}}", r"policyd\.lists\.a\.zone: is missing"),
        ("{a: {kind: dnsb, zone: x.example}}", "did you mean 'dnsbl'"),
        ("{a: {kind: dnsbl, zone: 'x y'}}", r"a\.zone: expected the zone of a list"),
        ("{a: {kind: dnsbl, zone: '[192.0.2.1]'}}", r"a\.zone: expected the zone of a list"),
        (f"{{a: {{kind: dnsbl, zone: {'x.' * 90}example}}}}", r"a\.zone: expected the zone of a list"),
        ("{a: {kind: dnsbl, zone: x.example, codes: {q: 192.0.2.1}}}", r"a\.codes\.q\[0\]: expected answers"),
        ("{a: {kind: dnsbl, zone: x.example, codes: {Q: 127.0.0.2}}}", r"a\.codes\.Q: expected a name"),
        ("{a: {kind: dnsbl, zone: x.example, refused: [no]}}", r"a\.refused\[0\]: expected text"),
        ("{a: {kind: dnsbl, zone: x.example, registrable: true}}", r"a\.registrable: has a meaning only for"),
        ("{a: {kind: dnswl, zone: x.example, names: [helo]}}", r"a\.names: has a meaning only for"),
        ("{a: {kind: rhsbl, zone: x.example, families: [ipv6]}}", r"a\.families: has a meaning only for"),
        ("{a: {kind: dnsbl, zone: x.example, families: []}}", r"a\.families: expected ipv4, ipv6 or both"),
        ("{a: {kind: rhsbl, zone: x.example, names: []}}", r"a\.names: expected at least one"),
        ("{a: {kind: rhsbl, zone: x.example, names: [from]}}", r"a\.names\[0\]: expected one of"),
        (
            "{a: {kind: dnsbl, zone: x.example, test_listed: [test]}}",
            r"a\.test_listed: expected IP addresses",
        ),
        ("{a: {kind: rhsbl, zone: x.example, test_clean: ['a b']}}", r"a\.test_clean: expected domains"),
        (
            f"{{a: {{kind: rhsbl, zone: x.example, test_clean: [{', '.join('abcdefghijk')}]}}}}",
            r"a\.test_clean: expected at most 10 entries, got 11",
        ),
        ("{a: {kind: dnsbl, zone: x.example, zones: x}}", r"a\.zones: unknown key; did you mean 'zone'"),
    ],
)
def test_a_mistake_is_told_with_its_place(lists: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        loads(f"policyd: {{lists: {lists}}}")


def test_lists_and_codes_are_bounded_for_they_are_labels() -> None:
    def text(lists: int, codes: int) -> str:
        table = ", ".join(f"c{number}: 127.0.0.{number}" for number in range(codes))
        named = (
            f"l{number}: {{kind: dnsbl, zone: x.example, codes: {{{table}}}}}" for number in range(lists)
        )
        return f"policyd: {{lists: {{{', '.join(named)}}}}}"

    assert len(loads(text(MAX_LISTS, MAX_CODES)).policyd.lists) == MAX_LISTS
    with pytest.raises(ConfigError, match=f"expected at most {MAX_LISTS} lists, got {MAX_LISTS + 1}"):
        loads(text(MAX_LISTS + 1, 1))
    with pytest.raises(ConfigError, match=f"expected at most {MAX_CODES} codes, got {MAX_CODES + 1}"):
        loads(text(1, MAX_CODES + 1))


LISTS = """
policyd:
  lists:
    black: {kind: dnsbl, zone: bl.example, codes: {sbl: 127.0.0.2, pbl: 127.0.0.10-11}}
    white: {kind: dnswl, zone: wl.example}
flows: {inbound: {%s}}
"""


@pytest.mark.parametrize(
    ("inbound", "message"),
    [
        ("checks: {dnsbl: {points: {blak: 1}}}", r"points\.blak: no list of kind dnsbl .* did you mean"),
        ("checks: {dnsbl: {points: {black.xbl: 1}}}", r"points\[black\.xbl\]: no list of kind dnsbl"),
        ("checks: {dnsbl: {points: {white: 1}}}", r"points\.white: no list of kind dnsbl"),
        ("checks: {dnswl: {points: {white: 1}}}", r"points\.white: expected 0 or less"),
        ("checks: {dnsbl: {points: {black: -1}}}", r"points\.black: expected 0 or more"),
        ("checks: {dnsbl: {actions: {blak: reject}}}", r"actions\.blak: no list of kind dnsbl"),
        ("checks: {dnswl: {actions: {white: reject}}}", r"dnswl\.actions: expected none"),
    ],
)
def test_points_are_for_lists_that_are_there(inbound: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        loads(LISTS % inbound)


def test_points_of_a_list_are_for_all_its_codes_that_have_none_of_their_own() -> None:
    settings = loads(LISTS % "checks: {dnsbl: {points: {black: 2, black.pbl: 0.5}}}")
    given = settings.flows.inbound.checks.dnsbl.points
    assert spread(ListKind.DNSBL, settings.policyd.lists, given) == {
        "black": 2.0,
        "black.sbl": 2.0,
        "black.pbl": 0.5,
    }
    assert spread(ListKind.DNSWL, settings.policyd.lists, {}) == {}


def test_all_checks_may_be_on_without_a_list() -> None:
    settings = loads("flows: {inbound: {checks: true, reject_at: 5}}")
    assert settings.flows.inbound.checks.dnsbl.enabled


def test_the_longest_wait_is_not_shorter_than_the_first() -> None:
    with pytest.raises(ConfigError, match=r"policyd\.list_health\.max_retry: expected at least .* \(10m\)"):
        loads("policyd: {list_health: {retry: 10m, max_retry: 1m}}")
