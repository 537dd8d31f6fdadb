"""Pages with interactive pictures that open from a file, or in MLflow's frame, without a network.

Plotly itself is inside, compressed: a third of its 4.9 MB. MLflow shows a page by its text alone, so that no
file beside it could be shared.
"""

from __future__ import annotations

import base64
import gzip
import html
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from kdsearch.files import write_whole
from kdsearch.pareto._style import INK

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_STYLE = """
body { font: 16px/1.5 Inter, Helvetica, Arial, sans-serif; color: #222; margin: 0 auto; max-width: 1100px;
       padding: 1.5rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; font-size: .9rem; width: 100%; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #e5e5e5; text-align: right; }
td { white-space: nowrap; } th:first-child, td:first-child { text-align: left; white-space: normal; }
 .wide { overflow-x: auto; }
.picture { height: 560px; } .alone { height: 92vh; } figure { margin: 0 0 1.2rem; }
svg, img { max-width: 100%; height: auto; }
figcaption { color: #555; font-size: .9rem; } @media print { .picture { break-inside: avoid; } }
"""
# Runs what was packed as any script, and only then the pictures, which wait in a list.
_LOADER = """
window.pictures = [];
(async () => {
  const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), c => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
  const draw = () => window.pictures.forEach(picture => picture());
  document.readyState === "loading" ? addEventListener("DOMContentLoaded", draw) : draw();
})();
"""


def picture(figure: Figure, name: str, *, kind: str = "picture") -> str:
    """A figure as the HTML of a place in a `page`; `name` is its id there."""
    figure.update_layout(font={"family": "Inter, Helvetica, Arial, sans-serif", "color": INK})
    if figure.layout.margin.t is None:
        figure.update_layout(margin_t=40)
    data = str(figure.to_json()).replace("</", "<\\/")
    options = '{"displaylogo": false, "responsive": true}'
    tall = f' style="height:{figure.layout.height}px"' if figure.layout.height else ""
    return (
        f'<div id="{name}" class="{kind}"{tall}></div>\n'
        f"<script>window.pictures.push(() => {{ const f = {data};\n"
        f'Plotly.newPlot("{name}", f.data, f.layout, {options}); }});</script>'
    )


def page(title: str, body: str, *, interactive: bool = True) -> str:
    """A whole page around the HTML `body`, in which `picture`s may stand when it is `interactive`."""
    plotly = f'<script type="text/plain" id="plotly">{_packed()}</script>\n<script>{_LOADER}</script>'
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n{plotly if interactive else ''}</head>\n<body>\n{body}\n</body></html>\n"
    )


def write_html(figure: Figure, path: Path) -> None:
    """Write `figure` as one page of about 2 MB."""
    title = figure.layout.title.text or path.stem
    write_whole(path, page(str(title), picture(figure, "picture", kind="alone")))


@cache
def _packed() -> str:
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()
