"""Agreement and divergence between a student and its teachers, against NumPy and SciPy in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax

from kdsearch.measure import figure, measure_predictions
from kdsearch.measure.agreement import agreement
from kdsearch.measure.teacher_kl import teacher_kl


@pytest.fixture
def said():
    random = np.random.default_rng(0)
    student, *teachers = 2 * random.normal(size=(4, 301, 6))
    return student, dict(zip("abc", teachers, strict=True))


def tensors(said):
    student, teachers = said
    return torch.from_numpy(student), {name: torch.from_numpy(logits) for name, logits in teachers.items()}


def test_fidelity_to_one_teacher_is_that_of_the_definition(said):
    student, teachers = said
    for name, logits in teachers.items():
        p, q = softmax(logits, 1), softmax(student, 1)
        assert agreement(*tensors(said), (), teacher=name) == np.mean(p.argmax(1) == q.argmax(1))
        assert teacher_kl(*tensors(said), (), teacher=name) == pytest.approx(rel_entr(p, q).sum(1).mean())


def test_fidelity_to_the_ensemble_is_to_the_mean_of_the_members_probabilities(said):
    student, teachers = said
    p = (softmax(teachers["a"], 1) + softmax(teachers["c"], 1)) / 2
    q = softmax(student, 1)
    assert agreement(*tensors(said), ("a", "c")) == np.mean(p.argmax(1) == q.argmax(1))
    assert teacher_kl(*tensors(said), ("a", "c")) == pytest.approx(rel_entr(p, q).sum(1).mean())


def test_a_student_is_faithful_to_itself(said):
    student, _ = tensors(said)
    assert agreement(student, {"self": student}, ("self",)) == 1
    assert teacher_kl(student, {"self": student}, ("self",)) == pytest.approx(0, abs=1e-12)


def test_sure_teachers_and_students_leave_no_nan():
    sure, other = torch.tensor([[1e4, 0.0]]), torch.tensor([[0.0, 1e4]])
    assert teacher_kl(other, {"t": sure}, ("t",)) == pytest.approx(1e4)


def test_a_student_without_teachers_has_no_fidelity(said):
    student, teachers = tensors(said)
    asked = [figure("agreement"), figure("teacher_kl")]
    found = measure_predictions(student, torch.zeros(301).long(), asked, teacher_logits=teachers)
    assert all(map(math.isnan, found.values())) and set(found) == {"agreement", "teacher_kl"}


def test_a_specialist_counts_on_the_images_that_it_knows(said):
    student, teachers = said
    knows = np.arange(301) % 3 > 0
    logits, given = tensors(said)
    given["b"][~knows] = math.nan
    p, q = softmax(teachers["b"][knows], 1), softmax(student[knows], 1)
    assert teacher_kl(logits, given, (), teacher="b") == pytest.approx(rel_entr(p, q).sum(1).mean())
    both = softmax(teachers["a"], 1)
    both[knows] = (both[knows] + p) / 2
    expected = rel_entr(both, softmax(student, 1)).sum(1).mean()
    assert teacher_kl(logits, given, ("a", "b")) == pytest.approx(expected)
    assert agreement(logits, given, ("a", "b")) == np.mean(both.argmax(1) == student.argmax(1))
