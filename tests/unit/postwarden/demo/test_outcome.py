"""What became of a sample mail, told from the outside."""

from mailbase.ids import encode
from postwarden.demo.outcome import decision, observe, quarantined
from postwarden.demo.scenario import STEPS, Fate
from postwarden.sandbox.client import Reply

ID = encode(0x0123456789ABCDEF)


class NoSink:
    def find(self, text):
        return []


def expecting(fate):
    return next(step for step in STEPS if step.expected is fate)


def test_the_decision_is_found_in_a_reply():
    assert decision(f"554 5.7.1 Attachment notes.txt holds macros [{ID}]") == ID
    assert decision("250 2.0.0 Ok: queued as BF5C3214832") == ""


def test_an_answer_decides_what_became_of_a_mail(tmp_path):
    step = expecting(Fate.DEFERRED)
    deferred = observe(step, "m", b"", Reply(450, (b"450 4.2.0 Greylisted",)), NoSink(), tmp_path)
    assert deferred.fate is Fate.DEFERRED
    assert deferred.expected
    refused = observe(step, "m", b"", Reply(554, (b"554 no",)), NoSink(), tmp_path)
    assert refused.fate is Fate.REFUSED
    assert not refused.expected


def test_a_refused_mail_that_arrives_is_noticed(tmp_path):
    class Leaky:
        def find(self, text):
            return [object()]

    outcome = observe(expecting(Fate.REFUSED), "m", b"", Reply(554, (b"554 no",)), Leaky(), tmp_path)
    assert not outcome.expected


def test_a_mail_for_nobody_must_not_arrive(tmp_path, monkeypatch):
    monkeypatch.setattr("postwarden.demo.outcome.ABSENCE", 0.0)
    step = expecting(Fate.SWALLOWED)
    accepted = Reply(250, (f"250 2.0.0 Ok [{ID}]".encode(),))
    outcome = observe(step, "m", b"", accepted, NoSink(), tmp_path)
    assert outcome.expected
    assert outcome.arrived == "nothing"
    (tmp_path / "kept.eml").write_bytes(b"m")
    assert not observe(step, "m", b"", accepted, NoSink(), tmp_path).expected


def test_quarantined_files_are_found_by_content(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mail.eml").write_bytes(b"x needle y")
    (tmp_path / "other").write_bytes(b"hay")
    assert [path.name for path in quarantined(tmp_path, b"needle")] == ["mail.eml"]
