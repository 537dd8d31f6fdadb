from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from kdsearch.tracking import names


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("accuracy", "accuracy"),
        ("loss/kd", "loss/kd"),
        ("acc@1", "acc_1"),
        ("w[0]", "w_0_"),
        ("../up", "up"),
        ("/a//b/", "a/b"),
        ("", "_"),
        ("..", "_"),
        ("x" * 300, "x" * 250),
    ],
)
def test_metric_keys_are_what_mlflow_allows(name: str, key: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    assert names.metric_key(name) == key
    _validate_metric_name(key)


def test_a_config_flattens_to_dotted_params() -> None:
    config = {
        "optim": {"lr": 0.1, "nesterov": True},
        "student": {"hidden": [64, 64], "name": "mlp"},
        "x": None,
    }
    assert names.flatten(config) == {
        "optim.lr": "0.1",
        "optim.nesterov": "true",
        "student.hidden": "[64, 64]",
        "student.name": "mlp",
        "x": "null",
    }
    assert names.numbers(config) == {"config/optim.lr": 0.1}


def test_long_params_are_cut_visibly() -> None:
    (value,) = names.flatten({"text": "a" * 7000}).values()
    assert len(value) == 6000
    assert value.endswith("…")


def test_infinities_go_and_nan_stays() -> None:
    values = names.finite(
        {"a": math.inf, "b": math.nan, "c": np.float32(2), "d": None, "e": "3", "f": 10**400}
    )
    assert sorted(values) == ["b", "c"]
    assert math.isnan(values["b"])
    assert values["c"] == 2


def test_importing_the_package_does_not_import_mlflow() -> None:
    heavy = "{'mlflow', 'pandas', 'torch', 'ray'}"
    code = f"import sys, kdsearch.tracking; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
