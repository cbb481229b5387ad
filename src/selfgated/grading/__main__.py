"""``python -m selfgated.grading``."""

import sys

from selfgated.grading.commands import main

if __name__ == "__main__":
    sys.exit(main())
