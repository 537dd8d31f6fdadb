"""`kdsearch search`."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsearch.cli.jobs import announce, job_address
from kdsearch.cli.options import (
    DEFAULT_URI,
    Address,
    Detach,
    Overrides,
    Pip,
    Profiled,
    TrackingUri,
    console,
    program,
)

if TYPE_CHECKING:
    from rich.console import Console

    from kdsearch.api import Search
    from kdsearch.tune.run import Outcome


def search(
    space: Annotated[
        Path | None,
        typer.Argument(metavar="[SPACE.yaml]", help="The spec; not needed with --resume", show_default=False),
    ] = None,
    address: Address = None,
    detach: Detach = False,
    pip: Pip = None,
    trials: Annotated[int | None, typer.Option(help="Configs to try", min=0)] = None,
    concurrent: Annotated[int | None, typer.Option(help="Trials at the same time", min=1)] = None,
    tracking_uri: TrackingUri = None,
    name: Annotated[str | None, typer.Option(help="Of the search; by default the spec's name")] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="NAME", help="Go on with an earlier search, however it ended")
    ] = None,
    profile: Profiled = False,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Search a space for its Pareto front. Ctrl-C once keeps all that is done, and prints the front."""
    import kdsearch
    from kdsearch.errors import InputError
    from kdsearch.tune.display import display_for

    if profile:
        overrides = [*overrides, "compute.profile=true"]
    if (there := job_address(address, detach, pip)) is not None:
        from kdsearch.spec import load_spec
        from kdsearch.tune.cluster_job import submit_search

        if space is None:
            raise InputError("a job needs its spec: give SPACE.yaml")
        given = {"--trials": trials, "--concurrent": concurrent, "--name": name, "--resume": resume}
        options = [text for key, value in given.items() if value is not None for text in (key, str(value))]
        # MLflow's address is told of by itself, as the cluster sees it.
        kept = [override for override in overrides if not override.startswith("tracking.uri=")]
        options += [text for override in kept for text in ("--set", override)]
        names = {"name": name or resume, "tracking.uri": tracking_uri}
        spec = load_spec(space, [*overrides, *(f"{key}={text}" for key, text in names.items() if text)])
        job = submit_search(spec, space, options, address=there, pip=pip, note=typer.echo)
        raise typer.Exit(announce(job, spec.name, detach))
    out = console()
    found = kdsearch.search(
        space,
        name=name,
        resume=resume,
        trials=trials,
        concurrent=concurrent,
        address=address,
        tracking_uri=tracking_uri,
        overrides=overrides,
        display=display_for(out),
    )
    assert found.outcome is not None
    _report(out, found, found.outcome)


def _report(out: Console, found: Search, outcome: Outcome) -> None:
    from kdsearch.pareto import front_table
    from kdsearch.tracking import public_uri, resolve_uri

    states = Counter(outcome.trials["state"] if len(outcome.trials) else ())
    counts = ", ".join(f"{count} {state}" for state, count in states.most_common()) or "none"
    out.print(f"\n[bold]{outcome.name}[/bold]: {counts} in {outcome.seconds:.0f} s", highlight=False)
    if outcome.refused:
        refused = f"{outcome.refused} configs refused before training, for their constraints"
        out.print(refused, highlight=False)
    if outcome.exhausted:
        out.print("the space has no further config to try", highlight=False)
    failed = outcome.trials[outcome.trials["state"] == "failed"] if len(outcome.trials) else outcome.trials
    for row in failed.itertuples():
        out.print(f"failed: {row.recipe}: {row.reason}", highlight=False, markup=False, soft_wrap=True)
    out.print(front_table(outcome.front, also=outcome.objectives))
    if outcome.profile:
        from kdsearch.distill.profile import TABLE, TRACE, as_text

        traces = f"{outcome.folder / 'trials' / '*' / TRACE}"
        out.print(f"where the time of the trials went ({outcome.folder / TABLE}; {traces}):", soft_wrap=True)
        out.print(as_text(outcome.profile), highlight=False)
    if not outcome.tracked:
        told = f"MLflow did not take everything; the files in {outcome.folder} are complete, and"
        later = f"`{program()} sync {outcome.name}{_storage(outcome)}` tells it later"
        out.print(f"{told} {later}", style="yellow", soft_wrap=True)
    if outcome.stopped:
        out.print(f"stopped; `--resume {outcome.name}` goes on with it", highlight=False)
    out.print(f"{outcome.plots[0]}", highlight=False, soft_wrap=True)
    default = found.uri == resolve_uri(DEFAULT_URI)
    uri = "" if default else f" --tracking-uri {shlex.quote(public_uri(found.uri))}"
    quoted = shlex.quote(outcome.name)
    out.print("\nnext:", highlight=False)
    for command in (
        f"ui{uri}",
        f"front {quoted}{uri}",
        f"confirm {quoted}{uri}",
        f"export {quoted}{uri} --out {quoted}-student",
    ):
        out.print(f"  {program()} {command}", highlight=False, markup=False, soft_wrap=True)


def _storage(outcome: Outcome) -> str:
    from kdsearch.filenames import STORAGE
    from kdsearch.storage import address_of

    storage = outcome.folder.parent.parent
    return (
        "" if storage == Path(STORAGE) else f" --storage {shlex.quote(address_of(storage) or str(storage))}"
    )
