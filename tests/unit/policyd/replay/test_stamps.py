"""When a log line was written, and which program wrote it."""

from __future__ import annotations

import calendar
import os
import time
from collections.abc import Iterator

import pytest

from policyd.replay import stamps as module
from policyd.replay.stamps import Stamps


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    module.local_minute.cache_clear()
    module.minute_of.cache_clear()
    yield
    if before is None:
        monkeypatch.delenv("TZ")
    else:
        monkeypatch.setenv("TZ", before)
    time.tzset()
    module.local_minute.cache_clear()
    module.minute_of.cache_clear()


def at(*moment: int) -> float:
    return float(calendar.timegm((*moment, 0, 0, 0)))


NOW = at(2026, 11, 26, 21, 0, 0)


def read(line: str, written: float = NOW) -> object:
    stamp = Stamps(written).read(line)
    return stamp and (stamp.time, stamp.program, stamp.pid, line[stamp.text :])


def test_the_traditional_form() -> None:
    line = "Nov 26 20:53:17 mx postfix/smtpd[17987]: connect from x"
    assert read(line) == (at(2026, 11, 26, 20, 53, 17), "postfix/smtpd", "17987", "connect from x")


def test_one_digit_of_a_day_and_fractions_of_a_second() -> None:
    assert read("Nov  2 00:00:01.250 mx postfix/qmgr[1]: x") == (
        at(2026, 11, 2, 0, 0, 1) + 0.25,
        "postfix/qmgr",
        "1",
        "x",
    )


@pytest.mark.parametrize(
    "line",
    [
        "<22>1 2026-11-26T20:53:17Z mx postfix/smtpd 17987 - - connect from x",
        "<22>1 2026-11-26T21:53:17.000000+01:00 mx postfix/smtpd 17987 ID47 - connect from x",
        '<22>1 2026-11-26T20:53:17Z mx postfix/smtpd 17987 - [a@1 b="c]\\" d"][e f="g"] connect from x',
        "<22>1 2026-11-26T20:53:17Z mx postfix/smtpd 17987 - - \ufeffconnect from x",
        "<22>Nov 26 20:53:17 mx postfix/smtpd[17987]: connect from x",
        "<22>2026-11-26T20:53:17Z mx postfix/smtpd[17987]: connect from x",
    ],
)
def test_the_syslog_protocol_and_priorities(line: str) -> None:
    assert read(line) == (at(2026, 11, 26, 20, 53, 17), "postfix/smtpd", "17987", "connect from x")


@pytest.mark.parametrize(
    ("moment", "fraction"),
    [
        ("Thu 2026-11-26 20:53:17 UTC", 0.0),
        ("Thu 2026-11-26 21:53:17 +01", 0.0),
        ("Fri 2026-11-27 02:23:17 +0530", 0.0),
        ("Thu 2026-11-26 20:53:17.250000 UTC", 0.25),
        # Here the time of this machine is UTC, whatever it calls it.
        ("Thu 2026-11-26 20:53:17 CET", 0.0),
        (f"{at(2026, 11, 26, 20, 53, 17):.0f}.250000", 0.25),
    ],
)
def test_what_else_journalctl_writes(moment: str, fraction: float) -> None:
    line = f"{moment} mx postfix/smtpd[17987]: connect from x"
    expected = at(2026, 11, 26, 20, 53, 17) + fraction
    assert read(line) == (expected, "postfix/smtpd", "17987", "connect from x")


@pytest.mark.parametrize(
    "line",
    [
        "Thu 2026-11-26 20:53:17 mx postfix/smtpd[17987]: connect from x",
        "2026-11-26 20:53:17 UTC mx postfix/smtpd[17987]: connect from x",
        "1795726397 mx postfix/smtpd[17987]: connect from x",
    ],
)
def test_what_only_looks_so(line: str) -> None:
    assert read(line) is None


def test_the_syslog_protocol_without_a_process() -> None:
    line = "<22>1 2026-11-26T20:53:17Z mx postfix/smtpd - - - connect from x"
    assert read(line) == (at(2026, 11, 26, 20, 53, 17), "postfix/smtpd", "", "connect from x")


@pytest.mark.parametrize(
    "line",
    [
        '<22>1 2026-11-26T20:53:17Z mx postfix/smtpd 1 - [a b="c] x',
        "<22>1 2026-11-26T20:53:17Z mx postfix/smtpd 1 - x",
        "<22>1 2026-11-26T20:53:17Z mx postfix/smtpd x - - x",
        "<22>1 2026-11-26T20:53:17Z mx postfix/smtpd 1 - " + "[" * 100_000,
    ],
)
def test_what_is_nearly_the_syslog_protocol_is_no_stamp(line: str) -> None:
    assert read(line) is None


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-11-26T20:53:17Z", at(2026, 11, 26, 20, 53, 17)),
        ("2026-11-26T20:53:17.500000+01:00", at(2026, 11, 26, 19, 53, 17) + 0.5),
        ("2026-11-26T20:53:17-0330", at(2026, 11, 27, 0, 23, 17)),
        ("2026-11-26T20:53:17", at(2026, 11, 26, 20, 53, 17)),
    ],
)
def test_the_form_of_rfc_3339(stamp: str, expected: float) -> None:
    assert read(f"{stamp} mx postfix/smtpd[1]: x") == (expected, "postfix/smtpd", "1", "x")


def test_what_some_syslogs_put_between() -> None:
    assert read("Nov 26 20:53:17 <mail.info> mx postfix/smtpd[1]: x") is not None
    line = "Nov 26 20:53:17 mx postfix/smtpd[1]: [ID 197553 mail.info] x"
    assert read(line) == (at(2026, 11, 26, 20, 53, 17), "postfix/smtpd", "1", "x")
    assert read("Nov 26 20:53:17 mx policyd: x") == (at(2026, 11, 26, 20, 53, 17), "policyd", "", "x")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Nov",
        "Foo 26 20:53:17 mx postfix/smtpd[1]: x",
        "2026-13-26T20:53:17Z mx postfix/smtpd[1]: x",
        "2026-11-26T20:53:17Z mx",
        "postfix/smtpd[1]: x",
        "Nov 26 20:53:17 mx postfix/smtpd[1] x",
    ],
)
def test_what_has_no_stamp(line: str) -> None:
    assert read(line) is None


def test_the_year_is_the_last_one_possible() -> None:
    assert read("Dec 31 23:59:59 mx a[1]: x", at(2026, 1, 3, 0, 0, 0))[0] == at(2025, 12, 31, 23, 59, 59)  # type: ignore[index]
    assert read("Jan  2 00:00:00 mx a[1]: x", at(2026, 1, 3, 0, 0, 0))[0] == at(2026, 1, 2, 0, 0, 0)  # type: ignore[index]


def test_a_log_goes_on_over_the_turn_of_the_year() -> None:
    stamps = Stamps(at(2026, 1, 3, 0, 0, 0))
    lines = ["Dec 31 23:59:59", "Jan  1 00:00:00", "Dec 31 23:59:59", "Jan  1 00:00:02"]
    times = [stamp.time for line in lines if (stamp := stamps.read(f"{line} mx a[1]: x"))]
    assert times == [
        at(2025, 12, 31, 23, 59, 59),
        at(2026, 1, 1, 0, 0, 0),
        at(2025, 12, 31, 23, 59, 59),
        at(2026, 1, 1, 0, 0, 2),
    ]


def test_lines_out_of_order_do_not_change_the_year() -> None:
    stamps = Stamps(NOW)
    times = [
        stamp.time
        for moment in ("20:54:00", "20:53:59", "20:54:01")
        if (stamp := stamps.read(f"Nov 26 {moment} mx a[1]: x"))
    ]
    assert times == [at(2026, 11, 26, 20, minute, second) for minute, second in ((54, 0), (53, 59), (54, 1))]


def test_a_year_that_is_given_counts() -> None:
    stamps = Stamps(NOW, 2020)
    stamp = stamps.read("Feb 29 12:00:00 mx a[1]: x")
    assert stamp is not None
    assert stamp.time == at(2020, 2, 29, 12, 0, 0)


def test_a_day_that_a_year_has_not_is_the_next_one() -> None:
    assert read("Feb 29 12:00:00 mx a[1]: x")[0] == at(2026, 3, 1, 12, 0, 0)  # type: ignore[index]


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Summer ends on 25 October 2026 at 1 h UTC: 3 h becomes 2 h."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()


def test_the_hour_that_comes_twice_is_told_by_the_order_of_lines(in_berlin: None) -> None:
    stamps = Stamps(NOW)
    lines = ["01:59:59", "02:00:00", "02:59:30", "02:59:00", "02:00:00", "02:04:00", "02:59:59", "03:00:00"]
    times = []
    for moment in lines:
        stamp = stamps.read(f"Oct 25 {moment} mx postfix/qmgr[1]: x")
        assert stamp is not None
        times.append(stamp.time - at(2026, 10, 25))
    # The fourth is a little out of order.
    assert times == [-1.0, 0.0, 3570.0, 3540.0, 3600.0, 3840.0, 7199.0, 7200.0]


def test_a_clock_that_was_put_back_at_any_other_time_stays_so(in_berlin: None) -> None:
    stamps = Stamps(NOW)
    times = [stamps.read(f"Oct 24 {hour}:00:00 mx postfix/qmgr[1]: x") for hour in ("12", "11")]
    assert [stamp and stamp.time for stamp in times] == [at(2026, 10, 24, 10), at(2026, 10, 24, 9)]


@pytest.mark.parametrize(("zone", "hour"), [("CEST", 0), ("CET", 1)])
def test_the_hour_that_comes_twice_is_told_by_its_zone(in_berlin: None, zone: str, hour: int) -> None:
    found = read(f"Sun 2026-10-25 02:30:00 {zone} mx postfix/qmgr[1]: x")
    assert found == (at(2026, 10, 25, hour, 30), "postfix/qmgr", "1", "x")
