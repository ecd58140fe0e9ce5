"""`python -m wr` is `wr`."""

from wr.cli import main

main()
