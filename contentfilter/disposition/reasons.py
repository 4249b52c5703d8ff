"""Every finding in words that the sender of a mail understands: what was found, and what to do about it.

This is the text behind ``554 5.7.1``: a finding's name says what a scanner established, this says it to a
person.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """One finding for the sender.

    Arguments:
        what: the predicate of a sentence whose subject is the attachment.
        advice: what the sender can do, as a sentence; empty where there is nothing to do.
    """

    what: str
    advice: str = ""


_WITHOUT_MACROS = "Please send it without macros, as .docx, .xlsx or .pdf for example."
_OPENLY = "Please send it without a password, or share it by another way than mail."
_AUTHENTIC = "Please send it through the mail servers of the address in From."
BY_DMARC = frozenset({"dmarc-reject", "dmarc-quarantine"})
"""Findings that lead to what the author's domain asks for; their detail is that domain."""

REASONS: dict[str, Reason] = {
    "office-macro": Reason("contains a macro (program code)", _WITHOUT_MACROS),
    "office-macro-suspicious": Reason("contains a macro that starts by itself", _WITHOUT_MACROS),
    "office-macro-allowed": Reason("contains a macro (program code)", _WITHOUT_MACROS),
    "office-xlm-macro": Reason("contains an Excel 4 macro (program code)", _WITHOUT_MACROS),
    "office-dde": Reason("contains a field that starts programs (DDE)", "Please remove it, or send a .pdf."),
    "office-remote-template": Reason("loads a template from elsewhere", "Please send it as .pdf."),
    "office-encrypted": Reason("is encrypted and cannot be checked", _OPENLY),
    "office-default-password": Reason("is encrypted with a default password", _OPENLY),
    "ole-object": Reason("contains an embedded object", "Please send the object by itself."),
    "archive-encrypted": Reason("is an encrypted archive and cannot be checked", _OPENLY),
    "archive-default-password": Reason("is an archive with an empty password", _OPENLY),
    "archive-bomb": Reason("expands to an excessive size", "Please send its contents by another way."),
    "archive-malformed": Reason("is a damaged archive and cannot be checked", "Please create it again."),
    "pdf-encrypted": Reason("is an encrypted PDF and cannot be checked", _OPENLY),
    "pdf-owner-restricted": Reason("is a restricted PDF", "Please send it without restrictions."),
    "pdf-javascript": Reason("contains JavaScript", "Please send a PDF without it."),
    "pdf-launch": Reason("starts programs when it is opened", "Please send a PDF that does not."),
    "executable": Reason("is a program", "Please share it by another way than mail."),
    "name-mismatch": Reason("has a name that misleads about it", "Please name it after what it is."),
    "mime-ambiguous": Reason(
        "has a structure that can be read in several ways", "Please send it with another mail program."
    ),
    "external-body": Reason("leaves its content elsewhere", "Please attach the content itself."),
    "message-partial": Reason("is a piece of a message that was sent in several", "Please send it whole."),
    "forced-authentication": Reason(
        "asks another machine as soon as it is opened", "Please send it without such links."
    ),
    "disk-image": Reason("is a disk image and cannot be checked", "Please attach the files by themselves."),
    "html-smuggling": Reason("is a web page that hides a file", "Please attach the file itself."),
    "dmarc-reject": Reason("fails DMARC: its author's domain does not vouch for it", _AUTHENTIC),
    "dmarc-quarantine": Reason("fails DMARC: its author's domain does not vouch for it", _AUTHENTIC),
    "foreign-results": Reason("has an Authentication-Results line in our name", "Please send it without."),
    "virus": Reason("contains malware"),
    "virus-suspected": Reason("looks like malware or fraud"),
    "too-deep": Reason("is nested too deeply to be checked", "Please attach the files by themselves."),
    "too-large": Reason("is too large to be checked", "Please send less at once."),
}

UNSCANNED: dict[str, Reason] = {
    "encrypted": Reason("is encrypted and cannot be checked", _OPENLY),
    "mail-encrypted": Reason("is encrypted and cannot be checked", "Please send it without encryption."),
    "too-large": REASONS["too-large"],
    "too-deep": REASONS["too-deep"],
    "malformed": Reason("is damaged and cannot be checked", "Please create it again."),
    "timed-out": Reason("took too long to check", "Please send it in a simpler form."),
    "failed": Reason("could not be checked", "Please send it in another format."),
    "engine-failed": Reason("could not be checked for viruses", "Please try again later."),
    "spam-engine-failed": Reason("could not be checked for spam", "Please try again later."),
    "unsupported": Reason("has a format that cannot be checked", "Please send it in another format."),
}

SPAM: dict[str, str] = {
    "rule": "it has marks of spam",
    "url": "it links to what is known from spam",
    "statistics": "its words are those of spam",
    "bulk": "the same text came as spam to others",
    "spf": "its sender's domain does not let that server send for it",
    "dkim": "its signature is not right",
    "dmarc": "its sender's domain does not vouch for it",
    "arc": "its signature is not right",
    "auth": "its sender cannot be verified",
    "outgoing": "it is unlike what its sender writes",
    "rspamd": "another filter takes it for spam",
    "spamassassin": "another filter takes it for spam",
    "fcrdns": "the sending server's name in DNS is not in order",
    "helo": "the sending server gives a wrong name",
    "sender_domain": "its sender's domain cannot receive mail",
    "dnsbl": "the sending server is on a blocklist",
    "rhsbl": "its sender's domain is on a blocklist",
    "reputation": "the sending network is known for spam",
}
"""What speaks for spam, by its source, as part of a sentence. It tells no names of rules and no points: who
writes spam reads it too."""
ATTACHED = "what is attached to it is of a kind that spam has"
"""Likewise for a finding with points."""


def spam_text(sources: Iterable[str], own: bool = False) -> str:
    """Why a mail was taken for spam, for its sender.

    Arguments:
        sources: of what speaks for it, the strongest first; two of them are told.
        own: whether its sender is one of our own users or systems.
    """
    told = [*dict.fromkeys(SPAM.get(source, ATTACHED) for source in sources)][:2]
    reason = f": {', and '.join(told)}" if told else ""
    whom = "your" if own else "the recipient's"
    return f"This message looks like spam{reason}. If it is not, please ask {whom} postmaster."
