"""Teachers that lie in the store, and what becomes of one whose file was cut short."""

from __future__ import annotations

import pytest

from kdsearch.distill.session import Session, ensure_teachers, local_worker
from kdsearch.files import has_weights
from kdsearch.spec import load_spec


@pytest.fixture
def train(tmp_path):
    """Has the teacher of a spec trained, unless it is in the store; returns its record and how it went."""
    spec = load_spec(
        {
            "data": "digits",
            "teachers": {"wide": {"model": {"name": "mlp", "hidden": [16]}, "epochs": 1}},
            "student": {"name": "mlp", "hidden": [4]},
            "distill": {"teachers": {"members": ["wide"]}, "losses": {"kd": {}}},
            "compute": {"storage": str(tmp_path)},
        }
    )

    def trained() -> tuple[dict, list[str]]:
        said: list[str] = []
        session = Session(tmp_path, local_worker(spec))
        records = ensure_teachers(spec, session, lambda name, text: said.append(text))
        return records["wide"], said

    return trained


def test_a_teacher_in_the_store_is_not_trained_again(train):
    first, epochs = train()
    assert len(epochs) == 1
    assert train() == (first, [])


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_teacher_whose_weights_are_cut_short_is_trained_again(share, train, tmp_path):
    first, _ = train()
    path = tmp_path / "teachers" / first["weights"]
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    again, epochs = train()
    assert len(epochs) == 1 and again == first
    assert has_weights(path) and path.read_bytes() == whole
