"""What a table tells of a config before it is trained: that of its form, not of its architecture alone."""

from __future__ import annotations

import pytest

from kdsearch.distill.preflight import Facts, preflight
from kdsearch.errors import SpecError
from kdsearch.spec import Spec, load_spec
from kdsearch.tune.cost import cost_of

WHOLE = "mlp,fp32,2\n"
TABLE = f"name,precision,latency_ms\n{WHOLE}mlp,fp16,1\n"


def spec(tmp_path, text: str) -> Spec:
    (tmp_path / "phone.csv").write_text(text, encoding="utf-8")
    return load_spec(
        {
            "data": {"source": "digits"},
            "student": {"name": "mlp", "hidden": [8]},
            "deploy": {"precision": {"choice": ["fp32", "fp16"]}},
            "measure": {"device_latency_ms": {"table": str(tmp_path / "phone.csv")}},
            "objectives": {"accuracy": "maximize", "device_latency_ms": "minimize"},
        }
    )


def test_forms_of_one_student_are_told_apart(tmp_path):
    given = spec(tmp_path, TABLE)
    cost, tree = cost_of(given, Facts((1, 8, 8), tuple("0123456789"))), given.tree()
    for precision, expected in (("fp32", 2.0), ("fp16", 1.0), ("fp32", 2.0)):
        config = {**tree, "deploy": {**tree["deploy"], "precision": precision}}
        assert cost(config)["device_latency_ms"] == expected


def test_a_table_that_knows_only_some_forms_is_refused_before_anything_is_trained(tmp_path):
    preflight(spec(tmp_path, TABLE))
    with pytest.raises(SpecError, match=r"no row for mlp\(hidden=8\) as torch fp16"):
        preflight(spec(tmp_path, TABLE.partition(WHOLE)[0] + WHOLE))
