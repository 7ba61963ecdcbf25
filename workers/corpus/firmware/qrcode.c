/* Two codes of qrcodegen on the console. */
#include <stdio.h>
#include "qrcodegen.h"

static uint8_t code[qrcodegen_BUFFER_LEN_FOR_VERSION(6)];
static uint8_t scratch[qrcodegen_BUFFER_LEN_FOR_VERSION(6)];

static int show(const char *text, enum qrcodegen_Ecc level) {
    if (!qrcodegen_encodeText(text, scratch, code, level, 1, 6, qrcodegen_Mask_AUTO, true))
        return 1;
    int size = qrcodegen_getSize(code);
    for (int y = 0; y < size; y++) {
        for (int x = 0; x < size; x++)
            putchar(qrcodegen_getModule(code, x, y) ? '#' : ' ');
        putchar('\n');
    }
    return 0;
}

int main(void) {
    return show("https://example.org/device/0815", qrcodegen_Ecc_MEDIUM)
        | show("314159265358979323846264338327950288", qrcodegen_Ecc_LOW)
        | show("SERIAL 12-34", qrcodegen_Ecc_HIGH);
}
