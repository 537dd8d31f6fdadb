"""`python -m kdsearch.cli`, for where the script is not on the path."""

from kdsearch.cli import main

main()
