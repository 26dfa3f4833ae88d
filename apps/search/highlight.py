"""Why a record was found by its words: the text, cut where a word of the search stands."""

from collections.abc import Sequence
from typing import Final

from apps.core.prepared import raw_cursor
from apps.search.text import to_tsquery_text

# Two characters for private use, which no font shows; those that a text holds itself are dropped.
START: Final = "\ue000"
STOP: Final = "\ue001"
LONGEST: Final = 20_000  # characters of a text that are looked through

_MARK: Final = """
SELECT ts_headline('simple', one, to_tsquery('simple', %(words)s), %(options)s)
FROM unnest(%(texts)s::text[]) WITH ORDINALITY AS given (one, place) ORDER BY place
"""
_OPTIONS: Final = f"HighlightAll=true, StartSel={START}, StopSel={STOP}"

Piece = tuple[str, bool]


def mark_words(texts: Sequence[str], typed: str) -> list[list[Piece]]:
    """Each text as pieces, ``(text, whether it is a word of the search)``. One statement."""
    words = to_tsquery_text(typed)
    if not texts or not words:
        return [[(text, False)] for text in texts]
    facts = {"texts": [_plain(text) for text in texts], "words": words, "options": _OPTIONS}
    rows = raw_cursor().execute(_MARK, facts).fetchall()
    return [_cut(row[0], text[LONGEST:]) for row, text in zip(rows, texts, strict=True)]


def _plain(text: str) -> str:
    return text[:LONGEST].replace(START, "").replace(STOP, "").replace("\0", "")


def _cut(marked: str, rest: str) -> list[Piece]:
    pieces: list[Piece] = []
    for number, part in enumerate(marked.split(START)):
        if number == 0:
            pieces.append((part, False))
            continue
        word, _, after = part.partition(STOP)
        pieces += [(word, True), (after, False)]
    pieces.append((rest, False))
    return [piece for piece in pieces if piece[0]]
