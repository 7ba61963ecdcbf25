/* Arithmetic of mini-gmp: a factorial, a power modulo a prime, a common divisor. */
#include <stdio.h>
#include "mini-gmp.h"

static char text[200];

static void show(const mpz_t n) {
    puts(mpz_get_str(text, 10, n));
}

int main(void) {
    mpz_t a, b, m;
    mpz_init_set_ui(a, 1);
    mpz_init_set_str(b, "123456789012345678901234567890", 10);
    mpz_init(m);
    for (unsigned i = 2; i <= 50; i++)
        mpz_mul_ui(a, a, i);
    show(a);
    mpz_ui_pow_ui(m, 2, 127);
    mpz_sub_ui(m, m, 1);
    mpz_powm(b, b, a, m);
    show(b);
    mpz_invert(b, b, m);
    show(b);
    mpz_gcd(a, a, b);
    show(a);
    printf("prime %d\n", mpz_probab_prime_p(m, 20));
    mpz_clear(a);
    mpz_clear(b);
    mpz_clear(m);
    return 0;
}
