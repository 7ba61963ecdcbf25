/* A transform in integers, forward and back, by KISS FFT. */
#include <stdio.h>
#include <stdlib.h>
#include "kiss_fft.h"

int main(void) {
    static kiss_fft_cpx in[60], out[60];
    kiss_fft_cfg there = kiss_fft_alloc(60, 0, 0, 0), back = kiss_fft_alloc(60, 1, 0, 0);
    for (int i = 0; i < 60; i++)
        in[i].r = (kiss_fft_scalar)(i * 397 % 20000), in[i].i = (kiss_fft_scalar)(i * i);
    kiss_fft(there, in, out);
    kiss_fft(back, out, in);
    unsigned sum = 17;
    for (int i = 0; i < 60; i++)
        sum = sum * 31 + (unsigned short)out[i].r + (unsigned short)in[i].i;
    printf("%08x\n", sum);
    free(there);
    free(back);
    return 0;
}
