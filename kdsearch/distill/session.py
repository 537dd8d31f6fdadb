"""A process that runs one config after another: students, teachers, and the last measurements."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kdsearch import models
from kdsearch.deploy import DeployedModel, parity
from kdsearch.distill.checkpoint import Checkpoint
from kdsearch.distill.evaluate import predict
from kdsearch.distill.loop import Report
from kdsearch.distill.profile import Profile, profiled
from kdsearch.distill.resident import Resident
from kdsearch.distill.run import run
from kdsearch.distill.score import free_figures, score, score_architecture, score_trained, write_classes
from kdsearch.distill.ship import as_trained, convert, is_converted, open_shipped, place_of, timed_as
from kdsearch.distill.teachers import TeacherStore, copy_number, teacher_config, teacher_key
from kdsearch.distill.worker import Worker
from kdsearch.errors import InputError, KdsearchError
from kdsearch.filenames import CHECKPOINT, CLASSES, INPUT, WEIGHTS
from kdsearch.files import write_whole
from kdsearch.measure import (
    ALWAYS,
    Timings,
    conditions,
    figure,
    figures_of,
    measure_alone,
    measure_architecture,
)
from kdsearch.space import fingerprint
from kdsearch.spec import Spec
from kdsearch.storage import fetch

#: Takes a config and the folder of its files, and returns what `Session.timed` does.
Elsewhere = Callable[[Spec, Path], dict[str, float]]


class Session:
    """Runs configs on one device, keeping data and teachers in memory between them."""

    def __init__(self, storage: Path, worker: Worker, elsewhere: Elsewhere | None = None) -> None:
        """
        Args:
            storage: The folder that holds teachers and timings.
            worker: Where configs run.
            elsewhere: Times the student of a config on the device that it ships to; by default this one does.
        """
        self._elsewhere = elsewhere
        self.store = TeacherStore(storage / "teachers")
        self.timings = Timings(storage / "timings")
        self.worker = worker
        self.resident = Resident(self.store, worker.device)

    def trial(
        self, config: Spec, folder: Path, report: Report, *, repeat: int = 0, idle: float = 0.0
    ) -> dict[str, float]:
        """Distill the student of a config, keep its weights in `folder`, and return its metrics.

        With another `repeat` than 0 it is the same recipe with fresh weights and batches. `idle` are the
        seconds that this process waited for it, where they are to be profiled.
        """
        watched = config.compute.profile and self.worker.rank == 0
        with profiled(folder, self.worker.device, idle) if watched else nullcontext() as profile:
            return self._trial(config, folder, report, repeat, profile)

    def _trial(
        self, config: Spec, folder: Path, report: Report, repeat: int, profile: Profile | None
    ) -> dict[str, float]:
        # Before it is trained, as `run` does it.
        apart = self._elsewhere is not None and self.worker.rank == 0 and not is_converted(config.deploy)
        timed = self._timed_apart(config, folder) if apart else {}
        student, metrics = run(
            config,
            self.resident,
            self.worker,
            report=report,
            timings=None if self._elsewhere or self.worker.rank else self.timings,
            repeat=repeat,
            checkpoint=self._checkpoint(folder / CHECKPOINT, config, repeat),
            profile=profile,
        )
        if self.worker.rank == 0:
            folder.mkdir(parents=True, exist_ok=True)
            models.save_weights(student, folder / WEIGHTS)
            write_whole(folder / INPUT, json.dumps(self.resident.splits(config).described()))
            if is_converted(config.deploy):
                metrics |= self._as_shipped(student, config, folder)
        return metrics | timed

    def timed(self, config: Spec, folder: Path) -> dict[str, float]:
        """The timed figures of the student of a config in the form that ships, by metric.

        Where that form is converted from trained weights, `folder` holds these and its file.
        """
        splits = self.resident.splits(config)
        if is_converted(config.deploy):
            form = self._shipped(self._student(config, folder / WEIGHTS), config, folder)
        else:
            form = as_trained(self._student(config), config, splits, self.worker.device)
        return self._time(form, config)

    def _shipped(self, student: nn.Module, config: Spec, folder: Path) -> DeployedModel:
        """What ships, from its file in `folder`, on the device that it is for.

        Where another process times it, this one scores it on what it has.
        """
        try:
            device = place_of(config.deploy, self.worker.device)
        except InputError:
            if self._elsewhere is None:
                raise
            device = self.worker.device
        return open_shipped(student, config, self.resident.splits(config), folder, device)

    def _time(self, form: DeployedModel, config: Spec) -> dict[str, float]:
        splits = self.resident.splits(config)
        return self.timings.of(form, timed_as(config), splits.shape, len(splits.classes), figures_of(config))

    def _timed_apart(self, config: Spec, folder: Path) -> dict[str, float]:
        if self._elsewhere is None or not any(each.basis == "timed" for each in figures_of(config)):
            return {}
        return self._elsewhere(config, folder)

    def teacher(self, spec: Spec, name: str, report: Report) -> dict[str, Any]:
        """The record of a teacher of `spec`: trained, or loaded from its checkpoint, unless it is there."""
        key = teacher_key(spec, name)
        if (record := self.store.record(key)) is not None:
            return record
        given = spec.teachers[name].weights
        config = teacher_config(spec, name)
        checkpoint = self._checkpoint(self.store.folder / f"{key}.checkpoint", config)
        if given is None:
            model, metrics = run(
                config,
                self.resident,
                self.worker,
                report=report,
                weights_seed=copy_number(spec, name),
                checkpoint=checkpoint,
            )
            if metrics["epoch"] < config.optim.epochs:
                raise KdsearchError(f"its training was stopped after epoch {metrics['epoch']:.0f}")
        else:
            model = self._student(config, Path(given))
        record = {
            "key": key,
            "name": name,
            "model": config.tree()["student"],
            "weights": self.store.weights(key).name if given is None else str(Path(given).absolute()),
            "metrics": self._score(model, config),
        }
        if self.worker.rank == 0:
            self.store.folder.mkdir(parents=True, exist_ok=True)
            if given is None:
                models.save_weights(model, self.store.weights(key))
            self.store.write(key, record)
        checkpoint.remove()
        return record

    def _checkpoint(self, path: Path, config: Spec, repeat: int = 0) -> Checkpoint:
        fetch(path)
        rank, world_size = self.worker.rank, self.worker.world_size
        about = f"{fingerprint(config.tree())} {repeat}"
        return Checkpoint(path, about, config.compute.checkpoint_every, rank=rank, world_size=world_size)

    def finish(self, config: Spec, weights: Path) -> dict[str, Any]:
        """Figures that are taken once, at the end: those of the test split, and timings with nothing running
        beside them.

        The accuracy of each class goes to `classes.csv` beside the weights.
        """
        splits, figures = self.resident.splits(config), figures_of(config)
        student = self._shipped(self._student(config, weights), config, weights.parent)
        final: dict[str, Any] = {**measure_alone(student, splits.shape, figures)} | self._test(
            student, config
        )
        write_classes(student, config, self.resident, weights.parent / CLASSES)
        return final | conditions(student.deployment.device, student.deployment.runtime)

    def test(self, config: Spec, weights: Path) -> dict[str, float]:
        """Every figure of a trained student on the test split, in the form that ships, as `test_…`."""
        return self._test(self._shipped(self._student(config, weights), config, weights.parent), config)

    def _test(self, student: DeployedModel, config: Spec) -> dict[str, float]:
        if self.resident.splits(config).test is None:
            return {}
        asked = {figure.name: figure for figure in [*free_figures(config), *figures_of(config)]}.values()
        scores = score(student, config, self.resident, asked, "test")
        scores |= score_trained(student, config, self.resident, asked, "test")
        return {f"test_{name}": value for name, value in scores.items()}

    def untrained(self, config: Spec, folder: Path) -> dict[str, float]:
        """The metrics of an untrained student; `folder` is for its files."""
        splits, figures = self.resident.splits(config), figures_of(config)
        tree, device = config.tree(), self.worker.device
        shape, classes = splits.shape, len(splits.classes)
        model = models.build(tree["student"], shape, classes, seed=config.search.seed).to(device).eval()
        found = score_architecture(model, config, shape)
        if is_converted(config.deploy):
            return found | self._as_shipped(model, config, folder)
        form = as_trained(model, config, splits, device)
        return found | self._time(form, config) | score(form, config, self.resident, figures)

    def _as_shipped(self, student: nn.Module, config: Spec, folder: Path) -> dict[str, float]:
        """Figures of the form that ships, to replace the trained student's, and how far the two differ."""
        splits, figures = self.resident.splits(config), figures_of(config)
        convert(student, config, splits, folder)
        form = self._shipped(student, config, folder)
        scores = score(form, config, self.resident, figures)
        scores |= score_trained(form, config, self.resident, figures)
        timed = self._timed_apart(config, folder) if self._elsewhere else self._time(form, config)
        trained, shipped = (
            predict(model, splits.validation, splits.mean, splits.std, device=self.worker.device)[0]
            for model in (student, form)
        )
        return scores | timed | {"size_mb": form.deployment.bytes / 1e6} | parity(trained, shipped)

    def _student(self, config: Spec, weights: Path | None = None) -> nn.Module:
        splits = self.resident.splits(config)
        model = models.build(config.tree()["student"], splits.shape, len(splits.classes), seed=0)
        if weights is not None:
            models.load_weights(model, weights)
        return model.to(self.worker.device).eval()

    def _score(self, model: nn.Module, config: Spec) -> dict[str, float]:
        splits, figures = self.resident.splits(config), [figure(name) for name in ALWAYS]
        scores = measure_architecture(model, splits.shape, figures)
        scores |= score(model, config, self.resident, figures)
        if splits.test is not None:
            scores["test_accuracy"] = score(model, config, self.resident, figures, "test")["accuracy"]
        return scores


def local_worker(spec: Spec) -> Worker:
    """This process as a worker: the first GPU where the spec asks for one, otherwise the CPU."""
    gpu = spec.compute.gpus_per_worker > 0 and torch.cuda.is_available()
    return Worker(torch.device("cuda", 0) if gpu else torch.device("cpu"), threads=threads(spec))


def threads(spec: Spec) -> int:
    """Threads of a worker: one a CPU."""
    return max(1, int(spec.compute.cpus_per_worker))


def ensure_teachers(
    spec: Spec, session: Session, report: Callable[[str, str], None]
) -> dict[str, dict[str, Any]]:
    """The record of every teacher of a spec, trained in this process where the store lacks it.

    Args:
        spec: Names the teachers.
        session: Trains them.
        report: Called with a teacher's name and its progress.
    """
    records = {}
    for name in spec.teachers:

        def epoch(metrics: dict[str, float], name: str = name) -> bool:
            report(name, f"epoch {metrics['epoch']:.0f}, validation accuracy {metrics['accuracy']:.2%}")
            return True

        with session.store.lock(teacher_key(spec, name)):
            records[name] = session.teacher(spec, name, epoch)
    return records
