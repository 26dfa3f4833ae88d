"""Measures against scikit-learn, published figures and their definitions."""

from itertools import permutations
from statistics import NormalDist
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from apps.datasets.models import Question
from apps.datasets.schema import QuestionRule
from apps.quality.measures import alpha as reliability
from apps.quality.measures import intervals, labels, paired, parts
from apps.quality.measures.comparison import compare, disagreeing
from apps.quality.measures.confidence import accepted_at, calibration, widest
from apps.quality.measures.intervals import bootstrap_mean, lower_bound, two_sided_sign, wilson
from apps.quality.measures.paired import Verdict
from apps.quality.measures.report import Measured, confusion_cells, report
from tests.factories import QUESTIONS

SEEDS = range(5)
VALUES = ["positive", "negative", "mixed"]


def rule(name: str) -> QuestionRule:
    return QuestionRule(
        Question(id=uuid4(), organization_id=uuid4(), name=name, settings=dict(QUESTIONS[name]))
    )


def drawn(seed: int, n: int = 200, values: Any = VALUES, right: float = 0.7) -> tuple[Any, Any]:
    """Truth and answers, of which about ``right`` are taken from the truth."""
    generator = np.random.default_rng(seed)
    truth = generator.choice(len(values), n, p=_uneven(len(values)))
    guess = generator.choice(len(values), n)
    kept = generator.random(n) < right
    found = np.where(kept, truth, guess)
    return [values[i] for i in truth], [values[i] for i in found]


def _uneven(k: int) -> Any:
    weights = np.arange(1, k + 1, dtype=float)
    return weights / weights.sum()


# --- Against scikit-learn ------------------------------------------------------------------------
@pytest.mark.parametrize("seed", SEEDS)
def test_classes_are_measured_as_scikit_learn_does(seed: int) -> None:
    truth, found = drawn(seed)
    told = report(Measured(rule("sentiment"), truth, found))
    figures = {name: one["value"] for name, one in told["metrics"].items()}
    assert figures["accuracy"] == pytest.approx(metrics.accuracy_score(truth, found))
    assert figures["macro_f1"] == pytest.approx(metrics.f1_score(truth, found, average="macro"))
    assert figures["kappa"] == pytest.approx(metrics.cohen_kappa_score(truth, found))
    by_label = metrics.precision_recall_fscore_support(truth, found, labels=VALUES)
    for column, name in enumerate(("precision", "recall", "f1", "support")):
        ours = [one[name] for one in told["by_label"]]
        assert ours == pytest.approx(by_label[column].tolist()), name


@pytest.mark.parametrize("seed", SEEDS)
def test_ratings_are_weighed_by_squared_distance(seed: int) -> None:
    truth, found = drawn(seed, values=[1, 2, 3, 4, 5])
    figures = report(Measured(rule("quality"), truth, found))["metrics"]
    wanted = metrics.cohen_kappa_score(truth, found, weights="quadratic")
    assert figures["weighted_kappa"]["value"] == pytest.approx(wanted)
    assert figures["mean_error"]["value"] == pytest.approx(
        metrics.mean_absolute_error(truth, found)
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_sets_are_measured_as_scikit_learn_does(seed: int) -> None:
    generator = np.random.default_rng(seed)
    genres = ["comedy", "drama", "horror"]
    truth = generator.random((120, 3)) < 0.5
    found = truth ^ (generator.random((120, 3)) < 0.2)
    as_lists = [
        [[genre for genre, on in zip(genres, row, strict=True) if on] for row in table]
        for table in (truth, found)
    ]
    told = report(Measured(rule("genre"), *as_lists))
    figures = {name: one["value"] for name, one in told["metrics"].items()}
    assert figures["exact"] == pytest.approx(metrics.accuracy_score(truth, found))
    assert figures["micro_f1"] == pytest.approx(metrics.f1_score(truth, found, average="micro"))
    assert figures["macro_f1"] == pytest.approx(metrics.f1_score(truth, found, average="macro"))
    empty = metrics.jaccard_score(truth, found, average="samples", zero_division=1)
    assert figures["jaccard"] == pytest.approx(empty)


def test_confusion_is_scikit_learns_and_names_its_units() -> None:
    truth, found = drawn(1)
    places = [labels.places(VALUES, given) for given in (truth, found)]
    matrix = labels.confusion(*places, 3)
    assert (matrix[:, :3] == metrics.confusion_matrix(truth, found, labels=VALUES)).all()
    cells = confusion_cells(Measured(rule("sentiment"), truth, found))
    assert {cell: len(units) for cell, units in cells.items()} == {
        (int(r), int(c)): int(matrix[r, c]) for r, c in np.argwhere(matrix)
    }
    assert all(
        (truth[u], found[u]) == (VALUES[r], VALUES[c]) for (r, c), us in cells.items() for u in us
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_rankings_agree_with_scipys_tau_b(seed: int) -> None:
    generator = np.random.default_rng(seed)
    one, other = generator.integers(1, 4, (2, 3))
    if len(set(one)) == 1 or len(set(other)) == 1:
        one, other = np.array([1, 2, 2]), np.array([2, 1, 3])
    rankings = [
        [{"value": value, "rank": int(rank)} for value, rank in zip("abc", ranks, strict=True)]
        for ranks in (one, other)
    ]
    wanted = stats.kendalltau(one, other, variant="b").statistic
    assert parts.kendall(rule("order"), *rankings) == pytest.approx(wanted)


def test_calibration_is_the_weighted_gap() -> None:
    scores = np.array([0.95, 0.9, 0.85, 0.3, 0.25, 0.1])
    right = np.array([1, 1, 0, 0, 1, 0])
    found = calibration(scores, right)
    assert found is not None
    gaps = {(0.9, 1.0): (1, 0.95, 1), (0.8, 0.9): (2, 0.875, 0.5), (0.2, 0.3): (2, 0.275, 0.5)}
    by_bin = {
        (round(b.low, 1), round(b.high, 1)): (b.n, b.confidence, b.accuracy) for b in found.bins
    }
    for place, wanted in gaps.items():
        assert by_bin[place] == pytest.approx(wanted)
    error = (1 * 0.05 + 2 * 0.375 + 2 * 0.225 + 1 * 0.1) / 6
    assert found.error == pytest.approx(error)
    assert found.brier == pytest.approx(metrics.brier_score_loss(right, scores))
    assert calibration(np.array([]), np.array([])) is None


# --- Agreement -----------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["nominal", "ordinal"])
@pytest.mark.parametrize("seed", SEEDS)
def test_alpha_lies_in_its_interval(seed: int, kind: str) -> None:
    counts = np.random.default_rng(seed).integers(0, 3, (30, 4))
    distance = reliability.nominal(4) if kind == "nominal" else reliability.ordinal(counts)
    found = reliability.alpha(counts, distance)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.value == pytest.approx(reliability.value(counts, distance))
    assert found.low <= found.value <= found.high


def test_masi_is_jaccard_times_monotonicity() -> None:
    """The example of the paper: subsets weigh 2/3, other overlaps 1/3."""
    sets = [frozenset(s) for s in ("ab", "ab", "abc", "bc", "d")]
    table = reliability.masi(sets)
    assert table[0].tolist() == pytest.approx([0, 0, 1 - 2 / 3 * 2 / 3, 1 - 1 / 3 * 1 / 3, 1])


def test_alpha_of_sets_is_what_its_definition_says() -> None:
    units = [[{"a"}, {"a", "b"}], [{"b"}, {"b"}, {"c"}], [{"a", "c"}, {"a"}], [{"b"}]]
    answers = [[frozenset(s) for s in unit] for unit in units]
    values, counts = reliability.tally(answers)
    found = reliability.alpha(counts, reliability.masi(values))
    pairable = [unit for unit in answers if len(unit) > 1]
    everything = [s for unit in pairable for s in unit]

    def apart(one: frozenset[str], other: frozenset[str]) -> float:
        return float(reliability.masi([one, other])[0, 1])

    n = len(everything)
    within = sum(apart(*p) / (len(u) - 1) for u in pairable for p in permutations(u, 2)) / n
    between = sum(apart(*p) for p in permutations(everything, 2)) / (n * (n - 1))
    assert found is not None
    assert found.value == pytest.approx(1 - within / between)


def test_alpha_is_silent_where_nothing_can_be_estimated() -> None:
    assert reliability.alpha(np.array([[1, 0], [0, 1]]), reliability.nominal(2)) is None
    assert reliability.alpha(np.array([[2, 0], [3, 0]]), reliability.nominal(2)) is None


# --- Spans and texts -----------------------------------------------------------------------------
def span(label: str, start: int, end: int) -> dict[str, Any]:
    return {"label": label, "start": start, "end": end}


def test_spans_count_exactly_and_by_characters() -> None:
    truth = [[span("person", 0, 5), span("place", 10, 20)], [], [span("person", 0, 4)]]
    found = [[span("person", 0, 5), span("place", 12, 20)], [], None]
    told = report(Measured(rule("entities"), truth, found))
    exact, near = (told["metrics"][name]["value"] for name in ("exact_f1", "overlap_f1"))
    assert exact == pytest.approx(2 * 1 / (3 + 2))
    assert near == pytest.approx(2 * (5 + 8) / (5 + 10 + 4 + 5 + 8))
    person, place = told["by_label"]
    assert (person["precision"], person["recall"], person["support"]) == (1, 0.5, 2)
    assert (place["precision"], place["recall"], place["f1"]) == (0, 0, 0)
    assert told["invalid"] == 1


def test_texts_by_words_and_characters() -> None:
    assert parts.token_f1("The cat sat.", "the cat ran") == pytest.approx(2 / 4)  # no articles
    assert parts.same_text("The cat!", "the  cat")
    for one, other in (("the U.S.", "US"), ("don’t", "don't"), ("an apple", "Apple")):
        assert parts.same_text(one, other)
        assert parts.token_f1(one, other) == 1
    assert not parts.same_text("a thesis", "sis")
    assert parts.token_f1("", "") == 1
    assert parts.chrf("abc", "abc") == 1
    assert parts.chrf("abc", "xyz") == 0
    # abcd and abce: 3/4, 2/3, 1/2 and 0 of the grams of 1 to 4 characters.
    assert parts.chrf("abcd", "abce") == pytest.approx((3 / 4 + 2 / 3 + 1 / 2 + 0) / 4)


# --- Intervals -----------------------------------------------------------------------------------
def test_wilson_is_the_published_interval() -> None:
    """R. G. Newcombe, Statistics in Medicine 17, 1998: 81 of 263 gives 0.2553 to 0.3662."""
    found = wilson(81, 263)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 0) is None
    nothing = wilson(0, 20)
    assert nothing is not None
    assert nothing.low == 0


@pytest.mark.parametrize(("right", "n"), [(1, 10), (9, 10), (10, 10), (97, 100), (480, 500)])
def test_the_lower_bound_is_a_quantile_of_beta(right: int, n: int) -> None:
    wanted = stats.beta.ppf(0.05, right, n - right + 1)
    assert lower_bound(right, n) == pytest.approx(wanted, abs=1e-9)
    assert lower_bound(0, n) == 0


@pytest.mark.parametrize(("fewer", "n"), [(0, 6), (8, 26), (16, 52), (25, 50), (600, 1300)])
def test_the_sign_test_is_binomial(fewer: int, n: int) -> None:
    assert two_sided_sign(fewer, n) == pytest.approx(stats.binomtest(fewer, n).pvalue)


def test_the_bootstrap_of_a_mean_is_near_the_normal_interval() -> None:
    values = np.random.default_rng(3).normal(size=400)
    found = bootstrap_mean(values)
    assert found is not None
    half = NormalDist().inv_cdf(0.975) * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.015)
    assert found.high == pytest.approx(values.mean() + half, abs=0.015)


# --- Comparing -----------------------------------------------------------------------------------
def versions(seed: int, *, lost: float, won: float, n: int = 200) -> tuple[Measured, Measured]:
    """Two of four in five right; B loses a share of the units and wins another."""
    generator = np.random.default_rng(seed)
    truth = [VALUES[i] for i in generator.integers(0, 3, n)]
    luck = generator.random(n)
    a = [t if x < 0.8 else _other(t) for t, x in zip(truth, luck, strict=True)]
    wrong = (luck < lost) | (luck >= 0.8 + won)
    b = [_other(t) if out else t for t, out in zip(truth, wrong, strict=True)]
    question = rule("sentiment")
    return Measured(question, truth, a), Measured(question, truth, b)


def _other(value: str) -> str:
    return VALUES[(VALUES.index(value) + 1) % 3]


def verdicts(*, lost: float, won: float) -> list[Verdict]:
    compared = (compare(*versions(seed, lost=lost, won=won)) for seed in range(40))
    return [Verdict(one["test"]["verdict"]) for one in compared]


def test_ten_points_better_are_seen_at_two_hundred() -> None:
    found = verdicts(lost=0.03, won=0.13)
    assert found.count(Verdict.BETTER) >= 36
    assert Verdict.WORSE not in found


def test_the_same_is_not_told_apart() -> None:
    found = verdicts(lost=0.08, won=0.08)
    assert found.count(Verdict.NOT_DISTINGUISHABLE) >= 37


def test_mcnemar_looks_at_units_that_only_one_has_right() -> None:
    a = np.array([1] * 90 + [0] * 10)
    b = np.array([1] * 88 + [0] * 2 + [1] * 9 + [0])
    found = paired.mcnemar(a, b)
    assert found is not None
    assert (found.only_a, found.only_b) == (2, 9)
    assert found.p == pytest.approx(stats.binomtest(2, 11).pvalue)
    assert found.verdict == Verdict.NOT_DISTINGUISHABLE
    assert found.delta.value == pytest.approx(0.07)


def test_the_paired_bootstrap_agrees_with_the_t_test() -> None:
    generator = np.random.default_rng(5)
    a = generator.random(150)
    for step, wanted in ((0.05, Verdict.BETTER), (-0.05, Verdict.WORSE), (0.0, None)):
        b = a + step + generator.normal(0, 0.2, 150)
        found = paired.paired_bootstrap(a, b)
        assert found is not None
        assert found.p == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.05)
        assert found.verdict == (wanted or Verdict.NOT_DISTINGUISHABLE)


def test_identical_answers_do_not_differ() -> None:
    one, _ = versions(1, lost=0, won=0)
    told = compare(one, one)
    assert told["test"]["verdict"] == "not_distinguishable"
    assert told["test"]["p"] == 1
    assert told["units"] == []


def test_what_b_lost_comes_first() -> None:
    a, b = versions(2, lost=0.1, won=0.1, n=60)
    units = compare(a, b)["units"]
    right = [b.predicted[unit] == b.truth[unit] for unit in units]
    assert right == sorted(right)
    assert disagreeing(b) == [n for n in range(60) if b.predicted[n] != b.truth[n]]


# --- Among people, and without them --------------------------------------------------------------
def test_the_ceiling_is_how_often_two_people_agree() -> None:
    truth = ["positive"] * 4
    people = [["positive", "positive"], ["positive", "mixed"], ["mixed"], ["mixed"] * 3]
    told = report(Measured(rule("sentiment"), truth, truth, people))
    assert told["ceiling"]["n"] == 3
    assert told["ceiling"]["agreement"]["value"] == pytest.approx(2 / 3)
    assert told["ceiling"]["alpha"]["value"] == pytest.approx(
        reliability.value(np.array([[2, 0], [1, 1], [0, 1], [0, 3]]), reliability.nominal(2))
    )
    with_model = reliability.value(
        np.array([[3, 0], [2, 1], [1, 1], [1, 3]]), reliability.nominal(2)
    )
    assert told["metrics"]["alpha_with_model"]["value"] == pytest.approx(with_model)


def test_no_answer_is_wrong_and_counted() -> None:
    told = report(Measured(rule("sentiment"), ["mixed"] * 4, ["mixed", None, "mixed", "gone"]))
    assert told["invalid"] == 1
    assert told["metrics"]["accuracy"]["value"] == 0.5
    cells = confusion_cells(Measured(rule("sentiment"), ["mixed"] * 2, ["mixed", None]))
    assert cells == {(2, 2): [0], (2, 3): [1]}


@pytest.mark.parametrize("name", QUESTIONS)
def test_nothing_at_all_is_told_of_nothing(name: str) -> None:
    told = report(Measured(rule(name), [], []))
    assert told["n"] == 0
    assert set(told["metrics"].values()) == {None}
    assert told["calibration"] is None
    assert compare(Measured(rule(name), [], []), Measured(rule(name), [], []))["test"] is None


# --- Accepting -----------------------------------------------------------------------------------
def test_the_widest_threshold_keeps_its_precision() -> None:
    generator = np.random.default_rng(11)
    scores = generator.random(4_000).round(3)
    right = generator.random(4_000) < scores  # perfectly calibrated
    found = widest(scores, right, target=0.9)
    assert found is not None
    assert found.bound >= 0.9
    again = accepted_at(found.threshold, scores, right)
    assert (again.n, again.right) == (found.n, found.right)
    wider = [accepted_at(t, scores, right) for t in np.unique(scores[scores < found.threshold])]
    assert all(one.bound < 0.9 for one in wider)
    fresh = generator.random(4_000)
    held = accepted_at(found.threshold, fresh, generator.random(4_000) < fresh)
    assert held.precision is not None
    assert held.precision >= 0.9


def test_thresholds_that_only_just_fail_cost_one_sum_each(monkeypatch: pytest.MonkeyPatch) -> None:
    n = np.arange(1, 2_001)
    hits = np.minimum(np.floor(0.9 * n + 0.3 * np.sqrt(n)), n)  # better than 0.9, never surely so
    right = np.diff(hits, prepend=0) > 0
    terms, term = [], intervals._log_binomial

    def counted(n: int, k: int, share: float) -> float:
        terms.append(k)
        return term(n, k, share)

    monkeypatch.setattr(intervals, "_log_binomial", counted)
    assert widest(np.linspace(1, 0, 2_000), right, target=0.9) is None
    assert 100_000 < len(terms) < 300_000


def test_no_threshold_is_better_than_a_false_promise() -> None:
    assert widest(np.array([0.9] * 10), np.array([1] * 10), target=0.97) is None
    assert widest(np.array([]), np.array([]), target=0.5) is None
    assert widest(np.linspace(0, 1, 50), np.zeros(50), target=0.5) is None


def test_equal_confidences_stand_or_fall_together() -> None:
    scores = np.array([0.9] * 100 + [0.8] * 100)
    right = np.array([1] * 100 + [1] * 90 + [0] * 10)
    found = widest(scores, right, target=0.97)
    assert found is not None
    assert (found.threshold, found.n) == (0.9, 100)
