"""The schema of a spec. A spec with no domain left is a config; both have this one schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from kdsearch.registry import Part
from kdsearch.spec.domains import Choice, Matching, plain
from kdsearch.spec.fields import PartSection, Section
from kdsearch.spec.searchable import Searchable
from kdsearch.types import Fraction, NonNegative, NonNegativeInt, Positive, PositiveInt

Direction = Literal["maximize", "minimize"]


class Augment(Section):
    """Random views of the training images."""

    crop: NonNegativeInt = Field(0, description="Pad by so many zero pixels, then crop at random")
    flip: bool = Field(False, description="Mirror half of the images")
    cutout: NonNegativeInt = Field(0, description="Side in pixels of one random square set to zero")


class Data(PartSection):
    """The data set, how it is split, and how it is batched."""

    kind: ClassVar[str] = "dataset"
    tag: ClassVar[str] = "source"
    source: str = ""
    batch_size: PositiveInt = Field(128, description="Images in a step, over all workers")
    validation: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1, description="Share of the training images held out, on which trials are scored"
    )
    augment: Augment = Augment()


class Model(PartSection):
    """A network and its options."""

    kind: ClassVar[str] = "model"
    name: str = ""


class Schedule(PartSection):
    """How the learning rate goes over the epochs."""

    kind: ClassVar[str] = "schedule"
    name: str = "cosine"


class Optim(PartSection):
    """The optimiser, its schedule, and for how long."""

    kind: ClassVar[str] = "optimizer"
    name: str = "sgd"
    epochs: Annotated[PositiveInt, Searchable()] = Field(30, description="Passes over the training images")
    schedule: Annotated[Schedule, Searchable()] = Field(
        default_factory=lambda: Schedule._of_part("cosine"), description="Of the learning rate"
    )
    warmup: Annotated[Fraction, Searchable()] = Field(
        0.0, description="Share of the steps over which the learning rate rises linearly"
    )
    clip: Annotated[NonNegative, Searchable()] = Field(0.0, description="Largest gradient norm; 0 for none")
    accumulate: Annotated[PositiveInt, Searchable()] = Field(1, description="Batches to a step")
    precision: Annotated[Literal["fp32", "bf16"], Searchable()] = Field(
        "fp32", description="Of the forward pass"
    )


def _with_epochs(schema: dict[str, Any]) -> None:
    """For `epochs` beside `model`, see `Teacher._epochs`."""
    schema["properties"]["epochs"] = {"type": "integer", "exclusiveMinimum": 0}


class Teacher(Section):
    """A teacher: trained from labels once and stored, or loaded from a checkpoint."""

    model_config = ConfigDict(json_schema_extra=_with_epochs)

    model: Model
    weights: str | None = Field(None, description="A checkpoint: safetensors, or a state_dict")
    optim: Optim = Field(default_factory=lambda: Optim._of_part("sgd"))

    @model_validator(mode="before")
    @classmethod
    def _epochs(cls, value: Any) -> Any:
        """`epochs` beside `model` is short for `optim: {epochs: …}`."""
        if isinstance(value, Mapping) and "epochs" in value:
            optim = value.get("optim", {})
            optim = {"name": optim} if isinstance(optim, str) else dict(optim)
            rest = {key: inner for key, inner in value.items() if key != "epochs"}
            return rest | {"optim": optim | {"epochs": value["epochs"]}}
        return value


class Ensemble(PartSection):
    """How the outputs of several teachers become one target."""

    kind: ClassVar[str] = "ensemble"
    name: str = "mean"


class TeacherUse(Section):
    """Which teachers a student learns from, and how they are combined."""

    members: Annotated[list[str], Searchable("subset", "choice")] = Field(
        default_factory=list, description="Names of teachers"
    )
    combine: Annotated[Ensemble, Searchable()] = Field(default_factory=lambda: Ensemble._of_part("mean"))
    dropout: Annotated[Fraction, Searchable()] = Field(
        0.0, description="Probability with which a teacher is left out of a batch"
    )


class Match(Section):
    """Which student layer imitates which layer of one teacher.

    A layer is a module path, or a depth from 0 (the first hintable layer) to 1 (the last). `all` stands for
    every hintable layer of both, for losses that learn the matching.
    """

    teacher: str
    pairs: list[tuple[str | float, str | float]] | Literal["all"]

    @model_validator(mode="before")
    @classmethod
    def _tuples(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and isinstance(value.get("pairs"), list):
            pairs = [tuple(pair) if isinstance(pair, list) else pair for pair in value["pairs"]]
            return {**value, "pairs": pairs}
        return value


class Loss(PartSection):
    """One term of the objective; its key is its label, and by default the name of the loss."""

    kind: ClassVar[str] = "loss"
    name: str = ""
    weight: Annotated[NonNegative, Searchable()] = Field(
        1.0, description="Factor of this term; 0 leaves it out"
    )

    @property
    def matched(self) -> Match | None:
        """The layers of a loss on features (its key `match`); None for every other loss."""
        match: Match | None = getattr(self, "match", None)
        return match

    @classmethod
    def extra_fields(cls, part: Part) -> dict[str, Any]:
        if not is_matched(part):
            return {}
        field = Field(default=Matching(), description="Which student layer imitates which teacher layer")
        return {"match": (Annotated[Match, Searchable("matching", "choice")], field)}


def is_matched(part: Part) -> bool:
    """Whether a loss acts on layers that a spec matches."""
    looks = "student_feature" in part.needs or "student_features" in part.needs
    return looks and part.facts.get("matching") != "members"


def _or_nothing(schema: dict[str, Any]) -> None:
    """A label alone, as in `ce:`, is the loss of that name."""
    schema["additionalProperties"] = {"anyOf": [schema["additionalProperties"], {"type": "null"}]}


class Distill(Section):
    """What the student learns from."""

    teachers: TeacherUse = TeacherUse()
    losses: dict[str, Loss] = Field(
        default_factory=lambda: {"ce": Loss._of_part("ce")}, min_length=1, json_schema_extra=_or_nothing
    )

    @model_validator(mode="before")
    @classmethod
    def _named_by_key(cls, value: Any) -> Any:
        losses = value.get("losses") if isinstance(value, Mapping) else None
        if not isinstance(losses, Mapping):
            return value
        named = {
            key: {"name": key, **loss}
            if isinstance(loss, Mapping)
            else {"name": key}
            if loss is None
            else loss
            for key, loss in losses.items()
        }
        return {**value, "losses": named}


class Sampler(PartSection):
    """Optuna's sampler."""

    kind: ClassVar[str] = "sampler"
    name: str = "tpe"


class Search(Section):
    """How the space is searched."""

    sampler: Sampler = Field(default_factory=lambda: Sampler._of_part("tpe"))
    trials: NonNegativeInt = Field(50, description="Configs to try, beside the baselines")
    seed: NonNegativeInt = Field(0, description="Of the split, the batches, the weights and the sampler")
    concurrent: PositiveInt | None = Field(
        None, description="Trials at once; by default what the cluster can place"
    )
    baselines: bool = Field(
        True, description="Train the students without teachers, and with plain distillation"
    )


class Compute(Section):
    """What a trial runs on."""

    workers: PositiveInt = Field(1, description="Ray Train workers to a trial (data parallel)")
    cpus_per_worker: Positive = Field(1, description="CPUs, and threads, of a worker")
    gpus_per_worker: NonNegative = Field(0, description="GPUs of a worker; a fraction shares one")
    storage: str = Field("kdsearch_store", description="Folder for searches, teachers and measurements")


class Tracking(Section):
    """Where MLflow keeps the runs."""

    uri: str = Field("sqlite:///mlflow.db", description="MLflow tracking URI")
    experiment: str | None = Field(None, description="MLflow experiment; by default the name of the spec")


class Spec(Section):
    """A whole search, or, when nothing is left to search, one config."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] = "search"
    data: Data
    teachers: dict[str, Teacher] = Field(default_factory=dict)
    student: Annotated[Model, Searchable("choice")]
    distill: Distill = Field(default_factory=Distill)
    optim: Annotated[Optim, Searchable("choice")] = Field(default_factory=lambda: Optim._of_part("sgd"))
    objectives: dict[str, Direction] = Field(
        default_factory=lambda: dict[str, Direction](accuracy="maximize", size_mb="minimize"), min_length=1
    )
    constraints: list[str] = Field(default_factory=list)
    search: Search = Field(default_factory=Search)
    compute: Compute = Compute()
    tracking: Tracking = Tracking()

    def tree(self) -> dict[str, Any]:
        """The spec as nested mappings of plain values, defaults filled in, domains left as they are."""
        tree: dict[str, Any] = _tree(self)
        return tree

    def plain(self) -> dict[str, Any]:
        """The spec as YAML can write it: `load_spec(spec.plain())` is the same spec."""
        written: dict[str, Any] = plain(self.tree())
        return written


def _tree(value: Any) -> Any:
    if isinstance(value, PartSection):
        named = {value.tag: value.part} | {key: getattr(value, key) for key in _fields(value)}
        return {key: _tree(inner) for key, inner in named.items()}
    if isinstance(value, BaseModel):
        return {key: _tree(getattr(value, key)) for key in _fields(value)}
    if isinstance(value, Mapping):
        return {key: _tree(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(inner) for inner in value]
    if isinstance(value, Choice):
        return Choice(tuple(map(_tree, value.options)))
    return value


def _fields(section: BaseModel) -> list[str]:
    return [*type(section).model_fields, *(section.__pydantic_extra__ or {})]
