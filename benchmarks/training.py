"""A process that trains a student beside others: `python -m benchmarks.training` answers `device`, `share`,
`student`, `folder`, `seconds` and `number` with the images per second that it saw, and the memory it took.

It says in `folder` when it is ready, and begins when `go` is there.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch

from benchmarks.child import asked
from benchmarks.share import BATCH, SHAPE, ours
from benchmarks.step import CLASSES
from kdsearch import models
from kdsearch.tune.worker import memory_fraction

STEPS = 50


def main() -> None:
    question, out = asked()
    device, folder = torch.device(question["device"]), Path(question["folder"])
    torch.set_num_threads(1)
    if device.type == "cuda":
        _, total = torch.cuda.mem_get_info(device)
        torch.cuda.set_per_process_memory_fraction(memory_fraction(question["share"], total), device)
    model = models.build(question["student"], SHAPE, CLASSES, seed=0).to(device)
    models.lay_out(model, SHAPE)
    steps = STEPS if device.type == "cuda" else 4
    run = ours(model, question["student"], device=device, steps=steps)
    run()
    (folder / f"ready-{question['number']}").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    seen, start = 0, time.perf_counter()
    while (taken := time.perf_counter() - start) < question["seconds"]:
        run()  # waits for the device at its end, to read the losses
        seen += BATCH * steps
    memory = torch.cuda.max_memory_reserved(device) if device.type == "cuda" else 0
    out.write_text(json.dumps({"rate": seen / taken, "memory": memory}), encoding="utf-8")


if __name__ == "__main__":
    main()
