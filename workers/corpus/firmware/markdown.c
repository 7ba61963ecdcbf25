/* A text as HTML, by MD4C. */
#include <stdio.h>
#include "md4c-html.h"

static const char text[] =
    "# A title\n\nSome *emphasis*, `code`, a [link](http://example.org \"t\") and\na table:\n\n"
    "| a | b |\n|---|--:|\n| 1 | 2 |\n\n1. one\n2. two\n   - nested\n\n> quote\n\n"
    "```c\nint x;\n```\n\n<b>html</b> &amp; ~~struck~~ https://example.org\n";

static void written(const MD_CHAR *html, MD_SIZE length, void *context) {
    (void)context;
    fwrite(html, 1, length, stdout);
}

int main(void) {
    return md_html(text, sizeof text - 1, written, 0, MD_DIALECT_GITHUB, 0);
}
