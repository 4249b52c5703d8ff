"""What the engine remembers of transactions that are going on, within bounds."""

from __future__ import annotations

from policyd.engine.transactions import ACCEPTED, KEPT_OUT, MAX_NOTES, TICKET, Transactions
from policyd.protocol.request import Request, request_of


def request(instance: str = "i", recipient: str = "r", context: str = "", stage: str = "RCPT") -> Request:
    return request_of(
        {"instance": instance, "recipient": recipient, "policy_context": context, "protocol_state": stage}
    )


def remember(transactions: Transactions, asked: Request, reply: str, mark: str = "") -> None:
    transactions.remember(transactions.question(asked), asked, reply, mark)


def test_memory_is_bounded_and_the_last_are_remembered() -> None:
    transactions = Transactions(100)
    for number in range(1000):
        remember(transactions, request(f"i{number}"), str(number), ACCEPTED)
        assert len(transactions) <= 200
    for number in range(901, 1000):
        assert transactions.answer(transactions.question(request(f"i{number}"))) == str(number)
    assert transactions.answer(transactions.question(request("i0"))) is None


def test_what_a_transaction_knows_survives_the_change_of_generations() -> None:
    transactions = Transactions(10)
    remember(transactions, request(recipient="first"), "DUNNO", ACCEPTED)
    for number in range(12):
        remember(transactions, request(f"other{number}"), "DUNNO", ACCEPTED)
    remember(transactions, request(recipient="second"), "DUNNO", ACCEPTED)
    assert transactions.accepted(request()) == ("first", "second")


def test_no_part_of_a_question_runs_into_another() -> None:
    one, two = request("i", "a", "b"), request("i", "a\0b", "")
    questions = {
        Transactions.question(asked) for asked in (one, request("i", "ab", ""), request("ia", "b", ""))
    }
    assert len(questions) == 3
    assert Transactions.question(two)


def test_what_cannot_be_remembered_is_no_question() -> None:
    assert Transactions.question(request("")) == ""
    assert Transactions.question(request("i" * 400)) == ""
    assert Transactions.question(request(recipient="r" * 400)) == ""
    assert Transactions.question(request(context="c" * 400)) == ""


def test_kept_out_anywhere_is_not_accepted() -> None:
    transactions = Transactions()
    remember(transactions, request(recipient="a", context="relay"), "DUNNO", ACCEPTED)
    remember(transactions, request(recipient="b", context="relay"), "DUNNO", ACCEPTED)
    remember(transactions, request(recipient="b", context="recipient"), "DEFER", KEPT_OUT)
    remember(transactions, request(recipient="b", context="third"), "DUNNO", ACCEPTED)
    assert transactions.accepted(request()) == ("a",)
    assert transactions.accepted(request("other")) == ()


def test_a_ticket_is_noted_and_is_no_recipient() -> None:
    transactions = Transactions()
    assert transactions.ticket(request()) == ""
    remember(transactions, request(stage="DATA", recipient="x"), "PREPEND", TICKET + "1234")
    assert transactions.ticket(request()) == "1234"
    assert transactions.accepted(request()) == ()


def test_notes_of_one_transaction_are_bounded() -> None:
    transactions = Transactions(10**6)
    for number in range(2000):
        remember(transactions, request(recipient=f"{number:0300}"), "DUNNO", ACCEPTED)
    assert sum(map(len, transactions.accepted(request()))) <= MAX_NOTES
