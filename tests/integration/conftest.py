"""Real programs around the real daemons. Missing programs are failures that name the package, never skips."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import pytest

from postwarden.sandbox import registered
from postwarden.sandbox.client import Dialogue, Outcome
from postwarden.sandbox.gateway import Gateway
from postwarden.sandbox.guard import Guard
from postwarden.sandbox.postfix import PostfixUnavailable, check_available

HERE = Path(__file__).parent
GREYLIST_DELAY = 1.0
"""Seconds; short enough to be waited for."""

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("integration")


@pytest.fixture(scope="session")
def real_postfix() -> None:
    """Fails unless a private Postfix can be run."""
    try:
        check_available()
    except PostfixUnavailable as reason:
        pytest.fail(f"{reason}. Integration tests need: apt-get install postfix; and root.", pytrace=False)


@pytest.fixture(scope="session")
def clamd_program() -> str:
    """Path of clamd."""
    path = shutil.which("clamd") or shutil.which("clamd", path="/usr/sbin")
    if path is None:
        pytest.fail("clamd is not installed: apt-get install clamav-daemon", pytrace=False)
    return path


@pytest.fixture(scope="session")
def guard():
    """Ends processes of tests, also if the test run is killed."""
    guard = Guard()
    yield guard
    guard.close()


@pytest.fixture
def mark() -> str:
    """A text that stands in no other mail."""
    return f"mark-{os.getpid()}-{next(_numbers)}-x"


class Outside:
    """The world in front of a gateway: other mail servers and users, at any address, by XCLIENT."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def mx(self, mail: bytes, recipient=f"eve@{registered.OPEN_DOMAIN}", **who: object) -> Outcome:
        """Send as another mail server; see :meth:`send`."""
        return self.send(self.gateway.ports.mx, mail, recipient, **who)

    def user(
        self, mail: bytes, recipient=f"carol@{registered.FOREIGN_DOMAIN}", over="lmtp", **who: object
    ) -> Outcome:
        """Send as an authenticated user; ``over`` says how the filter behind the queue is reached."""
        ports = self.gateway.ports
        port = ports.submission if over == "lmtp" else ports.submission_smtp
        return self.send(
            port, mail, recipient, **{"user": "ada", "sender": f"ada@{registered.DOMAIN}", **who}
        )

    def send(
        self,
        port: int,
        mail: bytes,
        recipient: object,
        client: str = registered.OUTSIDER,
        name: str = "[UNAVAILABLE]",
        sender: object = "alice@outside.example",
        helo: object = "client.example",
        user: str = "",
        parameters: str = "",
    ) -> Outcome:
        """One mail in one connection; ``recipient`` may be several."""
        recipients = recipient if isinstance(recipient, (list, tuple)) else [recipient]
        with Dialogue(port, helo, timeout=60.0) as dialogue:
            identity = {"addr": client, "name": name, "reverse_name": name}
            if user:
                identity["login"] = user
            assert dialogue.xclient(**identity).code == 220
            dialogue.hello()
            return dialogue.send(sender, recipients, mail, parameters)


@pytest.fixture(scope="session")
def gateway(real_postfix, tmp_path_factory):
    """The whole gateway, for tests that leave it as they found it."""
    settings = {"policyd": {"greylist": {"delay": f"{GREYLIST_DELAY:g}s"}}}
    with Gateway(tmp_path_factory.mktemp("gateway"), settings=settings) as gateway:
        gateway.start()
        yield gateway


@pytest.fixture
def outside(gateway) -> Outside:
    """Clients of the gateway."""
    return Outside(gateway)


@pytest.fixture(scope="session")
def outside_of():
    """Clients of any gateway: ``outside_of(gateway)``."""
    return Outside
