"""Agreement among people: against its definition, published figures, and other programs."""

from itertools import combinations
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics
from sklearn.metrics.cluster import expected_mutual_information

from apps.datasets.models import Question
from apps.datasets.schema import QuestionRule
from apps.quality.dawid_skene import Votes
from apps.quality.measures import alpha as dense
from apps.quality.measures import long_form
from apps.quality.measures.between import agreement_of_classes, agreement_of_values, concordance
from apps.quality.measures.labels import NONE
from apps.quality.standing import BLIND
from tests.factories import QUESTIONS

SEEDS = range(4)


def rule(name: str) -> QuestionRule:
    return QuestionRule(
        Question(id=uuid4(), organization_id=uuid4(), name=name, settings=dict(QUESTIONS[name]))
    )


def votes_of(counts: Any) -> Votes:
    """Answers in a random order, of people who do not matter."""
    items, labels = np.nonzero(counts)
    times = counts[items, labels]
    order = np.random.default_rng(0).permutation(times.sum())
    items, labels = (np.repeat(part, times)[order] for part in (items, labels))
    return Votes(items, np.zeros(len(items), np.int64), labels, classes=counts.shape[1])


def some_counts(seed: int, units: int = 60) -> Any:
    return np.random.default_rng(seed).integers(0, 3, (units, 4))


def ranking(*ranks: int | None) -> list[dict[str, Any]]:
    return [{"value": f"option-{n}", "rank": rank} for n, rank in enumerate(ranks)]


# --- Alpha ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", SEEDS)
def test_alpha_in_long_form_is_that_of_the_table(seed: int) -> None:
    counts = some_counts(seed)
    table = dense.alpha(counts, dense.nominal(4))
    found = long_form.alpha(votes_of(counts))
    assert found.n == (counts.sum(axis=1) >= 2).sum()
    assert found.estimate == table  # its interval, too
    ordinal = long_form.alpha(votes_of(counts), ordinal=True).estimate
    assert ordinal == dense.alpha(counts, dense.ordinal(counts))


@pytest.mark.parametrize("seed", SEEDS)
def test_alpha_is_what_krippendorff_computes(seed: int) -> None:
    krippendorff = pytest.importorskip(
        "krippendorff", reason="the package krippendorff is not installed: no oracle for alpha"
    )
    counts = some_counts(seed)
    for level in ("nominal", "ordinal"):
        wanted = krippendorff.alpha(value_counts=counts, level_of_measurement=level)
        found = long_form.alpha(votes_of(counts), ordinal=level == "ordinal").estimate
        assert found is not None
        assert found.value == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_masi_is_what_nltk_computes(seed: int) -> None:
    agreement = pytest.importorskip(
        "nltk.metrics.agreement", reason="nltk is not installed: no oracle for MASI"
    )
    distance = pytest.importorskip("nltk.metrics.distance").masi_distance
    drawn = np.random.default_rng(seed)
    units = [[_set(drawn) for _person in range(3)] for _unit in range(30)]
    data = [
        (str(person), str(unit), frozenset(given))
        for unit, answers in enumerate(units)
        for person, given in enumerate(answers)
    ]
    wanted = agreement.AnnotationTask(data, distance=distance).alpha()
    found = agreement_of_values(rule("genre"), units).estimate
    assert found is not None
    assert found.value == pytest.approx(wanted, abs=1e-6)


def _set(drawn: Any) -> list[str]:
    return [name for name in ("comedy", "drama", "horror") if drawn.random() < 0.6] or ["drama"]


def test_masi_of_two_sets_is_its_definition() -> None:
    """R. Passonneau's cases: the same, part of it, some shared, none."""
    sets = [frozenset("ab"), frozenset("a"), frozenset("bc"), frozenset("d"), frozenset()]
    found = dense.masi(sets)
    assert found[0] == pytest.approx([0, 1 - 1 / 2 * 2 / 3, 1 - 1 / 3 * 1 / 3, 1, 1])
    assert np.allclose(found, found.T)
    assert np.diag(found) == pytest.approx(np.zeros(5))


def test_many_units_are_resampled_in_pools() -> None:
    """As many pools as there may be: the value is exact, the interval as wide as without."""
    drawn = np.random.default_rng(3)
    truth = drawn.integers(0, 3, 6_000)
    said = np.where(drawn.random((2, 6_000)) < 0.8, truth, drawn.integers(0, 3, (2, 6_000)))
    counts = np.array([np.bincount(column, minlength=3) for column in said.T])
    whole = dense.alpha(counts, dense.nominal(3))
    pooled = long_form.alpha(votes_of(counts)).estimate
    assert whole is not None
    assert pooled is not None
    assert pooled.value == pytest.approx(whole.value)
    assert pooled.low == pytest.approx(whole.low, abs=0.005)
    assert pooled.high == pytest.approx(whole.high, abs=0.005)


@pytest.mark.parametrize(
    ("counts", "n"), [([[1, 0], [0, 1]], 0), ([[2, 0], [3, 0]], 2)], ids=["alone", "one value"]
)
def test_what_is_not_estimable_is_none(counts: Any, n: int) -> None:
    found = agreement_of_classes(rule("sentiment"), votes_of(np.array(counts)))
    assert (found.n, found.estimate) == (n, None)


def test_nobody_has_answered() -> None:
    none = np.array([], dtype=np.int64)
    votes = Votes(none, none, none, classes=3)
    assert long_form.alpha(votes) == long_form.Reliability(0, None)
    assert long_form.others_answer(votes).tolist() == []
    assert long_form.pair_tables(votes, 2).sum() == 0
    for name in ("genre", "entities", "order"):
        found = agreement_of_values(rule(name), [])
        assert (found.n, found.estimate) == (0, None)


# --- Other types ---------------------------------------------------------------------------------
def test_texts_have_no_measure() -> None:
    found = agreement_of_values(rule("comment"), [["one", "other"]])
    assert (found.name, found.estimate) == ("", None)


def test_spans_agree_exactly_or_by_characters() -> None:
    one = [{"start": 0, "end": 4, "label": "person"}]
    other = [{"start": 0, "end": 8, "label": "person"}]
    found = agreement_of_values(rule("entities"), [[one, one], [one, other], [one]])
    values = {name: estimate and estimate.value for name, estimate in found.measures.items()}
    assert found.n == 2
    assert values == {"overlap_f1": pytest.approx((1 + 2 / 3) / 2), "exact_f1": 0.5}


def test_kendalls_w_of_an_example_with_ties() -> None:
    """S. Siegel and N. Castellan (1988), table 9.9's method: W by its definition, ties shared."""
    same = [ranking(1, 2, 3), ranking(1, 2, 3), ranking(1, 2, 3)]
    assert concordance(same) == pytest.approx(1)
    against = [ranking(1, 2, 3), ranking(3, 2, 1)]
    assert concordance(against) == pytest.approx(0)
    assert concordance([ranking(1, 1, 1), ranking(1, 1, 1)]) is None
    assert concordance([ranking(1, None, 2), ranking(1, 2, None)]) is None  # one shared option


@pytest.mark.parametrize("seed", SEEDS)
def test_kendalls_w_is_the_mean_rank_correlation_of_two(seed: int) -> None:
    """W = (r (m - 1) + 1) / m, r the mean of Spearman's; with ties shared, as scipy has them."""
    drawn = np.random.default_rng(seed)
    table = drawn.integers(1, 4, (4, 6))
    table[:, 0], table[:, 1] = 1, 3  # nobody ties everything
    sizes = np.array([_tied(row) for row in table])
    table = table[sizes == sizes[0]][:2]  # the formula holds where all tie alike
    if len(table) < 2:
        pytest.skip("no two rankings with as many ties")
    pairs = combinations(table, 2)
    r = np.mean([stats.spearmanr(a, b).statistic for a, b in pairs])
    m = len(table)
    found = concordance([ranking(*map(int, row)) for row in table])
    assert found == pytest.approx((r * (m - 1) + 1) / m)


def _tied(row: Any) -> int:
    _, counts = np.unique(row, return_counts=True)
    return int((counts**3 - counts).sum())


def test_tau_is_that_of_each_two() -> None:
    one, other = ranking(1, 2, 3), ranking(1, 3, 2)
    found = agreement_of_values(rule("order"), [[one, other]])
    tau = found.measures["tau_b"]
    assert tau is not None
    assert tau.value == pytest.approx(stats.kendalltau([1, 2, 3], [1, 3, 2]).statistic)


# --- Two at a time, and one against the others ---------------------------------------------------
@pytest.mark.parametrize("seed", SEEDS)
def test_pairs_are_compared_as_scikit_learn_does(seed: int) -> None:
    drawn = np.random.default_rng(seed)
    answers = drawn.integers(0, 3, (3, 50))
    items, people = np.tile(np.arange(50), 3), np.repeat(np.arange(3), 50)
    tables = long_form.pair_tables(Votes(items, people, answers.ravel(), classes=3), 3)
    for i, j in combinations(range(3), 2):
        table = tables[i, j]
        assert table.sum() == 50
        wanted = metrics.cohen_kappa_score(answers[i], answers[j])
        assert long_form.kappa_of(table) == pytest.approx(wanted)
        squared = metrics.cohen_kappa_score(answers[i], answers[j], weights="quadratic")
        assert long_form.kappa_of(table, weighted=True) == pytest.approx(squared)
    assert not tables[1, 0].any()


def test_kappa_of_nothing_is_not_estimable() -> None:
    assert long_form.kappa_of(np.zeros((2, 2), np.int64)) is None
    assert long_form.kappa_of(np.array([[5, 0], [0, 0]])) is None


def test_ones_own_answer_has_no_part_in_what_the_others_say() -> None:
    items = np.array([0, 0, 0, 1, 1, 2])
    labels = np.array([0, 0, 1, 0, 1, 1])
    votes = Votes(items, np.arange(6), labels, classes=2)
    assert long_form.others_answer(votes).tolist() == [NONE, NONE, 0, 1, 0, NONE]


def test_who_answers_blindly_tells_nothing() -> None:
    drawn = np.random.default_rng(5)
    truth = drawn.integers(0, 4, 2_000)
    blind = drawn.integers(0, 4, 2_000)
    same = np.zeros(2_000, dtype=np.int64)

    def told(said: Any) -> float | None:
        return long_form.information(np.bincount(said * 4 + truth, minlength=16).reshape(4, 4))

    assert told(truth) == pytest.approx(1)
    assert told(blind) == pytest.approx(0, abs=0.01)
    assert told(same) == 0
    wanted = metrics.mutual_info_score(truth, np.where(truth < 2, truth, blind))
    found = told(np.where(truth < 2, truth, blind))
    shares = np.bincount(truth) / 2_000
    assert found == pytest.approx(wanted / -(shares * np.log(shares)).sum(), abs=0.005)
    assert long_form.information(np.array([[5, 0], [3, 0]])) is None


@pytest.mark.parametrize(("k", "n"), [(3, 60), (20, 150), (77, 150), (77, 3_000)])
def test_who_answers_blindly_among_many_labels_tells_nothing_either(k: int, n: int) -> None:
    drawn = np.random.default_rng(5)
    blind, good = [], []
    for _ in range(20):
        truth, other = drawn.integers(0, k, n), drawn.integers(0, k, n)
        most = np.where(drawn.random(n) < 0.8, truth, other)
        for said, told in ((other, blind), (most, good)):
            table = np.bincount(said * k + truth, minlength=k * k).reshape(k, k)
            found = long_form.information(table)
            assert found is not None
            told.append(found)
    assert np.mean(blind) < BLIND / 2
    assert min(good) > 0.4


@pytest.mark.parametrize(("k", "n"), [(2, 30), (6, 100), (40, 200)])
def test_what_chance_tells_is_that_of_scikit_learn(k: int, n: int) -> None:
    drawn = np.random.default_rng(6)
    truth = drawn.integers(0, k, n)
    said = np.where(drawn.random(n) < 0.6, truth, drawn.integers(0, k, n))
    table = np.bincount(said * k + truth, minlength=k * k).reshape(k, k)
    table = table[table.any(axis=1)][:, table.any(axis=0)]
    by_chance = expected_mutual_information(table, n)
    shares = table.sum(axis=0) / n
    most = -(shares * np.log(shares)).sum() - by_chance
    wanted = (metrics.mutual_info_score(truth, said) - by_chance) / most
    assert long_form.information(table) == pytest.approx(wanted, abs=1e-9)


def test_of_answers_that_are_all_different_nothing_is_said() -> None:
    assert long_form.information(np.eye(20, dtype=np.int64)) is None
