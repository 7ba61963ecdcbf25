/* Fields and rows counted by libcsv. */
#include <stdio.h>
#include <string.h>
#include "csv.h"

static void field(void *text, size_t length, void *rows) {
    printf("%d:%.*s ", *(int *)rows, (int)length, (const char *)text);
}

static void row(int last, void *rows) {
    (void)last;
    ++*(int *)rows;
    puts("");
}

int main(void) {
    static const char text[] = "a, b ,\"c \"\"d\"\"\"\n1,,3\r\n\"x\ny\",z";
    struct csv_parser parser;
    int rows = 0;
    if (csv_init(&parser, CSV_APPEND_NULL))
        return 1;
    csv_parse(&parser, text, sizeof text - 1, field, row, &rows);
    csv_fini(&parser, field, row, &rows);
    csv_free(&parser);
    return rows != 3;
}
