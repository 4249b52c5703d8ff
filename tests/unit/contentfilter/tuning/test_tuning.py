"""What a sample of ham and spam says about thresholds and clues, and how far that can be trusted."""

from __future__ import annotations

import json
import math
import random
import sys
from unittest.mock import MagicMock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter import cli
from contentfilter.tuning import commands
from contentfilter.tuning.chance import allowed, at_least, at_most, needed
from contentfilter.tuning.figures import LISTED, Judged, Sample
from contentfilter.tuning.plots import PlotsMissing, draw
from contentfilter.tuning.report import MAX_CLUES, Terms, as_json, as_text

TERMS = Terms("inbound", {"tag_at": 5.0, "reject_at": 15.0})


def mail(number: int, spam: bool, **items: float) -> Judged:
    named = {name.replace("_", "."): points for name, points in items.items()}
    return Judged(f"/{'spam' if spam else 'ham'}/{number}", spam, sum(named.values()), named)


def sample(ham: list[float], spam: list[float]) -> Sample:
    return Sample(
        [mail(number, False, rule_x=points) for number, points in enumerate(ham)]
        + [mail(number, True, rule_x=points) for number, points in enumerate(spam)]
    )


# Bounds


@pytest.mark.parametrize(
    ("count", "size", "bound"),
    # Of the tables of the binomial distribution: none in n, 1 - 0.05 ** (1 / n); one in ten, 0.394.
    [(0, 10, 0.2589), (0, 100, 0.0295), (1, 10, 0.3942), (5, 10, 0.7776), (10, 10, 1.0), (0, 0, 1.0)],
)
def test_a_share_is_bounded_from_above(count, size, bound):
    assert at_most(count, size) == pytest.approx(bound, abs=5e-5)


def test_a_share_is_bounded_from_below_as_the_others_are_from_above():
    assert at_least(5, 10) == pytest.approx(1 - 0.7776, abs=5e-5)
    assert at_least(0, 10) == 0.0
    assert at_least(10, 10) == pytest.approx(0.05 ** (1 / 10), abs=5e-5)


@given(st.integers(1, 600), st.data())
@settings(max_examples=20, deadline=None)
def test_a_bound_lies_beyond_what_was_seen_and_grows_with_it(size, data):
    count = data.draw(st.integers(0, size - 1))
    assert at_least(count, size) <= count / size < at_most(count, size) <= at_most(count + 1, size) <= 1.0


def test_a_bound_over_many_mails_takes_no_time_to_speak_of():
    assert at_most(99_000, 100_000) == pytest.approx(0.9905, abs=1e-4)
    assert allowed(100_000, 0.001) == pytest.approx(83, abs=1)


def test_how_large_a_sample_must_be():
    assert needed(0.001) == 2995
    assert allowed(2995, 0.001) == 0
    assert allowed(2994, 0.001) is None
    spare = allowed(20_000, 0.001)
    assert spare is not None
    assert at_most(spare, 20_000) <= 0.001 < at_most(spare + 1, 20_000)


def test_what_is_promised_holds():
    """Many samples of one kind of ham, a threshold for each: 95 of 100 keep the rate that was wished."""
    source, kept = random.Random(1), 0
    for _ in range(200):
        rates = sample([source.expovariate(1.0) for _ in range(200)], []).advise(0.02).rates
        assert rates is not None
        kept += math.exp(-rates.threshold) <= 0.02
    assert kept / 200 >= 0.93


# Thresholds


def test_what_reaches_a_threshold_is_above_it():
    rates = sample([0, 0, 4.9, 5.0], [1, 5.0, 9, 20]).at(5.0)
    assert (rates.caught, rates.spam, rates.wrong, rates.ham) == (3, 4, 1, 4)
    assert rates.catch == 0.75
    assert rates.false == 0.25
    assert rates.false_bound > 0.25
    assert rates.catch_bounds[0] < 0.75 < rates.catch_bounds[1]


def test_the_lowest_threshold_is_put_above_all_ham_but_so_much_in_whole_steps():
    one = sample([0.0] * 998 + [3.0, 7.25], [8.0])
    assert one.lowest(0.0).threshold == 7.3
    assert one.lowest(0.001).threshold == 3.1
    assert one.lowest(0.002).threshold == 0.1
    assert one.lowest(1.0).threshold == 0.0
    assert sample([0.3], [1.0]).lowest(0.0).threshold == 0.4


def test_a_sample_that_is_too_small_names_no_threshold():
    advice = sample([0.0] * 100, [9.0]).advise(0.001)
    assert advice.rates is None
    assert advice.needed == 2995
    text = as_text(sample([0.0] * 100, [9.0]), TERMS)
    assert "needs 2,995" in text
    assert "Above all of this ham lies 0.1, which catches 100.00%; of all ham at most 2.951%" in text


@given(
    st.lists(st.floats(-20, 40), min_size=1, max_size=60),
    st.lists(st.floats(-20, 40), min_size=1, max_size=60),
)
@settings(max_examples=60, deadline=None)
def test_a_curve_goes_from_nothing_to_everything(ham, spam):
    curve = sample(ham, spam).curve()
    assert (curve[0].caught, curve[0].wrong) == (0, 0)
    assert (curve[-1].caught, curve[-1].wrong) == (len(spam), len(ham))
    assert [one.caught for one in curve] == sorted(one.caught for one in curve)
    assert [one.threshold for one in curve] == sorted({one.threshold for one in curve}, reverse=True)


def test_quantiles():
    one = sample([1.0, 2.0, 3.0, 4.0], [])
    assert one.quantiles(False, (0.0, 0.25, 0.5, 0.75, 0.99, 1.0)) == [1, 1, 2, 3, 4, 4]
    assert math.isnan(one.quantiles(True, (0.5,))[0])


# Clues


def test_what_each_clue_catches_and_harms():
    mails = [
        mail(1, True, rule_a=3.0, rule_b=2.5),  # either is needed
        mail(2, True, rule_a=6.0, rule_b=1.0),  # only a is
        mail(3, True, rule_b=2.0),
        mail(4, False, rule_b=5.0),
        mail(5, False, rule_good=-1.0),
        Judged("/ham/6", False, 0.0, {}, frozenset({"rule.quiet"})),
    ]
    a, b, good, quiet = Sample(mails).clues(5.0)
    assert (a.name, a.points, a.catches, a.harms) == ("rule.a", 4.5, 2, 0)
    assert (b.name, b.points, b.catches, b.harms) == ("rule.b", 2.625, 1, 1)
    assert (a.spam, a.ham, a.precision) == (2 / 3, 0, 1.0)
    assert (b.spam, b.ham) == (1.0, 1 / 3)
    assert b.precision == pytest.approx(0.75)
    assert (good.name, good.catches, good.harms) == ("rule.good", 0, 0)
    assert (quiet.name, quiet.points) == ("rule.quiet", 0.0)


def test_mails_on_the_wrong_side_are_named_the_worst_first():
    one = sample([6.0, 9.0, 1.0], [4.0, -2.0, *[1.0] * 20])
    assert [found.points for found in one.doubtful(False, 5.0)] == [9.0, 6.0]
    missed = one.doubtful(True, 5.0)
    assert missed[0].points == -2.0
    assert len(missed) == LISTED


# What is told


def test_the_text_says_what_is_in_force_and_what_is_recommended():
    one = sample([0.0] * 400 + [6.0], [9.0] * 90 + [2.0] * 10)
    text = as_text(one, Terms("inbound", {"tag_at": 5.0}, (0.02,)))
    assert text.startswith("401 ham and 100 spam; points of flow inbound, in force: tag_at 5\n")
    (tag,) = (line for line in text.splitlines() if line.endswith("tag_at"))
    assert tag.split()[:2] == ["5", "90.00%"]
    (row,) = (line for line in text.splitlines() if line.startswith("at most 2.000% of ham"))
    assert row.split()[5:7] == ["0.1", "100.00%"]
    assert "HAM ABOVE 5" in text
    assert "SPAM BELOW 5" in text
    assert "/ham/400" in text


def test_ham_that_would_be_refused_whatever_its_points_is_told():
    one = Sample([Judged("/ham/1", False, 0.0, refused="office-macro"), mail(1, True, rule_a=9.0)])
    assert "office-macro  /ham/1" in as_text(one, TERMS)
    assert as_json(one, TERMS, False)["refused_ham"] == ["/ham/1"]


def test_names_from_outside_are_printable_and_many_clues_are_cut():
    names = {f"rule.r{number}": 1.0 for number in range(MAX_CLUES + 5)}
    one = Sample([Judged("/spam/\x1b[2J\n" + "x" * 500, True, 1.0, names), mail(1, False)])
    text = as_text(one, TERMS)
    assert "\x1b" not in text
    assert "and 5 more, in the JSON" in text
    assert max(map(len, text.splitlines())) < 300


def test_the_json_has_it_all():
    one = sample([0.0, 6.0], [9.0, 1.0])
    told = json.loads(json.dumps(as_json(one, TERMS, True), allow_nan=False))
    assert (told["ham"], told["spam"], told["in_force"]) == (2, 2, {"tag_at": 5.0, "reject_at": 15.0})
    (tag,) = (row for row in told["thresholds"] if row["threshold"] == 5)
    assert (tag["catch"], tag["ham_above"]) == (0.5, 1)
    assert [row["points"] for row in told["mails"]] == [0.0, 6.0, 9.0, 1.0]
    assert [row["rates"] for row in told["recommended"]] == [None] * 3
    assert "mails" not in as_json(one, TERMS, False)


def test_without_any_threshold_there_is_something_to_tell():
    one = sample([0.0], [9.0])
    assert "no threshold" in as_text(one, Terms("outbound", {}))


def test_a_picture_is_drawn_of_each_kind(tmp_path, monkeypatch):
    folder = tmp_path / "new" / "folder"
    pyplot = MagicMock()
    figures = [MagicMock() for _ in range(4)]
    pyplot.subplots.side_effect = [(figure, MagicMock()) for figure in figures]
    monkeypatch.setitem(sys.modules, "matplotlib", MagicMock(pyplot=pyplot))
    drawn = draw(sample([0.0, 1.0, 6.0], [9.0, 2.0]), TERMS, folder)
    assert [path.name for path in drawn] == ["distribution.png", "roc.png", "thresholds.png", "clues.png"]
    assert [figure.savefig.call_args.args[0] for figure in figures] == drawn
    assert folder.is_dir()


def test_without_matplotlib_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PlotsMissing, match=r"bin/pip install --require-hashes -r requirements-tune\.lock"):
        draw(sample([0.0], [9.0]), TERMS, tmp_path)


# The command


@pytest.mark.parametrize(
    ("ham", "spam", "told"),
    [
        ("missing", "missing", ["missing: No such file or directory"] * 2 + ["no ham there"]),
        ("a", "missing", ["missing: No such file or directory", "no spam there"]),
        ("loop", "a", ["loop: Too many levels of symbolic links", "no ham there"]),
        ("a", "also", ["a is among both ham and spam"]),
        ("empty", "a", ["empty: no files there", "no ham there"]),
    ],
)
def test_what_is_named_and_no_sample_is_told(tmp_path, monkeypatch, capsys, ham, spam, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_text("x")
    (tmp_path / "also").symlink_to("a")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "empty").mkdir()
    (tmp_path / "c.yaml").write_text("{}")
    assert cli.main(["tune", "--config", "c.yaml", "--ham", ham, "--spam", spam]) == 2
    said = [line.replace(f"{tmp_path}/", "") for line in capsys.readouterr().err.splitlines()]
    assert said == [f"contentfilter: {line}" for line in told]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--json", "nowhere/figures.json"], "nowhere/figures.json: there is no folder nowhere"),
        (["--json", "folder"], "folder: is a folder; expected a file"),
        (["--plots", "b"], "b: File exists"),
    ],
)
def test_what_could_not_be_written_is_told_before_anything_is_judged(
    tmp_path, monkeypatch, capsys, arguments, told
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "_judge", None)
    monkeypatch.setitem(sys.modules, "matplotlib", MagicMock())
    for name in "ab":
        (tmp_path / name).write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "c.yaml").write_text("{}")
    assert cli.main(["tune", "--config", "c.yaml", "--ham", "a", "--spam", "b", *arguments]) == 2
    assert capsys.readouterr().err == f"contentfilter: {told}\n"


def test_pictures_that_cannot_be_drawn_are_told_of_before_too(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(commands, "_judge", None)
    for name in "ab":
        (tmp_path / name).write_text("x")
    (tmp_path / "c.yaml").write_text("{}")
    sample = ["--ham", str(tmp_path / "a"), "--spam", str(tmp_path / "b")]
    assert cli.main(["tune", "--config", str(tmp_path / "c.yaml"), *sample, "--plots", str(tmp_path)]) == 2
    assert "no plots without matplotlib" in capsys.readouterr().err
