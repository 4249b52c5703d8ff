"""The examples for Postfix, run by a real Postfix with no more changed than ports, paths and TLS."""

from __future__ import annotations

import base64
import re
import socketserver
import tempfile
import threading
from pathlib import Path

import pytest

from postwarden.demo import samples
from postwarden.sandbox import registered
from postwarden.sandbox.client import Dialogue
from postwarden.sandbox.gateway import Gateway
from postwarden.sandbox.ports import LOOPBACK

EXAMPLES = Path(__file__).parents[2] / "examples" / "postfix"


class SaslServer(socketserver.ThreadingUnixStreamServer):
    """Dovecot's side of the authentication protocol, just enough for AUTH PLAIN with any password."""

    daemon_threads = True

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t00\nDONE\n")
            for line in self.rfile:
                words = line.rstrip(b"\n").split(b"\t")
                if words[0] == b"AUTH":
                    (response,) = [word[5:] for word in words if word.startswith(b"resp=")]
                    user = base64.b64decode(response).split(b"\0")[1]
                    self.wfile.write(b"OK\t" + words[1] + b"\tuser=" + user + b"\n")

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), self.Handler)
        path.chmod(0o666)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def parameters(text: str) -> dict[str, str]:
    """main.cf as a mapping (postconf(5): lines that begin with a blank continue the one before)."""
    logical = re.sub(r"\n[ \t]+", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    pairs = (line.split("=", 1) for line in logical.splitlines() if line.strip())
    return {name.strip(): value.strip() for name, value in pairs}


def pieces(sasl: Path):
    def make(wires):
        ports = {
            "10023": wires.policy,
            "10024": wires.before,
            "10025": wires.reinject_before,
            "10026": wires.after_lmtp,
            "10027": wires.socketmap,
            "10028": wires.reinject_after,
            "10029": wires.after_smtp,
        }

        def moved(text: str) -> str:
            return re.sub(
                "|".join(rf"\b{port}\b" for port in ports), lambda found: str(ports[found[0]]), text
            )

        main = parameters(moved((EXAMPLES / "main.cf").read_text()))
        sink = f"smtp:[{LOOPBACK}]:{wires.next_hop}"
        # Only what cannot be had on a test machine.
        main |= {
            "transport_maps": f"pipemap:{{{main['transport_maps']}, static:{sink}}}",
            "smtpd_tls_chain_files": "",
            "smtpd_tls_security_level": "none",
            "smtpd_sasl_path": str(sasl),
            "default_transport": sink,
            "relay_transport": sink,
            "smtpd_authorized_xclient_hosts": "127.0.0.0/8",
        }
        master = moved((EXAMPLES / "master.cf").read_text())
        master = re.sub(r"^smtp +inet", f"{LOOPBACK}:{wires.mx} inet", master, flags=re.MULTILINE)
        master = re.sub(
            r"^submission +inet", f"{LOOPBACK}:{wires.submission} inet", master, flags=re.MULTILINE
        )
        master = master.replace("smtpd_tls_security_level=encrypt", "smtpd_tls_security_level=none")
        master = master.replace("smtpd_tls_auth_only=yes", "smtpd_tls_auth_only=no")
        logins = f"inline:{{ada@{registered.DOMAIN}=ada}}"
        return main, master.replace("hash:/etc/postfix/sender_login", logins).splitlines()

    return make


@pytest.fixture(scope="module")
def example(real_postfix, tmp_path_factory):
    folder = tmp_path_factory.mktemp("example")
    # The user postfix must reach the socket, so it cannot lie in pytest's private folder.

    with tempfile.TemporaryDirectory(prefix="postwarden-sasl-") as reachable:
        Path(reachable).chmod(0o755)
        sasl = SaslServer(Path(reachable) / "auth")
        with Gateway(folder, pieces=pieces(Path(reachable) / "auth")) as gateway:
            gateway.start()
            yield gateway
        sasl.shutdown()
        sasl.server_close()


def test_postfix_has_nothing_to_complain_about(example):
    complaints = [
        line for line in example.postfix.log_text().splitlines() if "warning:" in line or "fatal:" in line
    ]
    assert not complaints
    assert "warning" not in example.postfix.settings("-n")
    assert "warning" not in example.postfix.settings("-M")


def test_mail_of_other_servers(example, outside_of, mark):
    outside = outside_of(example)
    mail = samples.mail(mark)
    assert outside.mx(mail).code == 250
    (arrived,) = example.sink.wait_for(mark.encode())
    assert arrived.data.endswith(mail)
    assert outside.mx(samples.mail(f"{mark}-2", attachments=(samples.renamed_macros(),))).code == 554
    foreign = f"carol@{registered.FOREIGN_DOMAIN}"
    assert outside.mx(samples.mail(f"{mark}-3"), foreign).code == 554
    assert outside.mx(samples.mail(f"{mark}-4"), foreign, client=registered.SYSTEM).code == 250
    assert example.sink.wait_for(f"{mark}-4".encode())


def log_in(dialogue: Dialogue, user: str) -> None:
    dialogue.hello()
    credentials = base64.b64encode(f"\0{user}\0password".encode()).decode()
    assert dialogue.command(f"AUTH PLAIN {credentials}").code == 235


def test_mail_of_users(example, mark):
    mail = samples.mail(mark)
    with Dialogue(example.ports.submission) as dialogue:
        log_in(dialogue, "ada")
        assert (
            dialogue.send(f"ada@{registered.DOMAIN}", [f"carol@{registered.FOREIGN_DOMAIN}"], mail).code
            == 250
        )
    (arrived,) = example.sink.wait_for(mark.encode())
    # The stock cleanup stands before the queue: it takes Bcc and Return-Path away, as it does for every user.
    assert arrived.data.endswith(mail.partition(b"\r\n\r\n")[2])
    assert b"Bcc:" not in arrived.header


def test_a_user_cannot_send_as_somebody_else(example, mark):
    with Dialogue(example.ports.submission) as dialogue:
        log_in(dialogue, "mallory")
        outcome = dialogue.send(
            f"ada@{registered.DOMAIN}", [f"carol@{registered.FOREIGN_DOMAIN}"], samples.mail(mark)
        )
    assert outcome.code == 553
    assert not example.sink.find(mark.encode())


def test_the_submission_port_is_for_users_only(example, mark):
    with Dialogue(example.ports.submission) as dialogue:
        outcome = dialogue.send("a@outside.example", [f"eve@{registered.OPEN_DOMAIN}"], samples.mail(mark))
    assert outcome.code == 554


def test_an_unknown_recipient_is_refused_in_the_dialogue(example, outside_of, mark, monkeypatch):
    monkeypatch.setattr(
        example.sink,
        "on_recipient",
        lambda path: b"550 5.1.1 no such user" if b"nobody" in path else b"250 2.1.5 Ok",
    )
    outside = outside_of(example)
    outcome = outside.mx(samples.mail(mark), f"nobody@{registered.OPEN_DOMAIN}")
    assert (outcome.code, outcome.stage) == (550, "RCPT")
    # Servers that are not ours are not asked about their users.
    foreign = f"nobody@{registered.FOREIGN_DOMAIN}"
    assert outside.mx(samples.mail(f"{mark}-2"), foreign, client=registered.SYSTEM).code == 250
