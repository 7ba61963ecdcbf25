/* Text to compress, and a checksum to print. */
#include <stdio.h>

static char text[3000], packed[4000], unpacked[3000];

static void fill(void) {
    unsigned state = 1;
    for (unsigned i = 0; i < sizeof text; i++) {
        state = state * 1103515245u + 12345u;
        text[i] = "the quick brown fox\n"[(i % 13 + (state >> 28) / 15) % 20];
    }
}

static void show(const char *name, const char *bytes, unsigned length) {
    unsigned sum = 17;
    for (unsigned i = 0; i < length; i++)
        sum = (sum << 5 | sum >> 27) ^ (unsigned char)bytes[i];
    printf("%s %u %08x\n", name, length, sum);
}
