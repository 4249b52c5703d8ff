"""What is wrong with main.cf. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailbase.config import Settings
from mailbase.config.limits import Of
from mailbase.config.units import format_size
from mailbase.vocabulary import Flow
from postwarden.doctor.postfix import Postfix, Service, leads_to, policy_places
from postwarden.doctor.symptom import Check, Symptom
from postwarden.registry.check.finding import Severity

SIZE = 50 << 20
"""Octets that a message may have."""
QUEUE, BOUNCES = 3 * 86400.0, 86400.0
"""Seconds that mail, and a bounce, should be tried at most."""
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_WIDE = re.compile(
    r"(?<![\w.:!\[])(?!\[?(?:f[cd]|fe[89ab]))(?:[0-9.]+/[0-7]|[0-9a-fA-F:\[\]]*:[0-9a-fA-F:\[\]]*/(?:[0-9]|1[0-5]))(?![0-9])"
)
"""A network in mynetworks that is wider than anybody's own; those of IPv6 for local use are nobody else's."""
_ENDS = re.compile(r"(?<![\w-])(?:reject|defer|reject_unauth_destination|defer_unauth_destination)(?![\w-])")
"""What keeps a list of restrictions from letting everybody relay."""
_EARLIER = ("smtpd_client_restrictions", "smtpd_helo_restrictions", "smtpd_sender_restrictions")
_NO_DEFAULT = "451 4.3.5"
"""How Postfix answers for a policy server that is away, unless it is told otherwise."""


def judge(postfix: Postfix, settings: Settings) -> Iterator[Symptom]:
    """What is to be changed in main.cf."""
    yield from _names(postfix, settings.identity.hostname)
    yield from _policy(postfix, settings)
    yield from _relaying(postfix)
    yield from _sizes(postfix, settings)
    yield from _queue(postfix)
    yield from _tls(postfix)


def _symptom(
    postfix: Postfix, name: str, severity: Severity, why: str, change: str, service: Service | None = None
) -> Symptom:
    return Symptom(name, Check.POSTFIX, severity, f"{name} = {postfix.value(name, service)}: {why}", change)


def _names(postfix: Postfix, hostname: str) -> Iterator[Symptom]:
    if postfix.value("myhostname").lower() != hostname:
        why = f"identity.hostname is {hostname}, and both should be one name"
        yield _symptom(postfix, "myhostname", Severity.ERROR, why, "make them the same")
    helo = postfix.value("smtp_helo_name").lower()
    if helo and helo not in (hostname, postfix.value("myhostname").lower()):
        why = "what leaves says another name in HELO than the gateway's"
        yield _symptom(postfix, "smtp_helo_name", Severity.WARNING, why, "smtp_helo_name = $myhostname")
    if postfix.value("smtpd_delay_reject") == "no":
        why = "policyd is asked before it can know the recipient"
        yield _symptom(postfix, "smtpd_delay_reject", Severity.ERROR, why, "smtpd_delay_reject = yes")


def _policy(postfix: Postfix, settings: Settings) -> Iterator[Symptom]:
    def asks(*names: str) -> bool:
        return any(
            leads_to(place, ours)
            for name in names
            for value in postfix.restrictions(name)
            for place in policy_places(value)
            for ours in settings.policyd.listen
        )

    relay, recipient = "smtpd_relay_restrictions", "smtpd_recipient_restrictions"
    places = ", ".join(settings.policyd.listen)
    # With smtpd_delay_reject they all ask at RCPT.
    if not asks(relay, recipient, *_EARLIER):
        why = f"nobody asks policyd ({places}): it decides nothing"
        change = "check_policy_service as in examples/postfix/main.cf"
        yield _symptom(postfix, relay, Severity.ERROR, why, change)
        return
    if not asks("smtpd_data_restrictions"):
        why = "policyd is not asked at DATA: no limit counts, and contentfilter gets no ticket"
        change = "check_policy_service as in examples/postfix/main.cf"
        yield _symptom(postfix, "smtpd_data_restrictions", Severity.ERROR, why, change)
    limits = (limit for flow in Flow for limit in settings.flows.of(flow).limits.values())
    if any(limit.of is Of.BYTES for limit in limits) and not asks("smtpd_end_of_data_restrictions"):
        why = "policyd is not asked there: limits of octets count nothing"
        change = "check_policy_service as in examples/postfix/main.cf"
        yield _symptom(postfix, "smtpd_end_of_data_restrictions", Severity.ERROR, why, change)
    asked, usual = (
        next(postfix.restrictions(relay)),
        postfix.value("smtpd_policy_service_default_action") or _NO_DEFAULT,
    )
    if policy_places(asked) and "default_action" not in asked and usual.startswith(_NO_DEFAULT):
        why = "without default_action no mail at all is taken while policyd is restarted"
        change = "default_action = DEFER_IF_REJECT 4.3.0 ... as in examples/postfix/main.cf"
        yield _symptom(postfix, relay, Severity.WARNING, why, change)


def _relaying(postfix: Postfix) -> Iterator[Symptom]:
    relay, recipient = "smtpd_relay_restrictions", "smtpd_recipient_restrictions"
    if not any(_ENDS.search(next(postfix.restrictions(name))) for name in (relay, recipient)):
        why = "nothing refuses mail to foreign domains: an open relay"
        yield _symptom(postfix, relay, Severity.ERROR, why, "let it end in reject_unauth_destination")
    wide = _WIDE.search(postfix.value("mynetworks"))
    if wide is not None:
        why = f"{wide[0]} is half the world, which may relay"
        yield _symptom(postfix, "mynetworks", Severity.ERROR, why, "mynetworks = 127.0.0.0/8 [::1]/128")
    parents = "parent_domain_matches_subdomains"
    if "relay_domains" in postfix.value(parents) and postfix.value("relay_domains"):
        why = "every registered domain stands for all its subdomains too, registered or not"
        yield _symptom(postfix, parents, Severity.WARNING, why, f"{parents} =")


def _sizes(postfix: Postfix, settings: Settings) -> Iterator[Symptom]:
    name, content = "message_size_limit", settings.contentfilter.message_size_limit
    size = postfix.value(name)
    if not size.isdigit():
        return
    if 0 < int(size) < SIZE:
        why = "larger mail is refused"
        yield _symptom(postfix, name, Severity.WARNING, why, f"{name} = {SIZE} ({format_size(SIZE)})")
    elif int(size) == 0 or int(size) > content:
        why = f"contentfilter takes {content} octets, and refuses larger mail after all of it has come"
        change = f"{name} = {SIZE}, or a larger contentfilter.message_size_limit"
        yield _symptom(postfix, name, Severity.WARNING, why, change)


def _queue(postfix: Postfix) -> Iterator[Symptom]:
    for name, most, wanted, why in (
        ("maximal_queue_lifetime", QUEUE, "3d", "senders learn late that their mail does not arrive"),
        ("bounce_queue_lifetime", BOUNCES, "1d", "bounces to forged senders linger"),
    ):
        found = re.fullmatch(r"([0-9]+)([smhdw]?)", postfix.value(name))
        if found and int(found[1]) * _UNITS[found[2] or "d"] > most:
            yield _symptom(postfix, name, Severity.WARNING, why, f"{name} = {wanted}")


def _tls(postfix: Postfix) -> Iterator[Symptom]:
    name = "smtpd_tls_security_level"
    public = postfix.public
    level = postfix.value(name, public)
    if level in ("", "none") and postfix.value("smtpd_use_tls", public) != "yes":
        why = "STARTTLS is not offered"
        yield _symptom(postfix, name, Severity.WARNING, why, f"{name} = may, and a certificate", public)
    elif level == "encrypt":
        why = "servers without TLS cannot send mail here (RFC 3207 4 forbids that on port 25)"
        yield _symptom(
            postfix, name, Severity.ERROR, why, f"{name} = may; encrypt for port 587 in master.cf", public
        )
    elif level == "may" and not any(
        postfix.value(one, public) not in ("", "none")
        for one in ("smtpd_tls_chain_files", "smtpd_tls_cert_file", "smtpd_tls_eccert_file")
    ):
        why = "there is no certificate, so STARTTLS is not offered"
        yield _symptom(postfix, name, Severity.WARNING, why, "smtpd_tls_chain_files = ...", public)
    if postfix.value("smtp_tls_security_level") in ("", "none") and postfix.value("smtp_use_tls") != "yes":
        why = "mail leaves without TLS, also where it is offered"
        name = "smtp_tls_security_level"
        yield _symptom(postfix, name, Severity.WARNING, why, f"{name} = may")
    if postfix.value("smtpd_forbid_bare_newline") == "no":
        why = "a bare line feed can smuggle a mail past all checks (CVE-2023-51764)"
        name = "smtpd_forbid_bare_newline"
        yield _symptom(postfix, name, Severity.WARNING, why, f"{name} = normalize")
