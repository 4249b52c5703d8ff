"""postgrey's allowlist files mean to policyd what they mean to postgrey: both are asked, in the same way.

First with the files of Debian's package, then with files that have every form of line that postgrey knows.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from policyd.greylist.allowlist import ClientList, RecipientList, read_lines
from postwarden.sandbox.gateway import Gateway
from postwarden.sandbox.ports import LOOPBACK, answers
from postwarden.sandbox.processes import Process

PROGRAM = "/usr/sbin/postgrey"
DEBIAN = (Path("/etc/postgrey/whitelist_clients"), Path("/etc/postgrey/whitelist_recipients"))
STRANGER = ("198.18.7.7", "unknown")
NOBODY = "nobody@nowhere.example"
CLIENTS = r"""
192.0.2.1           # one address
198.51.100          # three octets
203.0             # two octets, which postgrey takes for a /24
10.1.2.3/8          # host bits set
172.16.0.0/12
192.168.7.128/25
2001:db8::1
2001:db8:7:8::9/64
2001:db8:a000::/35
example.org
MX.Example.NET
_odd.example.com
/^mail\d+\.pool\.example$/
/[[:digit:]]+-dsl\./
/\bgateway\b/
/^(?:a|bc)d{2,3}\.example\.edu$/
/^(x+)\1\.twice\.example$/
/\Qdot.dot\E/
/plain/
"""
RECIPIENTS = r"""
postmaster@
Abuse@Example.org
list+help@example.org
example.net
.leading.example
deep.example.com
/^[^@]+-request@/
/^(?:info|sales)\+?.*@shop\.example$/
user@xn--bcher-kva.example
"""


@dataclass(frozen=True)
class Server:
    """A policy server that can be asked whether it lets somebody wait."""

    name: str
    port: int

    def spares(self, questions: list[tuple[str, str, str]]) -> list[bool]:
        """For each client address, client name and recipient, whether the mail need not wait."""
        with (
            socket.create_connection((LOOPBACK, self.port), 10.0) as connection,
            connection.makefile("rwb") as file,
        ):
            found = []
            for number, (address, name, recipient) in enumerate(questions):
                request = {
                    "request": "smtpd_access_policy",
                    "protocol_state": "RCPT",
                    "protocol_name": "ESMTP",
                    "client_address": address,
                    "client_name": name,
                    "reverse_client_name": name,
                    "helo_name": "client.example",
                    "sender": f"sender{number}@outside.example",
                    "recipient": recipient,
                    "instance": f"{self.name}.{number}",
                }
                file.write("".join(f"{key}={value}\n" for key, value in request.items()).encode() + b"\n")
                file.flush()
                answer = file.readline().decode()
                assert file.readline() == b"\n", answer
                word = answer.removeprefix("action=").split()[0]
                assert word in ("DUNNO", "DEFER_IF_PERMIT", "450", "PREPEND"), answer
                found.append(word in ("DUNNO", "PREPEND"))
            return found


@pytest.fixture(scope="module")
def start(guard, tmp_path_factory):
    """Starts postgrey and policyd with the same files."""
    if not Path(PROGRAM).exists():
        pytest.fail("postgrey is not installed: apt-get install postgrey", pytrace=False)
    with ExitStack() as stack:

        def start(clients: Path, recipients: Path) -> tuple[Server, Server]:
            settings = {
                "registry": None,
                "policyd": {
                    "greylist": {
                        "delay": "1h",
                        "clients": [str(clients)],
                        "recipients": [str(recipients)],
                        "exempt": [],
                        "auto_allow_after": 0,
                    }
                },
            }
            gateway = stack.enter_context(Gateway(tmp_path_factory.mktemp("lists"), settings=settings))
            gateway.write_config()
            gateway.start_policyd()
            database = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postwarden-postgrey-")))
            shutil.chown(database, "postgrey", "postgrey")
            # A port that this gateway reserved and has no use for.
            port = gateway.ports.mx
            command = [
                PROGRAM,
                f"--inet={LOOPBACK}:{port}",
                f"--dbdir={database}",
                "--delay=3600",
                f"--whitelist-clients={clients}",
                f"--whitelist-recipients={recipients}",
            ]
            postgrey = Process("postgrey", command, gateway.folder / "postgrey.log", guard)
            postgrey.start(lambda: answers(port))
            stack.callback(postgrey.stop)
            return Server("policyd", gateway.ports.policyd), Server("postgrey", port)

        yield start


@pytest.fixture(scope="module")
def debian(start):
    return start(*DEBIAN)


@pytest.fixture(scope="module")
def every_form(start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("forms")
    (folder / "clients").write_text(CLIENTS)
    (folder / "recipients").write_text(RECIPIENTS)
    return start(folder / "clients", folder / "recipients")


def words(pattern: str) -> Iterator[str]:
    """Some texts that a regular expression matches: every branch, repetitions few and many."""
    parse = re._parser.parse  # type: ignore[attr-defined] # nothing public takes a pattern apart
    for number in range(4):
        yield "".join(_word(parse(pattern), number))


def _word(tree: object, number: int) -> Iterator[str]:
    for operation, argument in tree:  # type: ignore[attr-defined]
        match str(operation):
            case "LITERAL":
                yield chr(argument)
            case "NOT_LITERAL" | "ANY":
                yield "n-.7"[number]
            case "IN":
                yield _member(argument, number)
            case "MAX_REPEAT" | "MIN_REPEAT":
                low, high, below = argument
                for _ in range(min(low + number, high)):
                    yield from _word(below, number)
            case "SUBPATTERN":
                yield from _word(argument[3], number)
            case "BRANCH":
                yield from _word(argument[1][number % len(argument[1])], number)


def _member(items: list, number: int) -> str:
    first, argument = items[number % len(items)]
    match str(first):
        case "LITERAL":
            return chr(argument)
        case "RANGE":
            return chr(min(argument[0] + number, argument[1]))
        case "NEGATE":
            return "z"
    return "0159"[number] if str(argument).endswith("DIGIT") else "a_7Z"[number]


def names_about(text: str) -> Iterator[str]:
    """A name of a list, names below it, and names that only look like it."""
    yield from (text, text.upper(), f"mx.{text}", f"a.b.c.{text}")
    yield from (f"x{text}", f"-{text}", f"{text}.evil.example", f"{text}x", text[:-1], text[1:])
    yield from (text.replace(".", "x", 1), text.partition(".")[2] or "org", f"{text}.", f".{text}")


def addresses_about(text: str) -> Iterator[str]:
    """The addresses at both ends of a network of a list, and those beyond them."""
    if re.fullmatch(r"\d+(\.\d+){1,2}", text):
        text += ".0" * (3 - text.count(".")) + "/24"
    network = ipaddress.ip_network(text, strict=False)
    first, last = int(network[0]), int(network[-1])
    for number in (first, first + 1, (first + last) // 2, last, first - 1, last + 1, last + 256):
        yield str(type(network[0])(number % 2**network.max_prefixlen))


def client_questions(path: Path) -> Iterator[tuple[str, str, str]]:
    for line in read_lines([str(path)]):
        if pattern := re.fullmatch(r"/(\S+)/", line.text):
            text = re.sub(r"\\([QE])", r"\1", pattern[1]).replace("[[:digit:]]", "[0-9]")
            found = list(words(text))
            for name in ("dot.dot", *found, *(near for word in found[:2] for near in names_about(word))):
                yield STRANGER[0], name, NOBODY
        elif re.fullmatch(r"[\d./]+|.*:.*:.*", line.text):
            for address in addresses_about(line.text):
                yield address, "unknown", NOBODY
        else:
            for name in names_about(line.text):
                yield STRANGER[0], name, NOBODY
    for name in ("unknown", "localhost", "client.example", "1-2-3-4.dsl.provider.example"):
        for address in ("198.18.0.1", "2001:db8:ffff::1", "::1", "255.255.255.255"):
            yield address, name, NOBODY


def recipient_questions(path: Path) -> Iterator[tuple[str, str, str]]:
    for line in read_lines([str(path)]):
        local, at, domain = line.text.partition("@")
        if pattern := re.fullmatch(r"/(\S+)/", line.text):
            recipients = list(words(pattern[1]))
        elif at:
            locals_ = (
                local,
                local.upper(),
                f"{local}+a",
                f"{local}+a+b",
                f"{local}+",
                f"{local}x",
                f"x{local}",
                "",
            )
            domains = (domain, domain.upper(), f"x.{domain}", f"x{domain}", "else.example", "")
            recipients = [f"{a}@{b}" for a, b in itertools.product(locals_, domains)]
        else:
            recipients = [f"{at}{name}" for at in ("a@", "") for name in names_about(local)]
        for recipient in recipients:
            yield *STRANGER, recipient
    for recipient in ("", "postmaster", "abuse", "a@b@example.net", '"a@b"@example.net', "a@example.net.x"):
        yield *STRANGER, recipient


def compare(servers: tuple[Server, Server], questions: list[tuple[str, str, str]], at_least: int) -> None:
    questions = list(dict.fromkeys(questions))
    ours, theirs = (server.spares(questions) for server in servers)
    differences = [
        f"{question}: policyd {'spares' if we else 'greylists'}, postgrey {'spares' if they else 'greylists'}"
        for question, we, they in zip(questions, ours, theirs, strict=True)
        if we != they
    ]
    assert not differences, "\n".join(differences)
    # A comparison in which nobody is ever spared, or everybody is, would show nothing.
    assert len(questions) >= at_least
    assert len(questions) * 0.9 > sum(ours) > len(questions) * 0.1


def test_debians_files_load_without_a_warning():
    assert ClientList(read_lines([str(DEBIAN[0])])).warnings == []
    assert RecipientList(read_lines([str(DEBIAN[1])])).warnings == []


def test_debians_clients_match_as_in_postgrey(debian):
    compare(debian, list(client_questions(DEBIAN[0])), 1500)


def test_debians_recipients_match_as_in_postgrey(debian):
    compare(debian, list(recipient_questions(DEBIAN[1])), 60)


def test_every_form_of_a_client_matches_as_in_postgrey(every_form, tmp_path):
    (tmp_path / "clients").write_text(CLIENTS)
    compare(every_form, list(client_questions(tmp_path / "clients")), 250)


def test_every_form_of_a_recipient_matches_as_in_postgrey(every_form, tmp_path):
    (tmp_path / "recipients").write_text(RECIPIENTS)
    compare(every_form, list(recipient_questions(tmp_path / "recipients")), 200)
