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
MAX_LINKS = 40
MAX_HOPS = 8

_MASK = SLOTS - 1
_WORD = re.compile(rb"[^\x00-\x20.,;:!?()<>\"'\[\]{}|*=_#&/\\\x7f-]{1,24}|[!?$*=_#-]{2,8}|[!?]")
"""A word, or its first 24 octets; a row of marks."""
_CAPITALS = re.compile(r"\b[A-Z]{3,20}\b")
_ITEM = re.compile(r"[^\s<>\"@.,()]{1,40}")
"""What a header field's value is made of."""
_PIECE = re.compile(r"[^/._=&?+%-]{2,24}")
_DOMAIN = re.compile(r"@([A-Za-z0-9.-]{1,255})")
_SCRIPT = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff]")
"""Scripts without spaces between words."""
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


def slots_of(letter: Letter) -> list[int]:
    """The numbers of what is seen in ``letter``, each once; at most ``MAX_SLOTS``."""
    seen = _Seen(letter)
    # The order of a dict is the order of the mail, so that it is the end that a long one loses.
    return list(islice(dict.fromkeys([value & _MASK for value in seen.hashes]), MAX_SLOTS))


def _one(name: str, value: str = "") -> int:
    return crc32(f"{name}\n{value}".encode("utf-8", "replace"))


def _words(texts: Iterable[str]) -> list[bytes]:
    # One call for all of them; none has a space in it.
    joined = " ".join(texts).encode("utf-8", "replace")
    return [word + b" " for word in joined.split(b" ")] if joined else []


def _text_words(text: str) -> list[bytes]:
    text = text.translate(_TIDY)
    if not text.isascii():
        text = _SCRIPT.sub(r" \g<0> ", text)
    return [word + b" " for word in _WORD.findall(text.encode("utf-8", "replace"))]


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


class _Seen:
    """Goes through a letter and collects hashes."""

    def __init__(self, letter: Letter) -> None:
        self.hashes: list[int] = []
        self._letter = letter
        self._clients = list(self._client_clauses())
        self._hosts = [
            host
            for client in self._clients
            for host in islice(_HOST.findall(client), 3)
            if not host.replace(".", "").isdigit()
        ]
        self._header()
        self._hops()
        self._consistency()
        self._links()
        self._attachments()
        self._texts()

    def _stream(self, words: Sequence[bytes], space: int) -> None:
        """Words, and pairs of those that follow each other; the same word elsewhere is another one.

        Arguments:
            words: each ends with what no word has in it.
            space: where they stand.
        """
        single = list(map(crc32, words, repeat(space)))
        self.hashes += single
        self.hashes += map(crc32, words[1:], single)

    def _header(self) -> None:
        names: list[str] = []
        for field in self._letter.fields[:MAX_FIELDS]:
            name = field.name
            if _is_ours(name):
                continue
            names.append(name)
            value = field.text[:MAX_VALUE]
            if name in _SHAPES:
                self.hashes.append(_one(name, _shape(value)))
            else:
                self._value(name, value)
        self._stream(_words(names), _NAMES)

    def _value(self, name: str, value: str) -> None:
        if name == "subject":
            words = _text_words(value)[: 2 * FIELD_WORDS]
            self._stream(words, _SUBJECT)
            self.hashes += [crc32(word.lower()) for word in words]
            return
        if name == "content-type":
            value = _BOUNDARY.sub(lambda match: f"boundary={_shape(match[1])[:12]}", value)
        items = _ITEM.findall(value.lower().translate(_TIDY))[:FIELD_WORDS]
        self._stream(_words(items), _one("value", name))
        if name in _ADDRESSEES:
            self.hashes.append(_one(name, f"{min(value.count('@'), 6)} {'<' in value}"))
        elif domain := _DOMAIN.search(value):
            self.hashes.append(_one("domain " + name, domain[1].lower()))

    def _client_clauses(self) -> Iterator[str]:
        """What the relays say of those who brought the mail, the last first."""
        lines = [field.text[:1000] for field in islice(self._letter.all("received"), MAX_HOPS)]
        # Who fetches mail from a mailbox writes such lines on top; from there on up they are the reader's.
        fetched = max((place for place, line in enumerate(lines) if _FETCHED.search(" " + line)), default=-1)
        for line in lines[fetched + 1 :]:
            if (match := _FROM.match(line)) is not None:
                yield match[1].lower()

    def _hops(self) -> None:
        for client in self._clients:
            if address := _ADDRESS.search(client):
                self.hashes += [_one("network", ".".join(address.groups()[:length])) for length in (1, 2, 3)]
            self.hashes.append(_one("client", _HOST.sub("h", client)[:40]))
        for host in self._hosts:
            self.hashes += _above("client", host.translate(_TIDY))

    def _consistency(self) -> None:
        """Whether the domains of a mail have to do with each other, each two facts together too."""
        letter = self._letter
        authors = _domains(letter.all("from"))
        ids = _domains(letter.all("message-id"))
        clients = _organisations(self._hosts)
        links = _organisations(one.url.host for one in letter.mentions[:MAX_LINKS] if one.url.host)
        facts = [
            _one("author-client", _common(authors, clients)),
            _one("author-id", _common(authors, ids)),
            _one("author-link", _common(authors, links)),
            _one("author-answer", _common(authors, _domains(letter.all("reply-to")))),
            _one("id-client", _common(ids, clients)),
            _one("link-client", _common(links, clients)),
            _one("links", str(min(len(links), 5))),
            _one("clients", str(min(len(clients), 5))),
        ]
        self.hashes += facts
        # Not only added: two that are equal would cancel each other in an exclusive or.
        self.hashes += [(3 * one + other) & 0xFFFFFFFF for one, other in combinations(facts, 2)]

    def _links(self) -> None:
        for mention in self._letter.mentions[:MAX_LINKS]:
            url = mention.url
            self.hashes.append(_one("scheme", url.scheme))
            if url.host:
                self.hashes += _above("link", url.host)
                pieces = _PIECE.findall(url.rest[:200].lower().translate(_TIDY))[:8]
                self.hashes += map(crc32, _words(pieces), repeat(_PATH))

    def _attachments(self) -> None:
        for attachment in self._letter.attachments[:10]:
            self.hashes.append(_one("attachment", attachment.media))
            self.hashes.append(_one("suffix", attachment.name.rpartition(".")[2].lower()[-8:]))

    def _texts(self) -> None:
        words, room = MAX_WORDS, MAX_TEXT
        for text in self._letter.texts:
            self.hashes.append(_one("encoding", f"{text.media} {text.encoding}"))
            shown = text.shown[:room]
            room -= len(shown)
            found = _text_words(shown.lower())[:words]
            words -= len(found)
            capitals = _CAPITALS.findall(shown)[:200]
            self.hashes += map(crc32, _words(capitals), repeat(_CAPITAL))
            self._stream(found, 0)
            if room <= 0 or words <= 0:
                return


_NAMES, _SUBJECT, _PATH, _CAPITAL = _one("names"), _one("subject"), _one("path"), _one("capitals")
