"""A split of a dataset on the Hub, as a stream that can be left and taken up again.

A dataset names its own files and formats, so it is looked at before it is read: a path that leads
out of the repository would read this server's files or its neighbours.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from apps.core.errors import InvalidError
from apps.exchange.hub import library

CARDS: Final = ("README.md", ".huggingface.yaml")
# Formats that are nothing but data; others run code, open connections or need further packages.
FORMATS: Final = {"arrow", "csv", "imagefolder", "json", "parquet", "text"}
LARGEST_PICTURE: Final = 20_000_000  # bytes
_NAME = re.compile(r"[\w-][\w.-]{0,95}(/[\w-][\w.-]{0,95})?", re.ASCII)
_LARGEST_COUNT: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Source:
    """What to read: ``name`` is ``user/name``; ``revision`` a commit, whose rows never change."""

    name: str
    subset: str
    split: str
    revision: str
    token: str | None


def is_name(name: str) -> bool:
    """Whether a dataset on the Hub can be called so; ``user/name``, or ``name`` of old."""
    forbidden = ("..", "--", ".git")
    return bool(_NAME.fullmatch(name)) and not any(part in name for part in forbidden)


def find(name: str, token: str | None) -> tuple[str, str]:
    """The dataset's full name and the commit that it stands at.

    Raises a ``DomainError`` with the reason when there is none.
    """
    try:
        info = library.api(token).dataset_info(name)
    except Exception as error:
        raise library.in_words(error, name) from error
    if not is_name(info.id) or "/" not in info.id:
        raise InvalidError(f"The Hub has no dataset {name!r}.")
    return info.id, info.sha


class Stream:
    """The rows of a split in order, from the place that ``state`` says.

    ``position`` is the number of the next row. Raises a ``DomainError`` with the reason when the
    split cannot be read.
    """

    def __init__(
        self, source: Source, *, state: Mapping[str, Any] | None = None, position: int = 0
    ) -> None:
        self.source = source
        self.position = position
        with _in_words(source):
            _check_card(source)
            rows, self.expected = _open(source)
            self.features: Mapping[str, Any] | None = rows.features
            if self.features is not None:
                rows = rows.decode(False)  # a path in a row is not to be followed
            if state is not None:
                rows.load_state_dict(dict(state))
            self._dataset = rows
            self._rows: Iterator[dict[str, Any]] = iter(rows)

    def state(self) -> dict[str, Any]:
        """Where the stream stands, as JSON."""
        state: dict[str, Any] = self._dataset.state_dict()
        return state

    def next(self) -> dict[str, Any] | None:
        """The next row by column; None at the end."""
        with _in_words(self.source):
            row = next(self._rows, None)
        if row is not None:
            self.position += 1
        return row

    def picture(self, path: str) -> bytes:
        """The file of a picture in the repository. Raises ``InvalidError`` for other places."""
        if not path.startswith(f"hf://datasets/{self.source.name}@{self.source.revision}/"):
            raise InvalidError("the picture does not lie in the dataset's repository")
        with _in_words(self.source):
            files = _file_system(self.source)
            if files.info(path)["size"] > LARGEST_PICTURE:
                raise InvalidError(f"the picture has more than {LARGEST_PICTURE} bytes")
            content: bytes = files.cat_file(path)
        return content


class _in_words:  # noqa: N801  (a context manager)
    """Turns what the packages raise into a ``DomainError``."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, Exception):
            raise library.in_words(error, self.source.name) from error


def _open(source: Source) -> tuple[Any, int]:
    """The split as an iterable dataset, and how many rows it says it has; 0 when it does not."""
    datasets = library.datasets()
    with tempfile.TemporaryDirectory() as directory:  # what others have cached is not ours to see
        builder = datasets.load_dataset_builder(
            f"hf://datasets/{source.name}",
            source.subset,
            revision=source.revision,
            token=source.token or False,
            cache_dir=directory,
        )
    _check_builder(builder)
    splits = builder.info.splits or {}
    expected = getattr(splits.get(source.split), "num_examples", None) or 0
    try:
        rows = builder.as_streaming_dataset(split=source.split)
    except ValueError as error:
        raise InvalidError(" ".join(str(error).split())) from error
    return rows, expected if 0 < expected <= _LARGEST_COUNT else 0


def _check_card(source: Source) -> None:
    """Raise ``InvalidError`` when the dataset's description names files elsewhere."""
    files = _file_system(source)
    for name in CARDS:
        path = f"datasets/{source.name}@{source.revision}/{name}"
        if not files.exists(path):
            continue
        text = files.cat_file(path).decode(errors="replace")
        _check_configs(library.card_header(text) if name == CARDS[0] else text)


def _check_configs(text: str) -> None:
    import yaml  # comes with huggingface_hub

    card = yaml.safe_load(text)
    configs = card.get("configs") if isinstance(card, dict) else None
    for config in configs if isinstance(configs, list) else []:
        if isinstance(config, dict):
            for path in (*_texts(config.get("data_files")), *_texts(config.get("data_dir"))):
                if "://" in path or "::" in path or path.startswith(("/", "~")) or ".." in path:
                    raise InvalidError(f"The dataset names a file outside itself: {path[:200]!r}.")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _check_builder(builder: Any) -> None:
    """Raise ``InvalidError`` for a format that is more than data, or files elsewhere."""
    modules = [kind.__module__.split(".") for kind in type(builder).__mro__]
    formats = {parts[2] for parts in modules if parts[:2] == ["datasets", "packaged_modules"]}
    if not formats & FORMATS:
        named = ", ".join(sorted(formats - {"folder_based_builder"}))
        raise InvalidError(f"Datasets in the format {named} cannot be imported.")
    for files in (builder.config.data_files or {}).values():
        for path in files:
            if not path.startswith("hf://datasets/"):
                raise InvalidError(f"The dataset names a file outside itself: {path[:200]!r}.")


def _file_system(source: Source) -> Any:
    from django.conf import settings

    return library.hub().HfFileSystem(
        endpoint=settings.HF_ENDPOINT, token=source.token or False, skip_instance_cache=True
    )
