"""`kdsearch confirm`."""

from __future__ import annotations

from typing import Annotated

import typer

from kdsearch.cli.jobs import announce, job_address
from kdsearch.cli.options import Address, Detach, Pip, TrackingUri, console, tracking_uri


def confirm(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the search")],
    seeds: Annotated[int, typer.Option(help="Fresh runs of each recipe", min=2)] = 5,
    top: Annotated[
        int | None, typer.Option(help="Only the best N members, by the first objective", metavar="N", min=1)
    ] = None,
    address: Address = None,
    detach: Detach = False,
    pip: Pip = None,
    uri: TrackingUri = None,
) -> None:
    """Train the front and the baselines again with fresh seeds, and say which members were luck."""
    import kdsearch
    from kdsearch.pareto.confirmed_table import confirmed_table
    from kdsearch.tune.display import Lines

    if (there := job_address(address, detach, pip)) is not None:
        from kdsearch.tune.cluster_job import submit_confirm

        # Elsewhere it may be that only the cluster reaches MLflow.
        found = kdsearch.open_search(name, tracking_uri(uri)) if there == "auto" else None
        job = submit_confirm(
            name,
            ["--seeds", str(seeds), *(["--top", str(top)] if top is not None else [])],
            uri=tracking_uri(uri),
            storage=found.spec.compute.storage if found else None,
            address=there,
            pip=pip,
            note=typer.echo,
        )
        raise typer.Exit(announce(job, f"the confirmation of {name}", detach))
    out = console()
    found = kdsearch.open_search(name, tracking_uri(uri))
    done = found.confirm(seeds=seeds, top=top, address=address, display=Lines(out))
    out.print(confirmed_table(done.confirmed))
    gap = done.confirmed.optimism
    out.print(
        f"hypervolume {gap.searched:.4g} as searched, {gap.confirmed:.4g} as confirmed: "
        f"an optimism gap of {gap.gap:.4g} ({gap.share:.1%})",
        highlight=False,
    )
    out.print(f"{done.files[0]}", highlight=False, soft_wrap=True)
