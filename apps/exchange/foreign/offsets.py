"""Offsets of JavaScript, which counts UTF-16 units, as code points, which we count."""

from typing import Final

_LARGEST_UNIT: Final = "\uffff"


def code_points(text: str, start: int, end: int, said: str | None = None) -> tuple[int, int]:
    """The span in code points. ``said`` is what it holds, where the file says so.

    A file written by Python counts code points already: then ``said`` is found there alone.
    """
    if max(text, default="") <= _LARGEST_UNIT:
        return start, end
    converted = _converted(text, start), _converted(text, end)
    if said is not None and text[slice(*converted)] != said and text[start:end] == said:
        return start, end
    return converted


def _converted(text: str, units: int) -> int:
    """The code point at which the unit is; half of one counts as the whole. Linear."""
    if units <= 0:
        return units
    passed = 0
    for position, character in enumerate(text):
        if passed >= units:
            return position
        passed += 2 if character > _LARGEST_UNIT else 1
    return len(text) + units - passed  # beyond the text, which stays to be refused
