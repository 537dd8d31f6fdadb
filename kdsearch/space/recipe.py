"""A config in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdsearch.spec import AS_TRAINED, Spec, dump_yaml, shape_of


def describe(config: Mapping[str, Any]) -> str:
    """One line: the student, whom it learns from, and on which losses."""
    use, losses = config["distill"]["teachers"], config["distill"]["losses"]
    terms = " + ".join(_term(label, loss) for label, loss in losses.items()) or "nothing"
    terms = " → ".join([*map(_stage, config["distill"].get("stages", ())), terms])
    combine = f" ({use['combine']['name']})" if len(use["members"]) > 1 else ""
    teachers = f" ← {'+'.join(use['members'])}{combine}" if use["members"] else ""
    return f"{describe_model(config['student'])}{teachers} · {terms}{_deployed(config)}"


def _deployed(config: Mapping[str, Any]) -> str:
    """The form in which it ships, as far as it is not simply the trained model."""
    words = describe_form(config.get("deploy", {}))
    return f" · as {words}" if words else ""


def describe_form(form: Mapping[str, Any]) -> str:
    """The form in which a student ships: `onnx int8 threads 4`; nothing for the trained model itself."""
    form = {**AS_TRAINED, **form}
    if form == AS_TRAINED:
        return ""
    changed = [key for key in ("device", "batch", "threads") if form[key] != AS_TRAINED[key]]
    return " ".join([form["format"], form["precision"], *(f"{key} {form[key]}" for key in changed)])


def describe_model(model: Mapping[str, Any]) -> str:
    """The name of a model and its options: `convnet(width=8, depth=2)`."""
    options = ", ".join(f"{key}={_short(value)}" for key, value in model.items() if key != "name" and value)
    return f"{model['name']}({options})" if options else str(model["name"])


def _stage(stage: Mapping[str, Any]) -> str:
    terms = " + ".join(_term(label, loss) for label, loss in stage["losses"].items())
    return f"{terms} ({stage['epochs']} epochs)" if stage["epochs"] else f"{terms} ({stage['fraction']:.0%})"


def _term(label: str, loss: Mapping[str, Any]) -> str:
    details = []
    if "temperature" in loss:
        details.append(f"T {_short(loss['temperature'])}")
    if only := loss.get("only"):
        sure = [f"p ≥ {_short(only['confidence'])}"] if only["confidence"] else []
        details.append("only " + " and ".join(["correct"] * only["correct"] + sure))
    for match in loss.get("match") or ():
        given = match["pairs"]
        pairs = ", ".join(f"{_short(a)}→{_short(b)}" for a, b in given) if isinstance(given, list) else None
        details.append(f"{match['teacher']}: {pairs or _short(given)}")
    return f"{_short(loss['weight'])} {label}" + (f" ({', '.join(details)})" if details else "")


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        return "-".join(map(_short, value))
    if shape := shape_of(value):
        until = value["until"]
        path = "→".join(map(_short, value[shape])) if isinstance(value[shape], list) else _short(value[shape])
        return path + (f" until {until:.0%}" if until < 1 else "")
    if isinstance(value, Mapping) and "name" in value:
        return describe_model(value)
    if isinstance(value, Mapping):
        inner = value.get("per_teacher", value)
        return value.get("rule") or "/".join(map(_short, inner.values()))
    return str(value)


def config_yaml(config: Mapping[str, Any]) -> str:
    """The YAML text of a config, that `kdsearch train` runs as it is."""
    tree = {key: config[key] for key in Spec.model_fields if key in config}
    if "compute" in tree:  # that a trial was watched is no part of its recipe
        tree["compute"] = {key: value for key, value in tree["compute"].items() if key != "profile"}
    return dump_yaml(tree)
