/* A hash, a cipher and a curve of BearSSL. */
#include <stdio.h>
#include <string.h>
#include "bearssl.h"

static void show(const unsigned char *bytes, unsigned length) {
    for (unsigned i = 0; i < length; i++)
        printf("%02x", bytes[i]);
    puts("");
}

int main(void) {
    unsigned char out[65], data[64], key[32];
    br_sha256_context hash;
    br_aes_ct_cbcenc_keys cbc;
    br_chacha20_ct_run(memset(key, 7, sizeof key), memset(data, 3, 12), 1, memset(out, 0, 64), 64);
    show(out, 64);
    br_sha256_init(&hash);
    br_sha256_update(&hash, "abc", 3);
    br_sha256_out(&hash, out);
    show(out, 32);
    br_aes_ct_cbcenc_init(&cbc, key, 16);
    memset(data, 9, sizeof data);
    br_aes_ct_cbcenc_run(&cbc, memset(out, 1, 16), data, sizeof data);
    show(data, sizeof data);
    size_t length = br_ec_p256_m15.mulgen(out, key, sizeof key, BR_EC_secp256r1);
    show(out, length);
    return 0;
}
