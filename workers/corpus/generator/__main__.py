"""`python -m workers.corpus.generator SEED`: the program of a seed on standard output."""

import sys

from workers.corpus.generator import program

if __name__ == "__main__":
    sys.stdout.write(program(int(sys.argv[1])))
