"""The offline text model."""

import numpy as np
import pytest

from apps.quality.embeddings import DIMENSIONS, embed


def test_vectors_have_unit_length_and_close_texts_are_close() -> None:
    vectors = embed(["the film was great", "a wonderful movie", "how to file a tax return"])
    assert vectors.shape == (3, DIMENSIONS)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


@pytest.mark.filterwarnings("error")
def test_a_text_without_a_word_is_all_zeros() -> None:
    vectors = embed(["", " \n", "word"])
    assert not vectors[:2].any()
    assert np.isfinite(vectors).all()
    assert embed([]).shape == (0, DIMENSIONS)


def test_a_vector_does_not_depend_on_its_neighbours_or_their_length() -> None:
    texts = ["short", "a little longer than that", "long " * 10_000, "", "naïve café 中文 🙂"]
    together = embed(texts)
    for text, vector in zip(texts, together, strict=True):
        assert embed([text])[0] == pytest.approx(vector, abs=1e-6)
