"""`python -m kdsearch`: how a job runs on a cluster, and for where the script is not on the path."""

import platform
import sys
from importlib.util import find_spec

#: The modules of the packages that kdsearch requires.
NEEDS = (
    *("matplotlib", "mlflow", "moocore", "numpy", "optuna", "pandas", "PIL", "plotly", "pyarrow", "pydantic"),
    *("ray", "rich", "safetensors", "scipy", "sklearn", "torch", "torchvision", "typer", "yaml"),
)

if lacking := [name for name in NEEDS if find_spec(name) is None]:
    print(  # noqa: T201
        f"error: {sys.executable} on {platform.node()} lacks {', '.join(lacking)}: install kdsearch's "
        "requirements there, or submit the job with --pip FILE",
        file=sys.stderr,
    )
    sys.exit(2)

from kdsearch.cli import main  # noqa: E402  it needs them

main()
