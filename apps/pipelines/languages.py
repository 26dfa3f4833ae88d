"""Which language a text is in, as far as its script or its smallest words tell."""

import re
from typing import Final

from apps.drafts.content import fold

LEAST: Final = 0.08  # share of a text's words that must be small words of the language
READ: Final = 5_000  # characters that are looked at

_SMALL: Final = {
    "en": "the of and to in is that for it with as was on are be this by you not at from have but",
    "de": "der die das und ist nicht ein eine zu den mit von für auf dem im sich des ich sie es",
    "fr": "le la les et est des un une pas pour dans que qui sur du au avec ce il elle ne je vous",
    "es": "el la los las y es de que en un una no por con para se del al lo su como más pero yo",
    "it": "il la lo gli e è di che un una non per con del della sono si in al da mi ho come più",
    "pt": "o a os as e é de que um uma não por com para se do da em no na ao eu como mais mas",
    "nl": "de het een en is van niet dat in te op met voor zijn er aan ik je maar ook als bij",
}
_WORDS: Final = {language: frozenset(words.split()) for language, words in _SMALL.items()}
_SCRIPTS: Final = {
    "ja": r"[\u3040-\u30ff]",
    "ko": r"[\uac00-\ud7af]",
    "zh": r"[\u4e00-\u9fff]",
    "ru": r"[\u0400-\u04ff]",
    "el": r"[\u0370-\u03ff]",
    "he": r"[\u0590-\u05ff]",
    "ar": r"[\u0600-\u06ff]",
    "hi": r"[\u0900-\u097f]",
    "th": r"[\u0e00-\u0e7f]",
}
LANGUAGES: Final = (*_WORDS, *_SCRIPTS)


def language_of(text: str) -> str | None:
    """One of ``LANGUAGES``; None where the text does not tell."""
    text = fold(text[:READ])
    letters = sum(character.isalpha() for character in text)
    for language, script in _SCRIPTS.items():
        least = 0.1 if language == "ja" else 0.5
        if letters and len(re.findall(script, text)) >= least * letters:
            return language
    words = re.findall(r"[^\W\d_]+", text)
    shares = {
        language: sum(word in small for word in words) / max(1, len(words))
        for language, small in _WORDS.items()
    }
    best = max(shares, key=shares.__getitem__)
    return best if shares[best] >= LEAST else None
