"""Near-duplicates among ten thousand utterances of clinc150, and who is grouped with whom."""

import time

import pytest

from apps.quality.embeddings import embed
from apps.quality.near.clusters import clusters
from tests.real_data import clinc150

pytestmark = pytest.mark.benchmark


def test_ten_thousand_texts_take_seconds() -> None:
    pairs = clinc150()[:10_000]
    texts, intents = [text for text, _ in pairs], [intent for _, intent in pairs]
    embed(["load the model"])
    began = time.perf_counter()
    vectors = embed(texts)
    embedded = time.perf_counter()
    by_words = clusters(texts)
    worded = time.perf_counter()
    by_both = clusters(texts, vectors)
    ended = time.perf_counter()
    repeats = [place for place, first in enumerate(by_both) if first != place]
    same = sum(intents[place] == intents[by_both[place]] for place in repeats)
    print(
        f"\n{len(texts)} texts: embedding {embedded - began:.2f} s,"
        f" by words {worded - embedded:.2f} s, by words and meaning {ended - worded:.2f} s;"
        f" {sum(first != place for place, first in enumerate(by_words))} repeat by words,"
        f" {len(repeats)} by either, {same} of them the same intent"
    )
    assert same >= 0.98 * len(repeats)
    assert ended - began < 60
