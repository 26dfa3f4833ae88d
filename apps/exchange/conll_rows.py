"""Sentences of tagged words, as CoNLL files have them: one word a line, a blank line between two.

The first cell of a line is the word, the last its tag: ``O``, or ``B-``, ``I-`` and the like with a
label. Comments before a sentence are passed over. A sentence becomes a row with its ``text``, the
words joined by spaces, and its ``spans``.
"""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from apps.exchange.rows import MAX_ROW, Line, Lines, Row, Start, Table

TEXT: Final = "text"
SPANS: Final = "spans"
_OUTSIDE: Final = {"O", "_", "-X-"}
_COMMENT: Final = re.compile(rb"#(\s|(begin|end)\s)")
_TAG: Final = re.compile(rb"O|_|-X-|[A-Z]-.+")


def read_conll(source: BinaryIO, *, start: Start | None = None) -> Table:
    """The sentences of a file in UTF-8, with ``start`` those from there on."""
    lines = Lines(source)
    if start is not None:
        lines.go_to(start)
    return Table(columns=[TEXT, SPANS], rows=_rows(lines), from_text=False)


def _rows(lines: Lines) -> Iterator[Row]:
    sentence: list[Line] = []
    size = 0
    while (line := lines.read()) is not None:
        is_blank = not line.raw.strip()
        if not is_blank and not _is_comment(line.raw, begins=not sentence):
            sentence.append(line)
            size += len(line.raw)
        if (is_blank or size > MAX_ROW) and sentence:
            yield _row(sentence, line.after)
            sentence, size = [], 0
    if sentence:
        yield _row(sentence, sentence[-1].after)


def _is_comment(line: bytes, *, begins: bool) -> bool:
    """About the document, or before a sentence: ``# sent_id = 1``. ``# O`` is a tagged word."""
    if line.startswith(b"-DOCSTART-"):
        return True
    is_marked = begins and b"\t" not in line and _COMMENT.match(line)
    return bool(is_marked) and not _TAG.fullmatch(line.split()[-1])


def _row(sentence: list[Line], after: Start) -> Row:
    raw = b"".join(line.raw for line in sentence)
    row = Row(sentence[0].number, raw, {}, after=after)
    if len(raw) > MAX_ROW or any(line.is_cut for line in sentence):
        row.raw, row.problem = raw[:1_000], f"longer than {MAX_ROW} bytes"
        return row
    try:
        pairs = [_word_and_tag(line.raw.decode()) for line in sentence]
    except UnicodeDecodeError as error:
        row.problem = f"not valid UTF-8 ({error.reason})"
        return row
    if any("\0" in word for word, _tag in pairs):
        row.problem = "a NUL character cannot be stored"
        return row
    row.values = {TEXT: " ".join(word for word, _tag in pairs), SPANS: _spans(pairs)}
    return row


def _word_and_tag(line: str) -> tuple[str, str]:
    text = line.strip("\r\n")
    cells = text.split("\t") if "\t" in text else text.split()
    return cells[0].strip(), cells[-1].strip() if len(cells) > 1 else "O"


def _spans(pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """``[{"start": 0, "end": 4, "label": "person"}]``; an end is the place after it."""
    spans: list[dict[str, Any]] = []
    start, before = 0, ""
    for word, tag in pairs:
        end = start + len(word)
        prefix, dash, name = tag.partition("-")
        label = "" if tag in _OUTSIDE else name if dash else tag
        if label and label == before and prefix in {"I", "E", "M", "L"}:
            spans[-1]["end"] = end
        elif label and word:
            spans.append({"label": label, "start": start, "end": end})
        before = label
        start = end + 1
    return spans
