/* Speech of a saw tooth, coded and decoded by GSM 06.10. */
#include <stdio.h>
#include "gsm.h"

int main(void) {
    gsm_signal in[160], out[160];
    gsm_frame frame;
    gsm state = gsm_create(), other = gsm_create();
    unsigned sum = 17;
    for (int n = 0; n < 6; n++) {
        for (int i = 0; i < 160; i++)
            in[i] = (gsm_signal)((i * 331 + n * 977) % 8000 - 4000);
        gsm_encode(state, in, frame);
        gsm_decode(other, frame, out);
        for (int i = 0; i < 160; i++)
            sum = sum * 31 + (unsigned short)out[i];
    }
    printf("%08x\n", sum);
    gsm_destroy(state);
    gsm_destroy(other);
    return 0;
}
