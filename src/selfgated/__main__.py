"""``python -m selfgated``: the same as the ``selfgated`` command."""

from selfgated.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
