/* Text packed and unpacked by bzip2 in memory. */
#include <stdlib.h>
#include "bzlib.h"
#include "packed.h"

void bz_internal_error(int code) {
    exit(code);
}

int main(void) {
    unsigned short_length = sizeof packed, length = sizeof unpacked;
    fill();
    if (BZ2_bzBuffToBuffCompress(packed, &short_length, text, sizeof text, 1, 0, 30) != BZ_OK)
        return 1;
    show("packed", packed, short_length);
    if (BZ2_bzBuffToBuffDecompress(unpacked, &length, packed, short_length, 1, 0) != BZ_OK)
        return 2;
    show("unpacked", unpacked, length);
    packed[20] ^= 1;
    return BZ2_bzBuffToBuffDecompress(unpacked, &length, packed, short_length, 1, 0) == BZ_OK;
}
