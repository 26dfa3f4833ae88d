"""Texts of providers, fit to be stored and shown."""

import re
from typing import Final

MAX_TEXT: Final = 250_000  # characters of an answer that are kept

# NUL, controls but for tab and line ends, half surrogates: PostgreSQL or a reader would stumble.
_UNCLEAN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_THOUGHT = re.compile(r"\s*<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)


def clean(text: str) -> str:
    """The text without what cannot be stored, up to ``MAX_TEXT`` characters."""
    return _UNCLEAN.sub("", text[:MAX_TEXT]).replace("\r\n", "\n").replace("\r", "\n")


def answer_of(text: str) -> str:
    """The clean text without the thinking aloud that some models begin with.

    A thought that does not end leaves nothing: no answer came.
    """
    return _THOUGHT.sub("", clean(text), count=1) if text.lstrip()[:6] == "<think" else clean(text)
