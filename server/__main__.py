"""`python -m server`: the command line without its launcher."""

from server.cli import main

main()
