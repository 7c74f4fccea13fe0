/* A scripted HTTP server for tests: a thread that answers each connection from a list and keeps
 * what it was asked. */
#pragma once

#include "base/test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct Script {
    int listener, port;
    const char *const *answers; // one a connection, ending with NULL
    Buf asked;                  // all that came in
    pthread_t thread;
} Script;

/* Reads up to the end of the head, and of a body if it has a Content-Length. */
static inline void script_read(int fd, Buf *asked)
{
    size_t start = asked->len, end = SIZE_MAX;
    while (end == SIZE_MAX || asked->len < end) {
        char piece[4096];
        ssize_t n = read(fd, piece, sizeof piece);
        if (n <= 0)
            return;
        buf_add_bytes(asked, piece, (size_t)n);
        Str so_far = str_slice(buf_str(asked), start, asked->len);
        size_t head = str_find(so_far, S("\r\n\r\n"), 0);
        if (head == SIZE_MAX)
            continue;
        size_t at = str_find(so_far, S("Content-Length: "), 0);
        int64_t length = 0;
        if (at < head)
            str_to_int(str_slice(so_far, at + 16, str_find(so_far, S("\r"), at)), 0, 1 << 20,
                       &length);
        end = start + head + 4 + (size_t)length;
    }
}

static inline void *script_serve(void *context)
{
    Script *s = context;
    for (const char *const *answer = s->answers; *answer; answer++) {
        int fd = accept(s->listener, NULL, NULL);
        script_read(fd, &s->asked);
        ssize_t ignored = write(fd, *answer, strlen(*answer));
        (void)ignored;
        close(fd);
    }
    return NULL;
}

static inline void script_start(Script *s, const char *const *answers)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    *s = (Script){.answers = answers, .listener = socket(AF_INET, SOCK_STREAM, 0)};
    buf_init(&s->asked, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(s->listener, 8), 0);
    getsockname(s->listener, (struct sockaddr *)&at, &size);
    s->port = ntohs(at.sin_port);
    pthread_create(&s->thread, NULL, script_serve, s);
}

static inline void script_stop(Script *s)
{
    pthread_join(s->thread, NULL);
    close(s->listener);
    buf_done(&s->asked);
}
