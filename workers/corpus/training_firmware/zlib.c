/* Text packed and unpacked by zlib. */
#include "packed.h"
#include "zlib.h"

int main(void) {
    fill();
    uLongf length = sizeof packed;
    int failed = compress2((Bytef *)packed, &length, (const Bytef *)text, sizeof text, 9);
    show("packed", packed, length);
    uLongf whole = sizeof unpacked;
    failed |= uncompress((Bytef *)unpacked, &whole, (const Bytef *)packed, length);
    show("unpacked", unpacked, whole);
    return failed;
}
