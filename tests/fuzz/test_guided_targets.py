"""What ``make fuzz`` runs is in order: each target takes its own seeds, whole and cut off."""

from __future__ import annotations

import importlib

import pytest

from tests.fuzz.guided.targets import TARGETS


@pytest.mark.parametrize("module", TARGETS.values(), ids=TARGETS.keys())
def test_seeds_pass(module: str):
    target = importlib.import_module(module)
    assert target.SEEDS
    for seed in target.SEEDS:
        target.target(seed)
        target.target(seed[: len(seed) // 2])
    target.target(b"")
