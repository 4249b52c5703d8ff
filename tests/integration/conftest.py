"""Real programs around the real daemons. Missing programs are failures that name the package, never skips."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, succeed

from mailbase.store import Row, TableSpec
from mailbase.store.redis.script import Script
from postwarden.sandbox import registered
from postwarden.sandbox.client import Dialogue, Outcome
from postwarden.sandbox.gateway import Gateway
from postwarden.sandbox.guard import Guard
from postwarden.sandbox.postfix import PostfixUnavailable, check_available
from postwarden.sandbox.redis import Asking, Redis, RedisUnavailable

HERE = Path(__file__).parent
ALONE = frozenset(
    f"test_{name}.py"
    for name in (
        "bombs",
        "clamd",
        "contentfilter_daemon",
        "deadline",
        "kill",
        "policyd_faults",
        "worker_pool",
    )
)
"""Tests that mind the clock, or take all that the machine has: they run one by one."""
LONG = (
    "test_demo.py",
    "test_replay.py",
    "test_learning.py",
    "test_outage.py",
    "test_recipients.py",
    "test_callout.py",
)
"""Files that take longest: they come first, so that no processor waits for one of them at the end."""
GREYLIST_DELAY = 1.0
"""Seconds; short enough to be waited for."""

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("integration")
            if item.path.name in ALONE:
                item.add_marker("alone")


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


@pytest.fixture(scope="session")
def make_redis(guard, tmp_path_factory):
    """Starts Redis servers: ``make_redis(options, sentinel=…, tls=…)``; they end with the tests."""
    made: list[Redis] = []

    def make(options: Mapping[str, str] | None = None, **kind: bool) -> Redis:
        try:
            made.append(Redis(tmp_path_factory.mktemp("redis"), guard, options, **kind))
        except RedisUnavailable as reason:
            pytest.fail(str(reason), pytrace=False)
        made[-1].start()
        return made[-1]

    yield make
    for redis in made:
        redis.close()


@pytest.fixture(scope="session")
def redis(make_redis) -> Redis:
    """A server for tests that use keys of their own."""
    return make_redis()


class PlainTable:
    """What a :class:`mailbase.store.Table` is to those who use it, without file."""

    def __init__(self, spec: TableSpec) -> None:
        self.rows: dict[bytes, Row] = {}
        self._hot = spec.hot
        self._amended = spec.amended_columns

    def get(self, key: bytes, now: float) -> Row | None:
        row = self.rows.get(key)
        return None if row is None or row[-1] <= now else (*row[: self._hot], row[-1])

    def put(self, key: bytes, row: Row, keep: bool = True) -> None:
        self.rows[key] = row

    def amend(self, key: bytes, values: Row) -> None:
        if (row := self.rows.get(key)) is not None:
            places = self._amended
            self.rows[key] = row[: places.start] + values[:-1] + row[places.stop : -1] + values[-1:]

    def delete(self, key: bytes) -> None:
        self.rows.pop(key, None)

    def is_empty(self) -> bool:
        return not self.rows

    def scan(self, now: float) -> Iterator[tuple[bytes, Row]]:
        return ((key, row) for key, row in self.rows.items() if row[-1] > now)


@pytest.fixture(scope="session")
def plain_table():
    """Makes tables in memory: ``plain_table(spec)``."""
    return PlainTable


class Blocking:
    """What the scripts need of :class:`mailbase.store.redis.client.RedisClient`, without reactor."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def call(self, *words: object) -> Deferred:
        return succeed(self._asking.ask(*words))

    def run(self, script: Script, keys: Sequence[bytes], args: Sequence[object]) -> Deferred:
        return self.call("EVAL", script.source, len(keys), *keys, *args)

    def ask(self, script: Script, keys: int, words: Sequence[bytes]) -> Deferred:
        plain = [word.partition(b"\r\n")[2][:-2] for word in words]
        return self.run(script, plain[:keys], plain[keys:])


@pytest.fixture(scope="session")
def blocking_redis(redis):
    """A client whose answers are there at once, in a database of its own."""
    with Asking(redis.port) as asking:
        asking.ask("SELECT", 5)
        yield Blocking(asking)


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
