"""`kdsearch teachers`."""

from __future__ import annotations

import typer

from kdsearch.cli.options import Overrides, SpecFile, console, log_to_stderr


def teachers(space: SpecFile, overrides: Overrides = []) -> None:  # noqa: B006
    """Train or load the teachers of a spec, and print what they score."""
    from rich.table import Table

    from kdsearch.space import describe_model
    from kdsearch.spec import load_spec
    from kdsearch.train import train_teachers

    log_to_stderr()
    spec = load_spec(space, overrides)
    records = train_teachers(spec, file=str(space), report=typer.echo)
    table = Table(box=None, pad_edge=False)
    for head in ("Teacher", "Model", "Accuracy", "Test", "Params", "MACs", "MB", "Weights"):
        table.add_column(head, overflow="fold")
    for name, record in records.items():
        scores = record["metrics"]
        table.add_row(
            name,
            describe_model(record["model"]),
            f"{scores['accuracy']:.2%}",
            f"{scores['test_accuracy']:.2%}" if "test_accuracy" in scores else "-",
            f"{scores['parameters']:,.0f}",
            f"{scores['macs']:,.0f}",
            f"{scores['size_mb']:.3g}",
            str(record["weights"]),
        )
    console().print(table)
