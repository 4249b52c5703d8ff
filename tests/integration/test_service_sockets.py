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
    from mailbase.inherited import inherited_sockets
    from mailbase.logs import Log
    from mailbase.config.places import ListenError
    from mailbase.service import Service

    class Echo(Protocol):
        def dataReceived(self, data):
            self.transport.write(data)

    async def drain():
        await deferLater(reactor, float(sys.argv[2]))

    log = Log("echo", scheduler=reactor)
    service = Service(reactor, log, drain=drain, reload=lambda: log.info("reloaded"), drain_timeout=5,
                      inherited=inherited_sockets())
    try:
        service.listen(sys.argv[1], Factory.forProtocol(Echo))
    except ListenError as error:
        sys.exit(str(error))
    service.run()
    """
)


class Daemon:
    """A daemon as a process, with its notifications.

    Arguments:
        program: what to run.
        inherited: descriptors that it finds as 3, 4 and so on.
    """

    def __init__(self, folder, program, inherited=(), environment=None):
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notices.settimeout(10)
        path = folder / "notify"
        path.unlink(missing_ok=True)
        self.notices.bind(str(path))
        if inherited:
            # As systemd does it: descriptors from 3 on, and LISTEN_PID is the daemon's own process number.
            moves = " ".join(f"{number}<&{fd}" for number, fd in enumerate(inherited, 3))
            program = ["bash", "-c", f'export LISTEN_PID=$$; exec "$@" {moves}', "bash", *program]
        self.process = subprocess.Popen(
            program,
            stderr=subprocess.PIPE,
            pass_fds=inherited,
            env={**os.environ, "NOTIFY_SOCKET": str(path), "PYTHONPATH": os.getcwd(), **(environment or {})},
        )

    def heard(self):
        return self.notices.recv(100).decode()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.notices.close()
        return self.process.stderr.read().decode()


def echo(family, address, words=b"hello"):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(address)
        client.sendall(words)
        return client.recv(100)


@pytest.fixture
def start(tmp_path):
    daemons = []

    def begin(address="", drain="0", program=None, **options):
        program = program or [sys.executable, "-c", DAEMON, address, drain]
        daemons.append(Daemon(tmp_path, program, **options))
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


def test_a_daemon_ends_whatever_became_of_its_socket(tmp_path, start):
    path = tmp_path / "echo.sock"
    for by in (None, "somebody else's"):
        daemon = start(f"unix:{path}")
        assert daemon.heard() == "READY=1"
        path.unlink()
        if by is not None:
            path.write_text(by)
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(10) == 0
        assert (path.read_text() if path.exists() else None) == by
    path.unlink()
    daemon = start(f"unix:{path}")
    assert daemon.heard() == "READY=1"
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(10) == 0
    assert not path.exists()


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
            inherited=(listener.fileno(),),
            environment={"LISTEN_FDS": "1", "LISTEN_FDNAMES": "policy"},
        )
        assert daemon.heard() == "READY=1"
        assert echo(socket.AF_INET, listener.getsockname()) == b"hello"


POLICYD = """
identity: {{hostname: mx.gateway.example}}
store: {{url: "sqlite:{folder}/policyd.sqlite"}}
policyd:
  listen: ["systemd:policy"]
  socketmap: "systemd:maps"
  control: {folder}/policyd.sock
  metrics: ""
"""
CONTENTFILTER = """
identity: {{hostname: mx.gateway.example}}
policyd: {{control: {folder}/policyd.sock}}
contentfilter:
  listeners:
    - {{listen: "systemd:smtp", protocol: smtp, reinject: "127.0.0.1:1"}}
    - {{listen: "systemd:lmtp", protocol: lmtp, reinject: "127.0.0.1:1"}}
  control: {folder}/contentfilter.sock
  metrics: ""
  spool: {{folder: {folder}}}
  quarantine: {{folder: {folder}/quarantine}}
"""


@pytest.mark.parametrize(
    ("name", "config", "names", "question", "answers"),
    [
        ("policyd", POLICYD, "policy:maps", b"request=smtpd_access_policy\n\n", (b"action=", b"")),
        # There is no Postfix behind it, so it tells that it is not ready.
        ("contentfilter", CONTENTFILTER, "smtp:lmtp", b"QUIT\r\n", (b"421 ", b"421 ")),
    ],
    ids=["policyd", "contentfilter"],
)
def test_both_daemons_take_the_sockets_that_their_units_name(
    tmp_path, start, name, config, names, question, answers
):
    # Parts of Twisted that a daemon loads take them out of the environment.
    (tmp_path / "quarantine").mkdir(mode=0o700)
    (tmp_path / "c.yaml").write_text(config.format(folder=tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        daemon = start(
            program=[sys.executable, "-m", name, "serve", "--config", str(tmp_path / "c.yaml")],
            inherited=(first.fileno(), second.fileno()),
            environment={"LISTEN_FDS": "2", "LISTEN_FDNAMES": names},
        )
        assert daemon.heard() == "READY=1"
        for listener, answer in zip((first, second), answers, strict=True):
            assert echo(socket.AF_INET, listener.getsockname(), question).startswith(answer)


def test_a_unix_socket_from_systemd_stays_when_the_daemon_ends(tmp_path, start):
    path = tmp_path / "policy"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        daemon = start(
            "systemd:policy",
            inherited=(listener.fileno(),),
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


def test_a_socket_that_is_taken_says_so_too(tmp_path, start):
    first = start(f"unix:{tmp_path}/echo.sock")
    assert first.heard() == "READY=1"
    second = start(f"unix:{tmp_path}/echo.sock")
    assert second.process.wait(10) == 1
    assert "ss -lxp" in second.end()
