"""Who writes to whom, and who is to answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from contentfilter.rules.address import addresses_in
from mailbase.organisation import organisation

if TYPE_CHECKING:
    from contentfilter.rules.reading import Reading

_FREEMAIL_LIST = """
gmail.com googlemail.com yahoo.com yahoo.co.uk yahoo.de yahoo.fr yahoo.it yahoo.es yahoo.co.in yahoo.co.jp
yahoo.com.cn yahoo.com.hk yahoo.com.br ymail.com rocketmail.com hotmail.com hotmail.de hotmail.fr
hotmail.co.uk hotmail.it msn.com live.com outlook.com outlook.de outlook.fr aol.com aim.com netscape.net
gmx.net gmx.de gmx.com gmx.at gmx.ch web.de freenet.de t-online.de mail.com email.com usa.com consultant.com
mail.ru bk.ru inbox.ru list.ru yandex.ru yandex.com rambler.ru 163.com 126.com qq.com sina.com sohu.com
icloud.com me.com protonmail.com proton.me tutanota.com excite.com lycos.com juno.com netzero.net
hushmail.com lycos.co.uk caramail.com fastmail.fm zoho.com inbox.com libero.it virgilio.it tiscali.it
laposte.net orange.fr wanadoo.fr free.fr sify.com rediffmail.com indiatimes.com bigfoot.com eudoramail.com
mailcity.com usa.net netaddress.com walla.com o2.pl wp.pl seznam.cz abv.bg ukr.net
my.com internet.ru pm.me tuta.io tuta.com tutamail.com keemail.me zohomail.com zohomail.eu onionmail.org
mailfence.com cock.li accountant.com lawyer.com dr.com engineer.com post.com myself.com europe.com execs.com
techie.com asia.com workmail.com financier.com representative.com secretary.net naver.com daum.net hanmail.net
foxmail.com yeah.net aliyun.com uol.com.br bol.com.br terra.com.br sapo.pt bluewin.ch sfr.fr neuf.fr
"""
FREEMAIL = frozenset(_FREEMAIL_LIST.split())
"""Where anybody gets an address for nothing."""
_GREETING = re.compile(
    r"\b(?:dear|hello|hi|hey|attn:?|attention|greetings|hallo|guten tag|lieber?|sehr geehrter?)[\s,:]{1,3}\Z"
)
_GREETS = re.compile(
    r"(?:dear|hello|hi|hallo|guten (?:tag|morgen)|liebe[rs]?|sehr geehrte[r]?|bonjour|ch[eè]re?"
    r"|good (?:day|morning))\b"
)
_DIGITS = re.compile(
    r"[a-z]+[._-]?[a-z]*\d{4,}[a-z\d]*|[a-z]{1,12}\d{1,3}[a-z]{1,6}\d{1,6}[a-z\d]*", re.IGNORECASE
)
_GIBBERISH = re.compile(r"[bcdfghjklmnpqrstvwxz]{6}", re.IGNORECASE)


_EVERYWHERE = frozenset({"yahoo", "hotmail", "outlook", "live", "gmx", "yandex"})
"""Those of them that have a domain in every country."""


def _free(domain: str) -> bool:
    if domain in FREEMAIL:
        return True
    label, _dot, above = domain.partition(".")
    return label in _EVERYWHERE and len(above) <= 6


def from_freemail(reading: Reading) -> str | None:
    """From is an address that anybody gets for nothing."""
    return reading.sender.domain if _free(reading.sender.domain) else None


def reply_to_freemail(reading: Reading) -> str | None:
    """Answers go to a free address, and From is another."""
    reply, sender = reading.mailbox("reply-to"), reading.sender
    if not _free(reply.domain) or not sender.address or reply.address.lower() == sender.address.lower():
        return None
    return f"{reply.domain} for {sender.domain}"[:100]


def reply_to_other_freemail(reading: Reading) -> str | None:
    """From and Reply-To are two free addresses that differ."""
    reply, sender = reading.mailbox("reply-to"), reading.sender
    if not (_free(reply.domain) and _free(sender.domain)) or reply.address.lower() == sender.address.lower():
        return None
    return f"{reply.domain} for {sender.domain}"


def reply_to_elsewhere(reading: Reading) -> str | None:
    """Answers go to another organisation than From's, in a mail that is no list's."""
    reply = reading.mailbox("reply-to").domain
    if not reply or not reading.organisation or _bulk(reading):
        return None
    elsewhere = organisation(reply) or reply
    return f"{elsewhere} for {reading.organisation}"[:100] if elsewhere != reading.organisation else None


def _bulk(reading: Reading) -> bool:
    letter = reading.letter
    return (
        "list-id" in letter or "list-post" in letter or letter.first("precedence").lower() in ("list", "bulk")
    )


def from_local_part_numbered(reading: Reading) -> str | None:
    """The local part of a free address mixes letters and digits as made by a program."""
    sender = reading.sender
    return sender.local[:40] if _free(sender.domain) and _DIGITS.fullmatch(sender.local) else None


def from_local_part_random(reading: Reading) -> str | None:
    """The local part of From cannot be spoken."""
    local = reading.sender.local
    return local[:40] if len(local) < 30 and _GIBBERISH.search(local) else None


def from_name_other_address(reading: Reading) -> str | None:
    """The display name of From is an address, of another organisation than the address behind it."""
    found = addresses_in(reading.sender.name, 1)
    if not found or not reading.organisation:
        return None
    shown = found[0].rpartition("@")[2]
    theirs = organisation(shown) or shown
    return f"{theirs} before {reading.organisation}"[:100] if theirs != reading.organisation else None


def from_name_is_recipient(reading: Reading) -> str | None:
    """The display name of From is the recipient's address, domain or mailbox name."""
    name, to = reading.sender.name.lower(), reading.mailbox("to")
    if not name or not to.address or to.address.lower() == reading.sender.address.lower():
        return None
    return name[:60] if name in (to.address.lower(), to.domain) else None


def from_is_to(reading: Reading) -> str | None:
    """The only recipient that is named is the sender."""
    sender = reading.sender.address.lower()
    if not sender:
        return None
    named = addresses_in(reading.letter.first("to"), 3) + addresses_in(reading.letter.first("cc"), 3)
    return "" if named == [sender] else None


def from_unfinished(reading: Reading) -> str | None:
    """From holds no address with a domain."""
    if "from" not in reading.letter:
        return None
    domain = reading.sender.domain
    return reading.letter.first("from")[:60] if "." not in domain and "xn--" not in domain else None


def many_alike_recipients(reading: Reading) -> str | None:
    """Recipients are named in the order of the alphabet, or begin alike: a slice of a bought list."""
    named = addresses_in(reading.letter.first("to"), 60) + addresses_in(reading.letter.first("cc"), 60)
    if len(named) < 5:
        return None
    starts = [address[:3] for address in named]
    alike = max(starts.count(start) for start in set(starts))
    if alike >= max(4, len(named) // 2):
        return f"{alike} of {len(named)} begin alike"
    if len(named) >= 7 and named == sorted(named) and len(set(named)) == len(named):
        return f"{len(named)} in order"
    return None


def to_is_no_address(reading: Reading) -> str | None:
    """To is there and names nobody, nor says that recipients are undisclosed."""
    text = reading.letter.first("to").strip()
    if not text or "@" in text or ":" in text:
        return None
    return text[:60]


def subject_names_recipient(reading: Reading) -> str | None:
    """Subject holds the recipient's mailbox name or address, as bulk mailers put it in."""
    to = reading.mailbox("to")
    local = to.local.lower()
    subject = reading.subject.lower()
    if len(local) < 3 or local in _COMMON or local not in subject:
        return None
    if to.address.lower() in subject:
        return to.address[:80]
    return (
        local[:40] if re.search(rf"(?:^|[^\w@.-]){re.escape(local[:64])}(?:[,!?:]|\s*$)", subject) else None
    )


_COMMON_LIST = """
info mail office sales support admin post contact service kontakt news
"""
_COMMON = frozenset(_COMMON_LIST.split())


def greets_address(reading: Reading) -> str | None:
    """The text greets the recipient by the mail address, or by what stands before its @."""
    to = reading.mailbox("to")
    local, start = to.local.lower(), reading.shown[:600].lower()
    position = start.find(local) if len(local) >= 3 else -1
    if position < 0 or not _GREETING.search(start[:position]):
        return None
    rest = start[position + len(local) :]
    if rest and (rest[0].isalnum() or rest[0] in "-_"):
        return None
    # Some people's mailbox is their first name.
    return to.address[:80] if to.address.lower() in start or re.search(r"[\d._-]", local) else None


def greets_by_name(reading: Reading) -> str | None:
    """The text begins by greeting the recipient by the last name that To gives."""
    to = reading.mailbox("to")
    words = to.name.lower().replace(",", " ").split()
    if len(words) < 2 or "@" in to.name:
        return None
    last = words[0] if "," in to.name else words[-1]
    start = reading.shown[:200].lower()
    position = start.find(last) if len(last) >= 3 else -1
    return last[:40] if position >= 0 and _GREETS.match(start) else None


def from_own_organisation(reading: Reading) -> str | None:
    """From is, or says that it is, of the recipient's own organisation."""
    ours = organisation(reading.mailbox("to").domain)
    return ours if ours is not None and ours == reading.organisation else None


def attachment_names_recipient(reading: Reading) -> str | None:
    """An attachment's name holds the recipient's address or mailbox name."""
    local = reading.mailbox("to").local.lower()
    if len(local) < 4 or local in _COMMON:
        return None
    for attachment in reading.attachments:
        if local in attachment.name.lower():
            return attachment.name[:80]
    return None


def text_names_recipient(reading: Reading) -> str | None:
    """The text holds the recipient's address more than once, or in a link."""
    address = reading.mailbox("to").address.lower()
    if len(address) < 6 or reading.organisation == organisation(reading.mailbox("to").domain):
        return None
    return "" if any(address in url.rest.lower() for url in reading.urls) else None


FACTS = (
    from_freemail, reply_to_freemail, reply_to_other_freemail, reply_to_elsewhere, from_local_part_numbered,
    from_local_part_random, from_name_other_address, from_name_is_recipient, from_is_to, from_unfinished,
    many_alike_recipients, to_is_no_address, subject_names_recipient, greets_address, greets_by_name,
    from_own_organisation, attachment_names_recipient, text_names_recipient,
)  # fmt: skip
