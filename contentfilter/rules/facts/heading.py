"""Date, Message-ID and Subject, and what is odd about them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contentfilter.rules.reading import Reading

HOUR, DAY = 3600, 86400

# How servers name mail that came without an identifier: Postfix, sendmail, and those that put a time first.
_BY_SERVER = re.compile(
    r"<(?:\d{14}\.[0-9A-Za-z]{9,15}|\d{12}\.[a-zA-Z0-9]{14,16}|\d{12}\.[A-Z]{3}\d{5}|[0-9A-Za-z]{10,16}\.\d{14})@"
)
_ID_HOST = re.compile(r"@\[?([^\s<>@\]]{1,255})\]?>?\s*\Z")


def date_unreadable(reading: Reading) -> str | None:
    """There is a Date, and it is none."""
    text = reading.letter.first("date")
    return text[:60] if text.strip() and reading.date is None else None


def date_malformed(reading: Reading) -> str | None:
    """Date can be read, but is not written as RFC 5322 3.3 has it."""
    moment = reading.date
    return reading.letter.first("date")[:60] if moment is not None and not moment.strict else None


def date_zone_impossible(reading: Reading) -> str | None:
    """Date is in a time zone that there is not, such as -1900."""
    moment = reading.date
    return reading.letter.first("date")[:60] if moment is not None and not moment.zone_sound else None


def date_weekday_wrong(reading: Reading) -> str | None:
    """Date names a day of the week that the day is not."""
    moment = reading.date
    return reading.letter.first("date")[:60] if moment is not None and moment.weekday_wrong else None


def _ahead(reading: Reading) -> float | None:
    """Seconds by which Date is later than the arrival."""
    if reading.date is None or reading.arrival is None:
        return None
    return reading.date.seconds - reading.arrival


def date_ahead(reading: Reading) -> str | None:
    """Date is 3 to 24 hours later than the arrival."""
    ahead = _ahead(reading)
    return f"{ahead / HOUR:.0f} h" if ahead is not None and 3 * HOUR <= ahead < DAY else None


def date_far_ahead(reading: Reading) -> str | None:
    """Date is more than a day later than the arrival."""
    ahead = _ahead(reading)
    return f"{ahead / DAY:.0f} d" if ahead is not None and ahead >= DAY else None


def date_old(reading: Reading) -> str | None:
    """Date is 4 to 30 days before any server had the mail."""
    behind = _behind(reading)
    return f"{behind / DAY:.0f} d" if behind is not None and 4 * DAY <= behind < 30 * DAY else None


def date_ancient(reading: Reading) -> str | None:
    """Date is more than 30 days before any server had the mail."""
    behind = _behind(reading)
    return f"{behind / DAY:.0f} d" if behind is not None and behind >= 30 * DAY else None


def _behind(reading: Reading) -> float | None:
    """Seconds by which Date is before the first server's own time: queues on the way do not count."""
    if reading.date is None or reading.first_seen is None:
        return None
    return reading.first_seen - reading.date.seconds


def id_unbracketed(reading: Reading) -> str | None:
    """Message-ID stands without its angle brackets."""
    text = reading.letter.first("message-id").strip()
    return text[:80] if text and not (text.startswith("<") and text.endswith(">")) else None


def id_without_host(reading: Reading) -> str | None:
    """Message-ID has no @ with a host behind it."""
    text = reading.letter.first("message-id").strip()
    return text[:80] if text and not _ID_HOST.search(text) else None


def id_host_not_qualified(reading: Reading) -> str | None:
    """The host in Message-ID is no name that could be in DNS, such as ``pc7`` or ``localhost``."""
    host = _id_host(reading)
    return host[:80] if host and "." not in host and ":" not in host else None


def id_by_server(reading: Reading) -> str | None:
    """The mail came without a Message-ID: one of the servers on its way gave it one."""
    text = reading.letter.first("message-id").strip()
    host = _id_host(reading)
    if not host or not _BY_SERVER.match(text):
        return None
    # The sender's own server does that for its own programs. One that had the mail from elsewhere did not
    # have it from a mail program.
    for hop in reading.hops:
        if hop.by == host and hop.address and hop.protocol in ("SMTP", "ESMTP", "ESMTPS"):
            return text[:80] if not _near(hop.address) else None
    return None


def id_other_organisation(reading: Reading) -> str | None:
    """Message-ID is from a great mail provider that From is not from."""
    host = _id_host(reading)
    organisation = ".".join(host.split(".")[-2:])
    if organisation not in _ID_PROVIDERS or organisation == reading.organisation:
        return None
    return f"{organisation}, From {reading.organisation}" if reading.organisation else None


_ID_PROVIDERS = frozenset({"yahoo.com", "hotmail.com", "aol.com", "msn.com", "excite.com", "mail.ru"})


def _id_host(reading: Reading) -> str:
    found = _ID_HOST.search(reading.letter.first("message-id"))
    return found[1].lower() if found else ""


def _near(address: str) -> bool:
    return address.startswith(("127.", "10.", "192.168.", "169.254.")) or address in ("::1", "ipv6:::1")


def subject_capitals(reading: Reading) -> str | None:
    """Subject is written in capitals alone, and is more than a word or two."""
    subject = reading.subject
    letters = [letter for letter in subject[:300] if letter.isalpha()]
    # Scripts without small letters have neither.
    if len(letters) < 10 or " " not in subject.strip() or any(letter.islower() for letter in letters):
        return None
    return "" if sum(letter.isupper() for letter in letters) >= len(letters) * 0.9 else None


def subject_tail(reading: Reading) -> str | None:
    """Subject ends, behind a gap of spaces, in letters or digits that say nothing: a counter of bulk mail."""
    text = reading.letter.first("subject").rstrip()[:500]
    found = _TAIL.search(text)
    return found[1][:40] if found else None


_TAIL = re.compile(r"\S(?:\s{5,}|\t\s{0,10})([\[({#<-]{0,3}[A-Za-z0-9_-]{2,40}[\])}>]{0,3})\Z")


def header_raw_8bit(reading: Reading) -> str | None:
    """Subject or From holds letters beyond ASCII as they are, and not in UTF-8: no mail program does that."""
    for name in ("subject", "from"):
        for field in reading.letter.all(name):
            if not field.raw.isascii():
                try:
                    field.raw.decode("utf-8")
                except UnicodeDecodeError:
                    return name
    return None


def header_needlessly_encoded(reading: Reading) -> str | None:
    """Subject is encoded in base64 as a whole, though it holds nothing but plain ASCII."""
    for field in reading.letter.all("subject"):
        raw = field.raw.lower()
        if raw.startswith(b"=?") and b"?b?" in raw and field.text.isascii() and len(field.text) > 5:
            # Encoders take what was ISO-2022 or the like for what it is.
            return "" if b"iso-2022" not in raw and "=?" not in field.text else None
    return None


def doubled_fields(reading: Reading) -> str | None:
    """A field that may stand once stands there more often (RFC 5322 3.6)."""
    for name in ("from", "subject", "date", "message-id", "to", "reply-to", "sender"):
        if sum(1 for _field in reading.letter.all(name)) > 1:
            return name
    return None


def received_date_mismatch(reading: Reading) -> str | None:
    """A Received line at the bottom is dated after one above it, by more than a day: it was made up."""
    times = [hop.moment.seconds for hop in reading.hops[-2:] if hop.moment is not None]
    if len(times) < 2 or times[-1] - times[-2] <= DAY:
        return None
    return f"{(times[-1] - times[-2]) / DAY:.0f} d"


FACTS = (
    date_unreadable, date_malformed, date_zone_impossible, date_weekday_wrong, date_ahead, date_far_ahead,
    date_old, date_ancient, id_unbracketed, id_without_host,
    id_host_not_qualified, id_by_server, id_other_organisation,
    subject_capitals, subject_tail, header_raw_8bit, header_needlessly_encoded, doubled_fields,
    received_date_mismatch,
)  # fmt: skip
