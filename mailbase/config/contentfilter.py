"""``contentfilter``: the SMTP proxy."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mailbase.addresses import normal_address
from mailbase.config.engines import ClamdSettings, CommandSettings
from mailbase.config.places import ConnectPlace, FilePath, ListenPlace, OptionalListenPlace, SocketPath
from mailbase.config.replies import content_reply_key, content_reply_text
from mailbase.config.rules import RuleSettings
from mailbase.config.signing import SigningSettings
from mailbase.config.spam_engines import RspamdSettings, SpamassassinSettings
from mailbase.config.units import Duration, Size, between
from mailbase.config.url_lists import UrlSettings
from mailbase.documents import Count, FilledListing, Flag, Section, Table, Text
from mailbase.documents.problems import shown
from mailbase.vocabulary import Flow

MOST_WORKERS = 16
"""Workers of a machine that has many processors, unless it is told otherwise: each takes some 100 MiB."""
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,39}")


def _header_name(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise ValueError(f"expected the beginning of a header name such as X-Postwarden, got {shown(value)}")
    return value


def _sender(value: str) -> str:
    address = normal_address(value)
    if value and (address is None or "@" not in address or not value.isascii()):
        raise ValueError(f"expected an address such as postmaster@example.org, got {shown(value)}")
    return value


def _one_for_each_processor() -> int:
    """And one more, which has work in hand as soon as another is done and the daemon is still busy."""
    return min(MOST_WORKERS, len(os.sched_getaffinity(0)) + 1)


class ListenerSettings(Section):
    listen: ListenPlace
    """Where Postfix hands mail over."""
    protocol: Literal["smtp", "lmtp", "milter"] = "smtp"
    """``milter``: Postfix asks by ``smtpd_milters`` and keeps the mail itself."""
    reinject: ConnectPlace
    """Where passed mail goes back to Postfix; of a milter, what is released from the quarantine."""
    flow: Flow | None = None
    """What applies without a ticket and without an XFORWARD address that says otherwise."""


class SpoolSettings(Section):
    folder: FilePath = Path("/var/spool/postwarden")
    """Holds messages beyond ``memory``, as unlinked files."""
    memory: Annotated[Size, between("0KiB", "64MiB")] = 1 << 20
    """Octets of one message kept in memory before a file is used."""
    total: Annotated[Size, between("64MiB", "1024GiB")] = 4 << 30
    """Octets of all messages in hand, in memory and in files."""


class TimeoutSettings(Section):
    command: Annotated[Duration, between("1s", "1h")] = 300.0
    """Seconds of silence between commands until the connection is closed."""
    data: Annotated[Duration, between("1s", "1h")] = 300.0
    """Seconds of silence within DATA."""
    reinject: Annotated[Duration, between("1s", "95s")] = 75.0
    """Seconds after the client's final "." within which ours goes to ``reinject``, or not at all."""


class WorkerSettings(Section):
    count: Annotated[Count, between(1, 256)] = Field(default_factory=_one_for_each_processor)
    """Worker processes."""
    memory: Annotated[Size, between("128MiB", "64GiB")] = 1 << 30
    """Octets of address space of one worker."""
    cpu_time: Annotated[Duration, between("1s", "1h")] = 30.0
    """Seconds of CPU for one message."""
    deadline: Annotated[Duration, between("1s", "1h")] = 45.0
    """Seconds for one message, waiting included."""
    max_tasks: Annotated[Count, between(1, 10_000_000)] = 10_000
    """Messages until a worker is replaced by a fresh one."""
    backlog: Annotated[Count, between(0, 100_000)] = 200
    """Messages that may wait for a worker."""
    remember: Annotated[Duration, between("0s", "1d")] = 3600.0
    """Seconds that is remembered what a message held, or that it ended a worker; 0: not at all."""


class QuarantineSettings(Section):
    folder: FilePath = Path("/var/spool/postwarden/quarantine")
    """One file per message."""
    keep: Annotated[Duration, between("1h", "400d")] = 30 * 86400.0
    """Seconds until a message is deleted."""
    max_size: Annotated[Size, between("1MiB", "512GiB")] = 10 << 30
    """Octets of all messages; beyond it mail that should be quarantined is deferred."""
    max_messages: Annotated[Count, between(1, 1_000_000)] = 100_000
    """Messages; likewise."""
    digest: Flag = True
    """Whether a domain's administrators are told what is kept for it."""
    digest_hour: Annotated[Count, between(0, 23)] = 6
    """Hour of the local day at which that happens."""
    digest_from: Annotated[Text, AfterValidator(_sender)] = ""
    """From: of that mail; empty: postmaster@ and the gateway's name."""


class ContentfilterSettings(Section):
    listeners: FilledListing[ListenerSettings] = (
        ListenerSettings(listen="127.0.0.1:10024", protocol="smtp", reinject="127.0.0.1:10025"),
        ListenerSettings(
            listen="127.0.0.1:10026", protocol="lmtp", reinject="127.0.0.1:10028", flow=Flow.SUBMISSION
        ),
    )
    control: SocketPath = "/run/postwarden/contentfilter.sock"
    """Path of the control socket."""
    metrics: OptionalListenPlace = "127.0.0.1:9324"
    """Where Prometheus asks; empty: nowhere."""
    message_size_limit: Annotated[Size, between("64KiB", "4GiB")] = 51 << 20
    """Octets of the largest message, un-stuffed."""
    spool: SpoolSettings = SpoolSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    workers: WorkerSettings = WorkerSettings()
    clamd: ClamdSettings | None = None
    """Absent: no clamd."""
    command: CommandSettings | None = None
    """Absent: no second engine."""
    analysis: Flag = True
    """Whether texts and links are read for points: by ``rules``, ``statistics`` and ``urls``."""
    rules: RuleSettings = RuleSettings()
    """What is said of spam in files."""
    urls: UrlSettings = UrlSettings()
    """What links lead to."""
    rspamd: RspamdSettings | None = None
    """Absent: Rspamd is not asked."""
    spamassassin: SpamassassinSettings | None = None
    """Absent: SpamAssassin is not asked."""
    quarantine: QuarantineSettings = QuarantineSettings()
    signing: SigningSettings | None = None
    """Absent: nothing is signed."""
    allowed_macros: FilePath = Path("/var/lib/postwarden/allowed-macros.json")
    """The macros that the postmaster allows; ``contentfilter macros`` writes it."""
    complaints: Literal["quarantine", "tag"] = "quarantine"
    """What is done for abuse@ and the like (``policyd.greylist.exempt``) where others are refused."""
    replies: Table[
        Annotated[str, AfterValidator(content_reply_key)],
        Annotated[Text, AfterValidator(content_reply_text)],
    ] = {}
    """What was found, or ``refused``, ``points``, ``waiting`` → text in place of ours."""
    tag_header: Annotated[Text, AfterValidator(_header_name)] = "X-Postwarden"
    """Prefix of our header lines."""
