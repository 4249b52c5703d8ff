"""``contentfilter explain``: who is asked, and how a mail is told."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from contentfilter import cli
from contentfilter.content.clues import Clue
from contentfilter.content.results import ScanFailed
from contentfilter.disposition import explaining
from contentfilter.disposition.account import Told, content, outcome
from contentfilter.disposition.recipients import Share
from contentfilter.disposition.total import add_up
from contentfilter.disposition.verdict import Verdict
from mailbase.config import Settings
from mailbase.control import ControlError
from mailbase.evidence import Evidence
from mailbase.report import MAX_CLUES, MAX_FINDINGS, MAX_TEXT, Report
from mailbase.vocabulary import Action, Finding, Flow, Unscanned

ID = "0123456789abc"
MACRO = Finding("office-macro", "2/a.docm", "module ThisDocument")
FACTS = (Unscanned("3/x.7z", "encrypted"), MACRO, ScanFailed("clamd", "timed-out", "no answer"))
TOLD = Told(
    1_800_000_000.5,
    Flow.INBOUND,
    [
        Share(Verdict(ID, Flow.INBOUND, Action.REJECT, MACRO, FACTS), (0, 2)),
        Share(Verdict(ID, Flow.INBOUND, Action.TAG, MACRO, FACTS), (1,)),
    ],
    "554 5.7.1 No macros [0123456789abc]",
    7,
    {"workers": 0.0123, "clamd": 2.5, "total": 2.5},
)
ROW = outcome(ID, TOLD)
QUEUED = {**ROW, "action": "queued", "queue_id": "4XYZ", "content": None}

Asked = list[tuple[str, str]]


@pytest.fixture
def daemons(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What each daemon answers, by its control socket's name."""
    answers: dict[str, Any] = {"policyd": [], "contentfilter": []}

    def ask(path: str, verb: str, _timeout: float, term: str) -> Iterator[dict[str, Any]]:
        assert (verb, term) == ("explain", ID)
        answer = answers["policyd" if "policyd" in path else "contentfilter"]
        if isinstance(answer, Exception):
            raise answer
        return iter(answer)

    monkeypatch.setattr(explaining, "ask", ask)
    return answers


def explain(as_json: bool = True) -> tuple[int, str]:
    printed = io.StringIO()
    if not as_json:
        printed.isatty = lambda: True  # type: ignore[method-assign]
    return explaining.explain(Settings(), ID, printed, as_json), printed.getvalue()


def test_policyds_journal_is_asked_first(daemons: dict[str, Any]) -> None:
    daemons["policyd"] = [{"kind": "decision", "id": ID}, {**ROW, "id": "z" * 13}, ROW, QUEUED]
    daemons["contentfilter"] = AssertionError("not asked")
    status, printed = explain()
    assert status == 0
    assert [json.loads(line) for line in printed.splitlines()] == [ROW, QUEUED]


@pytest.mark.parametrize(
    "journal", [ControlError("policyd is not there"), [], [{**ROW, "content": None}], [{"kind": "notice"}]]
)
def test_where_the_journal_has_less_the_daemon_itself_is_asked(
    daemons: dict[str, Any], journal: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    daemons["policyd"], daemons["contentfilter"] = journal, [ROW]
    status, printed = explain()
    assert status == 0
    assert json.loads(printed) == ROW
    assert ("not there" in capsys.readouterr().err) is isinstance(journal, Exception)


def test_an_outcome_without_its_account_is_better_than_nothing(daemons: dict[str, Any]) -> None:
    daemons["policyd"] = [{**ROW, "content": None, "reply": ""}]
    daemons["contentfilter"] = ControlError("gone")
    status, printed = explain(as_json=False)
    assert status == 0
    assert "REJECT" in printed


def test_what_nobody_knows(daemons: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert explain() == (1, "")
    assert "nothing is known" in capsys.readouterr().err


def test_a_mail_is_told_to_a_person(daemons: dict[str, Any]) -> None:
    daemons["policyd"] = [ROW, QUEUED]
    status, printed = explain(as_json=False)
    assert status == 0
    lines = [line.split() for line in printed.splitlines()]
    assert lines[0][2:] == [ID, "inbound", "REJECT", "2.5", "s"]
    assert ["cause", "office-macro:2/a.docm(module", "ThisDocument)"] in lines
    assert ["recipients", "reject", "2,", "tag", "1"] in lines
    assert ["time", "workers", "12.3", "ms,", "clamd", "2.5", "s"] in lines
    assert ["finding", "office-macro", "2/a.docm", "module", "ThisDocument"] in lines
    assert ["unscanned", "encrypted", "3/x.7z", "-"] in lines
    assert ["failure", "timed-out", "clamd", "no", "answer"] in lines
    assert "queued as 4XYZ" in printed
    assert f"policyd explain {ID}" in printed


def test_the_total_is_told_with_all_that_is_in_it(daemons: dict[str, Any]) -> None:
    clues = [Clue("url.listed", "bad.example", 2.5), Clue("rule.trial", "", 9.0, shadow=True)]
    total = add_up(clues, (), Evidence(1.5, ("helo.not-fqdn:1.5",)))
    verdict = Verdict(ID, Flow.INBOUND, Action.ACCEPT, None, (), total)
    told = Told(0.0, Flow.INBOUND, [Share(verdict, (0,))], "", 1, {})
    row = outcome(ID, told)
    assert row["content"]["score"] == 4.0
    assert (
        Report.from_dict(
            {"id": ID, "client": "", "sender": "", "action": "accept", "content": row["content"]}
        ).content
        == row["content"]
    )
    daemons["policyd"] = [row]
    _, printed = explain(as_json=False)
    lines = [[word for word in line.split() if word != "-"] for line in printed.splitlines()]
    assert ["score", "4"] in lines
    assert ["9", "rule.trial", "yes"] in lines
    assert ["2.5", "url.listed", "bad.example"] in lines
    assert ["1.5", "helo.not-fqdn"] in lines


def test_clues_without_bound_are_told_within_bounds() -> None:
    clues = [Clue(f"rule.{number}" + "n" * 900, "\x1b" * 900, 1.0) for number in range(500)]
    verdict = Verdict(ID, Flow.INBOUND, Action.ACCEPT, None, (), add_up(clues, (), None))
    account = content(Told(0.0, Flow.INBOUND, [Share(verdict, (0,))], "", 1, {}))
    assert len(account["clues"]) == MAX_CLUES
    report = Report(ID, "192.0.2.1", "a@x.example", Action.ACCEPT, content=account)
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_an_account_of_an_older_contentfilter_has_no_total() -> None:
    told = json.loads(json.dumps(content(TOLD)))
    del told["score"], told["clues"]
    report = Report.from_dict({"id": ID, "client": "", "sender": "", "action": "accept", "content": told})
    assert report.content is not None
    assert (report.content["score"], report.content["clues"]) == (None, [])


def test_the_account_is_bounded_and_survives_the_control_socket() -> None:
    facts = tuple(Finding("office-macro", f"{number}/" + "x" * 600, "\x1b" * 900) for number in range(50))
    told = Told(
        0.0, Flow.INBOUND, [Share(Verdict(ID, Flow.INBOUND, Action.REJECT, None, facts), (0,))], "", 1, {}
    )
    account = content(told)
    assert len(account["facts"]) == MAX_FINDINGS
    assert all(len(fact["part"]) <= MAX_TEXT and fact["detail"].isprintable() for fact in account["facts"])
    report = Report(ID, "192.0.2.1", "a@x.example", Action.REJECT, reply="554 no", content=account)
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


@pytest.mark.parametrize(
    "spoil",
    [
        lambda told: told.update(facts={}),
        lambda told: told.update(facts=[7]),
        lambda told: told.update(facts=[{"kind": "rumour", "name": "", "part": "", "detail": ""}]),
        lambda told: told.update(facts=[{"kind": "finding", "name": 7, "part": "", "detail": ""}]),
        lambda told: told.update(seconds={"clamd": "long"}),
        lambda told: told.update(seconds={"clamd": float("inf")}),
        lambda told: told.update(parts=True),
        lambda told: told.update(score="high"),
        lambda told: told.update(score=float("nan")),
        lambda told: told.update(clues={}),
        lambda told: told.update(clues=[7]),
        lambda told: told.update(clues=[{"name": "rule.x", "points": "1", "shadow": False, "detail": ""}]),
        lambda told: told.update(clues=[{"name": 7, "points": 1, "shadow": False, "detail": ""}]),
        lambda told: told.update(actions="reject"),
        lambda told: told.pop("flow"),
    ],
)
def test_an_account_that_is_none_is_refused(spoil: Callable[[dict[str, Any]], object]) -> None:
    told = json.loads(json.dumps(content(TOLD)))
    spoil(told)
    with pytest.raises(ValueError, match="not a report"):
        Report.from_dict({"id": ID, "client": "", "sender": "", "action": "accept", "content": told})


def test_the_command_takes_an_id_as_it_is_told_over_the_telephone(
    daemons: dict[str, Any], tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_text("")
    daemons["policyd"] = [ROW]
    assert cli.main(["explain", ID.upper(), "--json", "--config", str(tmp_path / "c.yaml")]) == 0
    assert json.loads(capsys.readouterr().out) == ROW
    with pytest.raises(SystemExit):
        cli.main(["explain", "not an id", "--config", str(tmp_path / "c.yaml")])


def test_that_it_was_released_is_told(daemons: dict[str, Any]) -> None:
    released = {**ROW, "action": "released", "queue_id": "4XYZ", "content": None}
    deleted = {**released, "action": "deleted", "queue_id": ""}
    daemons["policyd"] = [ROW, released, deleted]
    _, printed = explain(as_json=False)
    assert f"{ID}  released from the quarantine, queued as 4XYZ\n" in printed
    assert f"{ID}  deleted from the quarantine\n" in printed


def test_a_macros_digest_is_told_apart_from_foreign_text_and_in_whole(daemons: dict[str, Any]) -> None:
    digest = "3753cf91bd3e95e99fb908e30691d8e2fa7fd43a"
    finding = Finding("office-macro", "2/a.docm", f"VBA in {'x' * 60} #{digest[::-1]}", digest)
    share = Share(Verdict(ID, Flow.INBOUND, Action.REJECT, finding, (finding,)), (0,))
    account = content(Told(0.0, Flow.INBOUND, [share], "", 1, {}))
    report = Report(ID, "192.0.2.1", "a@x.example", Action.REJECT, reply="554 no", content=account)
    known = Report.from_dict(json.loads(json.dumps(report.to_dict())))
    assert known.content is not None
    assert known.content["facts"][0]["digest"] == digest
    daemons["policyd"] = [{**ROW, "content": known.content}]
    assert f"#{digest}\n" in explain(as_json=False)[1]
    account["facts"][0]["digest"] = "x"
    assert "digest" not in Report.from_dict(report.to_dict()).content["facts"][0]  # type: ignore[index]


def test_where_nobody_could_be_asked_nobody_says_that_there_is_nothing(
    daemons: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    daemons["policyd"] = daemons["contentfilter"] = ControlError("gone")
    assert explain() == (1, "")
    assert "nothing is known" not in capsys.readouterr().err
