"""Processes that share a GPU."""

from __future__ import annotations

import pytest

from kdsearch.tune.worker import CONTEXT_BYTES, memory_fraction


def test_the_context_of_each_process_counts_to_its_share():
    total = 80 << 30
    assert 4 * (memory_fraction(0.25, total) * total + CONTEXT_BYTES) == pytest.approx(total)


def test_a_share_as_small_as_a_context_is_not_used_up_by_it():
    assert memory_fraction(0.05, 8 << 30) == 0.025
