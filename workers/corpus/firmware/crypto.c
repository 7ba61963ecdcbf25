/* Known answers of mbed TLS: AES with GCM, SHA-256, HMAC_DRBG. */
#include <stdio.h>
#include "mbedtls/aes.h"
#include "mbedtls/gcm.h"
#include "mbedtls/hmac_drbg.h"
#include "mbedtls/md.h"
#include "mbedtls/sha256.h"

int main(void) {
    int wrong = mbedtls_sha256_self_test(0) != 0;
    wrong |= (mbedtls_aes_self_test(0) != 0) << 1;
    wrong |= (mbedtls_gcm_self_test(0) != 0) << 2;
    wrong |= (mbedtls_hmac_drbg_self_test(0) != 0) << 3;
    puts(wrong ? "wrong" : "right");
    return wrong;
}
