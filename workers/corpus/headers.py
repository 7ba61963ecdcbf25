"""Headers that the configure scripts of some packages would write, for Linux.

They have just enough for the files to compile.
"""

from __future__ import annotations


def _have(names: str) -> str:
    return "".join(f"#define HAVE_{name} 1\n" for name in names.split())


OGG_TYPES = """#include <stdint.h>
typedef int16_t ogg_int16_t;
typedef uint16_t ogg_uint16_t;
typedef int32_t ogg_int32_t;
typedef uint32_t ogg_uint32_t;
typedef int64_t ogg_int64_t;
typedef uint64_t ogg_uint64_t;
"""
JANSSON = """#define HAVE_STDINT_H 1
#define HAVE_UNISTD_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_GETTIMEOFDAY 1
#define HAVE_GETPID 1
#define HAVE_SYS_TIME_H 1
#define HAVE_OPEN 1
#define HAVE_READ 1
#define HAVE_CLOSE 1
#define HAVE_LOCALECONV 1
#define HAVE_LOCALE_H 1
#define INITIAL_HASHTABLE_ORDER 3
"""
JANSSON_PUBLIC = """#define JSON_INLINE inline
#define JSON_INTEGER_IS_LONG_LONG 1
#define JSON_HAVE_LOCALECONV 1
#define JSON_HAVE_ATOMIC_BUILTINS 1
#define JSON_PARSER_MAX_DEPTH 2048
"""
SPEEX_TYPES = """#include <stdint.h>
typedef int16_t spx_int16_t;
typedef uint16_t spx_uint16_t;
typedef int32_t spx_int32_t;
typedef uint32_t spx_uint32_t;
"""
LAME = """#include <stdint.h>
typedef float ieee754_float32_t;
typedef double ieee754_float64_t;
"""
_POSIX = _have(
    "ARPA_INET_H ASSERT_H ERRNO_H FCNTL_H INTTYPES_H LIMITS_H LOCALE_H MEMORY_H NETDB_H "
    "NETINET_IN_H NETINET_TCP_H "
    "SIGNAL_H STDARG_H STDBOOL_H STDINT_H STDLIB_H STRINGS_H STRING_H STRUCT_TIMEVAL "
    "SYS_IOCTL_H SYS_PARAM_H "
    "SYS_SELECT_H SYS_SOCKET_H SYS_STAT_H SYS_TIME_H SYS_TYPES_H SYS_UIO_H TIME_H UNISTD_H "
    "CLOSE GETTIMEOFDAY MEMMOVE "
    "OPEN REALLOC SETLOCALE SNPRINTF STRCASECMP STRDUP STRERROR STRNCASECMP STRTOLL "
    "VASPRINTF VSNPRINTF VSYSLOG"
)
ARES = (
    _POSIX
    + _have(
        "AF_INET6 ARPA_NAMESER_H BOOL_T CLOCK_GETTIME_MONOTONIC CONNECT FCNTL "
        "FCNTL_O_NONBLOCK FREEADDRINFO GETADDRINFO "
        "GETENV GETHOSTNAME GETNAMEINFO INET_NTOP INET_PTON IOCTL LL LONGLONG PF_INET6 RECV "
        "RECVFROM SEND SIG_ATOMIC_T "
        "SOCKET SOCKADDR_IN6_SIN6_SCOPE_ID STRUCT_ADDRINFO STRUCT_IN6_ADDR "
        "STRUCT_SOCKADDR_IN6 STRUCT_SOCKADDR_STORAGE "
        "WRITEV NET_IF_H POLL_H GETSERVBYPORT_R"
    )
    + """#define GETHOSTNAME_TYPE_ARG2 size_t
#define GETNAMEINFO_QUAL_ARG1 const
#define GETNAMEINFO_TYPE_ARG1 struct sockaddr *
#define GETNAMEINFO_TYPE_ARG2 socklen_t
#define GETNAMEINFO_TYPE_ARG46 socklen_t
#define GETNAMEINFO_TYPE_ARG7 int
#define GETSERVBYPORT_R_ARGS 6
#define RECVFROM_QUAL_ARG5
#define RECVFROM_TYPE_ARG1 int
#define RECVFROM_TYPE_ARG2 void *
#define RECVFROM_TYPE_ARG3 size_t
#define RECVFROM_TYPE_ARG4 int
#define RECVFROM_TYPE_ARG5 struct sockaddr *
#define RECVFROM_TYPE_RETV ssize_t
#define RECV_TYPE_ARG1 int
#define RECV_TYPE_ARG2 void *
#define RECV_TYPE_ARG3 size_t
#define RECV_TYPE_ARG4 int
#define RECV_TYPE_RETV ssize_t
#define SEND_QUAL_ARG2 const
#define SEND_TYPE_ARG1 int
#define SEND_TYPE_ARG2 void *
#define SEND_TYPE_ARG3 size_t
#define SEND_TYPE_ARG4 int
#define SEND_TYPE_RETV ssize_t
#define CARES_RANDOM_FILE "/dev/urandom"
"""
)
JPEG = """#define JPEG_LIB_VERSION 62
#define LIBJPEG_TURBO_VERSION 2.1.5
#define LIBJPEG_TURBO_VERSION_NUMBER 2001005
#define C_ARITH_CODING_SUPPORTED 1
#define D_ARITH_CODING_SUPPORTED 1
#define MEM_SRCDST_SUPPORTED 1
#define BITS_IN_JSAMPLE 8
"""
JPEG_INTERNAL = """#define BUILD "0"
#define INLINE inline
#define THREAD_LOCAL __thread
#define PACKAGE_NAME "libjpeg-turbo"
#define VERSION "2.1.5"
#define SIZEOF_SIZE_T 8
#define HAVE_BUILTIN_CTZL
#define FALLTHROUGH __attribute__((fallthrough));
"""
SNAPPY = """#include <cstddef>
#include <sys/uio.h>
#define SNAPPY_MAJOR 1
#define SNAPPY_MINOR 1
#define SNAPPY_PATCHLEVEL 9
#define SNAPPY_VERSION 0x010109
"""
CMARK = """#include <stdbool.h>
#define HAVE___BUILTIN_EXPECT
#define CMARK_ATTRIBUTE(list) __attribute__ (list)
#define CMARK_INLINE inline
"""
CMARK_VERSION = '#define CMARK_VERSION 0x001e02\n#define CMARK_VERSION_STRING "0.30.2"\n'
BC = """#include <stdlib.h>
#define HAVE_STDARG_H 1
#define HAVE_STDLIB_H 1
#define HAVE_STRING_H 1
#define HAVE_UNISTD_H 1
#define HAVE_LIMITS_H 1
#define HAVE_ERRNO_H 1
#define PACKAGE "bc"
#define VERSION "1.07.1"
#define BC_VERSION "bc 1.07.1"
#define DC_VERSION "dc 1.4.1"
#define BC_COPYRIGHT ""
#define DC_COPYRIGHT ""
"""
FLAC = (
    _POSIX
    + """#define CPU_IS_BIG_ENDIAN 0
#define WORDS_BIGENDIAN 0
#define FLAC__HAS_OGG 0
#define HAVE_BSWAP16 1
#define HAVE_BSWAP32 1
#define HAVE_FSEEKO 1
#define HAVE_LROUND 1
#define PACKAGE_VERSION "1.4.2"
#define SIZEOF_OFF_T 8
"""
)
SNDFILE = (
    _POSIX
    + """#define CPU_CLIPS_NEGATIVE 0
#define CPU_CLIPS_POSITIVE 0
#define CPU_IS_BIG_ENDIAN 0
#define CPU_IS_LITTLE_ENDIAN 1
#define ENABLE_EXPERIMENTAL_CODE 0
#define HAVE_EXTERNAL_XIPH_LIBS 0
#define HAVE_MPEG 0
#define HAVE_LRINT 1
#define HAVE_LRINTF 1
#define HAVE_LSEEK64 1
#define HAVE_SSIZE_T 1
#define OS_IS_WIN32 0
#define PACKAGE "libsndfile"
#define PACKAGE_NAME "libsndfile"
#define PACKAGE_VERSION "1.2.0"
#define VERSION "1.2.0"
#define SIZEOF_DOUBLE 8
#define SIZEOF_FLOAT 4
#define SIZEOF_LONG 8
#define SIZEOF_OFF_T 8
#define SIZEOF_SF_COUNT_T 8
#define USE_WINDOWS_API 0
#define COMPILER_IS_GCC 1
"""
)
JSON_C = (
    _POSIX
    + """#define SIZEOF_INT 4
#define SIZEOF_INT64_T 8
#define SIZEOF_LONG 8
#define SIZEOF_LONG_LONG 8
#define SIZEOF_SIZE_T 8
#define SIZEOF_SSIZE_T 8
#define HAVE_DECL_INFINITY 1
#define HAVE_DECL_ISINF 1
#define HAVE_DECL_ISNAN 1
#define HAVE_DECL_NAN 1
#define JSON_C_HAVE_INTTYPES_H 1
#define JSON_C_DLOPEN 1
"""
)
