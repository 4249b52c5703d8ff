"""Whether the daemons answer, and can decide."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator

from mailbase.config import Settings
from mailbase.config.places import Tcp, parse_place
from postwarden.doctor.symptom import Check, Symptom
from postwarden.registry.check.finding import Severity

TIMEOUT = 5.0
Fetch = Callable[[str, int], "tuple[int, str]"]
"""Status and text of ``/readyz`` at a host and port; OSError if nobody answers."""


def fetch(host: str, port: int) -> tuple[int, str]:
    """See :data:`Fetch`."""
    connection = http.client.HTTPConnection(host or "127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, answer.read(1000).decode("utf-8", "replace").strip()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


def judge(settings: Settings, fetch: Fetch = fetch) -> Iterator[Symptom]:
    """What is wrong with the daemons; one whose metrics are off is not asked."""
    for name, text in (
        ("policyd", settings.policyd.metrics),
        ("contentfilter", settings.contentfilter.metrics),
    ):
        place = parse_place(text) if text else None
        if not isinstance(place, Tcp):
            continue
        change = f'"systemctl status {name}" and its log say why'
        try:
            status, said = fetch(place.host, place.port)
        except OSError as error:
            found = f"does not answer at {text}: {error.strerror or error}"
            yield Symptom(name, Check.DAEMON, Severity.ERROR, found, change)
            continue
        if status != 200:
            found = f"cannot decide: {said or status}"
            yield Symptom(name, Check.DAEMON, Severity.ERROR, found, change)
