"""The schema of a spec. A spec with no domain left is a config; both have this one schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from kdsearch.filenames import STORAGE
from kdsearch.spec.bank import BankUse
from kdsearch.spec.deploy import Deploy
from kdsearch.spec.domains import Choice, plain
from kdsearch.spec.fields import PartSection, Section
from kdsearch.spec.figures import Measure
from kdsearch.spec.optim import Optim
from kdsearch.spec.recipe import Distill
from kdsearch.spec.searchable import Searchable
from kdsearch.spec.secrets import storable
from kdsearch.types import Direction, NonNegative, NonNegativeInt, Positive, PositiveInt

#: YAML reads the name of the class `3` as a number.
ClassName = Annotated[str, BeforeValidator(lambda name: str(name) if type(name) is int else name)]


class Augment(Section):
    """Random views of the training images."""

    crop: NonNegativeInt = Field(0, description="Pad by so many zero pixels, then crop at random")
    flip: bool = Field(False, description="Mirror half of the images")
    cutout: NonNegativeInt = Field(0, description="Side in pixels of one random square set to zero")
    mixup: NonNegative = Field(0.0, description="Blend pairs of images, at shares from Beta(mixup, mixup)")
    cutmix: NonNegative = Field(
        0.0, description="Paste boxes of one image into another, at shares from Beta(cutmix, cutmix)"
    )


class Data(PartSection):
    """The data set, how it is split, and how it is batched."""

    kind: ClassVar[str] = "dataset"
    tag: ClassVar[str] = "source"
    source: str = ""
    classes: list[ClassName] | None = Field(
        None, min_length=2, description="Only images of these classes; by default of all"
    )
    views: PositiveInt | None = Field(
        None, description="Epochs after which the order and the augmented views repeat; by default never"
    )
    batch_size: PositiveInt = Field(128, description="Images in a step, over all workers")
    validation: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1, description="Share of the training images held out, on which trials are scored"
    )
    augment: Augment = Augment()


class Model(PartSection):
    """A network and its options."""

    kind: ClassVar[str] = "model"
    name: str = ""


def _with_epochs(schema: dict[str, Any]) -> None:
    """For `epochs` beside `model`, see `Teacher._epochs`."""
    schema["properties"]["epochs"] = {"type": "integer", "exclusiveMinimum": 0}


class Teacher(Section):
    """A teacher: trained from labels once and stored, or loaded from a checkpoint."""

    model_config = ConfigDict(json_schema_extra=_with_epochs)

    model: Model
    weights: str | None = Field(None, description="A checkpoint: safetensors, or a state_dict")
    classes: list[ClassName] | None = Field(
        None,
        min_length=2,
        description="Of a specialist: the classes that it knows, in the order of its logits",
    )
    optim: Optim = Field(default_factory=lambda: Optim.parse("sgd"))

    @model_validator(mode="before")
    @classmethod
    def _epochs(cls, value: Any) -> Any:
        """`epochs` beside `model` is short for `optim: {epochs: …}`."""
        if isinstance(value, Mapping) and "epochs" in value:
            optim = value.get("optim", {})
            optim = {"name": optim} if isinstance(optim, str) else optim
            rest = {key: inner for key, inner in value.items() if key != "epochs"}
            if not isinstance(optim, Mapping):
                return rest  # where it is refused, under its key
            return rest | {"optim": {**optim, "epochs": value["epochs"]}}
        return value


class Sampler(PartSection):
    """Optuna's sampler."""

    kind: ClassVar[str] = "sampler"
    name: str = "tpe"


class Search(Section):
    """How the space is searched."""

    sampler: Sampler = Field(default_factory=lambda: Sampler.parse("tpe"))
    trials: NonNegativeInt = Field(50, description="Configs to try, beside the baselines")
    seed: Annotated[NonNegativeInt, Field(lt=2**32)] = Field(
        0, description="Of the split, the batches, the weights and the sampler"
    )
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
    storage: str = Field(STORAGE, description="Folder, or bucket (s3://, gs://), of searches and teachers")
    epoch_timeout: Positive = Field(7200, description="Seconds after which an epoch counts as hung")
    checkpoint_every: NonNegative = Field(60, description="Seconds between two checkpoints of a run")
    compile: bool = Field(False, description="Compile the students of trials of 2000 steps or more")
    profile: bool = Field(False, description="Note where the time of each trial goes, and trace some steps")


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
    optim: Annotated[Optim, Searchable("choice")] = Field(default_factory=lambda: Optim.parse("sgd"))
    deploy: Annotated[Deploy, Searchable("choice")] = Deploy()
    measure: Measure = Field(default_factory=Measure)
    objectives: dict[str, Direction] = Field(
        default_factory=lambda: dict[str, Direction](accuracy="maximize", size_mb="minimize"), min_length=1
    )
    constraints: list[str] = Field(default_factory=list)
    search: Search = Field(default_factory=Search)
    compute: Compute = Compute()
    bank: BankUse = BankUse()
    tracking: Tracking = Tracking()

    def tree(self, *sections: str) -> dict[str, Any]:
        """The spec, or some of its sections, as nested mappings of plain values.

        Defaults are filled in, and domains left as they are. This is what files, MLflow and exports get:
        without the password that the tracking address may hold.
        """
        tree = {key: _tree(getattr(self, key)) for key in sections or _fields(self)}
        if "tracking" in tree:
            tree["tracking"]["uri"] = storable(self.tracking.uri)
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
