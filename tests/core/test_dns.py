"""Texts of the domain name system, asked of a server that speaks it."""

from collections.abc import Iterator
from typing import Any

import pytest

from apps.core import dns
from apps.core.dns import UnresolvedError, read_texts
from tests.dns_server import Zone, serving


@pytest.fixture
def zone(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Zone]:
    monkeypatch.setattr(dns, "TIMEOUT", 0.2)
    with serving() as zone:
        settings.DNS_SERVER = zone.address
        yield zone


def test_texts_are_read_long_ones_too(zone: Zone) -> None:
    zone.texts["_stoneware.labels.example.com"] = ["stoneware=abc", "x" * 450]
    assert read_texts("_stoneware.labels.example.com") == ["stoneware=abc", "x" * 450]
    assert zone.asked == ["_stoneware.labels.example.com"]


def test_a_name_that_is_not_there_has_none(zone: Zone) -> None:
    assert read_texts("_stoneware.nowhere.example.com") == []


@pytest.mark.parametrize("mode", ["silent", "garbage", "refused", "cut", "other"])
def test_what_is_no_answer_is_none(zone: Zone, mode: str) -> None:
    zone.mode, zone.texts["a.example.com"] = mode, ["stoneware=abc"]
    with pytest.raises(UnresolvedError):
        read_texts("a.example.com")


@pytest.mark.parametrize("name", ["a..example.com", "x" * 70 + ".com"])
def test_odd_names_are_not_asked_for(zone: Zone, name: str) -> None:
    with pytest.raises(UnresolvedError):
        read_texts(name)
    assert zone.asked == []
