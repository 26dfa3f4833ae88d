"""Answers that satisfy a JSON schema, the same ones for the same prompt."""

import json
import math
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

WORDS = [
    *("amber", "basil", "cedar", "delta", "ember", "fjord", "grove", "heron", "indigo", "juniper"),
    *("kelp", "linen", "maple", "nectar", "ocean", "pebble", "quartz", "river", "sage", "tulip"),
]
_BLOCK = re.compile(r"<([\w-]+)[^>]*>(.*?)</\1>", re.DOTALL)


def seeded(*parts: object) -> random.Random:
    """Chance that is the same for the same parts."""
    return random.Random("\x1f".join(map(str, parts)))


def prose(chance: random.Random, words: int = 12) -> str:
    """A sentence without meaning."""
    return " ".join(chance.choice(WORDS) for _ in range(words)).capitalize() + "."


def satisfying(schema: Mapping[str, Any], chance: random.Random, text: str = "") -> Any:
    """A value of the schema; properties called ``…quote`` are words of ``text``."""
    return _Maker(schema, chance, _words_of(text)).make(schema)


def schema_in(text: str) -> Mapping[str, Any] | None:
    """The last JSON schema of an object that stands in the text, as a model would read it."""
    decoder, found, start = json.JSONDecoder(), None, text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except ValueError:
            start = text.find("{", start + 1)
            continue
        if isinstance(value, dict) and "properties" in value:
            found = value
        start = text.find("{", end)
    return found


def tokens(text: str) -> int:
    """Four characters a token."""
    return max(1, math.ceil(len(text) / 4))


def embedding(text: str, dimensions: int) -> list[float]:
    """A unit vector in which texts that share words lie close together."""
    values = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()) or [text]:
        chance = seeded("embedding", word)
        for position in range(dimensions):
            values[position] += chance.gauss(0, 1)
    length = math.sqrt(sum(value * value for value in values)) or 1.0
    return [value / length for value in values]


def _words_of(text: str) -> Sequence[str]:
    blocks = _BLOCK.findall(text)
    words = re.findall(r"\w[\w'-]*", blocks[-1][1] if blocks else text)
    return words or WORDS


class _Maker:
    def __init__(
        self, root: Mapping[str, Any], chance: random.Random, words: Sequence[str]
    ) -> None:
        self.root, self.chance, self.words = root, chance, words

    def make(self, schema: Mapping[str, Any], name: str = "") -> Any:
        schema = self.resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.chance.choice(schema["enum"])
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return self.make(self.chance.choice(schema[word]), name)
        if "allOf" in schema:
            merged: dict[str, Any] = {}
            for part in schema["allOf"]:
                merged.update(self.resolved(part))
            return self.make(merged, name)
        return self.of_type(schema, name)

    def resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            target: Any = self.root
            for part in schema["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            schema = target
        return schema

    def of_type(self, schema: Mapping[str, Any], name: str) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = self.chance.choice(kind)
        if kind == "object":
            return self.object(schema)
        if kind == "array":
            return self.array(schema, name)
        if kind in ("integer", "number"):
            return self.number(schema, kind)
        if kind == "boolean":
            return self.chance.random() < 0.5
        return None if kind == "null" else self.string(schema, name)

    def object(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", properties)
        names = [name for name in properties if name in required or self.chance.random() < 0.5]
        return {name: self.make(properties[name], name) for name in names}

    def array(self, schema: Mapping[str, Any], name: str) -> list[Any]:
        fewest = schema.get("minItems", 1)
        count = self.chance.randint(fewest, min(schema.get("maxItems", fewest + 2), fewest + 4))
        if "prefixItems" in schema:
            return [self.make(part, name) for part in schema["prefixItems"]]
        items = self.resolved(schema.get("items", {}))
        if schema.get("uniqueItems") and "enum" in items:
            return self.chance.sample(items["enum"], min(count, len(items["enum"])))
        made: list[Any] = []
        for _ in range(count * 10):
            value = self.make(items, name)
            if len(made) < count and not (schema.get("uniqueItems") and value in made):
                made.append(value)
        return made

    def number(self, schema: Mapping[str, Any], kind: str) -> float:
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        high = schema.get("maximum", schema.get("exclusiveMaximum", max(low, 0) + 1))
        if kind == "integer":
            return self.chance.randint(
                math.ceil(low) + ("exclusiveMinimum" in schema),
                math.floor(high) - ("exclusiveMaximum" in schema),
            )
        return round(low + (high - low) * (0.05 + 0.9 * self.chance.random()), 3)

    def string(self, schema: Mapping[str, Any], name: str) -> str:
        if name.endswith("quote"):
            return self.chance.choice(self.words)
        text = prose(self.chance, self.chance.randint(4, 12))
        while len(text) < schema.get("minLength", 0):
            text += " " + prose(self.chance)
        return text[: schema.get("maxLength", len(text))]
