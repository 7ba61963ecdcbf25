/* A key of libscrypt, in base 64 and hexadecimal digits. */
#include <stdio.h>
#include <string.h>
#include "b64.h"
#include "crypto_scrypt-hexconvert.h"
#include "libscrypt.h"

int main(void) {
    static const uint8_t password[] = "pleaseletmein", salt[] = "SodiumChloride";
    uint8_t key[32];
    char text[80];
    if (libscrypt_scrypt(password, 13, salt, 14, 16, 8, 1, key, sizeof key))
        return 1;
    if (libscrypt_b64_encode(key, sizeof key, text, sizeof text) < 0)
        return 2;
    puts(text);
    if (!libscrypt_hexconvert(key, sizeof key, text, sizeof text))
        return 3;
    puts(text);
    return 0;
}
