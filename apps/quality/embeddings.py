"""Offline text embeddings: no network, no GPU, about 100,000 short texts a second and core."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

DIMENSIONS: Final = 256
# The model averages its tokens: the beginning says what a text is about, and a batch is as wide
# as its longest text.
MAX_CHARACTERS: Final = 4_000
BATCH: Final = 32

_loading = Lock()


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """(n, 256) float32 of unit length; a text without a word is all zeros."""
    result = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    # Texts of like length together: less padding, and a long one widens few others.
    order = sorted((n for n, text in enumerate(texts) if text.strip()), key=lambda n: len(texts[n]))
    if order:
        cut = [texts[n][:MAX_CHARACTERS] for n in order]
        vectors = _model().embed(cut, norm=False, batch_size=BATCH)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        result[order] = vectors / np.where(lengths > 0, lengths, 1)
    return result


def _model() -> Any:
    with _loading:
        return _load()


@cache
def _load() -> Any:
    """The model lies in its package; nothing is fetched."""
    import wordllama

    package = Path(wordllama.__file__).parent
    return wordllama.WordLlama.load(cache_dir=package, dim=DIMENSIONS, disable_download=True)
