/* JSON read, changed and written by Jansson, with integers alone. */
#include <stdio.h>
#include <stdlib.h>
#include "jansson.h"

int main(void) {
    json_error_t error;
    json_t *root = json_loads("{\"a\": [1, 2, true, null, \"x\\u00e9\"], \"b\": {\"c\": -7}}", 0, &error);
    if (!root)
        return 1;
    json_object_set_new(root, "d", json_integer(42));
    json_array_append_new(json_object_get(root, "a"), json_string("end"));
    char *text = json_dumps(root, JSON_SORT_KEYS | JSON_INDENT(1));
    puts(text);
    free(text);
    json_decref(root);
    return json_loads("[1,", 0, &error) != NULL;
}
