"""The losses that a student can be trained on, each one function or module in one file.

A loss asks for what it needs by the names of its positional parameters: `student_logits` and
`teacher_logits` (B, C), `student_feature` and `teacher_feature` (maps, tokens or vectors), `labels` (B,).
It returns one value an image, (B,), or one for the batch, (). Weights, the mean over the batch, several
teachers and DDP are the engine's business.
"""
