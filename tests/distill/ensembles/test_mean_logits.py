import numpy as np
import torch

from kdsearch.distill.ensembles.mean_logits import mean_logits
from tests.distill.ensembles.cases import given
from tests.distill.losses.cases import softmax

LOGITS = given(3)["logits"]


def test_it_is_the_geometric_mean_of_the_probabilities_at_any_temperature():
    merged, weights = mean_logits(LOGITS)
    for image in range(6):
        products = np.prod([softmax(teacher[image].numpy() / 4) for teacher in LOGITS], 0) ** (1 / 3)
        expected = products / sum(products)
        np.testing.assert_allclose((merged[0, image] / 4).softmax(0), expected, rtol=1e-12)
    assert weights.tolist() == [[1]]


def test_standardised_teachers_have_their_mean_spread():
    centred = [[image - np.mean(image) for image in teacher] for teacher in LOGITS.numpy()]
    spreads = [np.sqrt(np.mean(np.square(teacher))) for teacher in centred]
    expected = np.mean(spreads) * np.mean([c / s for c, s in zip(np.array(centred), spreads, strict=True)], 0)
    np.testing.assert_allclose(mean_logits(LOGITS, normalise="standardise")[0][0], expected, rtol=1e-12)


def test_then_the_scale_of_one_teacher_s_logits_does_not_matter():
    louder = LOGITS * torch.tensor([1.0, 1, 50])[:, None, None]
    before, after = (mean_logits(z, normalise="standardise")[0] for z in (LOGITS, louder))
    torch.testing.assert_close(after / after.norm(), before / before.norm())
    assert not torch.allclose(mean_logits(louder)[0], mean_logits(LOGITS)[0])
