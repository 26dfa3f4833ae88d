"""How good and how fast the few-shot head is, on clinc150 (not shipped).

``STONEWARE_BENCH_DATA`` names the directory that holds ``clinc150.json``.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.quality.active import pick_typical, pick_uncertain
from apps.quality.embeddings import embed
from apps.quality.head import fit, predict

pytestmark = [pytest.mark.benchmark, pytest.mark.filterwarnings("ignore:The number of unique")]


@pytest.fixture(scope="module")
def clinc() -> dict[str, Any]:
    """In-scope utterances: ``train`` and ``test``, each with vectors (n, 256) and labels (n,)."""
    directory = os.environ.get("STONEWARE_BENCH_DATA")
    if not directory:
        pytest.skip("STONEWARE_BENCH_DATA does not name a directory with clinc150.json.")
    path = Path(directory) / "clinc150.json"
    if not path.exists():
        pytest.skip(f"STONEWARE_BENCH_DATA has no {path.name}.")
    pairs = json.loads(path.read_text())
    embed(["load the model"])
    began = time.perf_counter()
    parts = {
        part: (
            embed([text for text, _ in pairs[part]]),
            np.array([name for _, name in pairs[part]]),
        )
        for part in ("train", "test")
    }
    count = sum(len(names) for _, names in parts.values())
    print(f"\nembedding {count} texts: {time.perf_counter() - began:.2f} s")
    return parts


def sample(names: Any, each: int, seed: int) -> Any:
    """Row numbers of ``each`` random examples of every class."""
    random = np.random.default_rng(seed)
    rows = [random.choice(np.flatnonzero(names == name), each, False) for name in np.unique(names)]
    return np.concatenate(rows)


def accuracy(clinc: dict[str, Any], rows: Any) -> tuple[float, float]:
    """Accuracy on the test utterances, and the seconds that training took."""
    vectors, names = clinc["train"]
    began = time.perf_counter()
    head = fit(vectors[rows], names[rows].tolist())
    seconds = time.perf_counter() - began
    test_vectors, test_names = clinc["test"]
    guessed = np.array(head.classes)[predict(head, test_vectors).argmax(axis=1)]
    return float(np.mean(guessed == test_names)), seconds


@pytest.mark.parametrize(("each", "floor"), [(1, 0.48), (8, 0.82), (32, 0.88)])
def test_few_examples_go_far(clinc: dict[str, Any], each: int, floor: float) -> None:
    runs = [accuracy(clinc, sample(clinc["train"][1], each, seed)) for seed in range(3)]
    mean = float(np.mean([score for score, _ in runs]))
    print(
        f"{each} examples a class: accuracy {mean:.3f}"
        f" ({min(runs)[0]:.3f} to {max(runs)[0]:.3f}), fit {max(s for _, s in runs):.2f} s"
    )
    assert mean >= floor


def test_retraining_on_5000_answers_takes_less_than_two_seconds(clinc: dict[str, Any]) -> None:
    rows = np.random.default_rng(0).choice(len(clinc["train"][1]), 5000, replace=False)
    score, seconds = accuracy(clinc, rows)
    print(f"5000 answers: accuracy {score:.3f}, fit {seconds:.2f} s")
    assert seconds <= 2


@pytest.mark.parametrize("seed", [0, 1])
def test_picking_records_saves_a_third_of_the_labels(clinc: dict[str, Any], seed: int) -> None:
    """Labels until the head is right in 80 of 100 cases, 150 at a time."""
    vectors, names = clinc["train"]
    rows = pick_typical(vectors, 150, seed=seed)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    random_labels = next(
        n for n in range(150, 3000, 150) if accuracy(clinc, shuffled[:n])[0] >= 0.8
    )
    slowest = 0.0
    while accuracy(clinc, rows)[0] < 0.8:
        began = time.perf_counter()
        head = fit(vectors[rows], names[rows].tolist())
        pool = np.setdiff1d(np.arange(len(names)), rows)
        picked = pick_uncertain(vectors[pool], predict(head, vectors[pool]), 150, seed=seed)
        rows = np.concatenate([rows, pool[picked]])
        slowest = max(slowest, time.perf_counter() - began)
    print(f"80 % after {len(rows)} labels, random {random_labels}; slowest step {slowest:.2f} s")
    assert len(rows) <= 900 < random_labels
