"""Energy, as far as this machine's hardware tells, and the kernel's files that it is read from."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from kdsearch.errors import InputError
from kdsearch.measure._energy import energy_counter
from kdsearch.measure.deployment import Deployment
from kdsearch.measure.energy_mj import SECONDS, energy_mj

CPU = torch.device("cpu")


def package(folder, name, energy):
    zone = folder / name
    zone.mkdir()
    (zone / "energy_uj").write_text(f"{energy}\n")
    (zone / "max_energy_range_uj").write_text("1000000\n")
    return zone / "energy_uj"


def test_the_energy_of_all_packages_adds_up_over_wrap_arounds(tmp_path):
    first = package(tmp_path, "intel-rapl:0", 999_000)
    second = package(tmp_path, "intel-rapl:1", 5_000)
    package(tmp_path, "intel-rapl:0:0", 77)  # a part of the first
    counter = energy_counter(CPU, tmp_path)
    assert counter is not None and counter() == 0
    first.write_text("2000\n")
    assert counter() == 3
    second.write_text("15000\n")
    first.write_text("4000\n")
    assert counter() == 15


def test_a_zone_that_holds_the_packages_is_not_added_to_them(tmp_path):
    first = package(tmp_path, "intel-rapl:0", 1_000)
    (first.parent / "name").write_text("package-0\n")
    platform = package(tmp_path, "intel-rapl:1", 2_000)
    (platform.parent / "name").write_text("psys\n")
    counter = energy_counter(CPU, tmp_path)
    first.write_text("3000\n")
    platform.write_text("9000\n")
    assert counter is not None and counter() == 2


class Metered(nn.Module):
    """Deployed in calls of 4 images on 3 threads, it draws 1 mJ an image."""

    def __init__(self):
        super().__init__()
        self.deployment = Deployment(bytes=1, device=CPU, batch=4, threads=3)
        self.drawn, self.threads = 0.0, set()

    def forward(self, images):
        self.drawn += len(images)
        self.threads.add(torch.get_num_threads())
        return images


def test_energy_is_that_of_one_image_on_the_threads_that_the_form_is_called_with(monkeypatch):
    model, threads = Metered(), torch.get_num_threads()
    module = sys.modules[energy_mj.__module__]
    monkeypatch.setattr(module, "energy_counter", lambda device: lambda: model.drawn)
    monkeypatch.setattr(module, "SECONDS", 0.01)
    assert energy_mj(model, (1, 8, 8)) == 1
    assert model.threads == {3} and torch.get_num_threads() == threads


def test_no_counter_is_none(tmp_path):
    assert energy_counter(CPU, tmp_path) is None
    assert energy_counter(CPU, tmp_path / "missing") is None
    package(tmp_path, "intel-rapl:0", 1).unlink()
    assert energy_counter(CPU, tmp_path) is None


@pytest.mark.skipif(energy_counter(CPU) is not None, reason="this CPU reports its energy")
def test_a_device_that_reports_none_is_said_to():
    with pytest.raises(InputError, match=r"energy_mj: .* reports no energy here"):
        energy_mj(nn.Linear(2, 2), (1, 1, 2))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_energy_is_between_a_milliwatt_and_a_kilowatt(device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    if energy_counter(torch.device(device)) is None:
        pytest.skip(f"this {device} reports no energy")
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).to(device)
    found = energy_mj(model, (1, 8, 8))
    assert 0 < found < 1e6 * SECONDS
