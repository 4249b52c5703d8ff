"""A whole gateway on loopback: Postfix, policyd, contentfilter and a sink, laid out in one folder."""

from __future__ import annotations

import http.client
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from postwarden.sandbox import registered
from postwarden.sandbox.guard import MARK, Guard, remove_tree
from postwarden.sandbox.ports import LOOPBACK, PortReservation
from postwarden.sandbox.postfix import PrivatePostfix
from postwarden.sandbox.processes import Process
from postwarden.sandbox.sink import Sink
from postwarden.sandbox.wiring import (
    GatewayPorts,
    gateway_main,
    gateway_services,
    sender_main,
    sender_services,
)

HOSTNAME = "mx.gateway.example"
MAX_SOCKET_PATH = 100
"""The kernel's limit for a UNIX socket's path is 107 octets."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which ports to use; 0 lets the kernel choose.

    ``filter_before`` and ``reinject_before`` may be given to put a tap between Postfix and contentfilter, or
    between contentfilter and Postfix.
    """

    mx: int = 0
    submission: int = 0
    submission_smtp: int = 0
    reinject_before: int = 0
    reinject_after: int = 0
    policyd: int = 0
    socketmap: int = 0
    policyd_metrics: int = 0
    before: int = 0
    after_lmtp: int = 0
    after_smtp: int = 0
    filter_metrics: int = 0
    sink: int = 0


FIXED = Plan(20025, 20587, 20588, 10025, 10028, 10023, 10027, 9323, 10024, 10026, 10029, 9324, 20099)
"""The ports of the documentation, for ``make run``."""


@dataclass(slots=True)
class Rewired:
    """Ports that Postfix or contentfilter should use instead of the real ones: taps.

    Arguments:
        before: what Postfix takes for the before-queue filter.
        after_lmtp: likewise, after-queue over LMTP.
        after_smtp: likewise, after-queue over SMTP.
        reinject_before: what contentfilter takes for the reinjection port of the before-queue wiring.
        reinject_after: likewise, after-queue.
    """

    before: int = 0
    after_lmtp: int = 0
    after_smtp: int = 0
    reinject_before: int = 0
    reinject_after: int = 0


@dataclass(slots=True)
class Gateway:
    """Everything together; use :func:`Gateway.close` or a ``with`` block to end it.

    Arguments:
        folder: for configuration, state and logs; made if missing.
        plan: ports.
        settings: merged over the generated configuration, section by section.
        registry: content of the registry file.
        postfix_link: symbolic link to make to the private Postfix's folder.
        postfix_main: main.cf parameters over those of the wiring.
        concurrency: connections that Postfix handles at once on each of its ports.
        policy_timeout: seconds that Postfix waits for policyd.
        live_registry: Postfix asks policyd what is registered; else main.cf names the served domains, so that
            they are served without policyd too.
        milter: Postfix asks contentfilter as a milter before the queue, and not as a proxy.
        pieces: makes main.cf parameters and master.cf lines in place of the sandbox's own wiring.
    """

    folder: Path
    plan: Plan = Plan()
    settings: Mapping[str, Any] = field(default_factory=dict)
    registry: Mapping[str, Any] = field(default_factory=registered.registry)
    postfix_link: Path | None = None
    postfix_main: Mapping[str, str] = field(default_factory=dict)
    concurrency: int = 60
    policy_timeout: int = 10
    live_registry: bool = True
    milter: bool = False
    pieces: Callable[[GatewayPorts], tuple[dict[str, str], list[str]]] | None = None
    guard: Guard = field(init=False)
    ports: Plan = field(init=False)
    sink: Sink = field(init=False)
    policyd: Process = field(init=False)
    contentfilter: Process = field(init=False)
    postfix: PrivatePostfix | None = field(init=False, default=None)
    config: Path = field(init=False)
    quarantine: Path = field(init=False)
    _reservation: PortReservation = field(init=False)
    _sockets: Path = field(init=False)
    _senders: list[PrivatePostfix] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.folder = self.folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._reservation = PortReservation()
        try:
            self.ports = Plan(
                **{name: self._reservation.take(getattr(self.plan, name)) for name in Plan.__slots__}
            )
            self.sink = Sink(self.ports.sink)
        except OSError:
            self._reservation.close()
            raise
        self.guard = Guard()
        self._sockets = self.folder
        if len(str(self.folder)) > MAX_SOCKET_PATH - len("/contentfilter.sock"):
            self._sockets = Path(tempfile.mkdtemp(prefix="postwarden-sockets-"))
            (self._sockets / MARK).touch()
            self.guard.watch("tree", self._sockets)
        self.quarantine = self.folder / "quarantine"
        self.config = self.folder / "postwarden.yaml"
        self.policyd = self._daemon("policyd")
        self.contentfilter = self._daemon("contentfilter")

    def write_config(self, rewired: Rewired | None = None) -> None:
        """Write configuration and registry."""
        rewired = rewired or Rewired()
        ports = self.ports
        before = f"{LOOPBACK}:{rewired.reinject_before or ports.reinject_before}"
        after = f"{LOOPBACK}:{rewired.reinject_after or ports.reinject_after}"
        listeners = [
            {
                "listen": f"{LOOPBACK}:{ports.before}",
                "protocol": "milter" if self.milter else "smtp",
                "reinject": before,
            },
            {
                "listen": f"{LOOPBACK}:{ports.after_lmtp}",
                "protocol": "lmtp",
                "reinject": after,
                "flow": "submission",
            },
            {
                "listen": f"{LOOPBACK}:{ports.after_smtp}",
                "protocol": "smtp",
                "reinject": after,
                "flow": "submission",
            },
        ]
        spool = self.folder / "spool"
        for path in (spool, self.quarantine):
            path.mkdir(mode=0o700, exist_ok=True)
        config: dict[str, Any] = {
            "identity": {"hostname": HOSTNAME},
            # Nobody answers there, and says so at once: a private gateway asks no server of the world.
            "dns": {"servers": [f"{LOOPBACK}:9"]},
            "store": {"url": f"sqlite:{self.folder / 'policyd.sqlite'}"},
            "statistics": {"model": str(self.folder / "statistics.model")},
            "registry": str(self.folder / "registry.yaml"),
            "policyd": {
                "listen": [f"{LOOPBACK}:{ports.policyd}"],
                "socketmap": f"{LOOPBACK}:{ports.socketmap}",
                "control": str(self._sockets / "policyd.sock"),
                "metrics": f"{LOOPBACK}:{ports.policyd_metrics}",
                # Beside the store, also where a test keeps that elsewhere.
                "journal": {"path": str(self.folder / "journal.sqlite")},
            },
            "contentfilter": {
                "listeners": listeners,
                "control": str(self._sockets / "contentfilter.sock"),
                "metrics": f"{LOOPBACK}:{ports.filter_metrics}",
                "spool": {"folder": str(spool)},
                # A try-out and a test have little mail, and want to start quickly.
                "workers": {"count": 2},
                "quarantine": {"folder": str(self.quarantine)},
                # What this machine's own gateway allows, and its rules, are not for this one.
                "allowed_macros": str(self.folder / "allowed-macros.json"),
                "rules": {"file": str(self.folder / "rules.yaml")},
            },
        }
        (self.folder / "registry.yaml").write_text(yaml.safe_dump(dict(self.registry), sort_keys=False))
        self.config.write_text(yaml.safe_dump(_merged(config, self.settings), sort_keys=False))

    def start(
        self,
        rewired: Rewired | None = None,
        with_postfix: bool = True,
        progress: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Write the configuration and start everything; returns when all of it answers.

        Raises:
            ProcessDied, DeadlineMissed, PostfixFailed: something does not come up; nothing keeps running.
            PostfixUnavailable: no private Postfix can be run here.
        """
        try:
            self.write_config(rewired)
            starts: list[tuple[str, Callable[[], None]]] = [
                ("policyd", self.start_policyd),
                ("contentfilter", self.start_contentfilter),
            ]
            if with_postfix:
                self.postfix = self._private_postfix(rewired or Rewired())
                starts.append(("Postfix", self.postfix.start))
            with ThreadPoolExecutor(len(starts)) as pool:
                running = [(name, pool.submit(start)) for name, start in starts]
                for name, future in running:
                    future.result()
                    progress(name)
        except BaseException:
            self.close()
            raise

    def start_policyd(self) -> None:
        """Start (or restart after its end) the policy daemon."""
        self.policyd.start(lambda: ready(self.ports.policyd_metrics))

    def start_contentfilter(self, until: str = "/readyz") -> None:
        """Start (or restart after its end) the content filter.

        Arguments:
            until: health resource that must answer; it is not ready while a reinjection port is missing.
        """
        # Its workers load many libraries; beside other programs on few processors that takes its time.
        self.contentfilter.start(lambda: ready(self.ports.filter_metrics, until), within=60.0)

    def queueing_sender(self, name: str, next_hop: int, address: str) -> tuple[PrivatePostfix, int]:
        """Start a second Postfix that keeps mail until the gateway takes it.

        Arguments:
            name: short.
            next_hop: port that it sends to.
            address: loopback address it comes from.

        Returns:
            The instance, and the port where it takes mail.
        """
        port = self._reservation.take()
        sender = PrivatePostfix(
            name,
            sender_main(next_hop, f"{name}.sender.example", address, self.concurrency),
            sender_services(port),
            [port],
            self.guard,
        )
        self._senders.append(sender)
        sender.start()
        return sender, port

    def close(self) -> None:
        """End everything that was started; configuration, state and logs stay in the folder."""
        for instance in (*self._senders, *filter(None, [self.postfix])):
            instance.remove()
        self.policyd.stop()
        self.contentfilter.stop()
        self.sink.close()
        if self._sockets != self.folder:
            remove_tree(self._sockets)
        self.guard.close()
        self._reservation.close()

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _daemon(self, name: str) -> Process:
        command = [sys.executable, "-m", name, "serve", "--config", str(self.config)]
        return Process(name, command, self.folder / f"{name}.log", self.guard)

    def _private_postfix(self, rewired: Rewired) -> PrivatePostfix:
        ports = self.ports
        wires = GatewayPorts(
            mx=ports.mx,
            submission=ports.submission,
            submission_smtp=ports.submission_smtp,
            reinject_before=ports.reinject_before,
            reinject_after=ports.reinject_after,
            policy=ports.policyd,
            before=rewired.before or ports.before,
            after_lmtp=rewired.after_lmtp or ports.after_lmtp,
            after_smtp=rewired.after_smtp or ports.after_smtp,
            next_hop=self.sink.port,
            socketmap=ports.socketmap if self.live_registry else 0,
            milter=self.milter,
        )
        domains = registered.served(self.registry)
        listening = [
            ports.mx,
            ports.submission,
            ports.submission_smtp,
            ports.reinject_before,
            ports.reinject_after,
        ]
        if self.pieces is None:
            main = gateway_main(wires, HOSTNAME, domains, self.policy_timeout)
            services = gateway_services(wires, self.concurrency)
        else:
            main, services = self.pieces(wires)
            listening = [port for port in listening if any(f":{port} " in line for line in services)]
        return PrivatePostfix(
            "gateway",
            {**main, **self.postfix_main},
            services,
            listening,
            self.guard,
            self.postfix_link,
        )


def ready(port: int, resource: str = "/readyz") -> bool:
    """Whether a daemon says that it can decide (``/readyz``) or is alive (``/healthz``)."""
    try:
        return fetch(port, resource)[0] == 200
    except OSError:
        return False


def fetch(port: int, path: str) -> tuple[int, str]:
    """Status and body of an HTTP GET on loopback.

    Raises:
        OSError: no answer.
    """
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5.0)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


def metric(port: int, name: str) -> float:
    """Sum of a metric's samples at a daemon's ``/metrics``; ``name`` may hold label text as it is printed."""
    return sum(
        float(line.rpartition(" ")[2])
        for line in fetch(port, "/metrics")[1].splitlines()
        if line.startswith(name)
    )


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged
