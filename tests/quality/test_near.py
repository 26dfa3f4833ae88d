"""Near-duplicates: found by words and meaning, marked in the records' metadata."""

from typing import Any

import numpy as np
import pytest

from apps.annotation.ingest import log_records
from apps.core.errors import ConflictError, InvalidError
from apps.datasets.models import Dataset
from apps.quality.near.clusters import clusters, join, join_near
from apps.quality.near.job import find_near_duplicates
from apps.quality.near.minhash import (
    candidates,
    resemblance,
    runs,
    signatures,
    similar_pairs,
)
from apps.records.inputs import RecordInput
from apps.records.models import Record
from tests.factories import make_dataset
from tests.pipelines.conftest import run

WORDS = [f"word{n}" for n in range(3_000)]


def text(generator: Any, words: int = 40) -> list[str]:
    return [WORDS[n] for n in generator.integers(0, len(WORDS), words)]


# --- Words ---------------------------------------------------------------------------------------
def test_signatures_estimate_the_resemblance() -> None:
    generator = np.random.default_rng(1)
    words = text(generator, 200)
    for changed in (0, 20, 60):
        other = words[changed:] + text(generator, changed)
        one, two = runs(" ".join(words)), runs(" ".join(other))
        table = signatures([one, two])
        share = float((table[0] == table[1]).mean())
        assert share == pytest.approx(resemblance(one, two), abs=0.2)


def test_nearly_the_same_text_is_found_among_many() -> None:
    generator = np.random.default_rng(2)
    texts = [text(generator) for _ in range(600)]
    copies = {}
    for place in range(0, 100, 2):
        copy = list(texts[place])
        copy[-1] = "another"
        copies[len(texts)] = place
        texts.append(copy)
    labels = clusters([" ".join(words) for words in texts])
    assert {place: labels[place] for place in copies} == copies
    assert sum(label != place for place, label in enumerate(labels)) == len(copies)


def test_case_marks_and_blanks_are_no_difference() -> None:
    texts = ["Where is my card, please?", "where is my  card please", "Where is my cat?", "", ""]
    assert clusters(texts) == [0, 0, 2, 3, 4]


def test_a_crowd_of_equal_texts_is_one_group() -> None:
    assert clusters(["the same old story again"] * 3_000) == [0] * 3_000
    table = signatures([runs("the same old story again")] * 3_000)
    assert len(candidates(table, np.ones(3_000, dtype=bool))) == 2_999


def test_all_pairs_above_the_threshold_are_found() -> None:
    """Against counting every pair, on texts that share more and more."""
    generator = np.random.default_rng(3)
    base = text(generator, 60)
    texts = [" ".join(base[: 60 - cut] + text(generator, cut)) for cut in range(0, 40, 2)]
    hashes = [runs(one) for one in texts]
    wanted = {
        (a, b)
        for a in range(len(texts))
        for b in range(a + 1, len(texts))
        if resemblance(hashes[a], hashes[b]) >= 0.8
    }
    assert similar_pairs(texts, threshold=0.8) == wanted


# --- Meaning -------------------------------------------------------------------------------------
def test_vectors_bring_groups_together() -> None:
    vectors = np.array([[1, 0], [0, 1], [0.999, 0.04], [0, 0], [0, 0]], dtype=np.float32)
    assert join_near(range(5), vectors, threshold=0.97) == [0, 1, 0, 3, 4]
    assert join_near([0, 1, 2, 3, 1], vectors, threshold=0.97) == [0, 1, 0, 3, 1]


def test_long_texts_that_share_no_word_are_not_alike() -> None:
    """Their averages are, with the built-in embedding."""
    generator = np.random.default_rng(5)
    texts = [" ".join(text(generator)) for _ in range(60)]
    vectors = np.ones((60, 1), dtype=np.float32)
    assert clusters(texts, vectors) == list(range(60))
    assert clusters(texts, vectors, common=0) == [0] * 60


@pytest.mark.parametrize("seed", range(4))
def test_groups_are_the_connected_parts(seed: int) -> None:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    generator = np.random.default_rng(seed)
    points = generator.normal(size=(300, 4))
    vectors = points / np.linalg.norm(points, axis=1, keepdims=True)
    rows, columns = np.nonzero(vectors @ vectors.T >= 0.98)
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(300, 300))
    _, parts = connected_components(graph, directed=False)
    first = {part: int(np.flatnonzero(parts == part)[0]) for part in set(parts)}
    wanted = [first[part] for part in parts]
    assert join_near(range(300), vectors, threshold=0.98) == wanted
    assert join(300, zip(rows.tolist(), columns.tolist(), strict=True)) == wanted


# --- The job -------------------------------------------------------------------------------------
def log(dataset: Dataset, *texts: str) -> None:
    items = [
        RecordInput(fields={"text": text}, external_id=f"r{n}", metadata={"from": "file"})
        for n, text in enumerate(texts)
    ]
    log_records(dataset=dataset, items=items)


def marks() -> dict[str, Any]:
    return dict(Record.objects.in_order().values_list("external_id", "metadata"))


CARD = "my credit card was stolen yesterday in the city of Oslo"


@pytest.mark.django_db
def test_the_first_of_a_group_is_named_and_marks_follow_changes(organization: Any) -> None:
    dataset = make_dataset()
    log(dataset, CARD, "hello there", CARD.upper(), f"{CARD} today", "good morning")
    run(find_near_duplicates(dataset=dataset))
    plain = {"from": "file"}
    assert marks() == {
        "r0": {**plain, "duplicate_cluster": "r0"},
        "r1": plain,
        "r2": {**plain, "duplicate_cluster": "r0", "duplicate_of": "r0"},
        "r3": {**plain, "duplicate_cluster": "r0", "duplicate_of": "r0"},
        "r4": plain,
    }
    again = run(find_near_duplicates(dataset=dataset))
    assert again.total == 0, "nothing had to change"
    changed = [
        RecordInput(external_id=name, fields={"text": f"quite another {name}"}, sets_metadata=False)
        for name in ("r2", "r3")
    ]
    log_records(dataset=dataset, items=changed)
    run(find_near_duplicates(dataset=dataset))
    assert set(map(str, marks().values())) == {str(plain)}


@pytest.mark.django_db
def test_what_cannot_be_compared_is_said_before(organization: Any) -> None:
    dataset = make_dataset()
    for wrong in ({"fields": ["nothing"]}, {"fields": []}, {"vector": "v"}, {"words": 0}):
        with pytest.raises(InvalidError):
            find_near_duplicates(dataset=dataset, **wrong)  # type: ignore[arg-type]
    closed = make_dataset(allow_extra_metadata=False)
    with pytest.raises(InvalidError, match="undeclared metadata"):
        find_near_duplicates(dataset=closed)
    find_near_duplicates(dataset=dataset)
    with pytest.raises(ConflictError, match="running already"):
        find_near_duplicates(dataset=dataset)
