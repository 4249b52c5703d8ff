"""Whether master.cf and contentfilter lead to each other. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from mailbase.config import Settings
from mailbase.config.contentfilter import ListenerSettings
from mailbase.config.places import Tcp, parse_place
from postwarden.doctor.postfix import (
    ANY,
    LOCAL,
    Postfix,
    Service,
    filter_place,
    leads_to,
    port_number,
    reaches,
)
from postwarden.doctor.symptom import Check, Symptom
from postwarden.registry.check.finding import Severity

FILTERS = ("smtpd_proxy_filter", "content_filter", "smtpd_milters")
_EXAMPLE = "the lines of examples/postfix/master.cf"


def judge(postfix: Postfix, settings: Settings) -> Iterator[Symptom]:
    """What is to be changed in master.cf."""
    listeners = settings.contentfilter.listeners
    used = [one for one in listeners if _is_used(postfix, one)]
    if not used:
        places = ", ".join(one.listen for one in listeners)
        found = f"nothing in Postfix leads to contentfilter ({places}): no mail is looked at"
        yield Symptom("contentfilter", Check.WIRING, Severity.ERROR, found, _EXAMPLE)
    else:
        for one in listeners:
            if one not in used:
                found = f"nothing in Postfix leads to contentfilter at {one.listen}"
                change = f"{_EXAMPLE}, or delete the listener"
                yield Symptom(one.listen, Check.WIRING, Severity.WARNING, found, change)
    for place in dict.fromkeys(one.reinject for one in listeners if one.protocol != "milter"):
        yield from _way_back(postfix, settings, place)


def _is_used(postfix: Postfix, listener: ListenerSettings) -> bool:
    return any(
        _leads(name, text, listener.listen) for name in FILTERS for text in postfix.values(name) if text
    )


def _leads(name: str, text: str, place: str) -> bool:
    if name == "content_filter":
        text = filter_place(text)
    return any(leads_to(one.strip("{} "), place) for one in text.replace(",", " ").split() if one)


def _way_back(postfix: Postfix, settings: Settings, place: str) -> Iterator[Symptom]:
    """The port where mail comes back."""
    ours = parse_place(place)
    if not isinstance(ours, Tcp):
        return
    service = next((one for one in postfix.services if _listens(one, ours)), None)
    if service is None:
        if ours.host not in LOCAL:
            # It may be another machine's.
            return
        found = f"master.cf has no smtpd at {place}, where contentfilter hands mail back: all mail waits"
        yield Symptom(place, Check.WIRING, Severity.ERROR, found, _EXAMPLE)
        return
    for name in FILTERS:
        if name == "smtpd_milters" and "no_milters" in postfix.value("receive_override_options", service):
            continue
        text = postfix.value(name, service)
        if text and any(_leads(name, text, one.listen) for one in settings.contentfilter.listeners):
            found = f"{name} = {text} there: mail goes round in circles"
            yield Symptom(place, Check.WIRING, Severity.ERROR, found, f"-o {name}=")
    size, least = postfix.value("message_size_limit", service), settings.contentfilter.message_size_limit
    if size.isdigit() and 0 < int(size) <= least:
        found = f"message_size_limit = {size} there: mail that contentfilter took is refused at the very end"
        change = f"-o message_size_limit={least + (2 << 20)}"
        yield Symptom(place, Check.WIRING, Severity.WARNING, found, change)


def _listens(service: Service, place: Tcp) -> bool:
    if service.type != "inet" or service.command != "smtpd":
        return False
    host, _, port = service.name.rpartition(":")
    if host in ANY and place.host not in LOCAL:
        # As likely another machine's.
        return False
    return port_number(port) == place.port and reaches(place.host, host)
