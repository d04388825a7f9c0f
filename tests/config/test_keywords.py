"""Pools that are declared by keyword arguments."""

from __future__ import annotations

from typing import Any

import pytest

from processpool import ConfigError
from processpool.api import keywords as typed
from processpool.config import PoolConfig, pool_from_dict, pool_from_keywords
from processpool.config.known_keys import models_of

GOOD: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {"worker": {"kind": "python"}}),
    "a number of workers": (
        {"max_workers": 4},
        {"worker": {"kind": "python"}, "size": {"max": 4}},
    ),
    "beside other sizes": (
        {"max_workers": 4, "size": {"min": 2}},
        {"worker": {"kind": "python"}, "size": {"min": 2, "max": 4}},
    ),
    "a program": (
        {"command": ["cat"], "protocol": "lines", "name": "cat"},
        {"worker": {"kind": "command", "command": ["cat"], "protocol": "lines"}, "name": "cat"},
    ),
    "a handler": (
        {"handler": "a:b", "preload": ["json"], "timeouts": {"request": "30s"}},
        {
            "worker": {"kind": "python", "handler": "a:b", "preload": ["json"]},
            "timeouts": {"request": "30s"},
        },
    ),
    "a section and a key of it": (
        {"worker": {"command": ["cat"]}, "codec": "bytes"},
        {"worker": {"kind": "command", "command": ["cat"], "codec": "bytes"}},
    ),
}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a typo": ({"max_worker": 4}, "max_worker: unknown argument; did you mean max_workers?"),
    "a typo in a key of worker": (
        {"comand": ["cat"]},
        "comand: unknown argument; did you mean command?",
    ),
    "of another pool": ({"n_jobs": 4}, "n_jobs: unknown argument; write max_workers=…"),
    "of a section": ({"spare": 2}, "spare: unknown argument; write size={'spare': …}"),
    "of the other kind": (
        {"command": ["cat"], "handler": "a:b"},
        "handler: is for pools of Python functions, and this one has a command",
    ),
    "without a command": (
        {"protocol": "lines"},
        "protocol: is for programs; name one with command=[…]",
    ),
    "twice": (
        {"max_workers": 4, "size": {"max": 3}},
        "max_workers: is the same as size['max']; leave out one of them",
    ),
    "too few": ({"max_workers": 0}, "size.max: must be at least 1, got 0"),
    "no mapping": ({"worker": 3}, "worker: must be a mapping, got 3"),
    "no mapping either": ({"size": 3, "max_workers": 2}, "size: must be a mapping, got 3"),
    "no kind": ({"kind": "pyton"}, 'worker.kind: must be command or python, got "pyton"'),
}


@pytest.mark.parametrize("name", GOOD)
def test_keywords_are_keys_of_the_file(name: str) -> None:
    keywords, data = GOOD[name]
    assert pool_from_keywords(keywords) == pool_from_dict(data)


@pytest.mark.parametrize("name", BAD)
def test_wrong_keywords_are_named(name: str) -> None:
    keywords, sentence = BAD[name]
    with pytest.raises(ConfigError) as found:
        pool_from_keywords(keywords)
    assert str(found.value).startswith(sentence)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as found:
        pool_from_keywords({"max_worker": 4, "nme": "a"})
    assert len(found.value.problems) == 2


def test_a_function_as_setup_is_for_functions() -> None:
    with pytest.raises(ConfigError, match=r"^setup: is for pools of Python functions"):
        pool_from_keywords({"command": ["cat"]}, has_setup=True)


def test_type_checkers_know_all_keywords() -> None:
    of_worker = {
        key for one in models_of(PoolConfig, "worker").values() for key in one.model_fields
    }
    keys = PoolConfig.model_fields.keys() | of_worker | {"max_workers"}
    assert set(typed.PoolKeywords.__annotations__) | {"setup"} == keys
