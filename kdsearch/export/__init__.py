"""A student to ship: its config, weights and graphs, what they score, and how to use them."""

from __future__ import annotations

from kdsearch.export.files import check_out
from kdsearch.export.load import Export, load_student, open_export
from kdsearch.export.student import Student
from kdsearch.export.write import write_export

__all__ = ["Export", "Student", "check_out", "load_student", "open_export", "write_export"]
