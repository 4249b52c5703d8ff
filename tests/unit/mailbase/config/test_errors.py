"""What the operator reads when the configuration is wrong: exact texts."""

# The messages stand in one piece, as they are read.
# ruff: noqa: E501

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mailbase.config import ConfigError, load, loads


def complaints(text: str | bytes, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loads(text, overrides, source="f.yaml")
    return [str(problem) for problem in caught.value.problems]


UNITS = "(units: ms, s, m, h, d, w)"
TOP = "authentication, contentfilter, dns, flows, identity, logging, policyd, privacy, registry, spamtraps, statistics, store"
CASES = {
    "unknown section": ("polcyd: {}", ["f.yaml:1: polcyd: unknown key; did you mean 'policyd'?"]),
    "nothing near": ("zzz: 1", [f"f.yaml:1: zzz: unknown key; known here: {TOP}"]),
    "unknown key": (
        "policyd:\n  greylist:\n    delya: 5m\n",
        ["f.yaml:3: policyd.greylist.delya: unknown key; did you mean 'delay'?"],
    ),
    "key of a list's element": (
        "contentfilter:\n  listeners:\n  - listen: 127.0.0.1:1\n    reinjct: 127.0.0.1:2\n",
        [
            "f.yaml:3: contentfilter.listeners[0].reinject: is missing and has no default",
            "f.yaml:4: contentfilter.listeners[0].reinjct: unknown key; did you mean 'reinject'?",
        ],
    ),
    "duration": (
        "policyd: {greylist: {delay: soon}}",
        [f"f.yaml:1: policyd.greylist.delay: expected a duration such as 5m {UNITS}, got 'soon'"],
    ),
    "duration negative": (
        "policyd: {greylist: {delay: -5}}",
        [f"f.yaml:1: policyd.greylist.delay: expected a duration such as 5m {UNITS}, got -5"],
    ),
    "duration true": (
        "policyd: {greylist: {delay: yes}}",
        [f"f.yaml:1: policyd.greylist.delay: expected a duration such as 5m {UNITS}, got true"],
    ),
    "duration too long": (
        "policyd: {greylist: {delay: 2d}}",
        [
            "f.yaml:1: policyd.greylist.delay: expected 0s to 1d, got 2d",
        ],
    ),
    "size": (
        "contentfilter: {message_size_limit: 51MB}",
        [
            "f.yaml:1: contentfilter.message_size_limit: expected a size such as 51MiB "
            "(units: KiB, MiB, GiB, TiB), got '51MB'"
        ],
    ),
    "size too small": (
        "contentfilter: {message_size_limit: 10}",
        ["f.yaml:1: contentfilter.message_size_limit: expected 64KiB to 4GiB, got 10"],
    ),
    "count": (
        "policyd: {greylist: {network_v4: 33, network_v6: '64', auto_allow_after: 1.5}}",
        [
            "f.yaml:1: policyd.greylist.auto_allow_after: expected a whole number, got 1.5",
            "f.yaml:1: policyd.greylist.network_v4: expected 8 to 32, got 33",
            "f.yaml:1: policyd.greylist.network_v6: expected a whole number, got '64'",
        ],
    ),
    "flag": (
        "privacy: {pseudonymise: 1}\nflows: {inbound: {greylisting: 'true'}}",
        [
            "f.yaml:1: privacy.pseudonymise: expected true or false, got 1",
            "f.yaml:2: flows.inbound.greylisting: expected true or false, got 'true'",
        ],
    ),
    "choice": (
        "store: {on_error: Pass}\nlogging: {format: 5, level: verbose}",
        [
            "f.yaml:1: store.on_error: expected one of pass, defer, got 'Pass'; did you mean 'pass'?",
            "f.yaml:2: logging.format: expected one of kv, json, got 5",
            "f.yaml:2: logging.level: expected one of debug, info, warning, error, got 'verbose'",
        ],
    ),
    "section is a word": ("policyd: 5", ["f.yaml:1: policyd: expected a mapping (key: value), got 5"]),
    "flow is a list": (
        "flows: {inbound: [a]}",
        ["f.yaml:1: flows.inbound: expected a mapping (key: value), got a list"],
    ),
    "actions are a word": (
        "flows: {inbound: {actions: reject}}",
        ["f.yaml:1: flows.inbound.actions: expected a mapping (key: value), got 'reject'"],
    ),
    "file is a list": ("- a\n- b\n", ["f.yaml:1: expected a mapping (key: value), got a list"]),
    "list is a mapping": (
        "contentfilter:\n  listeners: {listen: a}\n",
        ["f.yaml:2: contentfilter.listeners: expected a list, got a mapping"],
    ),
    "list is empty": (
        "policyd: {listen: []}\ncontentfilter: {listeners: []}",
        [
            "f.yaml:1: policyd.listen: expected at least one entry",
            "f.yaml:2: contentfilter.listeners: expected at least one entry",
        ],
    ),
    "text": ("identity: {contact: [a]}", ["f.yaml:1: identity.contact: expected text, got a list"]),
    "finding": (
        "flows:\n  inbound:\n    actions:\n      offce-makro: tag\n      virus: rejct\n",
        [
            "f.yaml:4: flows.inbound.actions.offce-makro: no finding has this name; did you mean 'office-macro'?",
            "f.yaml:5: flows.inbound.actions.virus: expected one of accept, tag, quarantine, defer, reject, "
            "discard, got 'rejct'; did you mean 'reject'?",
        ],
    ),
    "reason": (
        "flows: {inbound: {unscanned: {timeout: tag}}}",
        ["f.yaml:1: flows.inbound.unscanned.timeout: no reason has this name; did you mean 'timed-out'?"],
    ),
    "upstream refuses": (
        "flows:\n  upstream:\n    actions: {virus: reject, executable: defer}\n    unscanned: {malformed: defer}\n",
        [
            f"f.yaml:{line}: flows.upstream.{path}: expected accept, tag or quarantine: "
            "an upstream relay would have to bounce what is refused after DATA"
            for line, path in [(3, "actions.executable"), (3, "actions.virus"), (4, "unscanned.malformed")]
        ],
    ),
    "discard": (
        "flows: {inbound: {actions: {virus: discard}}}",
        [
            "f.yaml:1: flows.inbound.actions.virus: expected accept, tag, quarantine, defer or reject: "
            "no mail is dropped for a finding"
        ],
    ),
    "greylisted users": (
        "flows: {submission: {greylisting: true}, upstream: {greylisting: true}}",
        [
            "f.yaml:1: flows.submission.greylisting: expected false: mail of users is never greylisted",
            "f.yaml:1: flows.upstream.greylisting: expected false: mail of upstream relays is never greylisted",
        ],
    ),
    "host name": (
        "identity: {hostname: gateway}",
        ["f.yaml:1: identity.hostname: expected a full host name such as mx.example.org, got 'gateway'"],
    ),
    "address for a host name": (
        "identity: {hostname: 192.0.2.1}",
        ["f.yaml:1: identity.hostname: expected a full host name such as mx.example.org, got '192.0.2.1'"],
    ),
    "literal for a host name": (
        "identity: {hostname: '[192.0.2.1]'}",
        ["f.yaml:1: identity.hostname: expected a full host name such as mx.example.org, got '[192.0.2.1]'"],
    ),
    "relay": (
        "identity: {relays: [mx_1.example.org]}",
        [
            "f.yaml:1: identity.relays[0]: expected a full host name such as mx1.example.org, got 'mx_1.example.org'"
        ],
    ),
    "record": (
        "identity: {spf_include: _spf}",
        ["f.yaml:1: identity.spf_include: expected a name in DNS such as _spf.example.org, got '_spf'"],
    ),
    "selector": (
        "identity: {dkim_selectors: [a.b]}",
        ["f.yaml:1: identity.dkim_selectors[0]: expected a DKIM selector such as dkim001, got 'a.b'"],
    ),
    "place": (
        "policyd: {listen: [127.0.0.1:10023, 10023], metrics: nowhere}",
        [
            "f.yaml:1: policyd.listen[1]: expected host:port, [v6]:port, unix:/path or systemd:NAME, got '10023'",
            "f.yaml:1: policyd.metrics: expected host:port, [v6]:port, unix:/path or systemd:NAME, got 'nowhere'",
        ],
    ),
    "reinject nowhere": (
        "contentfilter: {listeners: [{listen: 127.0.0.1:1, reinject: ':25'}]}",
        [
            "f.yaml:1: contentfilter.listeners[0].reinject: expected host:port, [v6]:port or unix:/path "
            "to connect to, got ':25'"
        ],
    ),
    "two on one place": (
        "policyd:\n  metrics: 127.0.0.1:10024\n",
        ["f.yaml:1: contentfilter.listeners[0].listen: 127.0.0.1:10024 is already taken by policyd.metrics"],
    ),
    "mail loop": (
        "contentfilter:\n  listeners:\n  - {listen: 127.0.0.1:1, reinject: 127.0.0.1:1}\n",
        [
            "f.yaml:3: contentfilter.listeners[0].reinject: 127.0.0.1:1 is our own "
            "contentfilter.listeners[0].listen; expected Postfix's address"
        ],
    ),
    "window shorter than delay": (
        "policyd: {greylist: {delay: 1h, retry_window: 30m}}",
        [
            "f.yaml:1: policyd.greylist.retry_window: expected more than policyd.greylist.delay (1h), got 30m",
        ],
    ),
    "deadlines": (
        "contentfilter:\n  workers: {deadline: 80s}\n  clamd: {timeout: 2m}\n",
        [
            "f.yaml:2: contentfilter.workers.deadline: expected at most contentfilter.timeouts.reinject (75s), got 80s",
            "f.yaml:3: contentfilter.clamd.timeout: expected at most contentfilter.timeouts.reinject (75s), got 2m",
        ],
    ),
    "spool": (
        "contentfilter:\n  message_size_limit: 200MiB\n  spool: {total: 100MiB}\n",
        [
            "f.yaml:3: contentfilter.spool.total: expected at least contentfilter.message_size_limit (200MiB), got 100MiB",
        ],
    ),
    "engines": (
        "contentfilter:\n"
        "  clamd: {addresses: ['unix:/a', 'unix:/a'], at_once: 0}\n"
        "  command: {run: [clamscan], clean: [0, 256], name: 'FOUND'}\n",
        [
            "f.yaml:2: contentfilter.clamd.addresses: expected each address once",
            "f.yaml:2: contentfilter.clamd.at_once: expected 1 to 200, got 0",
            "f.yaml:3: contentfilter.command.clean[1]: expected 0 to 255, got 256",
            "f.yaml:3: contentfilter.command.name: expected a regular expression with a group (...) around the name, "
            "got 'FOUND'",
            "f.yaml:3: contentfilter.command.run: expected the program's path from the root, such as "
            "/usr/bin/clamscan, got 'clamscan'",
        ],
    ),
    "spam engines that cannot be": (
        "contentfilter:\n"
        "  rspamd: {timeout: 2m, factor: 0, at_least: 1}\n"
        "  spamassassin: {addresses: [], factor: .inf, user: 'a b'}\n",
        [
            "f.yaml:2: contentfilter.rspamd.factor: expected a factor: a number above 0, up to 10, got 0",
            "f.yaml:3: contentfilter.spamassassin.addresses: expected at least one entry",
            "f.yaml:3: contentfilter.spamassassin.factor: expected a factor: a number above 0, up to 10, got '.inf'",
            "f.yaml:3: contentfilter.spamassassin.user: expected a user's name such as filter or "
            "filter@example.org, got 'a b'",
        ],
    ),
    "spam engines that take too long, or give for spam": (
        "contentfilter:\n  rspamd: {timeout: 2m, at_least: 1}\n  spamassassin: {at_most: -1}\n",
        [
            "f.yaml:2: contentfilter.rspamd.at_least: expected 0 or less, got 1",
            "f.yaml:2: contentfilter.rspamd.timeout: expected at most contentfilter.timeouts.reinject (75s), "
            "got 2m",
            "f.yaml:3: contentfilter.spamassassin.at_most: expected 0 or more, got -1",
        ],
    ),
    "many clamds": (
        "contentfilter: {clamd: {addresses: ['a:1', 'a:2', 'a:3', 'a:4', 'a:5', 'a:6', 'a:7', 'a:8', 'a:9']}}",
        ["f.yaml:1: contentfilter.clamd.addresses: expected at most 8 addresses, got 9"],
    ),
    "no clamd": (
        "contentfilter: {clamd: {addresses: []}, command: {timeout: 1m}}",
        [
            "f.yaml:1: contentfilter.clamd.addresses: expected at least one entry",
            "f.yaml:1: contentfilter.command.run: is missing and has no default",
        ],
    ),
    "statuses": (
        "contentfilter:\n  command: {run: [/bin/x], infected: [1, 0], incomplete: [1], timeout: 80s, name: '(x'}\n",
        [
            "f.yaml:2: contentfilter.command.name: expected a regular expression, got '(x': "
            "missing ), unterminated subpattern at position 0",
        ],
    ),
    "statuses twice": (
        "contentfilter:\n  command: {run: [/bin/x], infected: [1, 0], incomplete: [1], timeout: 80s}\n",
        [
            "f.yaml:2: contentfilter.command.incomplete: exit status 1 is in infected already",
            "f.yaml:2: contentfilter.command.infected: exit status 0 is in clean already",
            "f.yaml:2: contentfilter.command.timeout: expected at most contentfilter.timeouts.reinject (75s), got 80s",
        ],
    ),
    "socket mode": (
        "policyd: {socket_mode: 999}",
        ["f.yaml:1: policyd.socket_mode: expected a file mode such as 0660, got 999"],
    ),
    "store": (
        "store: {url: /var/lib/x}",
        [
            "f.yaml:1: store.url: expected sqlite:PATH such as sqlite:/var/lib/postwarden/policyd.sqlite, "
            "or redis://HOST:PORT/DB, "
            "got '/var/lib/x'"
        ],
    ),
    "shipped list": (
        "policyd: {greylist: {clients: data:clients}}",
        [
            "f.yaml:1: policyd.greylist.clients[0]: expected data:allowlist_clients or data:allowlist_recipients, "
            "or the path of a file, got 'data:clients'"
        ],
    ),
    "missing files": (
        "policyd: {greylist: {recipients: [/nonexistent/r]}}\nprivacy: {key_file: /nonexistent/k}",
        [
            "f.yaml:1: policyd.greylist.recipients[0]: no such file: /nonexistent/r",
            "f.yaml:2: privacy.key_file: no such file: /nonexistent/k",
        ],
    ),
    "missing registry": (
        "registry: /nonexistent/registry.yaml",
        ["f.yaml:1: registry: no such file or folder: /nonexistent/registry.yaml"],
    ),
    "header name": (
        "contentfilter: {tag_header: 'X Y'}",
        [
            "f.yaml:1: contentfilter.tag_header: expected the beginning of a header name such as X-Postwarden, got 'X Y'"
        ],
    ),
    "exempt": (
        "policyd: {greylist: {exempt: [abuse@example.org]}}",
        [
            "f.yaml:1: policyd.greylist.exempt[0]: expected a local part such as postmaster, without @ and domain, "
            "got 'abuse@example.org'"
        ],
    ),
    "foreign bytes do not reach the terminal": (
        'identity: {contact: "a\\x1b[31m\\n"}',
        ["f.yaml:1: identity.contact: expected at most 120 characters of printable ASCII, got 'a?[31m?'"],
    ),
    "several, by line": (
        "policyd:\n  greylist:\n    delay: x\n    network_v4: 0\nfoo: 1\nbar: 2\n",
        [
            f"f.yaml:3: policyd.greylist.delay: expected a duration such as 5m {UNITS}, got 'x'",
            "f.yaml:4: policyd.greylist.network_v4: expected 8 to 32, got 0",
            f"f.yaml:5: foo: unknown key; known here: {TOP}",
            f"f.yaml:6: bar: unknown key; known here: {TOP}",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_told_with_its_line_and_what_was_expected(name: str) -> None:
    text, expected = CASES[name]
    assert complaints(text) == expected


def test_lines_are_sorted_by_number_and_not_by_text() -> None:
    text = "".join(f"k{number}: 1\n" for number in range(1, 12))
    assert [line.split(":")[1] for line in complaints(text)] == [str(number) for number in range(1, 12)]


def test_the_error_prints_all_problems_but_not_thousands() -> None:
    with pytest.raises(ConfigError) as caught:
        loads("".join(f"k{number}: 1\n" for number in range(70)))
    lines = str(caught.value).splitlines()
    assert len(lines) == 51
    assert lines[-1] == "... and 20 more"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("policyd.greylist.delay=soon", f"--set: policyd.greylist.delay: expected a duration such as 5m {UNITS}, got 'soon'"),
        ("policyd.greylist.dely=5m", "--set: policyd.greylist.dely: unknown key; did you mean 'delay'?"),
        ("polciyd.listen=5", "--set: polciyd: unknown key; did you mean 'policyd'?"),
        ("contentfilter.listeners.0.listen=a:1", "--set: contentfilter.listeners[0].listen: the file has no list here; set the whole list, as in key=[first, second]"),
        ("policyd=5", "--set: policyd: expected a mapping (key: value), got 5"),
        ("policyd.greylist", "--set: expected key.path=value, got 'policyd.greylist'"),
        ("=5", "--set: expected key.path=value, got '=5'"),
        ("a..b=5", "--set: expected key.path=value, got 'a..b=5'"),
        ("store.url.x=5", "--set: store.url.x: 'x' cannot be set: what is above it is a single value"),
        ("policyd.listen.7=a:1", "--set: policyd.listen[7]: expected a position in the list, 0 to 0, got '7'"),
        ("policyd.listen.x=a:1", "--set: policyd.listen.x: expected a position in the list, 0 to 0, got 'x'"),
        ("policyd.listen=[", "--set: policyd.listen: not valid YAML: did not find expected node content, while parsing a flow node"),
        ("flows.upstream.actions.virus=reject", "--set: flows.upstream.actions.virus: expected accept, tag or quarantine: an upstream relay would have to bounce what is refused after DATA"),
    ],
)  # fmt: skip
def test_an_override_is_named_as_the_source_of_its_mistake(override: str, expected: str) -> None:
    assert complaints("store: {url: 'sqlite:/x'}\npolicyd: {listen: ['127.0.0.1:1']}\n", override) == [
        expected
    ]


def test_mistakes_of_file_and_override_come_together() -> None:
    assert complaints("policyd: {greylist: {network_v4: 99}}", "policyd.greylist.network_v6=999") == [
        "--set: policyd.greylist.network_v6: expected 16 to 128, got 999",
        "f.yaml:1: policyd.greylist.network_v4: expected 8 to 32, got 99",
    ]


def file_complaint(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    assert file_complaint(path) == f"{path}: no such file; name the right one or create it"


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    assert file_complaint(tmp_path) == f"{tmp_path}: is a folder; expected a file"


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "x.yaml"
    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    told = "may not read it; let that user or its group read it, or be root"
    assert file_complaint(path) == f"{path}: the user root {told}"
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_000)
    assert file_complaint(path) == f"{path}: the user 4000000000 {told}"


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes("logging: {}\nidentity: {contact: Grüße}\n".encode("latin-1"))
    assert file_complaint(path) == f"{path}:2: not UTF-8 (byte 0xfc); save the file in that encoding"


def test_a_name_that_no_file_can_have() -> None:
    assert file_complaint(Path("a\0b")).endswith("cannot be read: embedded null byte")


def test_what_may_not_be_looked_at_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    real = Path.stat

    def look(path: Path, **options: Any) -> Any:
        if closed in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", look)
    with pytest.raises(ConfigError) as caught:
        loads(f"registry: {closed}/r.yaml\nprivacy: {{key_file: {closed}/k}}\nstore: {{ca_file: {tmp_path}}}")
    assert [str(problem) for problem in caught.value.problems] == [
        f"{closed}/r.yaml: cannot be read: Permission denied",
        f"<text>:2: privacy.key_file: Permission denied: {closed}/k",
        f"<text>:3: store.ca_file: not a file: {tmp_path}",
    ]
