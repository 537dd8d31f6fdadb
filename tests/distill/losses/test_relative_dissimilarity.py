import itertools

import numpy as np
import pytest
import torch

from kdsearch.distill.losses.relative_dissimilarity import nearer, relative_dissimilarity
from tests.distill.losses.cases import flat, random

STUDENT = random(5, 3, 2, 2)
TEACHERS = [random(5, 4, 3, 3, seed=1), random(5, 7, seed=2), random(5, 6, 2, seed=3)]


def voted(i, j, k, teachers):
    """Whether most teachers have i nearer to j than to k."""
    ballots = 0
    for rows in map(flat, teachers):
        to_j, to_k = np.linalg.norm(rows[i] - rows[j]), np.linalg.norm(rows[i] - rows[k])
        ballots += int(to_j < to_k) - int(to_k < to_j)
    return ballots > 0


def violations(teachers, margin):
    """For each image, how far the student is from each order that the teachers have voted for."""
    rows = flat(STUDENT)
    mean = np.mean([np.linalg.norm(a - b) for a, b in itertools.permutations(rows, 2)])
    found = [[] for _ in rows]
    for i, j, k in itertools.permutations(range(5), 3):
        if voted(i, j, k, teachers):
            gap = np.linalg.norm(rows[i] - rows[j]) - np.linalg.norm(rows[i] - rows[k])
            found[i].append(max(0.0, margin + gap / mean))
    return found


@pytest.mark.parametrize("teachers", [TEACHERS, TEACHERS[:2], TEACHERS[:1]], ids=["three", "two", "one"])
@pytest.mark.parametrize(("triplets", "reduce"), [("all", np.mean), ("hardest", np.max)])
def test_it_is_a_hinge_on_the_order_that_most_teachers_vote_for(teachers, triplets, reduce):
    expected = [reduce(each) if each else 0.0 for each in violations(teachers, 0.3)]
    value = relative_dissimilarity(STUDENT, teachers, margin=0.3, triplets=triplets)
    np.testing.assert_allclose(value, expected, rtol=1e-10)


def test_the_majority_overrules_and_a_tie_is_left_out():
    line = torch.tensor([[0.0], [1], [3]])  # the first image is nearer to the second
    other = torch.tensor([[0.0], [3], [1]])
    assert nearer([line, line, other])[0].tolist() == nearer([line])[0].tolist()
    assert nearer([line])[0].nonzero().tolist() == [[1, 2]]
    assert not nearer([line, other])[0].any()


def test_it_is_zero_where_the_order_is_kept_by_the_margin_whatever_the_scale():
    line = torch.tensor([[0.0], [1], [3]]).double()
    assert not relative_dissimilarity(100 * line, [line], margin=0.4).any()
    assert relative_dissimilarity(100 * line, [line], margin=0.6).any()


def test_fewer_than_three_images_have_no_triplets():
    assert relative_dissimilarity(STUDENT[:2], [TEACHERS[0][:2]]).tolist() == [0, 0]
