"""`python -m workers.corpus.generator SEED`: print the program of a seed."""

import sys

from workers.corpus.generator import program

if __name__ == "__main__":
    sys.stdout.write(program(int(sys.argv[1])))
