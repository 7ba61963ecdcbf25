/* A request and a response, read by http-parser. */
#include <stdio.h>
#include <string.h>
#include "http_parser.h"

static int text(http_parser *parser, const char *at, size_t length) {
    (void)parser;
    printf("%.*s\n", (int)length, at);
    return 0;
}

static int done(http_parser *parser) {
    printf("%u %u %u\n", parser->method, parser->status_code, (unsigned)parser->http_minor);
    return 0;
}

static void read_all(enum http_parser_type type, const char *data) {
    http_parser_settings settings;
    http_parser parser;
    http_parser_settings_init(&settings);
    settings.on_url = settings.on_header_field = settings.on_header_value = text;
    settings.on_body = text;
    settings.on_message_complete = done;
    http_parser_init(&parser, type);
    size_t count = http_parser_execute(&parser, &settings, data, strlen(data));
    printf("%u %s\n", (unsigned)count, http_errno_name(HTTP_PARSER_ERRNO(&parser)));
}

int main(void) {
    struct http_parser_url url;
    read_all(HTTP_REQUEST, "POST /a?b=1 HTTP/1.1\r\nHost: x.org\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "5\r\nhello\r\n0\r\n\r\n");
    read_all(HTTP_RESPONSE, "HTTP/1.0 404 Not Found\r\nContent-Length: 3\r\n\r\nabc");
    read_all(HTTP_REQUEST, "GET / HTTP/9x\r\n\r\n");
    http_parser_url_init(&url);
    return http_parser_parse_url("http://u@h:80/p?q#f", 19, 0, &url) || url.port != 80;
}
