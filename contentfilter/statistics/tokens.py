"""A mail taken apart for statistics: its words, pairs of words, hosts and habits, each a number.

Only what the sender controls is read. What the receiving side writes (who fetched the mail, other filters'
verdicts, the folder it lay in) would tell where mail was collected, and not what it is. Words are hashed in
streams: two that follow each other count as a pair too, so that an order of words is known again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations, islice, repeat
from zlib import crc32

from contentfilter.letter import Letter
from contentfilter.letter.header import Field
from mailbase.organisation import organisation
from mailbase.statistics.lesson import MAX_SLOTS, SLOTS

MAX_WORDS = 1600
"""Words of all texts."""
MAX_TEXT = 24_000
"""Characters of all texts."""
MAX_FIELDS = 60
"""Header fields."""
MAX_VALUE = 400
"""Characters of one value."""
FIELD_WORDS = 24
"""Words of one value."""
COMMON = 80
"""Characters of a value that other mails may have, so that it is worth while to remember what is in it."""
MAX_LINKS = 40
MAX_HOPS = 8

_MASK = SLOTS - 1
WORD = 24
"""Octets of a word; a longer one is several."""
_BETWEEN = frozenset((*range(0x21), *b".,;:!?()<>\"'[]{}|*=_#&/\\-", 0x7F))
_SPACED = bytes(
    0x20 if octet in _BETWEEN else 0x30 if octet in b"123456789" else octet for octet in range(256)
)
"""A space for each octet that is part of no word, and figures as in :data:`_TIDY`."""
_OUTLINE = bytes(0x20 if octet in _BETWEEN else 0x78 for octet in range(256))
_LONG = b"x" * (WORD + 1)
"""What a word that is longer looks like in :data:`_OUTLINE`."""
_MARKS = re.compile(rb"([!?*=_#-](?:[!?$*=_#-]{1,7}|(?<=[!?])))")
"""A row of marks, or one that stands for something alone."""
_CAPITALS = re.compile(r"[A-Z](?<!\w[A-Z])[A-Z]{2,19}\b")
"""Words in capitals; it begins with what a search can leap to."""
_ITEM = re.compile(r"[^\s<>\"@.,()]{1,40}")
"""What a header field's value is made of."""
_PIECE = re.compile(r"[^/._=&?+%-]{2,24}")
_DOMAIN = re.compile(r"@([A-Za-z0-9.-]{1,255})")
_SCRIPT = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff]")
"""Scripts without spaces between words."""
_LEADS = re.compile(rb"[\xe0\xe3-\xed\xef]")
"""What their letters begin with in UTF-8."""
_TIDY = {ord("0") + digit: "0" for digit in range(1, 10)} | {0xA0: " ", 0x3000: " "}
"""Figures differ from mail to mail; how many there are, and where, often does not."""
_BOUNDARY = re.compile(r"(?i)boundary=\"?([^\";]{0,80})\"?")
_RUNS = ((re.compile(r"[0-9]+"), "0"), (re.compile(r"[A-Z]+"), "A"), (re.compile(r"[a-z]+"), "a"))
_FROM = re.compile(r"\s*from\s+(.{0,300}?)(?:\s+by\s|;|$)", re.IGNORECASE | re.DOTALL)
_FETCHED = re.compile(r"(?i)\swith\s+(?:pop3|imap)|\sfrom\s+(?:localhost|\S+\s+\[127\.)")
_ADDRESS = re.compile(r"\[(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.\d{1,3}\]")
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")

_OURS = re.compile(
    r"received|return-path|delivered-to|status|envelope-to|delivery-date|content-length|lines|replied|forwarded"
    r"|resent-.*|old-.*|authentication-results|dkim-.*|arc-.*|received-spf|domainkey-signature|x-postwarden.*|x-spam.*|x-rspamd.*"
    r"|x-(?:status|keywords|uid|mozilla.*|imap.*|gnus.*|original-(?:date|to)|mime-autoconverted|authentication-warning"
    r"|loop|envelope-.*|apparently-to|mdaemon.*|filter.*|virus.*|mailscanner.*|antivirus.*|bogosity|pyzor.*|delivery.*"
    r"|microsoft-antispam.*|ms-exchange-.*|forefront-.*|google-dkim-signature|gm-.*|received)"
)
"""Names of fields that are written on the way, or by the receiving side; and signatures, new in each mail."""
_SHAPES = frozenset({"message-id", "date", "content-id", "references", "in-reply-to", "thread-index"})
"""Fields whose value is new in each mail, and its form is not."""
_ADDRESSEES = frozenset({"to", "cc"})


def slots_of(letter: Letter) -> set[int]:
    """The numbers of what is seen in ``letter``; at most ``MAX_SLOTS``."""
    seen = _Seen(letter)
    slots = [value & _MASK for value in seen.hashes]
    if len(slots) <= MAX_SLOTS:
        return set(slots)
    # The order of a dict is the order of the mail, so that it is the end that a long one loses.
    return set(islice(dict.fromkeys(slots), MAX_SLOTS))


def _one(name: str, value: str = "") -> int:
    return crc32(f"{name}\n{value}".encode("utf-8", "replace"))


_known = lru_cache(maxsize=1000)(_one)
"""For what many mails have."""


def _words(texts: Iterable[str]) -> list[bytes]:
    # One call for all of them; none has a space in it.
    joined = " ".join(texts).encode("utf-8", "replace")
    return [word + b" " for word in joined.split(b" ")] if joined else []


def _text_words(text: str, most: int) -> list[bytes]:
    """The first words and rows of marks of a text, each with a space behind it; ``most`` of them."""
    if not text.isascii():
        text = text.replace("\xa0", " ").replace("\u3000", " ")
    encoded = text.encode("utf-8", "replace")
    if _LEADS.search(encoded):
        encoded = _SCRIPT.sub(r" \g<0> ", text).encode("utf-8", "replace")
    # Rows stand at the odd places. Each is a word, so those beyond ``most`` are not looked for.
    pieces = _MARKS.split(encoded, most)
    words = pieces[0].translate(_SPACED).split(None, most)
    for place in range(1, len(pieces), 2):
        if len(words) > most:
            break
        words.append(pieces[place])
        words += pieces[place + 1].translate(_SPACED).split(None, most)
    # What is behind them may not have been split.
    del words[most:]
    if _LONG in encoded.translate(_OUTLINE):
        words = [word[start : start + WORD] for word in words for start in range(0, len(word), WORD)]
        del words[most:]
    # None has a line end in it.
    return (b" \n".join(words) + b" ").split(b"\n") if words else []


def _shape(value: str) -> str:
    """The form of a value: a letter in place of each run of letters, a nought for figures."""
    for pattern, letter in _RUNS:
        value = pattern.sub(letter, value)
    return value[:60]


@lru_cache(maxsize=4000)
def _organisation(host: str) -> str:
    return organisation(host) or host


def _organisations(hosts: Iterable[str]) -> set[str]:
    return set(map(_organisation, hosts))


def _domains(fields: Iterable[Field]) -> set[str]:
    found = (match[1] for field in fields for match in islice(_DOMAIN.finditer(field.text[:1000]), 4))
    return _organisations(domain.lower().strip(".-") for domain in found)


def _common(some: set[str], others: set[str]) -> str:
    return "none" if not some or not others else "yes" if some & others else "no"


@lru_cache(maxsize=1000)
def _is_ours(name: str) -> bool:
    return _OURS.fullmatch(name) is not None


@lru_cache(maxsize=4000)
def _above(space: str, host: str) -> tuple[int, ...]:
    """A host, and the names above it."""
    labels = host.split(".")[-6:]
    return tuple(_one(space, ".".join(labels[place:])) for place in range(len(labels)))


def _stream(words: Sequence[bytes], space: int) -> list[int]:
    """Words, and pairs of those that follow each other; the same word elsewhere is another one.

    Arguments:
        words: each ends with what no word has in it.
        space: where they stand.
    """
    single = list(map(crc32, words, repeat(space)))
    return [*single, *map(crc32, words[1:], single)]


def _subject(value: str) -> list[int]:
    words = _text_words(value, 2 * FIELD_WORDS)
    return [*_stream(words, _SUBJECT), *map(crc32, map(bytes.lower, words))]


def _value(name: str, value: str) -> list[int]:
    """What is seen in the value of a header field."""
    if name == "content-type":
        value = _BOUNDARY.sub(lambda match: f"boundary={_shape(match[1])[:12]}", value)
    items = _ITEM.findall(value.lower().translate(_TIDY))[:FIELD_WORDS]
    found = _stream(_words(items), _known("value", name))
    if name in _ADDRESSEES:
        found.append(_known(name, f"{min(value.count('@'), 6)} {'<' in value}"))
    elif "@" in value and (domain := _DOMAIN.search(value)):
        found.append(_one("domain " + name, domain[1].lower()))
    return found


_common_value = lru_cache(maxsize=1000)(_value)


@lru_cache(maxsize=1000)
def _together(*facts: tuple[str, str]) -> tuple[int, ...]:
    """Facts, and each two of them."""
    hashes = [_one(name, value) for name, value in facts]
    # Not only added: two that are equal would cancel each other in an exclusive or.
    return (*hashes, *((3 * one + other) & 0xFFFFFFFF for one, other in combinations(hashes, 2)))


@lru_cache(maxsize=1000)
def _client(clause: str) -> tuple[list[int], list[str]]:
    """What is seen in what a relay says of a client, and the hosts that it names."""
    hashes = [_one("client", _HOST.sub("h", clause)[:40])]
    if address := _ADDRESS.search(clause):
        hashes += [_one("network", ".".join(address.groups()[:length])) for length in (1, 2, 3)]
    hosts = [host for host in _HOST.findall(clause)[:3] if not host.replace(".", "").isdigit()]
    for host in hosts:
        hashes += _above("client", host.translate(_TIDY))
    return hashes, hosts


class _Seen:
    """Goes through a letter and collects hashes."""

    def __init__(self, letter: Letter) -> None:
        self.hashes: list[int] = []
        self._letter = letter
        self._clients = [_client(clause) for clause in self._client_clauses()]
        self._header()
        self._hops()
        self._consistency()
        self._links()
        self._attachments()
        self._texts()

    def _header(self) -> None:
        names: list[str] = []
        for field in self._letter.fields[:MAX_FIELDS]:
            name = field.name
            if _is_ours(name):
                continue
            names.append(name)
            value = field.text[:MAX_VALUE]
            if name in _SHAPES:
                self.hashes.append(_known(name, _shape(value)))
            elif name == "subject":
                self.hashes += _subject(value)
            else:
                self.hashes += (_common_value if len(value) <= COMMON else _value)(name, value)
        self.hashes += _stream(_words(names), _NAMES)

    def _client_clauses(self) -> Iterator[str]:
        """What the relays say of those who brought the mail, the last first."""
        lines = [field.text[:1000] for field in islice(self._letter.all("received"), MAX_HOPS)]
        # Who fetches mail from a mailbox writes such lines on top; from there on up they are the reader's.
        fetched = max((place for place, line in enumerate(lines) if _FETCHED.search(" " + line)), default=-1)
        for line in lines[fetched + 1 :]:
            if (match := _FROM.match(line)) is not None:
                yield match[1].lower()

    def _hops(self) -> None:
        for hashes, _hosts in self._clients:
            self.hashes += hashes

    def _consistency(self) -> None:
        """Whether the domains of a mail have to do with each other, each two facts together too."""
        letter = self._letter
        authors = _domains(letter.all("from"))
        ids = _domains(letter.all("message-id"))
        clients = _organisations(host for _hashes, hosts in self._clients for host in hosts)
        links = _organisations(one.url.host for one in letter.mentions[:MAX_LINKS] if one.url.host)
        self.hashes += _together(
            ("author-client", _common(authors, clients)),
            ("author-id", _common(authors, ids)),
            ("author-link", _common(authors, links)),
            ("author-answer", _common(authors, _domains(letter.all("reply-to")))),
            ("id-client", _common(ids, clients)),
            ("link-client", _common(links, clients)),
            ("links", str(min(len(links), 5))),
            ("clients", str(min(len(clients), 5))),
        )

    def _links(self) -> None:
        pieces: list[str] = []
        for mention in self._letter.mentions[:MAX_LINKS]:
            url = mention.url
            self.hashes.append(_known("scheme", url.scheme))
            if url.host:
                self.hashes += _above("link", url.host)
                pieces += _PIECE.findall(url.rest[:200].lower().translate(_TIDY))[:8]
        self.hashes += map(crc32, _words(pieces), repeat(_PATH))

    def _attachments(self) -> None:
        for attachment in self._letter.attachments[:10]:
            self.hashes.append(_known("attachment", attachment.media))
            self.hashes.append(_known("suffix", attachment.name.rpartition(".")[2].lower()[-8:]))

    def _texts(self) -> None:
        words, room = MAX_WORDS, MAX_TEXT
        for text in self._letter.texts:
            self.hashes.append(_known("encoding", f"{text.media} {text.encoding}"))
            shown = text.shown[:room]
            room -= len(shown)
            found = _text_words(shown.lower(), words)
            words -= len(found)
            capitals = _CAPITALS.findall(shown)[:200]
            self.hashes += map(crc32, _words(capitals), repeat(_CAPITAL))
            self.hashes += _stream(found, 0)
            if room <= 0 or words <= 0:
                return


_NAMES, _SUBJECT, _PATH, _CAPITAL = _one("names"), _one("subject"), _one("path"), _one("capitals")
