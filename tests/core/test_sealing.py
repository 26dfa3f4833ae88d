"""Secrets at rest: readable with the key and in their place only."""

import pytest

from apps.core.sealing import BrokenSealError, seal, unseal


def test_a_secret_comes_back_and_never_looks_the_same_twice() -> None:
    sealed = [seal("hf_gehéim", context="job 1") for _ in range(2)]
    assert sealed[0] != sealed[1]
    assert [unseal(one, context="job 1") for one in sealed] == ["hf_gehéim"] * 2
    assert b"hf_" not in sealed[0]


def test_in_another_place_or_changed_it_is_worth_nothing() -> None:
    sealed = seal("hf_secret", context="job 1")
    with pytest.raises(BrokenSealError):
        unseal(sealed, context="job 2")
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(BrokenSealError):
            unseal(bytes(changed), context="job 1")
    for length in range(len(sealed)):
        with pytest.raises(BrokenSealError):
            unseal(sealed[:length], context="job 1")


def test_an_older_key_still_opens_what_it_sealed(settings) -> None:
    sealed = seal("hf_secret", context="job 1")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a new key", [settings.SECRET_KEY]
    assert unseal(sealed, context="job 1") == "hf_secret"
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(BrokenSealError):
        unseal(sealed, context="job 1")
