"""The few-shot head against scikit-learn."""

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import MultiLabelBinarizer

from apps.quality.head import Head, Proposal, fit, fit_multi, predict, propose

_random = np.random.default_rng(7)


def clouds(classes: int, each: int) -> tuple[Any, list[str]]:
    """(n, 16) points of unit length around ``classes`` centres, with their names."""
    centres = _random.normal(size=(classes, 16))
    points = np.repeat(centres, each, axis=0) + _random.normal(scale=0.8, size=(classes * each, 16))
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    return unit.astype(np.float32), [f"class {n}" for n in range(classes) for _ in range(each)]


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_scores_are_those_of_logistic_regression(classes: int) -> None:
    points, names = clouds(classes, 10)
    oracle = LogisticRegression(C=30, max_iter=300).fit(points, names)
    head = fit(points, names)
    order = [head.classes.index(name) for name in oracle.classes_]
    scores = predict(head, points)
    assert scores[:, order] == pytest.approx(oracle.predict_proba(points), abs=2e-3)
    assert scores.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert scores.dtype == np.float32


def test_labels_are_scored_one_by_one() -> None:
    points, _ = clouds(4, 10)
    targets = [["a", "b"] if n % 3 else ["c"] for n in range(len(points))]
    binarizer = MultiLabelBinarizer()
    truth = binarizer.fit_transform(targets)
    oracle = OneVsRestClassifier(LogisticRegression(C=30, max_iter=300))
    oracle.fit(points, truth)
    head = fit_multi(points, targets)
    assert head.classes == tuple(binarizer.classes_)
    assert predict(head, points) == pytest.approx(oracle.predict_proba(points), abs=2e-3)


def test_a_label_that_always_applies_is_likely_and_not_certain() -> None:
    points, _ = clouds(2, 5)
    head = fit_multi(points, [["always", "seldom"]] + [["always"]] * 9)
    scores = predict(head, points)
    assert scores[:, 0] == pytest.approx(11 / 12, abs=1e-3)


@pytest.mark.filterwarnings("ignore:The number of unique classes")
def test_hundreds_of_classes_are_told_apart() -> None:
    vectors = _random.normal(size=(600, 256)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    head = fit(vectors, list(range(600)))
    assert [proposal.value for proposal in propose(head, vectors)] == list(range(600))


@pytest.mark.filterwarnings("ignore:The number of unique classes")
def test_one_example_a_class_is_enough() -> None:
    points, _ = clouds(3, 1)
    assert [p.value for p in propose(fit(points, [1, 2, 5]), points)] == [1, 2, 5]


def test_the_likeliest_class_is_proposed_with_its_score() -> None:
    head = Head(("no", "yes"), np.array([[-1.0], [1.0]], np.float32), np.zeros(2, np.float32))
    proposal = propose(head, np.array([[1.0]], np.float32))[0]
    assert proposal == Proposal("yes", pytest.approx(0.8808, abs=1e-4))
    assert proposal.certainty == proposal.score


def test_all_likely_labels_are_proposed_and_never_none() -> None:
    head = Head(("a", "b"), np.eye(2, dtype=np.float32), np.zeros(2, np.float32), is_multi=True)
    both, first, neither = propose(head, np.array([[1, 2], [1, -1], [-2, -1]], np.float32))
    assert both == Proposal(["a", "b"], [0.7311, 0.8808])
    assert both.certainty == 0.7311
    assert first.value == ["a"]
    assert neither == Proposal(["b"], [0.2689])


def test_huge_distances_do_not_overflow() -> None:
    head = Head(("a", "b"), np.array([[90.0], [-90.0]], np.float32), np.zeros(2, np.float32))
    assert predict(head, np.array([[9.0]], np.float32)) == pytest.approx(np.array([[1, 0]]))
