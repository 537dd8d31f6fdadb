"""Which outputs of a config's teachers the bank keeps, and what they depend on."""

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
    batches: Batches,
    worker: Worker,
    outputs: Mapping[tuple[str, str], tuple[int, ...]],
    graded: Collection[str] = (),
) -> Shelves | None:
    """Where the bank keeps some outputs of a config's teachers; None where it keeps none.

    Args:
        config: Names the teachers.
        precision: In which they are run.
        resident: Holds them.
        batches: The batches that they see.
        worker: Whose share of them it is.
        outputs: The shape for one image of each, by teacher and layer.
        graded: The teachers whose gradients for the images are needed too: nothing is kept of these.
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
        "layout": "channels last",
    }
    teachers = config.tree("teachers")["teachers"]
    about = {
        name: {"teacher": name, "model": teachers[name]["model"], "weights": resident.digest(config, name)}
        | common
        for name in {teacher for teacher, _ in outputs}
    }
    # The last digit may depend on the size of the batch.
    batch = {"batch": batches.rows // len(batches)}
    if not batches.augmented:
        return Shelves(bank, config.bank, outputs, about, batches, batch)
    augment = {"augment": config.data.augment.model_dump()}
    views = augment | batch | {"seed": batches.seed, "worker": f"{worker.rank} of {worker.world_size}"}
    lasting = augment if all_outcomes(config, batches) else None
    return Shelves(bank, config.bank, outputs, about, batches, views, lasting)


def all_outcomes(config: Spec, batches: Batches) -> bool:
    """Whether logits are kept for every way in which an image can be augmented, whatever the seed.

    By default they are where this takes no more room and no more runs of a teacher, but not in fp32: views
    are the same bit for bit with the bank and without it, while outcomes may differ in the last digit.
    """
    if config.bank.outcomes is None:
        fewer = 0 < batches.num_outcomes <= (config.data.views or config.optim.epochs)
        return fewer and config.bank.dtype == "fp16"
    return config.bank.outcomes and batches.num_outcomes > 0
