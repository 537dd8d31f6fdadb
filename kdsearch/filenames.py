"""The names of files that more than one package reads or writes."""

from __future__ import annotations

#: The storage folder, where a spec names none.
STORAGE = "kdsearch_store"

#: In the folder of a search, and artifacts of its run: what it searches, and the records of its teachers.
SPEC, TEACHERS = "spec.yaml", "teachers.yaml"

#: In the folder of a trial, and in an export: its config, and the trained weights of its student.
CONFIG, WEIGHTS = "config.yaml", "student.safetensors"
#: In the folder of a trial: all files of its student, in whatever form.
STUDENT = "student.*"
#: In the folder of a trial: the shape, the normalisation and the classes of its images.
INPUT = "input.json"
#: In the folder of a trial that is on the front: the accuracy of its student on each class.
CLASSES = "classes.csv"
#: In the folder of a trial, while it trains: the state from which its training goes on.
CHECKPOINT = "checkpoint.pt"
