"""`kdsearch confirm`."""

from __future__ import annotations

from typing import Annotated

import typer

from kdsearch.cli.options import TrackingUri, console, tracking_uri


def confirm(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the search")],
    seeds: Annotated[int, typer.Option(help="Fresh runs of each recipe", min=2)] = 5,
    top: Annotated[
        int | None, typer.Option(help="Only the best N members, by the first objective", metavar="N", min=1)
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster; by default Ray is started here")
    ] = None,
    uri: TrackingUri = None,
) -> None:
    """Train the front and the baselines again with fresh seeds, and say what of it was luck."""
    import kdsearch
    from kdsearch.pareto.confirmed_table import confirmed_table
    from kdsearch.tune.display import Lines

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
