/* A puzzle for PicoSAT: n queens on a board. */
#include <stdio.h>
#include "picosat.h"

enum { N = 6 };

static int queen(int row, int column) {
    return row * N + column + 1;
}

static void not_both(PicoSAT *solver, int a, int b) {
    picosat_add(solver, -a);
    picosat_add(solver, -b);
    picosat_add(solver, 0);
}

int main(void) {
    PicoSAT *solver = picosat_init();
    for (int r = 0; r < N; r++) {
        for (int c = 0; c < N; c++)
            picosat_add(solver, queen(r, c));
        picosat_add(solver, 0);
    }
    for (int r = 0; r < N; r++)
        for (int c = 0; c < N; c++)
            for (int s = r; s < N; s++)
                for (int d = 0; d < N; d++)
                    if ((s > r || d > c) && (s == r || d == c || s - r == d - c || s - r == c - d))
                        not_both(solver, queen(r, c), queen(s, d));
    int answer = picosat_sat(solver, -1);
    for (int r = 0; answer == PICOSAT_SATISFIABLE && r < N; r++, putchar('\n'))
        for (int c = 0; c < N; c++)
            putchar(picosat_deref(solver, queen(r, c)) > 0 ? 'Q' : '.');
    picosat_reset(solver);
    return answer == PICOSAT_SATISFIABLE ? 0 : 1;
}
