import pytest
import torch

from kdsearch.distill.ensembles.weighted import weighted

LOGITS = torch.zeros(2, 4, 3)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (None, [0.5, 0.5]),
        ({"c": 3.0, "d": 1.0, "a": 9.0}, [0.75, 0.25]),
        ({"d": 0.2}, [0.0, 1.0]),
        ({"a": 0.7, "b": 0.3}, [0.5, 0.5]),
        ({"c": 0.0, "d": 0.0}, [0.5, 0.5]),
        ({"c": 1e-13, "d": 3e-13}, [0.25, 0.75]),
    ],
)
def test_weights_add_up_to_one_over_the_members_whoever_is_named(weights, expected):
    shares = weighted(LOGITS, ("c", "d"), weights=weights)[:, 0]
    torch.testing.assert_close(shares, torch.tensor(expected))
