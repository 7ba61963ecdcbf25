"""`python -m workers.corpus`."""

import sys

from workers.corpus.build import main

if __name__ == "__main__":
    sys.exit(main())
