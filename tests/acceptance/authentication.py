"""Other projects' test mails through the filter's own way; none of them is part of this project.

    python tests/acceptance/authentication.py [--arc FILE] [--dkimpy DIR] [--authheaders DIR] [--verbose]

FILE is the public ARC test suite's arc-draft-validation-tests.yml; DIR an unpacked source distribution (``pip
download --no-deps --no-binary :all: dkimpy authheaders``). Of the ARC suite each case must end as it says.
dkimpy's own unit tests run with our verifying in place of theirs; those that need PyNaCl to sign are named
and left out. authheaders' mails must come to the results that its tests expect. Prints each miss, exits 1 if
there is one.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import logging
import pathlib
import sys
import time
import types
import unittest
from collections.abc import Callable, Iterator, Mapping
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import dkim
import yaml
from twisted.internet.defer import Deferred

from contentfilter.analysis import Analysis, Knowledge
from contentfilter.assessing import Mail
from contentfilter.authentication import keys
from contentfilter.authentication.judged import Judged
from contentfilter.authentication.judging import Authenticator
from contentfilter.authentication.outcome import Authentication, Signature
from contentfilter.authentication.preparing import KeyPreparer
from contentfilter.content.results import ScanResult
from contentfilter.content.scan import scan_wire
from contentfilter.content.traits import Traits
from contentfilter.session.envelope import Client, Envelope
from contentfilter.session.envelope import Path as MailPath
from contentfilter.spool.spool import Spool
from contentfilter.spool.unstuffing import stuffed
from contentfilter.together import Awaited
from mailbase.config.authentication import Enforcement
from mailbase.dns import Answer, Found, NoData, NxDomain, Record, RecordType, Resolver
from mailbase.evidence import Evidence
from mailbase.logs import Log
from mailbase.vocabulary import Flow

Lookup = Callable[[str], str | bytes | None]
"""Name → text; empty for a name without one, None for a name that does not exist."""

DELIBERATE = {
    "test_l_verify": "text behind what l= covers: policy, not pass (docs/authentication.md)",
}
"""dkimpy's tests that we do not mean to pass."""


class Names(Resolver):
    """DNS by a function.

    Arguments:
        lookup: of TXT records; of any other type the name is asked for as it is.
    """

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def cached(self, name: str, rdtype: RecordType) -> Answer[Record] | None:
        return None

    def ask(
        self, name: str, rdtype: RecordType, *, consumer: str, deadline: float | None = None
    ) -> Answer[Record]:
        text = self._lookup(name)
        if text is None:
            return NxDomain()
        if not text or rdtype is not RecordType.TXT:
            return NoData()
        return Found((text.encode() if isinstance(text, str) else text,), 60.0, name)


def now(work: Any) -> Any:
    """What a coroutine comes to that waits for nothing."""
    done: list[Any] = []
    Deferred.fromCoroutine(work).addCallbacks(done.append, lambda failure: failure.raiseException())
    return done[0]


def authentication(message: bytes, lookup: Lookup) -> Authentication:
    """What the filter makes of a message: keys looked up, then scanned in the wire form."""
    crlf = message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    wire = b"".join(stuffed([crlf]))
    given = json.loads(
        json.dumps(now(KeyPreparer(Names(lookup), lambda: 0.0, time.time).prepare(wire[:65536], Awaited())))
    )
    analysis = Analysis(Knowledge(), {"authentication": given})
    found = scan_wire(wire, len(wire), analysis=analysis).traits.authentication
    assert found is not None
    return found


def judged(found: Authentication, lookup: Lookup) -> tuple[Judged, bytes]:
    """The judgement and the line for the top, where SPF knows nothing for the mail."""
    kept: list[Judged] = []
    meter: Any = types.SimpleNamespace(authenticated=kept.append)
    flows = dict.fromkeys(Flow, Enforcement.POINTS)
    log = Log("acceptance", stream=io.StringIO())
    it = Authenticator(Names(lookup), lambda: 0.0, log, meter, "example.com", (), flows)
    result = ScanResult(traits=Traits(authentication=found))
    mail = Mail(
        "0",
        Envelope(MailPath("x@nobody.invalid", b""), Client("c", "192.0.2.1")),
        Spool("/tmp", 1 << 20),
        Flow.INBOUND,
        evidence=Evidence(0.0, ("spf.none",)),
        result=result,
    )
    now(it.assess(mail))
    return kept[0], now(it.stamp(mail, ()))


# The ARC suite


def arc_suite(path: pathlib.Path) -> Iterator[tuple[str, bool, str]]:
    for part in yaml.safe_load_all(path.read_text()):
        records = part.get("txt-records") or {}
        for name, case in part["tests"].items():
            chain = authentication(case["message"].encode(), records.get).chain
            # An empty expectation: the chain ended, since a sealer found it broken.
            expected = "none" if case["cv"] is None else case["cv"].lower() or "fail"
            yield name, chain.result == expected, f"{chain.result} ({chain.reason}), expected {expected}"


# dkimpy


def dkimpy(folder: pathlib.Path) -> Iterator[tuple[str, bool, str]]:
    def lookup_by(dnsfunc: Callable[..., Any]) -> Lookup:
        def lookup(name: str) -> str | bytes | None:
            try:
                text: str | bytes | None = dnsfunc(f"{name}.".encode(), timeout=5)
            except AssertionError:
                # Theirs asks for the key of one signature, we for those of all.
                return None
            return text.strip() if text else None

        return lookup

    def verify(message: bytes, logger: Any = None, dnsfunc: Any = None, **more: Any) -> bool:
        keys.MIN_BITS, usual = more.get("minkey", keys.MIN_BITS), keys.MIN_BITS
        keys.read_key.cache_clear()
        try:
            found = authentication(message, lookup_by(dnsfunc)).signatures
        finally:
            keys.MIN_BITS = usual
        return bool(found) and found[0].result == "pass"

    def arc_verify(message: bytes, logger: Any = None, dnsfunc: Any = None, **more: Any) -> Any:
        chain = authentication(message, lookup_by(dnsfunc)).chain
        return chain.result.encode(), [], chain.reason

    class Ours(dkim.DKIM):  # type: ignore[misc]
        def __init__(self, message: bytes | None = None, *rest: Any, **more: Any) -> None:
            self.whole = message or b""
            super().__init__(message, *rest, **more)

        def verify(self, idx: int = 0, dnsfunc: Any = None) -> bool:
            # For what the tests read of it afterwards.
            super().verify(idx, dnsfunc)
            found = authentication(self.whole, lookup_by(dnsfunc)).signatures
            return len(found) > idx and found[idx].result == "pass"

    theirs = dkim.verify, dkim.arc_verify, dkim.DKIM
    for name in ("test_dkim", "test_dkim_rsavariants", "test_dkim_ed25519", "test_arc"):
        spec = importlib.util.spec_from_file_location(name, folder / "dkim" / "tests" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        dkim.verify, dkim.arc_verify, dkim.DKIM = verify, arc_verify, Ours
        try:
            for test in _tests(unittest.defaultTestLoader.loadTestsFromModule(module)):
                result = unittest.TestResult()
                test.run(result)
                problems = [text for _, text in (*result.failures, *result.errors)]
                method = test.id().rpartition(".")[2]
                if any("nacl" in text or "NaCl" in text for text in problems):
                    print(f"not run: {name}.{method}: needs PyNaCl")
                elif problems and method in DELIBERATE:
                    print(f"differs: {name}.{method}: {DELIBERATE[method]}")
                else:
                    yield f"{name}.{method}", not problems, "".join(problems)[-600:]
        finally:
            dkim.verify, dkim.arc_verify, dkim.DKIM = theirs


def _tests(suite: Any) -> Iterator[unittest.TestCase]:
    for one in suite:
        if isinstance(one, unittest.TestCase):
            yield one
        else:
            yield from _tests(one)


# authheaders

ZONE: Mapping[str, str] = {
    "_dmarc.example.com": "v=DMARC1; p=reject",
    "_dmarc.example.org": "v=DMARC1; p=none",
    "_dmarc.example.net": "v=DMARC1; p=none; sp=reject",
    "_dmarc.example.biz": "v=DMARC1; p=none; sp=quarantine; np=reject",
    "_dmarc.nop.example.org": "v=DMARC1; sp=quarantine; np=reject",
    "_dmarc.gov": "v=DMARC1; p=reject; sp=none; np=reject; rua=mailto:a@gov; psd=y",
    "_dmarc.bad.example.com": "v=DMARC1; p=none; reject",
    "sub.example.net": "",
    "sub2.example.biz": "",
}
SIGNERS = {"example.com": "fail", "example.org": "pass"}
MAILS: Mapping[str, tuple[Mapping[str, str] | None, str, str]] = {
    # file: (signers and results if its own signatures are not verified, DMARC's result, what is to be done)
    "test.message_signed": (None, "pass", "none"),
    "testcomma.message": (None, "pass", "none"),
    "test.message_multi": (SIGNERS, "fail", "reject"),
    "test.message_multi2": (SIGNERS, "fail", "reject"),
    "test.message_sub": ({"sub.example.net": "fail"}, "fail", "reject"),
    "test.message_np1": ({"sub.example.biz": "fail"}, "fail", "reject"),
    "test.message_np2": ({"sub2.example.biz": "fail"}, "fail", "quarantine"),
    # RFC 9989: a record without p= that asks for no reports is none.
    "test_nop.message": ({"nop.example.org": "fail"}, "none", "none"),
    "test.gov.message": ({}, "fail", "reject"),
    "test.nofrom.message": ({}, "permerror", "none"),
    # authheaders says permerror; RFC 9989 4.7 has us pass over what is wrong behind the version.
    "test.bad.message": ({}, "fail", "none"),
}


def authheaders(folder: pathlib.Path) -> Iterator[tuple[str, bool, str]]:
    tests = folder / "authheaders" / "test"
    there = {"test._domainkey.example.com": (tests / "test.txt").read_bytes().strip()}

    def lookup(name: str) -> str | bytes | None:
        return there.get(name) or ZONE.get(name)

    for name, (signers, result, policy) in MAILS.items():
        found = authentication((tests / name).read_bytes(), lookup)
        if signers is not None:
            signatures = tuple(
                Signature("pass" if said == "pass" else "fail", domain) for domain, said in signers.items()
            )
            found = Authentication(signatures, authors=found.authors, from_fields=found.from_fields)
        outcome, line = judged(found, lookup)
        dmarc = outcome.dmarc
        good = (dmarc.result, dmarc.policy) == (result, policy) and f"dmarc={result}".encode() in line
        yield name, good, f"{dmarc}, expected {result}, {policy}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("arc", "dkimpy", "authheaders"):
        parser.add_argument(f"--{name}", type=pathlib.Path)
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    if not (arguments.arc or arguments.dkimpy or arguments.authheaders):
        parser.error("name at least one of --arc, --dkimpy and --authheaders")
    logging.disable(logging.CRITICAL)
    misses = 0
    for name, run in (("arc", arc_suite), ("dkimpy", dkimpy), ("authheaders", authheaders)):
        path = getattr(arguments, name)
        if path is None:
            continue
        cases = list(run(path))
        for case, good, detail in cases:
            if not good or arguments.verbose:
                print(f"{'ok' if good else 'MISS'}: {name} {case}: {detail}")
        missed = sum(not good for _, good, _ in cases)
        print(f"{name}: {len(cases) - missed} of {len(cases)}")
        misses += missed
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
