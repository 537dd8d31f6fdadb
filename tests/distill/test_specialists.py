"""Teachers that tell only some of the classes apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kdsearch.data import Dataset, Images, only_classes
from kdsearch.distill.objective import Combination
from kdsearch.distill.outputs import TeacherOutputs
from kdsearch.distill.session import Session, ensure_teachers, local_worker
from kdsearch.distill.specialists import competence, widened
from kdsearch.errors import InputError, SpecError
from kdsearch.spec import load_spec


def test_what_a_specialist_does_not_know_gets_nearly_no_probability():
    logits = torch.tensor([[1.0, 3.0], [0.0, -2.0]])
    wide = widened(logits, torch.tensor([3, 1]), 4)
    np.testing.assert_allclose(wide, [[-9, 3, -9, 1], [-12, -2, -12, 0]])


def test_images_go_to_the_teachers_that_know_their_class():
    known = [None, torch.tensor([0, 1]), torch.tensor([1, 2])]
    labels = torch.tensor([0, 1, 2, 3])
    spec = load_spec({"data": "digits", "student": "mlp"})
    combine = Combination(spec.distill.teachers.combine, ("a", "b", "c"), 4, 0.0)
    shown = TeacherOutputs(torch.randn(3, 4, 4), {}, competence=competence(known, 4))
    weights = combine(shown, torch.randn(4, 4), labels, ("a", "b", "c"), (1.0, 1.0, 1.0)).weights
    expected = [[1 / 2, 1 / 3, 1 / 2, 1], [1 / 2, 1 / 3, 0, 0], [0, 1 / 3, 1 / 2, 0]]
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_an_image_that_no_teacher_knows_teaches_nothing():
    spec = load_spec({"data": "digits", "student": "mlp"})
    combine = Combination(spec.distill.teachers.combine, ("a",), 3, 0.0)
    shown = TeacherOutputs(torch.randn(1, 2, 3), {}, competence=competence([torch.tensor([0, 1])], 3))
    weights = combine(shown, torch.randn(2, 3), torch.tensor([1, 2]), ("a",), (1.0,)).weights
    assert weights.tolist() == [[1, 0]]


def test_the_images_of_some_classes_are_labelled_by_their_place():
    images = Images(torch.arange(6, dtype=torch.uint8)[:, None, None, None], torch.tensor([0, 1, 2, 2, 1, 0]))
    some = only_classes(Dataset(images, None, ("x", "y", "z")), ("z", "x"))
    assert some.classes == ("z", "x")
    assert some.train.images.flatten().tolist() == [0, 2, 3, 5]
    assert some.train.labels.tolist() == [1, 0, 0, 1]
    with pytest.raises(InputError, match=r"class 'zz' is none of the data's; did you mean 'z'\?"):
        only_classes(Dataset(images, None, ("x", "y", "z")), ("zz", "x"))


CONTENT = {
    "data": {"source": "digits", "batch_size": 128},
    "teachers": {
        "all": {"model": {"name": "convnet", "width": 4}, "epochs": 1},
        "curved": {"model": {"name": "convnet", "width": 8}, "epochs": 8, "classes": [3, 8, "9"]},
    },
    "student": {"name": "convnet", "width": 4},
    "optim": {"name": "sgd", "lr": 0.02, "epochs": 1},
}


def test_a_specialist_is_trained_on_its_classes_and_teaches_beside_others(tmp_path):
    match = [{"teacher": "curved", "pairs": "last"}]
    distill = {
        "teachers": {"members": ["all", "curved"]},
        "losses": {"ce": {}, "kd": {}, "hint": {"match": match}},
    }
    from kdsearch.distill.matching import layers_of, match_layers

    spec = load_spec({**CONTENT, "distill": distill, "compute": {"storage": str(tmp_path)}})
    spec = load_spec(match_layers(spec.tree(), lambda model: layers_of(model, (1, 8, 8), 10)))
    session = Session(tmp_path, local_worker(spec))
    records = ensure_teachers(spec, session, lambda name, text: None)
    assert records["curved"]["metrics"]["accuracy"] > 0.8
    metrics = session.trial(spec, tmp_path / "trial", lambda metrics: True)
    assert np.isfinite(metrics["loss"])


def test_outputs_for_some_classes_cannot_be_merged():
    teachers = {"members": ["all", "curved"], "combine": "mean_logits"}
    with pytest.raises(SpecError, match="'mean_logits' merges the outputs of all teachers, and 'curved'"):
        load_spec({**CONTENT, "distill": {"teachers": teachers, "losses": {"kd": {}}}})


@pytest.mark.parametrize(
    ("members", "refused"),
    [
        (["curved"], True),
        (["curved", "all"], False),
        ({"subset": "all"}, True),
        ({"subset": "all", "min": 2}, False),
        ({"choice": [["all"], ["curved", "all"]]}, False),
        ({"choice": [["all"], ["curved"]]}, True),
    ],
)
def test_a_classifier_for_some_classes_cannot_be_reused(members, refused):
    content = {**CONTENT, "distill": {"teachers": {"members": members}, "losses": {"ce": {}, "simkd": {}}}}
    if not refused:
        load_spec(content)
        return
    with pytest.raises(SpecError, match=r"distill\.losses\.simkd: 'simkd' reuses .* and 'curved', which may"):
        load_spec(content)


def test_a_classifier_is_reused_beside_a_specialist(tmp_path):
    from kdsearch.space import canonical, reusing

    teachers = {"members": ["curved", "all"]}
    spec = load_spec({**CONTENT, "distill": {"teachers": teachers, "losses": {"simkd": {}, "kd": {}}}})
    config = load_spec(reusing(canonical(spec.tree())))
    session = Session(tmp_path, local_worker(config))
    ensure_teachers(config, session, lambda name, text: None)
    assert np.isfinite(session.trial(config, tmp_path / "trial", lambda metrics: True)["loss"])
