/* Numbers of many digits by LibTomMath. */
#include <stdio.h>
#include "tommath.h"

static char text[400];

static void show(const mp_int *n) {
    size_t written;
    if (mp_to_radix(n, text, sizeof text, &written, 10) == MP_OKAY)
        puts(text);
}

int main(void) {
    mp_int a, b, m;
    mp_bool prime;
    if (mp_init_multi(&a, &b, &m, NULL) != MP_OKAY)
        return 1;
    int failed = mp_read_radix(&b, "123456789012345678901234567890", 10);
    mp_set(&a, 1);
    for (unsigned i = 2; i <= 40; i++)
        failed |= mp_mul_d(&a, i, &a);
    show(&a);
    failed |= mp_2expt(&m, 127);
    failed |= mp_sub_d(&m, 1, &m);
    failed |= mp_exptmod(&b, &a, &m, &b);
    show(&b);
    failed |= mp_invmod(&b, &m, &b);
    show(&b);
    failed |= mp_gcd(&a, &b, &a);
    show(&a);
    failed |= mp_prime_is_prime(&m, 8, &prime);
    printf("prime %d\n", (int)prime);
    mp_clear_multi(&a, &b, &m, NULL);
    return failed;
}
