"""Both daemons restarted under load, with sockets that stay open as systemd's do: nobody hears of it."""

from __future__ import annotations

import collections
import os
import socket
import subprocess
import threading
from dataclasses import replace

import pytest

from postwarden.demo import samples
from postwarden.sandbox.client import ConnectionLost, Dialogue
from postwarden.sandbox.gateway import Gateway
from postwarden.sandbox.ports import LOOPBACK
from postwarden.sandbox.processes import Process
from postwarden.sandbox.waiting import wait_until


class Handed(Process):
    """A daemon that finds its sockets open.

    Arguments:
        sockets: by the name that a socket unit gives them.
    """

    sockets: dict[str, socket.socket]

    def start(self, ready, within=60.0):
        descriptors = [one.fileno() for one in self.sockets.values()]
        # As systemd does it: descriptors from 3 on, and LISTEN_PID is the daemon's own process number.
        moves = " ".join(f"{number}<&{fd}" for number, fd in enumerate(descriptors, 3))
        command = ["bash", "-c", f'export LISTEN_PID=$$; exec "$@" {moves}', "bash", *self.command]
        names = ":".join(self.sockets)
        with self.log.open("ab") as output:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "LISTEN_FDS": str(len(descriptors)), "LISTEN_FDNAMES": names},
                pass_fds=descriptors,
                start_new_session=True,
            )
        self._guard.watch("pid", self.pid)
        wait_until(ready, within, f"{self.name} is ready", self.tail)


class SocketUnits(Gateway):
    """A gateway whose sockets are opened by somebody else, and stay open."""

    def __post_init__(self):
        self.held = {
            name: socket.create_server((LOOPBACK, 0), backlog=1024) for name in ("policy", "maps", "smtp")
        }
        super().__post_init__()
        smtp = {
            "listen": "systemd:smtp",
            "protocol": "smtp",
            "reinject": f"{LOOPBACK}:{self.ports.reinject_before}",
        }
        self.settings = {
            "policyd": {"listen": ["systemd:policy"], "socketmap": "systemd:maps"},
            "contentfilter": {"listeners": [smtp]},
        }

    def _daemon(self, name):
        usual = super()._daemon(name)
        process = Handed(usual.name, usual.command, usual.log, self.guard)
        names = ("smtp",) if name == "contentfilter" else ("policy", "maps")
        process.sockets = {one: self.held[one] for one in names}
        return process

    def _private_postfix(self, rewired):
        policy, maps, smtp = (self.held[name].getsockname()[1] for name in ("policy", "maps", "smtp"))
        self.ports = replace(self.ports, policyd=policy, socketmap=maps, before=smtp)
        return super()._private_postfix(rewired)

    def close(self):
        super().close()
        for one in self.held.values():
            one.close()


class Load:
    """Some clients that send one mail after the other."""

    def __init__(self, gateway, clients=3):
        self.gateway = gateway
        self.told = collections.Counter()
        self.taken = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _send(self, client):
        number = 0
        while not self._over.is_set():
            number += 1
            mark = f"restart-{client}-{number}-x"
            try:
                with Dialogue(self.gateway.ports.mx, timeout=100.0) as dialogue:
                    dialogue.xclient(addr="198.51.100.25")
                    dialogue.hello()
                    outcome = dialogue.send("alice@outside.example", ["eve@open.example"], samples.mail(mark))
            except ConnectionLost as error:
                self.told[str(error)] += 1
                continue
            self.told[f"{outcome.stage} {outcome.code}"] += 1
            if outcome.code == 250:
                self.taken.append(mark)


@pytest.fixture
def gateway(real_postfix, tmp_path):
    with SocketUnits(tmp_path / "gateway") as gateway:
        gateway.start()
        yield gateway


def test_nobody_hears_of_a_restart_and_no_mail_is_lost_or_comes_twice(gateway):
    with Load(gateway) as load:
        for name in ("contentfilter", "policyd", "contentfilter"):
            sent = len(load.taken)
            wait_until(lambda: len(load.taken) > sent + 20, 30.0, "mail flows")  # noqa: B023
            getattr(gateway, name).stop()
            getattr(gateway, f"start_{name}")()
        sent = len(load.taken)
        wait_until(lambda: len(load.taken) > sent + 20, 30.0, "mail flows again")
    assert set(load.told) == {"END 250"}
    wait_until(lambda: gateway.sink.find(load.taken[-1].encode()), 10.0, "the last one arrives")
    assert {len(gateway.sink.find(mark.encode())) for mark in load.taken} == {1}
