/* JSON read and written again by YAJL. */
#include <stdio.h>
#include <string.h>
#include "yajl/yajl_gen.h"
#include "yajl/yajl_parse.h"

static yajl_gen out;
static int null(void *context) { (void)context; return yajl_gen_null(out) == 0; }
static int boolean(void *context, int value) { (void)context; return yajl_gen_bool(out, value) == 0; }
static int number(void *context, const char *text, size_t length) {
    (void)context;
    return yajl_gen_number(out, text, length) == 0;
}
static int string(void *context, const unsigned char *text, size_t length) {
    (void)context;
    return yajl_gen_string(out, text, length) == 0;
}
static int map(void *context) { (void)context; return yajl_gen_map_open(out) == 0; }
static int map_end(void *context) { (void)context; return yajl_gen_map_close(out) == 0; }
static int array(void *context) { (void)context; return yajl_gen_array_open(out) == 0; }
static int array_end(void *context) { (void)context; return yajl_gen_array_close(out) == 0; }

int main(void) {
    static const char json[] = "{\"a\": [1, 2.5e3, true, null, \"x\\u00e9\\n\"], \"b\": {\"c\": []}}";
    static const yajl_callbacks calls = {null, boolean, 0, 0, number, string,
                                         map,  string,  map_end, array, array_end};
    const unsigned char *text;
    size_t length;
    out = yajl_gen_alloc(0);
    yajl_gen_config(out, yajl_gen_beautify, 1);
    yajl_handle reader = yajl_alloc(&calls, 0, 0);
    int failed = yajl_parse(reader, (const unsigned char *)json, sizeof json - 1);
    failed |= yajl_complete_parse(reader);
    yajl_gen_get_buf(out, &text, &length);
    fwrite(text, 1, length, stdout);
    yajl_free(reader);
    yajl_gen_free(out);
    return failed;
}
