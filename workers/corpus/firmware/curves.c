/* Known answers of mbed TLS's numbers and curves, and an agreement on a secret. */
#include <stdio.h>
#include "mbedtls/bignum.h"
#include "mbedtls/ecdh.h"
#include "mbedtls/ecp.h"

static int counted(void *state, unsigned char *out, size_t length) {
    unsigned *next = state;
    while (length--)
        *out++ = (unsigned char)((*next = *next * 1103515245u + 12345u) >> 16);
    return 0;
}

int main(void) {
    unsigned state = 7;
    mbedtls_ecp_group group;
    mbedtls_mpi mine, theirs, left, right;
    mbedtls_ecp_point my_point, their_point;
    mbedtls_ecp_group_init(&group);
    mbedtls_mpi_init(&mine);
    mbedtls_mpi_init(&theirs);
    mbedtls_mpi_init(&left);
    mbedtls_mpi_init(&right);
    mbedtls_ecp_point_init(&my_point);
    mbedtls_ecp_point_init(&their_point);
    int wrong = mbedtls_mpi_self_test(0) != 0;
    wrong |= mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP192R1)
        || mbedtls_ecdh_gen_public(&group, &mine, &my_point, counted, &state)
        || mbedtls_ecdh_gen_public(&group, &theirs, &their_point, counted, &state)
        || mbedtls_ecdh_compute_shared(&group, &left, &their_point, &mine, counted, &state)
        || mbedtls_ecdh_compute_shared(&group, &right, &my_point, &theirs, counted, &state)
        || mbedtls_mpi_cmp_mpi(&left, &right);
    puts(wrong ? "wrong" : "right");
    return wrong;
}
