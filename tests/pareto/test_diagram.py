"""What is drawn of a config: teachers, ensemble, and matched layers, in either form of a match."""

from __future__ import annotations

from kdsearch.pareto.diagram import Link, diagram, diagrams_svg
from kdsearch.pareto.recipes import amount, teachers, varying


def test_a_student_alone_learns_from_labels(configs):
    shown = diagram(configs[0])
    assert (shown.labels, shown.outputs, shown.teachers, shown.links) == ("0.1 ce", "", (), ())


def test_hints_of_one_teacher_are_links_layer_by_layer(configs):
    shown = diagram(configs[1])
    assert shown.members == ("conv",) and shown.ensemble == "" and shown.outputs == "0.9 kd, T 2"
    assert shown.links == (
        Link("stage1", "conv", "stage2", "10 hint"),
        Link("stage2", "conv", "stage3", "10 hint"),
    )


def test_hints_of_several_teachers_and_schedules_are_read_too(configs):
    shown = diagram(configs[2])
    assert shown.ensemble == "weighted\nconv 0.3, mlp 0.7" and shown.outputs == "1→0.1 (linear) kd, T 3"
    assert shown.links == (
        Link("stage1", "conv", "stage1", "1 hint"),
        Link("all layers", "mlp", "all layers", "1 hint"),
    )
    assert teachers(configs[2]) == ["conv", "mlp"]


def test_losses_of_an_early_stage_are_told_as_such(configs):
    config = configs[1]
    hint = config["distill"]["losses"].pop("hint")
    early = {"losses": {"hint": {**hint, "match": [hint["match"]]}}, "epochs": 2}
    config["distill"]["stages"] = [early]
    shown = diagram(config)
    assert {link.label for link in shown.links} == {"10 stage 1: hint"} and shown.outputs == "0.9 kd, T 2"
    assert "distill.stages.0.epochs" in varying([config, configs[0]])


def test_the_drawing_names_all_that_it_shows(configs):
    text = diagrams_svg([("a recipe", diagram(configs[2]))])
    assert text.startswith("<svg") and text.rstrip().endswith("</svg>")
    for word in ("a recipe", "conv", "mlp", "stage1", "weighted", "hint", "labels"):
        assert word in text


def test_settings_that_never_differ_are_no_axis(configs):
    frame = varying(configs)
    assert "optim.lr" in frame and "student.width" in frame and "distill.losses.hint.match" in frame
    assert "optim.epochs" not in frame and "student.name" not in frame
    assert set(frame["teachers"]) == {"none", "conv", "conv+mlp"}
    assert amount([64, 32]) == "64-32" and amount(0.12345) == "0.123"
