/* A UDP echo, for round trips without an interpreter in them.
 *
 *     echo serve PORT
 *     echo ask ADDRESS PORT COUNT     prints the microseconds of each round trip */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1e6 + at.tv_nsec / 1e3;
}

int main(int argc, char **argv) {
    int serving = argc == 3 && !strcmp(argv[1], "serve");
    if (!serving && argc != 5) return 2;
    char buffer[64] = {0};
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    address.sin_port = htons(atoi(argv[serving ? 2 : 3]));
    if (serving) {
        if (bind(fd, (struct sockaddr *)&address, size)) { perror("bind"); return 1; }
        for (;;) {
            ssize_t length = recvfrom(fd, buffer, sizeof buffer, 0, (void *)&address, &size);
            if (length > 0) sendto(fd, buffer, length, 0, (void *)&address, size);
        }
    }
    /* A lost datagram is asked again, and not counted. */
    struct timeval patience = {.tv_sec = 1};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    inet_pton(AF_INET, argv[2], &address.sin_addr);
    if (connect(fd, (struct sockaddr *)&address, size)) { perror("connect"); return 1; }
    for (int left = atoi(argv[4]); left > 0;) {
        double began = now();
        if (send(fd, buffer, sizeof buffer, 0) < 0) { perror("send"); return 1; }
        if (recv(fd, buffer, sizeof buffer, 0) < 0) continue;
        printf("%.2f\n", now() - began);
        left--;
    }
    return 0;
}
