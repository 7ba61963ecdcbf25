/* Text packed and unpacked by LZ4, both compressors. */
#include "lz4.h"
#include "lz4hc.h"
#include "packed.h"

int main(void) {
    fill();
    int length = LZ4_compress_default(text, packed, sizeof text, sizeof packed);
    show("fast", packed, length);
    length = LZ4_decompress_safe(packed, unpacked, length, sizeof unpacked);
    show("unpacked", unpacked, length);
    length = LZ4_compress_HC(text, packed, sizeof text, sizeof packed, 9);
    show("high", packed, length);
    packed[0] ^= 0x70;
    return LZ4_decompress_safe(packed, unpacked, length, sizeof unpacked) > 0;
}
