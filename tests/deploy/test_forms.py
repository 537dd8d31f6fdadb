"""Every form of every student, against PyTorch in float64 and against ONNX's own reference in NumPy."""

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from safetensors.numpy import load_file

from kdsearch.data import Images
from kdsearch.deploy import (
    OPSET,
    DeployedModel,
    calibration,
    open_deployed,
    open_graph,
    parity,
    write_deployed,
)
from kdsearch.deploy.runtime import _device_of
from kdsearch.distill.evaluate import predict
from kdsearch.errors import InputError
from kdsearch.measure import Deployment, device_of, time_forward
from kdsearch.spec import Deploy

FORMS = [
    {"format": "torch", "precision": "fp32"},
    {"format": "torch", "precision": "fp16"},
    {"format": "onnx", "precision": "fp32"},
    {"format": "onnx", "precision": "fp16"},
    {"format": "onnx", "precision": "int8"},
]


def in_float64(trained, images):
    """Logits of images, every step in float64."""
    splits = trained.splits
    scaled = images.double() / 255 - splits.mean.double().view(-1, 1, 1)
    model = trained.model.double()
    with torch.no_grad():
        logits = model(scaled / splits.std.double().view(-1, 1, 1))
    trained.model.float()
    return logits


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(form.values()))
def test_every_form_takes_bytes_and_tells_nearly_what_the_student_does(trained, form):
    opened, _ = trained.form(**form)
    images, labels = trained.splits.validation.images, trained.splits.validation.labels
    expected = in_float64(trained, images)
    logits, told = opened.predict(trained.splits.validation)
    assert torch.equal(told, labels) and logits.dtype == torch.float32
    scale = expected.abs().max()
    bound = {"fp32": 1e-5, "fp16": 1e-2, "int8": 0.35}[form["precision"]]
    assert (logits - expected).abs().max() / scale < bound
    accuracy = (expected.argmax(1) == labels).double().mean()
    assert accuracy > 0.85
    assert (logits.argmax(1) == labels).double().mean() > accuracy - 0.05


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_accuracy_of_a_graph_is_what_onnx_computes_by_its_definition(trained, precision):
    opened, path = trained.form(format="onnx", precision=precision)
    some = trained.splits.validation[torch.arange(100)]
    # One image a call, because ranges taken at run time are those of a call.
    model = onnx.load(path)
    for opset in model.opset_import:
        opset.version = 19 if opset.domain == "" else opset.version  # its 8-bit operators begin there
    reference = ReferenceEvaluator(model)
    expected = np.concatenate(
        [reference.run(None, {"images": image[None].numpy()})[0] for image in some.images]
    )
    logits, labels = opened.predict(some)
    agree = np.mean(expected.argmax(1) == logits.argmax(1).numpy())
    assert agree >= 0.98  # a rounding that falls to the other side moves a logit by one 8-bit step
    difference = np.mean(expected.argmax(1) == labels.numpy()) - np.mean(
        logits.argmax(1).numpy() == labels.numpy()
    )
    assert abs(difference) <= 0.02


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(form.values()))
def test_size_is_that_of_the_file_and_weights_take_the_bytes_of_their_precision(trained, form):
    opened, path = trained.form(**form)
    assert opened.deployment.bytes == len(path.read_bytes())
    weights = sum(p.numel() for p in trained.model.parameters() if p.dim() > 1)
    width = {"fp32": 4, "fp16": 2, "int8": 1}[form["precision"]]
    if form["format"] == "torch":
        stored = sum(a.nbytes for a in load_file(path).values() if a.ndim > 1)
    else:
        arrays = [numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer]
        stored = sum(a.nbytes for a in arrays if a.size >= 16 and a.ndim > 1 and a.dtype != np.int64)
    assert stored == weights * width


def test_eight_bit_weights_are_the_rounded_ones_with_a_scale_a_channel(trained):
    _, whole = trained.form(format="onnx", precision="fp32")
    _, path = trained.form(format="onnx", precision="int8")
    exact = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in onnx.load(whole).graph.initializer}
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    checked = 0
    for name, weights in exact.items():
        names = [key for key in stored if key.startswith(name) and key.endswith("_quantized")]
        if weights.ndim < 2 or not names:
            continue
        scales = stored[names[0].replace("_quantized", "_scale")].astype(np.float64)
        found = stored[names[0]].astype(np.float64)
        if found.shape != weights.shape:
            weights = weights.T  # a Gemm became a product with the transposed matrix
        axis = 0 if scales.size == weights.shape[0] and weights.ndim == 4 else None
        axis = axis if axis is not None else (1 if scales.size == weights.shape[1] else 0)
        others = tuple(i for i in range(weights.ndim) if i != axis)
        shape = [-1 if i == axis else 1 for i in range(weights.ndim)]
        largest = np.abs(weights).max(axis=others)
        np.testing.assert_allclose(scales, largest / 64, rtol=0.05)  # seven bits: -64 … 64
        np.testing.assert_allclose(found, np.round(weights / scales.reshape(shape)), atol=1)
        assert np.abs(found).max() <= 64
        checked += 1
    assert checked >= 2


def test_a_student_with_convolutions_is_quantised_statically_and_others_at_run_time(trained):
    opened, path = trained.form(format="onnx", precision="int8")
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    if trained.model.config["name"] == "mlp":
        assert {"DynamicQuantizeLinear", "MatMulInteger"} <= kinds and opened.deployment.together
    else:
        assert {"QuantizeLinear", "DequantizeLinear"} <= kinds and not opened.deployment.together
        assert "DynamicQuantizeLinear" not in kinds


def test_a_range_shared_by_a_call_is_that_of_the_calls_that_ship(trained):
    opened, path = trained.form(format="onnx", precision="int8", batch=4)
    some = trained.splits.validation[torch.arange(10)]
    session = onnxruntime.InferenceSession(path)
    parts = [session.run(None, {"images": part.numpy()})[0] for part in some.images.split(4)]
    if opened.deployment.together:
        assert np.array_equal(opened.predict(some)[0].numpy(), np.concatenate(parts))
    else:
        whole = opened(some.images)
        assert torch.equal(whole, torch.cat([opened(image[None]) for image in some.images]))


def test_calibration_takes_training_images_only_spread_over_all_of_them(splits):
    images = calibration(splits.train)
    assert len(images) == 512
    rows = {row.numpy().tobytes() for row in splits.train.images}
    assert all(image.numpy().tobytes() in rows for image in images)
    assert torch.equal(images[0], splits.train.images[0]) and torch.equal(images[-1], splits.train.images[-1])
    few = splits.train[torch.arange(3)]
    assert torch.equal(calibration(few), few.images)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(form.values()))
def test_making_a_form_leaves_the_student_as_it_was(trained, form):
    before = {key: value.clone() for key, value in trained.model.state_dict().items()}
    trained.make(**form)
    after = trained.model.state_dict()
    assert all(
        torch.equal(before[key], after[key]) and before[key].dtype == after[key].dtype for key in before
    )


def test_a_graph_states_its_opset_and_classes_and_takes_any_batch(trained):
    _, path = trained.form(format="onnx")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert {o.version for o in model.opset_import if o.domain in ("", "ai.onnx")} == {OPSET}
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(facts["classes"]) == list("0123456789")
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    session = onnxruntime.InferenceSession(path)
    for size in (1, 3, 17):
        (logits,) = session.run(None, {"images": np.zeros((size, *trained.splits.shape), np.uint8)})
        assert logits.shape == (size, 10)


def test_evaluation_of_a_form_is_its_own(trained):
    opened, _ = trained.form(format="onnx")
    splits = trained.splits
    logits, labels = predict(opened, splits.validation, splits.mean, splits.std)
    expected, told = predict(trained.model, splits.validation, splits.mean, splits.std)
    assert torch.equal(labels, told)
    found = parity(expected, logits)
    assert found["changed_predictions"] == 0 and 0 < found["logit_difference"] < 1e-3


def test_parity_is_the_largest_difference_and_the_share_that_changed():
    first = torch.tensor([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0], [5.0, 4.0]])
    second = torch.tensor([[1.0, 2.5], [1.0, 2.0], [0.0, 1.0], [5.0, 4.0]])
    assert parity(first, second) == {"logit_difference": 2.0, "changed_predictions": 0.25}
    assert parity(first, first) == {"logit_difference": 0.0, "changed_predictions": 0.0}


def test_a_graph_tells_where_it_computes(trained):
    opened, path = trained.form(format="onnx")
    assert open_graph(path, threads=1).device == opened.deployment.device == torch.device("cpu")
    assert _device_of(["CUDAExecutionProvider", "CPUExecutionProvider"]) == torch.device("cuda")
    assert _device_of(["CPUExecutionProvider"]) == torch.device("cpu")


def test_a_graph_on_a_gpu_is_said_to_be_there_and_gets_its_images_from_the_cpu(trained):
    opened, _ = trained.form(format="onnx")
    form = DeployedModel(opened.call, replace(opened.deployment, device=torch.device("cuda")))
    assert device_of(form) == torch.device("cuda")
    assert form.deployment.takes_from == torch.device("cpu")
    some = trained.splits.validation[torch.arange(5)]
    assert torch.equal(form.predict(some)[0], opened.predict(some)[0])
    assert time_forward(form, trained.splits.shape).p50_ms > 0


def test_pytorch_takes_its_images_from_where_it_computes():
    assert Deployment(0, torch.device("cuda")).takes_from == torch.device("cuda")


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="it has one")
def test_a_graph_runs_on_the_cpu_where_its_runtime_has_no_gpu_unless_its_section_asks_for_one(trained):
    _, path = trained.form(format="onnx")
    splits, gpu = trained.splits, torch.device("cuda")
    given = {"path": path, "mean": splits.mean, "std": splits.std, "device": gpu}
    assert open_deployed(trained.model, Deploy(format="onnx"), **given).deployment.device == torch.device(
        "cpu"
    )
    with pytest.raises(
        InputError, match=r"deploy\.device: 'cuda': this build of ONNX Runtime does not support it"
    ):
        open_deployed(trained.model, Deploy(format="onnx", device="cuda"), **given)


@pytest.mark.parametrize("content", [b"", b"no graph at all", b"\x08\x07"])
def test_a_damaged_graph_is_refused(tmp_path, content):
    (tmp_path / "student.onnx").write_bytes(content)
    with pytest.raises(InputError, match="cannot be opened by ONNX Runtime"):
        open_graph(tmp_path / "student.onnx", threads=1)


def test_a_missing_graph_and_a_graph_of_something_else_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be opened"):
        open_graph(tmp_path / "none.onnx", threads=1)
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([node], "other", [value], [out])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(InputError, match="kdsearch did not write it"):
        open_graph(tmp_path / "other.onnx", threads=1)


class Branching(torch.nn.Module):
    """Its way depends on the values it sees, which no graph can hold."""

    config = {"name": "branching"}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.classifier = torch.nn.Linear(64, 10)

    def forward(self, images):
        logits = self.classifier(images.flatten(1))
        return logits if logits.sum() > 0 else -logits


def test_a_student_that_no_graph_can_hold_is_refused(splits, tmp_path):
    with pytest.raises(InputError, match="the student cannot be exported to ONNX"):
        write_deployed(
            Branching(), Deploy(format="onnx"), tmp_path,
            mean=splits.mean, std=splits.std, train=splits.train, classes=splits.classes,
        )  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_images_of_one_value_do_not_break_quantisation(trained, tmp_path):
    blank = Images(torch.zeros_like(trained.splits.train.images), trained.splits.train.labels)
    again = replace(trained, splits=replace(trained.splits, train=blank), folder=tmp_path)
    opened, _ = again.make(format="onnx", precision="int8")
    assert opened(trained.splits.validation.images[:2]).isfinite().all()
