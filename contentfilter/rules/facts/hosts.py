"""Where links lead."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from contentfilter.rules.facts.brands import have_one_owner
from mailbase.organisation import organisation

if TYPE_CHECKING:
    from contentfilter.rules.reading import Reading

_SHORTENERS_LIST = """
bit.ly tinyurl.com t.ly is.gd v.gd ow.ly buff.ly rebrand.ly cutt.ly shorturl.at rb.gy tiny.cc bl.ink s.id
t.co goo.gl qrco.de lnkd.in urlz.fr u.to clck.ru adf.ly soo.gd tr.ee shorte.st gg.gg n9.cl kutt.it short.gy
tinyurl.se x.co dub.sh surl.li linkr.it snip.ly snipurl.com han.gl me2.kr tny.im lc.cx 0rz.tw
"""
SHORTENERS = frozenset(_SHORTENERS_LIST.split())
_FREE_PAGES_LIST = """
web.app firebaseapp.com pages.dev workers.dev r2.dev glitch.me netlify.app vercel.app weebly.com
weeblysite.com wixsite.com wix.com 000webhostapp.com herokuapp.com repl.co square.site webflow.io
godaddysites.com mystrikingly.com yolasite.com blogspot.com ngrok.io ngrok.app ngrok-free.app
trycloudflare.com ipfs.io dweb.link cf-ipfs.com duckdns.org no-ip.org ddns.net hopto.org zapto.org
mybluehost.me ukit.me carrd.co typedream.app framer.app framer.website start.page jimdosite.com webador.com
moonfruit.com geocities.com tripod.com angelfire.com fortunecity.com freewebs.com atspace.com 8m.com
azurewebsites.net web.core.windows.net cloudfront.net translate.goog edgeone.app lovable.app
blob.core.windows.net storage.googleapis.com s3.amazonaws.com digitaloceanspaces.com linodeobjects.com
backblazeb2.com b-cdn.net github.io gitbook.io notion.site gamma.site softr.app bubbleapps.io webnode.page
tilda.ws replit.app onrender.com surge.sh fly.dev deno.dev 4everland.io nftstorage.link w3s.link
myportfolio.com wordpress.com site123.me strikingly.com appspot.com run.app serveo.net loca.lt
"""
FREE_PAGES = frozenset(_FREE_PAGES_LIST.split())
"""Where anybody gets a page for nothing, below a name that others trust."""
_FORMS = re.compile(
    r"(?:forms\.gle|forms\.office\.com|forms\.(?:cloud\.)?microsoft|sites\.google\.com|script\.google\.com)/."
    r"|docs\.google\.com/(?:forms|drawings|presentation)/|(?:[a-z]+\.)?jotform\.com/\d"
    r"|(?:www\.)?canva\.com/design/"
    r"|(?:new\.)?express\.adobe\.com/|[a-z0-9-]{1,60}\.typeform\.com/|(?:www\.)?surveyheart\.com/|telegra\.ph/"
)
"""Forms and pages that anybody draws up with the tools of a great site, after ``https://``."""
_DOMAIN_WORD = re.compile(r"[a-z0-9-]{1,63}\.(?:com|net|org|de|co|eu|uk|fr|it|at|ch)(?=[.-])")
_RANDOM = re.compile(r"[bcdfghjklmnpqrstvwxz]{7}|\d[a-z]\d[a-z]\d")


def link_shortened(reading: Reading) -> str | None:
    """A link hides where it leads behind a shortening service."""
    for url in reading.urls:
        if url.host.removeprefix("www.") in SHORTENERS and len(url.rest) > 1:
            return url.host
    return None


def link_to_free_page(reading: Reading) -> str | None:
    """A link leads to a page that anybody gets for nothing."""
    for url in reading.urls:
        above = url.host.partition(".")[2]
        if above in FREE_PAGES or url.host in FREE_PAGES or above.partition(".")[2] in FREE_PAGES:
            return url.host[:80]
        # Each region has a name of its own: bucket.s3.eu-north-1.amazonaws.com.
        if above.endswith("amazonaws.com") and "s3" in url.host:
            return url.host[:80]
    return None


def link_to_form(reading: Reading) -> str | None:
    """A link leads to a form or page that anybody draws up on a great site."""
    for url in reading.urls:
        if _FORMS.match(f"{url.host}{url.rest[:80]}"):
            return url.host[:80]
    return None


def link_carries_recipient(reading: Reading) -> str | None:
    """A link to somebody else's site carries the recipient's address behind a hash, or in base64."""
    to = reading.mailbox("to")
    address = to.address.lower()
    if len(address) < 6 or not reading.urls:
        return None
    # What the last letters become depends on what follows them.
    encoded = base64.b64encode(address.encode("utf-8", "replace")).decode().rstrip("=")[:-1]
    for url in reading.urls:
        rest = url.rest
        fragment = rest.partition("#")[2][:400]
        if encoded in rest or (fragment and address in unquote(fragment).lower()):
            place = organisation(url.host) or url.host
            if place not in (reading.organisation, organisation(to.domain)):
                return place[:80]
    return None


def link_name_in_name(reading: Reading) -> str | None:
    """The host of a link wears another site's name in front: ``www.bank.example.com.login.example``."""
    for url in reading.urls:
        if url.host.count(".") >= 3:
            own = organisation(url.host)
            if own is not None:
                front = url.host.removesuffix(own)
                found = _DOMAIN_WORD.search(front)
                if found and not front.startswith("www.") and found[0] not in ("www.com",):
                    return url.host[:80]
    return None


def link_random_host(reading: Reading) -> str | None:
    """The host of a link cannot be spoken."""
    for url in reading.urls:
        own = organisation(url.host) or ""
        if len(own) > 7 and _RANDOM.search(own.partition(".")[0]):
            return own[:80]
    return None


def links_elsewhere(reading: Reading) -> str | None:
    """All links lead to one organisation, which is not the sender's."""
    places = {organisation(url.host) or url.host for url in reading.urls}
    if len(places) != 1 or not reading.organisation:
        return None
    (place,) = places
    if place == reading.organisation or have_one_owner(place, reading.organisation):
        return None
    return f"{place} for {reading.organisation}"[:120]


FACTS = (
    link_shortened, link_to_free_page, link_to_form, link_carries_recipient, link_name_in_name,
    link_random_host, links_elsewhere,
)  # fmt: skip
