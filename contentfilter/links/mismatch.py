"""Links whose text is one host and whose target is another: what is to be believed, and where they lead.

Newsletters count their readers by links that pass through another host, so the text ``www.example.org`` over
a link to a tracker is no sign of anything. What is left after all that is known to be honest is told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contentfilter.links.mentions import Mention
from contentfilter.links.text import urls_in
from contentfilter.links.url import Url, read_url
from mailbase.organisation import is_top_level, organisation

ENOUGH = 4
"""Links of different texts to one organisation that make it the mail's own way of counting."""

_SHOWN = re.compile(r"(?:[a-z]{2,10}://)?[^\s/?#@<>]{1,255}(?:[/?#]\S{0,1000})?", re.IGNORECASE)
_FILES = frozenset({"zip", "mov", "md", "py", "sh", "pl", "ps", "rs", "cc", "so", "java", "ai", "app"})
_PASSING_ON = frozenset(
    {
        # Gateways that look at a page before their reader does.
        "safelinks.protection.outlook.com", "urldefense.com", "urldefense.proofpoint.com", "mimecast.com",
        "mimecastprotect.com", "cudasvc.com", "emailprotection.link", "secure-web.cisco.com",
        "clicktime.symantec.com", "trendmicro.com", "esvalabs.com", "hornetsecurity.com", "sophos.com",
        "fireeye.com", "trellix.com", "avanan.click", "deref-mail.com", "deref-gmx.net",
        "deref-web-02.de", "inky.com", "vadesecure.com", "antispamcloud.com", "retarus.com",
        "barracudanetworks.com",
        # Networks that shorten or count every link that is posted there.
        "t.co", "lnkd.in", "linkedin.com", "facebook.com", "l.facebook.com", "twitter.com", "x.com",
        "youtube.com", "youtu.be", "google.com", "xing.com", "reddit.com", "slack-redir.net",
        # Senders of newsletters and what counts for them.
        "list-manage.com", "mailchimp.com", "mailchi.mp", "sendgrid.net", "mailgun.org", "awstrack.me",
        "cmail19.com", "cmail20.com", "createsend.com", "createsend1.com", "constantcontact.com",
        "rs6.net", "hubspotlinks.com", "hubspotemail.net", "hs-sites.com", "sendinblue.com", "brevo.com",
        "mjt.lu", "mailjet.com", "exct.net", "exacttarget.com", "salesforce.com", "pardot.com",
        "marketo.com", "mktoweb.com", "responsys.net", "eloqua.com", "klclick.com", "klaviyomail.com",
        "substack.com", "getresponse.com", "aweber.com", "mandrillapp.com", "sparkpostmail.com",
        "postmarkapp.com", "pstmrk.it", "rapidmail.com", "cleverreach.com", "newsletter2go.com",
        "inxmail.com", "episerver.net", "emarsys.net", "srv2.de", "customer.io", "customeriomail.com",
        "intercom-mail.com", "mailerlite.com", "feedblitz.com", "govdelivery.com", "icontact.com",
        "activehosted.com", "acemlnb.com", "convertkit-mail.com",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Arguments:
    mention: the link.
    claimed: the host that its text names.
    own: whether that is the author's: many let others count who reads their mail.
    """

    mention: Mention
    claimed: str
    own: bool


def mismatch(mentions: Sequence[Mention], author: str = "", listed: bool = False) -> Mismatch | None:
    """The worst link whose text names another host than the one it leads to; None if all is as it seems.

    Arguments:
        mentions: of the mail.
        author: domain in From, lower case.
        listed: whether the mail says that it is one of many (List-Id, List-Unsubscribe).
    """
    if listed:
        return None
    found: Mismatch | None = None
    ways: Counter[str] | None = None
    for mention in mentions:
        claimed = _claimed(mention)
        if claimed is None:
            continue
        ways = ways or _ways(mentions)
        if ways[_group(mention.url.host)] >= ENOUGH:
            continue
        if not (author and _group(claimed.host) == _group(author)):
            return Mismatch(mention, claimed.host, False)
        found = found or Mismatch(mention, claimed.host, True)
    return found


def read_shown(shown: str) -> Url | None:
    """The URL that the text of a link consists of, with or without a scheme; None for any other text."""
    text = shown.strip(" \t\n\u00a0<>()[]\"'.,;:!\u201c\u201d\u201e\u00ab\u00bb")
    if not _SHOWN.fullmatch(text) or "." not in text:
        return None
    url = read_url(next(urls_in(text), ""), lenient=True)
    if url is None or not url.fetched or url.address:
        return None
    top = url.host.rpartition(".")[2]
    if not is_top_level(top) or ("://" not in text and not url.rest and top in _FILES):
        return None
    return url


def _claimed(mention: Mention) -> Url | None:
    """What a link pretends to lead to; None where it leads there, or pretends nothing."""
    target = mention.url
    if mention.kind != "link" or "." not in mention.shown or not target.fetched:
        return None
    claimed = read_shown(mention.shown)
    if claimed is None or any(_same(claimed.host, end.host) for end in (target, *mention.onward)):
        return None
    return None if not mention.onward and _passes_on(target.host) else claimed


def _same(one: str, other: str) -> bool:
    """Whether two hosts are the same organisation's, as far as names tell: example.com, www.example.co.uk."""
    first, second = _group(one), _group(other)
    return first == second or first.partition(".")[0] == second.partition(".")[0]


def _group(host: str) -> str:
    return organisation(host) or host


def _passes_on(host: str) -> bool:
    labels = host.split(".")
    return any(
        ".".join(labels[place:]) in _PASSING_ON for place in range(max(0, len(labels) - 5), len(labels) - 1)
    )


def _ways(mentions: Iterable[Mention]) -> Counter[str]:
    """How many different texts of links lead to each organisation."""
    texts = {(mention.shown, _group(mention.url.host)) for mention in mentions if mention.kind == "link"}
    return Counter(group for _shown, group in texts)
