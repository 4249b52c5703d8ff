"""The life cycle with real sockets, signals and a stand-in for systemd."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.integration

DAEMON = textwrap.dedent(
    """
    import sys
    from twisted.internet import reactor
    from twisted.internet.protocol import Factory, Protocol
    from twisted.internet.task import deferLater
    from mailbase.logs import Log
    from mailbase.config.places import ListenError
    from mailbase.service import Service

    class Echo(Protocol):
        def dataReceived(self, data):
            self.transport.write(data)

    async def drain():
        await deferLater(reactor, float(sys.argv[2]))

    log = Log("echo", scheduler=reactor)
    service = Service(reactor, log, drain=drain, reload=lambda: log.info("reloaded"), drain_timeout=5)
    try:
        service.listen(sys.argv[1], Factory.forProtocol(Echo))
    except ListenError as error:
        sys.exit(str(error))
    service.run()
    """
)


class Daemon:
    """The echo daemon above as a process, with its notifications."""

    def __init__(self, folder, address, drain="0", inherited=None, environment=None):
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notices.settimeout(10)
        path = folder / "notify"
        path.unlink(missing_ok=True)
        self.notices.bind(str(path))
        program = [sys.executable, "-c", DAEMON, address, drain]
        if inherited is not None:
            # As systemd does it: descriptor 3, and LISTEN_PID is the daemon's own process number.
            shell = f'export LISTEN_PID=$$; exec "$@" 3<&{inherited}'
            program = ["bash", "-c", shell, "bash", *program]
        self.process = subprocess.Popen(
            program,
            stderr=subprocess.PIPE,
            pass_fds=() if inherited is None else (inherited,),
            env={**os.environ, "NOTIFY_SOCKET": str(path), "PYTHONPATH": os.getcwd(), **(environment or {})},
        )

    def heard(self):
        return self.notices.recv(100).decode()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.notices.close()
        return self.process.stderr.read().decode()


def echo(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(address)
        client.sendall(b"hello")
        return client.recv(100)


@pytest.fixture
def start(tmp_path):
    daemons = []

    def begin(*arguments, **options):
        daemons.append(Daemon(tmp_path, *arguments, **options))
        return daemons[-1]

    yield begin
    for daemon in daemons:
        daemon.end()


def test_a_socket_left_by_a_killed_daemon_is_replaced_and_a_living_one_is_not(tmp_path, start):
    path = tmp_path / "echo.sock"
    first = start(f"unix:{path}")
    assert first.heard() == "READY=1"
    assert path.stat().st_mode & 0o777 == 0o660
    second = start(f"unix:{path}")
    assert second.process.wait(10) == 1
    assert "another daemon answers there" in second.end()
    assert echo(socket.AF_UNIX, str(path)) == b"hello"
    first.end()
    assert path.exists()
    assert start(f"unix:{path}").heard() == "READY=1"
    assert echo(socket.AF_UNIX, str(path)) == b"hello"


def test_a_file_that_is_no_socket_is_left_alone(tmp_path, start):
    path = tmp_path / "precious"
    path.write_text("data")
    daemon = start(f"unix:{path}")
    assert daemon.process.wait(10) == 1
    assert "is no socket" in daemon.end()
    assert path.read_text() == "data"


def test_a_socket_from_systemd_is_taken_by_its_name(start):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        daemon = start(
            "systemd:policy",
            inherited=listener.fileno(),
            environment={"LISTEN_FDS": "1", "LISTEN_FDNAMES": "policy"},
        )
        assert daemon.heard() == "READY=1"
        assert echo(socket.AF_INET, listener.getsockname()) == b"hello"


def test_a_unix_socket_from_systemd_stays_when_the_daemon_ends(tmp_path, start):
    path = tmp_path / "policy"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        daemon = start(
            "systemd:policy",
            inherited=listener.fileno(),
            environment={"LISTEN_FDS": "1", "LISTEN_FDNAMES": "policy"},
        )
        assert daemon.heard() == "READY=1"
        assert echo(socket.AF_UNIX, str(path)) == b"hello"
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(10) == 0
        assert path.exists()


def test_a_socket_that_systemd_did_not_hand_over_is_named(start):
    daemon = start("systemd:policy")
    assert daemon.process.wait(10) == 1
    assert "FileDescriptorName=policy" in daemon.end()


def test_hangup_reloads_and_terminate_drains_before_it_ends(tmp_path, start):
    daemon = start(f"unix:{tmp_path}/echo.sock", drain="0.3")
    assert daemon.heard() == "READY=1"
    daemon.process.send_signal(signal.SIGHUP)
    assert daemon.heard() == "RELOADING=1"
    assert daemon.heard() == "READY=1"
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.heard() == "STOPPING=1"
    assert daemon.process.wait(10) == 0
    log = daemon.end()
    assert "event=reloaded" in log
    assert "event=stopped" in log
    assert "drain-timed-out" not in log


def test_the_watchdog_hears_of_a_living_daemon_and_not_of_one_that_stands_still(start):
    daemon = start("127.0.0.1:0", environment={"WATCHDOG_USEC": "200000"})
    assert [daemon.heard() for _ in range(4)] == ["READY=1", *["WATCHDOG=1"] * 3]
    daemon.process.send_signal(signal.SIGSTOP)
    daemon.notices.settimeout(0.5)
    # What was on its way when it was stopped may still come.
    with pytest.raises(TimeoutError):
        assert not [daemon.heard() for _ in range(3)]
    daemon.process.send_signal(signal.SIGCONT)
    daemon.notices.settimeout(10)
    assert daemon.heard() == "WATCHDOG=1"


@pytest.mark.parametrize(
    "environment", [{"WATCHDOG_USEC": "200000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {}]
)
def test_nobody_is_told_who_did_not_ask(start, environment):
    daemon = start("127.0.0.1:0", environment=environment)
    assert daemon.heard() == "READY=1"
    daemon.notices.settimeout(0.3)
    with pytest.raises(TimeoutError):
        daemon.heard()


def test_a_drain_that_hangs_is_bounded_by_a_second_signal(tmp_path, start):
    daemon = start(f"unix:{tmp_path}/echo.sock", drain="60")
    assert daemon.heard() == "READY=1"
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.heard() == "STOPPING=1"
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(10) == 0


def test_an_address_that_is_taken_says_how_to_find_the_holder(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        daemon = start(f"127.0.0.1:{taken.getsockname()[1]}")
        assert daemon.process.wait(10) == 1
        assert "ss -ltnp" in daemon.end()
