"""Where the cases come from: values of every kind that YAML has, and valid specs with something changed."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

#: A spec that touches every section and every kind of domain.
SPEC: dict[str, Any] = {
    "name": "fuzzed",
    "data": {"source": "digits", "batch_size": 64, "validation": 0.2, "augment": {"crop": 1, "flip": False}},
    "teachers": {
        "conv": {"model": {"name": "convnet", "width": 8, "depth": 2}, "epochs": 2},
        "mlp": {"model": {"name": "mlp", "hidden": [16]}, "optim": {"name": "sgd", "lr": 0.1}},
    },
    "student": {
        "choice": [
            {"name": "convnet", "width": {"int": [2, 8], "step": 2}, "depth": {"int": [1, 3]}},
            {"name": "mlp", "hidden": {"choice": [[4], [8, 8]]}},
        ]
    },
    "distill": {
        "teachers": {
            "members": {"subset": "all", "min": 1},
            "combine": {"choice": ["mean", {"name": "weighted", "weights": {"simplex": "all"}}]},
        },
        "losses": {
            "ce": {"weight": {"float": [0.0, 1.0]}},
            "kd": {"weight": 1.0, "temperature": {"float": [1.0, 20.0], "log": True}},
            "hint": {"weight": {"choice": [0.0, 1.0]}, "match": {"matching": {"max_pairs": 2}}},
        },
    },
    "optim": {"name": "sgd", "lr": {"float": [0.01, 0.3], "log": True}, "epochs": 3},
    "objectives": {"accuracy": "maximize", "size_mb": "minimize"},
    "constraints": ["size_mb <= 1 and accuracy > 0.1"],
    "search": {"sampler": "random", "trials": 3, "seed": 1},
    "compute": {"workers": 1, "cpus_per_worker": 1, "storage": "store"},
    "tracking": {"uri": "sqlite:///mlflow.db"},
}

_WORDS = [
    "name",
    "choice",
    "float",
    "int",
    "subset",
    "simplex",
    "matching",
    "all",
    "min",
    "max",
    "log",
    "step",
    "weight",
    "temperature",
    "teachers",
    "members",
    "losses",
    "student",
    "optim",
    "lr",
    "epochs",
    "convnet",
    "mlp",
    "kd",
    "ce",
    "hint",
    "sgd",
    "accuracy",
    "maximize",
    "tpe",
    "match",
    "pairs",
    "teacher",
    "max_pairs",
    "weights",
    "digits",
    "model",
    "..",
    "/",
    "../x",
    "a:b",
    "os:system",
    ":",
    ".",
    "__class__",
    "nan",
    "inf",
    "-1",
    "0",
    "1e999",
    "true",
    "null",
    "~",
]

words = st.sampled_from(_WORDS)
texts = words | st.text(max_size=20)
_huge = st.sampled_from([10**19, -(10**19), 10**400, 1 << 63, 1e308, -1e308, 5e-324])
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-3, 100)
    | st.integers()
    | st.floats()
    | _huge
    | texts
    | st.binary(max_size=4)
    | st.dates()
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | leaves, inner, max_size=4),
    max_leaves=12,
)

_numbers = st.integers(-5, 50) | st.floats() | _huge
_floats = st.floats(0, 1) | st.sampled_from([1e-4, 0.5, 2.0, 8, 20])
_pair = st.lists(_floats, min_size=2, max_size=2, unique=True).map(sorted)
_whole = st.lists(st.integers(1, 40), min_size=2, max_size=2, unique=True).map(sorted)
#: Domains that hold more often than not, where they stand.
_likely = st.one_of(
    st.fixed_dictionaries({"float": _pair}, optional={"log": st.booleans()}),
    st.fixed_dictionaries({"float": _pair}, optional={"step": _floats | _numbers}),
    st.fixed_dictionaries({"int": _whole}, optional={"step": st.integers(1, 9)}),
    st.fixed_dictionaries({"int": _whole}, optional={"log": st.booleans()}),
    st.fixed_dictionaries({"choice": st.lists(st.sampled_from([1, 2, 0.5, 0.0, "mlp", "mean"]), min_size=1)}),
    st.fixed_dictionaries({"subset": st.just("all")}, optional={"min": st.integers(0, 3)}),
    st.fixed_dictionaries({"matching": st.fixed_dictionaries({"max_pairs": st.integers(1, 4)})}),
)
domains = _likely | st.one_of(
    st.fixed_dictionaries(
        {},
        optional={"float": st.lists(_numbers, max_size=3), "log": st.booleans() | leaves, "step": _numbers},
    ),
    st.fixed_dictionaries({"int": st.lists(_numbers, min_size=2, max_size=2)}, optional={"step": _numbers}),
    st.fixed_dictionaries({"float": st.lists(_numbers, min_size=2, max_size=2)}, optional={"log": leaves}),
    st.fixed_dictionaries({"choice": st.lists(values, max_size=4) | values}),
    st.fixed_dictionaries(
        {"subset": st.sampled_from(["all", ["conv"], ["conv", "mlp"], []]) | values},
        optional={"min": _numbers, "max": _numbers},
    ),
    st.fixed_dictionaries({"simplex": st.sampled_from(["all", ["conv"]]) | values}),
    st.fixed_dictionaries(
        {
            "matching": values
            | st.fixed_dictionaries({}, optional={"max_pairs": _numbers, "min_pairs": _numbers})
        }
    ),
)


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a tree."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


_PLACES = places(SPEC)[1:]
_SEARCHED = [place for place in _PLACES if place[0] in ("student", "distill", "optim")]


@st.composite
def changed(draw: st.DrawFn, with_: st.SearchStrategy[Any], only_searched: bool = False) -> dict[str, Any]:
    """The spec with one to three values changed: replaced, given another key, or taken out."""
    spec = copy.deepcopy(SPEC)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        *above, last = draw(st.sampled_from(_SEARCHED if only_searched else _PLACES))
        parent: Any = spec
        try:
            for key in above:
                parent = parent[key]
            parent[last]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
        match draw(st.sampled_from(["replace", "replace", "replace", "add", "drop"])):
            case "replace":
                parent[last] = draw(with_)
            case "add" if isinstance(parent, dict):
                parent[draw(texts)] = draw(with_)
            case "drop":
                del parent[last]
    return spec


@st.composite
def mutated(draw: st.DrawFn, seed: bytes) -> bytes:
    """Bytes with some of them replaced, taken out, repeated or cut off."""
    content = bytearray(seed)
    for _ in range(draw(st.sampled_from([1, 1, 2, 4, 8]))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        length = draw(st.integers(0, 12))
        match draw(st.sampled_from(["replace", "delete", "repeat", "cut", "insert"])):
            case "replace":
                content[at : at + length] = draw(st.binary(min_size=length, max_size=length))
            case "delete":
                del content[at : at + length]
            case "repeat":
                content[at:at] = content[at : at + length] * draw(st.integers(1, 40))
            case "cut":
                del content[at + draw(st.integers(0, 200)) :]
            case "insert":
                content[at:at] = draw(st.sampled_from(_TOKENS))
    return bytes(content)


#: What means something to YAML, to a constraint or to pickle.
_TOKENS = [
    token.encode()
    for token in (
        *[
            "&a",
            "*a",
            "<<",
            "!!timestamp",
            "!!int",
            "!!binary",
            "!!python/object/apply:os.system",
            "!!set",
            "!!omap",
            "---",
            "...",
            "=",
            "#",
        ],
        *[
            "[",
            "]",
            "{",
            "}",
            ":",
            "-",
            "?",
            "|",
            ">",
            "'",
            '"',
            "%",
            "@",
            "`",
            ",",
            "<=",
            ">=",
            "and",
            ".inf",
            ".nan",
            "0x_",
            "0b",
            "1_000",
            "12:30:45",
            "2001-01-01",
            "2001-99-99",
        ],
        *("\t", "\0", "\ufeff", "\x85", "\u2028", " -0", " 1e999", " 99999999999999999999"),
    )
]
