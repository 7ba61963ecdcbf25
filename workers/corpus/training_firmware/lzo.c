/* Text packed and unpacked by miniLZO. */
#include "packed.h"
#include "minilzo.h"

static lzo_align_t work[(LZO1X_1_MEM_COMPRESS + sizeof(lzo_align_t) - 1) / sizeof(lzo_align_t)];

int main(void) {
    fill();
    lzo_uint length = sizeof packed, whole = sizeof unpacked;
    int failed = lzo_init();
    failed |= lzo1x_1_compress((unsigned char *)text, sizeof text, (unsigned char *)packed, &length,
                               work);
    show("packed", packed, length);
    failed |= lzo1x_decompress_safe((unsigned char *)packed, length, (unsigned char *)unpacked,
                                    &whole, 0);
    show("unpacked", unpacked, whole);
    return failed;
}
