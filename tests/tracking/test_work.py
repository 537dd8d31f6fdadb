"""What a run still has to be told, while its server is away."""

from __future__ import annotations

from pathlib import Path

from kdsearch.tracking.work import Remove, Text, Upload, Work


def test_files_that_are_written_again_and_again_wait_once():
    work, report, front = Work(), Upload(Path("report.html"), None), Upload(Path("front.png"), None)
    for _ in range(100):
        for file in (report, front, Text("spec.yaml", "a"), Text("spec.yaml", "b")):
            work.put(file)
    assert work.files == [report, front, Text("spec.yaml", "b")]


def test_what_is_stored_again_after_its_removal_is_there_in_the_end():
    work, weights = Work(), Upload(Path("student.safetensors"), "student")
    for file in (weights, Remove("student"), weights):
        work.put(file)
    assert work.files == [Remove("student"), weights]
