/* The floor without Python: replay messages that were encoded beforehand.
 *
 *     floor attach|detach FILE [THREADS]
 *
 * FILE is what tests/bench/netlink.py writes: for each endpoint its namespace, the message for the
 * host's namespace, those for its own, and the one that deletes its link; each with a length. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct part { uint32_t length; char *bytes; };
struct endpoint { struct part path, host, inside, delete; };

static struct endpoint *endpoints;
static size_t count, threads = 1;
static int home, attaching;

static void fail(const char *what) { perror(what); exit(1); }

static int opened(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) fail("socket");
    return fd;
}

/* Send each message of the part by itself and wait for its acknowledgement. */
static void ask(int fd, struct part part) {
    char answer[4096];
    for (uint32_t at = 0; at < part.length;) {
        struct nlmsghdr *message = (struct nlmsghdr *)(part.bytes + at);
        if (send(fd, message, message->nlmsg_len, 0) < 0) fail("send");
        if (recv(fd, answer, sizeof answer, 0) < 0) fail("recv");
        struct nlmsgerr *error = NLMSG_DATA((struct nlmsghdr *)answer);
        if (error->error) {
            fprintf(stderr, "the kernel says %s\n", strerror(-error->error));
            exit(1);
        }
        at += NLMSG_ALIGN(message->nlmsg_len);
    }
}

static int opened_in(struct part path) {
    char name[64] = {0};
    memcpy(name, path.bytes, path.length < 63 ? path.length : 63);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail(name);
    if (setns(fd, CLONE_NEWNET)) fail("setns");
    close(fd);
    int sock = opened();
    if (setns(home, CLONE_NEWNET)) fail("setns");
    return sock;
}

static void *work(void *argument) {
    int host = attaching ? opened() : -1;
    for (size_t at = (size_t)argument; at < count; at += threads) {
        struct endpoint *one = &endpoints[at];
        if (attaching) ask(host, one->host);
        int inside = opened_in(one->path);
        ask(inside, attaching ? one->inside : one->delete);
        close(inside);
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    attaching = !strcmp(argv[1], "attach");
    if (argc > 3) threads = strtoul(argv[3], NULL, 10);
    struct stat status;
    int file = open(argv[2], O_RDONLY);
    if (file < 0 || fstat(file, &status)) fail(argv[2]);
    /* Each part is moved to where a message may begin: at a multiple of 8. */
    char *bytes = malloc(status.st_size), *end = bytes + status.st_size;
    if (read(file, bytes, status.st_size) != status.st_size) fail("read");
    for (char *at = bytes; at < end; count++) {
        endpoints = realloc(endpoints, (count + 1) * sizeof *endpoints);
        struct part *parts = (struct part *)&endpoints[count];
        for (int number = 0; number < 4; number++) {
            memcpy(&parts[number].length, at, 4);
            parts[number].bytes = malloc(parts[number].length);
            memcpy(parts[number].bytes, at + 4, parts[number].length);
            at += 4 + parts[number].length;
        }
    }
    home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0) fail("/proc/self/ns/net");
    pthread_t *running = calloc(threads, sizeof *running);
    for (size_t number = 0; number < threads; number++)
        if (pthread_create(&running[number], NULL, work, (void *)number)) fail("pthread_create");
    for (size_t number = 0; number < threads; number++) pthread_join(running[number], NULL);
    return 0;
}
