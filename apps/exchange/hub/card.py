"""What a repository holds beside its data: the dataset card and the settings for the client."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from apps.datasets.models import Dataset, Field, Question
from apps.datasets.schema import DatasetSchema
from apps.exchange.hub import library

SPOKEN_VERSION: Final = "2.8.0"  # of the client whose settings files these are
_TAGS: Final = ["rlfh", "argilla", "human-feedback"]
_SIZES: Final = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


@dataclass(frozen=True, slots=True)
class Part:
    """What was exported: sizes in bytes, ``examples`` in records."""

    subset: str
    split: str
    folder: str
    features: Any
    examples: int
    size: int


def settings_files(schema: DatasetSchema) -> dict[str, bytes]:
    """``.argilla/…``: what the client makes an equal dataset of. Inside the organization."""
    dataset = schema.dataset
    documents = {
        "version": {"argilla": SPOKEN_VERSION},
        "dataset": {
            "name": dataset.name,
            "status": dataset.status,
            "guidelines": dataset.guidelines,
            "allow_extra_metadata": dataset.allow_extra_metadata,
            "distribution": _distribution(dataset),
        },
        "settings": _settings(schema),
    }
    return {
        f".argilla/{name}.json": json.dumps(document, ensure_ascii=False, indent=2).encode()
        for name, document in documents.items()
    }


def _settings(schema: DatasetSchema) -> dict[str, Any]:
    dataset = schema.dataset
    return {
        "guidelines": dataset.guidelines,
        "fields": [_shown(part) for part in schema.fields.values()],
        "questions": [
            {**_shown(rule.question), "description": rule.question.description}
            for rule in schema.questions.values()
        ],
        "metadata": [
            {
                "name": part.name,
                "title": part.title,
                "settings": part.settings,
                "visible_for_annotators": part.visible_for_annotators,
            }
            for part in schema.properties.values()
        ],
        "vectors": [
            {"name": part.name, "title": part.title, "dimensions": part.dimensions}
            for part in schema.vectors.values()
        ],
        "allow_extra_metadata": dataset.allow_extra_metadata,
        "distribution": _distribution(dataset),
        "mapping": None,
    }


def _distribution(dataset: Dataset) -> dict[str, Any]:
    return {"strategy": "overlap", "min_submitted": dataset.min_submitted}


def _shown(part: Field | Question) -> dict[str, Any]:
    return {
        "name": part.name,
        "title": part.title,
        "required": part.required,
        "settings": part.settings,
    }


def card(schema: DatasetSchema, part: Part, *, repository: str, earlier: str | None) -> bytes:
    """``README.md``: the new split is added to what the ``earlier`` card says of others."""
    datasets, hub = library.datasets(), library.hub()
    data = hub.DatasetCard(earlier).data if earlier else hub.DatasetCardData()
    infos = datasets.info.DatasetInfosDict.from_dataset_card_data(data)
    info = infos.get(part.subset) or datasets.DatasetInfo()
    info.config_name, info.features = part.subset, part.features
    info.splits = info.splits or datasets.splits.SplitDict()
    info.splits.pop(part.split, None)
    info.splits[part.split] = datasets.splits.SplitInfo(
        name=part.split, num_bytes=part.size, num_examples=part.examples
    )
    info.dataset_size = info.download_size = sum(one.num_bytes or 0 for one in info.splits.values())
    datasets.info.DatasetInfosDict({part.subset: info}).to_dataset_card_data(data)
    configs = datasets.utils.metadata.MetadataConfigs.from_dataset_card_data(data)
    _add_files(configs, part)
    configs.to_dataset_card_data(data)
    data.tags = sorted({*(data.get("tags") or []), *_TAGS})
    data.size_categories = [_size_category(part.examples)]
    return f"---\n{data.to_yaml()}\n---\n\n{_text(schema, repository)}".encode()


def _add_files(configs: dict[str, Any], part: Part) -> None:
    """Say where the split's files are; the other splits of the subset stay."""
    config = configs.setdefault(part.subset, {})
    files = config.get("data_files")
    others = [
        one
        for one in (files if isinstance(files, list) else [])
        if isinstance(one, dict) and one.get("split") != part.split
    ]
    mine = {"split": part.split, "path": f"{part.folder}/{part.split}-*"}
    config["data_files"] = [*others, mine]


def _size_category(examples: int) -> str:
    return next((name for limit, name in _SIZES if examples < limit), "n>10M")


def _text(schema: DatasetSchema, repository: str) -> str:
    dataset = schema.dataset
    parts = [
        f"# {dataset.name}",
        "The records of a labelling project, with the settings to make an equal one.",
        "With the `argilla` client:\n\n```python\nimport argilla as rg\n\n"
        f'dataset = rg.Dataset.from_hub("{repository}", settings="auto")\n```',
        "With `datasets` alone:\n\n```python\nfrom datasets import load_dataset\n\n"
        f'dataset = load_dataset("{repository}")\n```',
        "## Fields\n\n" + _table(schema.fields.values()),
        "## Questions\n\n" + _table(rule.question for rule in schema.questions.values()),
    ]
    if dataset.guidelines:
        parts.append(f"## Guidelines\n\n{dataset.guidelines}")
    return "\n\n".join(parts) + "\n"


def _table(parts: Any) -> str:
    rows = [
        f"| {part.name} | {_cell(part.title)} | {part.type} | {'yes' if part.required else 'no'} |"
        for part in parts
    ]
    return "\n".join(["| Name | Title | Type | Required |", "|---|---|---|---|", *rows])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def split_files(paths: Sequence[str], folder: str, split: str) -> list[str]:
    """Those of the repository's files that hold the split."""
    return [path for path in paths if path.startswith(f"{folder}/{split}-")]
