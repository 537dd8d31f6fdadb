"""Correlation congruence: a kernel between the images of a batch."""

from __future__ import annotations

from math import exp, factorial
from typing import Annotated, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from kdsearch.distill.connect import FeatureShape, as_vector, at_least_float32, map_shape
from kdsearch.distill.losses._inner import inner
from kdsearch.registry import register
from kdsearch.types import Positive, PositiveInt, Searched


@register("loss", family="relation", paper="Peng, Jin, Liu, Zhou, Wu, Liu, Zhang & Li (2019)")
class correlation(nn.Module):
    """‖K(student) − K(teacher)‖²_F / B² as the mean of (B,): each image's row of the squares over B.

    K_ij = Σ_{p ≤ order} e^(−2γ) (2γ)^p / p! · (x_i · x_j)^p for features of unit length: the Taylor expansion
    of the Gaussian kernel exp(−γ ‖x_i − x_j‖²). Maps are averaged over their positions. A student of another
    width is brought to the teacher's by a learned linear embedding. Zero when the two agree up to a rotation
    and the scale of each image, and for a batch of one image.

    RepDistiller's code, said to come from the authors, is another loss, kept here as `neighbours`: the mean
    over consecutive images of Σ_d |s_i − t_i|_d · |s_{i+1} − t_{i+1}|_d, one value for the batch. (There both
    sides are embedded in 128 dimensions, and the weight is 0.02.)

    Args:
        gamma: γ, the sharpness of the kernel.
        order: The highest power of the expansion.
        form: The paper's `kernel`, or `neighbours`.
    """

    def __init__(
        self,
        student_shape: FeatureShape,
        teacher_shape: FeatureShape,
        *,
        gamma: Annotated[Positive, Searched(0.1, 2, log=True)] = 0.4,
        order: Annotated[PositiveInt, Searched(1, 4)] = 2,
        form: Literal["kernel", "neighbours"] = "kernel",
    ) -> None:
        super().__init__()
        widths = map_shape(student_shape)[0], map_shape(teacher_shape)[0]
        self.embed = nn.Identity() if widths[0] == widths[1] else nn.Linear(*widths)
        self.coefficients = [exp(-2 * gamma) * (2 * gamma) ** p / factorial(p) for p in range(order + 1)]
        self.form = form

    def forward(self, student_feature: Tensor, teacher_feature: Tensor) -> Tensor:
        student, teacher = (
            at_least_float32(self.embed(as_vector(student_feature))),
            at_least_float32(as_vector(teacher_feature)),
        )
        if self.form == "kernel":
            return (self._kernel(student) - self._kernel(teacher)).square().mean(1)
        gap = (student - teacher).abs()
        return (gap[:-1] * gap[1:]).sum() / max(len(gap) - 1, 1)

    def _kernel(self, feature: Tensor) -> Tensor:
        rows = F.normalize(feature)
        cosines = inner(rows, rows)
        return sum((c * cosines**p for p, c in enumerate(self.coefficients)), cosines.new_zeros(()))
