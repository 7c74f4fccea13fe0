// The least that libmicrohttpd can do: 10 KB from memory, whatever is asked. bench_hub.py compiles
// it to show what of a request is the HTTP library and the kernel, and what is the hub.
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

static enum MHD_Result answer(void *response, struct MHD_Connection *connection, const char *target,
                              const char *method, const char *version, const char *body,
                              size_t *body_size, void **seen)
{
    (void)target, (void)method, (void)version, (void)body, (void)body_size;
    // The first call has the head alone; answering in the second keeps the connection alive.
    if (*seen == NULL) {
        *seen = response;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

int main(int argc, char **argv)
{
    static char body[10 << 10];
    if (argc != 2)
        return 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof body, body, MHD_RESPMEM_PERSISTENT);
    struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL,
                                                 answer, response, MHD_OPTION_SOCK_ADDR, &at,
                                                 MHD_OPTION_THREAD_POOL_SIZE, 2u, MHD_OPTION_END);
    if (daemon == NULL)
        return 1;
    pause();
}
