/* Fixed-point sums, roots, sines and text of libfixmath, as a control loop uses them. */
#include <stdio.h>
#include "fixmath.h"

static void show(const char *name, fix16_t value) {
    char text[16];
    fix16_to_str(value, text, 4);
    fputs(name, stdout);
    puts(text);
}

int main(void) {
    fix16_t sum = 0;
    for (int i = -20; i <= 20; i++) {
        fix16_t x = fix16_div(fix16_from_int(i), F16(7.0));
        sum = fix16_sadd(sum, fix16_mul(fix16_sin(x), fix16_cos(x)));
        sum = fix16_add(sum, fix16_sqrt(fix16_abs(x)));
    }
    show("sum ", sum);
    show("exp ", fix16_exp(F16(1.5)));
    show("log ", fix16_log(F16(20.25)));
    show("atan2 ", fix16_atan2(F16(1.0), F16(-3.0)));
    show("text ", fix16_from_str("-12.0625"));
    show("large ", fix16_smul(F16(30000.0), F16(3.0)));
    return 0;
}
