"""Real data sets, which the project does not carry: ``STONEWARE_BENCH_DATA`` names their folder."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "STONEWARE_BENCH_DATA"


def path_to(name: str) -> Path:
    """The file's path; skips the test, saying what is missing."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"{VARIABLE} is not set: it names the folder that holds {name}")
    path = Path(folder) / name
    if not path.exists():
        pytest.skip(f"{path} does not exist")
    return path


def clinc150(split: str = "train") -> list[tuple[str, str]]:
    """``(utterance, intent)`` pairs of a split (Larson et al., EMNLP 2019)."""
    content: dict[str, Any] = json.loads(path_to("clinc150.json").read_text())
    return [(text, intent) for text, intent in content[split]]
