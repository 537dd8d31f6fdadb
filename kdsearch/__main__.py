"""`python -m kdsearch`: how a job runs on a cluster, and for where the script is not on the path."""

import platform
import sys

try:
    from kdsearch.cli import main

    main()
except ModuleNotFoundError as error:
    print(  # noqa: T201
        f"error: {sys.executable} on {platform.node()}: {error}; install kdsearch's requirements there, or "
        "submit the job with --pip FILE",
        file=sys.stderr,
    )
    sys.exit(2)
