"""What a reader knows of a file beyond its items."""

from dataclasses import dataclass, field

from apps.exchange.blueprint import Blueprint


@dataclass(slots=True)
class Hints:
    """Filled while the file is read.

    ``types`` of questions by name, where the format tells; ``span_fields``, which column a
    question's spans are of; ``knows_fields``, whether its data is fields and nothing else;
    ``ignored``, what has no place here; ``blueprint``, if the file has the settings themselves.
    """

    types: dict[str, str] = field(default_factory=dict)
    span_fields: dict[str, str] = field(default_factory=dict)
    knows_fields: bool = False
    ignored: set[str] = field(default_factory=set)
    blueprint: Blueprint | None = None
