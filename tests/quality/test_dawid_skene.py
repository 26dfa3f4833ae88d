"""The model against an independent reference, published figures and planted crowds."""

import csv
import math
import os
from collections import Counter, defaultdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.quality.dawid_skene import Votes, estimate, shares

Rows = list[tuple[Any, Any, int]]


def as_votes(rows: Rows, classes: int) -> tuple[Votes, list[Any]]:
    items = sorted({item for item, _, _ in rows})
    people = sorted({person for _, person, _ in rows})
    columns = [
        [items.index(item) for item, _, _ in rows],
        [people.index(person) for _, person, _ in rows],
        [label for _, _, label in rows],
    ]
    return Votes(*(np.array(column) for column in columns), classes=classes), items


def reference(rows: Rows, classes: int, truth: dict[Any, int] | None = None) -> dict[Any, Any]:
    """The same model, written down again with dictionaries and plain sums."""
    labels = range(classes)
    by_item: dict[Any, list[tuple[Any, int]]] = defaultdict(list)
    for item, person, label in rows:
        by_item[item].append((person, label))
    belief = {}
    for item, given in by_item.items():
        tally = Counter(label for _, label in given)
        belief[item] = [tally[k] / len(given) for k in labels]
    for item, label in (truth or {}).items():
        belief[item] = [float(k == label) for k in labels]
    for _ in range(400):
        renewed = weigh(rows, by_item, belief, classes) | {
            item: [float(k == label) for k in labels] for item, label in (truth or {}).items()
        }
        moved = max(abs(a - b) for i in belief for a, b in zip(belief[i], renewed[i], strict=True))
        belief = renewed
        if moved < 1e-6:
            break
    return belief


def weigh(rows: Rows, by_item: Any, belief: dict[Any, Any], classes: int) -> dict[Any, Any]:
    """One round: the matrices that the belief says, and the belief that these say."""
    labels = range(classes)
    prior = [sum(b[k] for b in belief.values()) / len(belief) for k in labels]
    table: dict[Any, Any] = defaultdict(lambda: [[0.1 + (i == j) for j in labels] for i in labels])
    for item, person, label in rows:
        for k in labels:
            table[person][k][label] += belief[item][k]
    renewed = {}
    for item, given in by_item.items():
        weight = [math.log(prior[k]) if prior[k] else -math.inf for k in labels]
        for (person, label), k in product(given, labels):
            weight[k] += math.log(table[person][k][label] / sum(table[person][k]))
        raised = [math.exp(w - max(weight)) for w in weight]
        renewed[item] = [r / sum(raised) for r in raised]
    return renewed


def crowd(seed: int, items: int = 60, people: int = 7, classes: int = 3) -> tuple[Rows, list[int]]:
    """Planted: everybody has a matrix of their own, two of them press keys at random."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, items)
    rows: Rows = []
    for person in range(people):
        skill = 0.0 if person < 2 else 0.75
        for item in range(items):
            right = random.random() < skill
            rows.append((item, person, int(truth[item] if right else random.integers(classes))))
    return rows, [int(label) for label in truth]


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_reference(seed: int) -> None:
    rows, truth = crowd(seed)
    rows = [row for number, row in enumerate(rows) if number % 7]  # not everybody answers all
    votes, items = as_votes(rows, 3)
    known = {0: truth[0], 7: truth[7]}
    for clamp in (None, known):
        wanted = reference(rows, 3, clamp)
        found = estimate(votes, truth=clamp).posteriors
        assert np.allclose(found, [wanted[item] for item in items], atol=1e-4)


def test_planted_skills_are_recovered_and_beat_the_majority() -> None:
    rows, truth = crowd(11, items=400)
    votes, _ = as_votes(rows, 3)
    found = estimate(votes)
    right = np.mean(found.posteriors.argmax(axis=1) == truth)
    assert right > np.mean(shares(votes).argmax(axis=1) == truth)
    skill = np.trace(found.confusion, axis1=1, axis2=2) / 3
    assert (skill[:2] < 0.45).all()
    assert (skill[2:] > 0.75).all()
    assert np.allclose(found.posteriors.sum(axis=1), 1)
    assert np.allclose(found.confusion.sum(axis=2), 1)


def test_what_is_known_stays_and_teaches() -> None:
    rows: Rows = [(item, person, int(person == "b")) for item in range(6) for person in "ab"]
    votes, _ = as_votes(rows, 2)
    clamped = estimate(votes, truth=dict.fromkeys(range(5), 1)).posteriors
    assert (clamped[:5] == [0, 1]).all()
    assert clamped[5, 1] > 0.9, "b was right five times"


def test_one_answer_and_one_class_are_no_trouble() -> None:
    votes, _ = as_votes([("x", "a", 0)], 1)
    assert estimate(votes).posteriors.tolist() == [[1.0]]
    votes, _ = as_votes([("x", "a", 2)], 4)
    assert np.isfinite(estimate(votes).posteriors).all()


@pytest.mark.skipif("STONEWARE_BENCH_DATA" not in os.environ, reason="needs the crowd's answers")
def test_on_a_real_crowd() -> None:
    """Ducks: the reference on every posterior, and accuracies .759 and .898."""
    folder = Path(os.environ["STONEWARE_BENCH_DATA"])
    with (folder / "crowd-duck-answers.csv").open() as file:
        rows: Rows = [
            (row["question"], row["worker"], int(row["answer"])) for row in csv.DictReader(file)
        ]
    with (folder / "crowd-duck-truth.csv").open() as file:
        truth = {row["question"]: int(row["truth"]) for row in csv.DictReader(file)}
    votes, items = as_votes(rows, 2)
    wanted, found = reference(rows, 2), estimate(votes).posteriors
    assert np.allclose(found, [wanted[item] for item in items], atol=1e-3)
    gold = [truth[item] for item in items]

    def accuracy(posteriors: Any) -> float:
        return round(float(np.mean(posteriors.argmax(axis=1) == gold)), 3)

    assert accuracy(shares(votes)) == 0.759
    assert accuracy(estimate(votes, smoothing=1e-9, diagonal=0).posteriors) == 0.898
    assert accuracy(found) >= 0.89
