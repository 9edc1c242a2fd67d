/*
 * A bare event-stream server: the least work there is. One epoll, no HTTP beyond what the generator
 * sends, no filter, no history, no check. On POST it makes one block and hands it to each stream with one
 * send(): the lower bound of what "one write per client and event" costs.
 *
 * With --batch it collects the blocks of all POSTs that one epoll_wait() brought and sends each
 * stream all of them with one send(): the bound for servers that batch, and the proof that the load
 * generator reads faster than any of them sends.
 *
 * usage: cloop PORT [--batch]      listens on 127.0.0.1, ends on SIGTERM
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, READY = 256, REQUEST = 1 << 16, PATIENCE_MS = 5000 };

struct connection {
    int fd;
    int place;       /* its index in streams[], or -1 */
    size_t size;     /* bytes in request */
    char *request;   /* REQUEST bytes, or NULL while there is nothing unread */
};

static struct connection **streams;
static size_t stream_count, stream_room;
static char *batch;
static size_t batch_size, batch_room;
static bool batching;
static unsigned long last_id;

static void die(const char *what) { perror(what); exit(1); }

static void close_connection(struct connection *c) {
    if (c->place >= 0) {
        struct connection *last = streams[--stream_count];
        streams[c->place] = last;
        last->place = c->place;
    }
    close(c->fd);
    free(c->request);
    free(c);
}

/* Waits for room where a socket is full, so that nothing is dropped; false if the peer is gone or stuck. */
static bool send_all(int fd, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            struct pollfd full = {.fd = fd, .events = POLLOUT};
            if (poll(&full, 1, PATIENCE_MS) <= 0) return false;
        } else if (sent < 0) {
            return false;
        } else {
            bytes += sent;
            size -= (size_t)sent;
        }
    }
    return true;
}

/* A stream that fails is shut down, not freed: its own event closes it. */
static void fan_out(const char *bytes, size_t size) {
    for (size_t i = 0; i < stream_count; i++)
        if (!send_all(streams[i]->fd, bytes, size)) shutdown(streams[i]->fd, SHUT_RDWR);
}

static void keep(const char *block, size_t size) {
    if (batch_size + size > batch_room) {
        batch_room = 2 * (batch_size + size);
        if (!(batch = realloc(batch, batch_room))) die("realloc");
    }
    memcpy(batch + batch_size, block, size);
    batch_size += size;
}

static void publish(const char *body, size_t size) {
    static char block[REQUEST + 64];
    int written = snprintf(block, sizeof block, "id: %lu\ndata: %.*s\n\n", ++last_id, (int)size, body);
    if (batching) keep(block, (size_t)written);
    else fan_out(block, (size_t)written);
}

static bool subscribe(struct connection *c) {
    static const char opening[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                  "Cache-Control: no-cache\r\n\r\n: open\n\n";
    if (stream_count == stream_room) {
        stream_room = stream_room ? 2 * stream_room : 1024;
        if (!(streams = realloc(streams, stream_room * sizeof *streams))) die("realloc");
    }
    c->place = (int)stream_count;
    streams[stream_count++] = c;
    return send_all(c->fd, opening, sizeof opening - 1);
}

/* Takes the requests that are complete; false if the connection is to be closed. */
static bool take_requests(struct connection *c) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    size_t taken = 0;
    for (;;) {
        char *begin = c->request + taken;
        char *end = memmem(begin, c->size - taken, "\r\n\r\n", 4);
        if (!end) break;
        size_t head = (size_t)(end + 4 - begin), body = 0;
        *end = 0; /* the head as a string; the blank line isn't needed any more */
        if (strncmp(begin, "POST", 4) == 0) {
            const char *length = strcasestr(begin, "content-length:");
            if (length) body = strtoul(length + 15, NULL, 10);
        }
        if (taken + head + body > c->size) { *end = '\r'; break; }
        if (strncmp(begin, "POST", 4) == 0) {
            publish(begin + head, body);
            if (!send_all(c->fd, answer, sizeof answer - 1)) return false;
        } else if (c->place < 0 && !subscribe(c)) {
            return false;
        }
        taken += head + body;
    }
    memmove(c->request, c->request + taken, c->size - taken);
    c->size -= taken;
    if (c->size == 0) { free(c->request); c->request = NULL; }
    return c->size < REQUEST - 1;
}

static void on_ready(struct connection *c) {
    if (!c->request && !(c->request = malloc(REQUEST))) die("malloc");
    ssize_t size = recv(c->fd, c->request + c->size, REQUEST - 1 - c->size, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) return;
    if (size > 0) c->size += (size_t)size;
    if (size <= 0 || !take_requests(c)) close_connection(c);
}

static void accept_all(int listener, int epoll) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        if (!c) die("calloc");
        c->fd = fd;
        c->place = -1;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
    }
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* inherited by what it accepts */
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
    if (listen(fd, BACKLOG) < 0) die("listen");
    return fd;
}

int main(int argc, char **argv) {
    if (argc < 2) { fprintf(stderr, "usage: cloop PORT [--batch]\n"); return 2; }
    batching = argc > 2 && strcmp(argv[2], "--batch") == 0;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int listener = listen_on(atoi(argv[1])), epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, ready[READY];
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) die("epoll_ctl");
    for (;;) {
        int count = epoll_wait(epoll, ready, READY, -1);
        for (int i = 0; i < count; i++)
            if (ready[i].data.ptr) on_ready(ready[i].data.ptr);
            else accept_all(listener, epoll);
        if (batch_size) { fan_out(batch, batch_size); batch_size = 0; }
    }
}
