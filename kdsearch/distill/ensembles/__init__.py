"""Ways to combine teachers: each gives every teacher a weight for every image.

A strategy asks for what it needs by the names of its positional parameters: the `logits` (K, B, C) of the
K teachers, the `labels` (B,), the names of the `members` (K,). It returns weights (K, B), or (K, 1) where
they do not depend on the image; over the teachers they add up to one. The engine trains on
Σ_k w_k(x) · loss(student, teacher_k): for the KL divergence its gradient is that of the KL to the weighted
mean of the teachers' probabilities.
"""
