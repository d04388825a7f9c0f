"""`python -m processpool`: the same as the command `processpool`."""

from processpool.cli import main

if __name__ == "__main__":
    main()
