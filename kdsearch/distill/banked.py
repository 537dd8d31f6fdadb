"""What the bank keeps of a config's teachers, and under which content."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from kdsearch.data import Batches
from kdsearch.distill.resident import Resident
from kdsearch.distill.shelves import Shelves
from kdsearch.distill.worker import Worker
from kdsearch.spec import Spec


def shelves(
    config: Spec,
    precision: str,
    resident: Resident,
    loop: Batches,
    worker: Worker,
    outputs: Mapping[tuple[str, str], tuple[int, ...]],
    graded: Collection[str] = (),
) -> Shelves | None:
    """Where the bank keeps some outputs of a config's teachers; None where it keeps none.

    Args:
        config: Names the teachers.
        precision: In which they are run.
        resident: Holds them.
        loop: The batches that they see.
        worker: Which of them are its own.
        outputs: The shape for one image of each, by teacher and layer.
        graded: The teachers whose gradients for the images are asked for too: of these it keeps nothing.
    """
    bank = resident.bank(config)
    if bank is None:
        return None
    for name in graded:
        why = "a loss asks for its gradients for the images, which are not kept"
        bank.once(f"the teacher '{name}' is run, not read from the bank: {why}", logging.INFO)
    outputs = {output: shape for output, shape in outputs.items() if output[0] not in graded}
    if not outputs:
        return None
    common = {
        "images": resident.splits(config).digest,
        "device": worker.device.type,
        "precision": precision,
    }
    teachers = config.tree("teachers")["teachers"]
    about = {
        name: {"teacher": name, "model": teachers[name]["model"], "weights": resident.digest(config, name)}
        | common
        for name in {teacher for teacher, _ in outputs}
    }
    # A last digit may depend on how many images a teacher is shown at a time.
    batch = {"batch": loop.rows // len(loop)}
    if not loop.augmented:
        return Shelves(bank, config.bank, outputs, about, loop, batch)
    augment = {"augment": config.data.augment.model_dump()}
    views = augment | batch | {"seed": loop.seed, "worker": f"{worker.rank} of {worker.world_size}"}
    lasting = augment if all_outcomes(config, loop) else None
    return Shelves(bank, config.bank, outputs, about, loop, views, lasting)


def all_outcomes(config: Spec, loop: Batches) -> bool:
    """Whether logits are kept for every way in which an image can be seen, and not for a seed.

    Left to itself it is where this takes no more room and no more runs of a teacher. In fp32 it is not: views
    are then the same bit for bit with the bank and without, and of outcomes the last digit may differ.
    """
    if config.bank.outcomes is None:
        fewer = 0 < loop.outcomes <= (config.data.views or config.optim.epochs)
        return fewer and config.bank.dtype == "fp16"
    return config.bank.outcomes and loop.outcomes > 0
