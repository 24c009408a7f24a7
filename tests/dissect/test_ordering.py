"""Sorting inside kernels, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from dissect.ordering import sort_values


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 13, 40, 41, 1000])
def test_any_values_are_put_in_order(dtype, length):
    rng = np.random.default_rng(length)
    for spread in (3, 1 << 40):  # many equal ones; hardly any
        values = rng.integers(-spread, spread, length).astype(dtype)
        for given in (values, np.sort(values), np.sort(values)[::-1].copy()):
            expected = np.sort(given)
            sort_values(given)
            assert np.array_equal(given, expected)
