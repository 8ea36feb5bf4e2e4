/* Load on one HTTP/1.1 origin, as a program of one thread: proxy_load MODE PORT PATH CONNECTIONS SECONDS [RATE].

   `full` keeps every connection busy. `random` sends RATE requests a second at random moments, as independent callers
   would (a Poisson process); `even` sends them at even distances, which leaves only what the server itself does to be
   seen. Both count the time from the moment a request was due, whether or not a connection was free.
   The header of authorization comes by the environment's AUTHORIZATION. Every answer must be 200 and whole.
   Prints JSON. In C, since a load in Python can ask less than some of the servers answer, and pauses of its own. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROOM 65536

typedef struct {
    int socket;
    double due;
    size_t got;
    char data[ROOM];
} Line;

static Line *lines;
static char request[8192];
static size_t length;

static void give_up(const char *why) {
    fprintf(stderr, "proxy_load: %s\n", why);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void ask(Line *line) {
    if (send(line->socket, request, length, MSG_NOSIGNAL) != (ssize_t)length) give_up("a request was not taken");
}

/* Read what came; is the answer whole? */
static int done(Line *line) {
    ssize_t count = recv(line->socket, line->data + line->got, ROOM - 1 - line->got, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (count <= 0) give_up("the connection was closed");
    line->got += count;
    line->data[line->got] = 0;
    char *end = strstr(line->data, "\r\n\r\n");
    if (end == NULL) return 0;
    if (strncmp(line->data, "HTTP/1.1 200", 12) != 0) give_up(line->data);
    *end = 0;
    char *stated = strcasestr(line->data, "\r\ncontent-length:");
    *end = '\r';
    size_t body = line->got - (end + 4 - line->data);
    int whole = stated != NULL ? body == strtoul(stated + 17, NULL, 10)
                               : body >= 5 && memcmp(line->data + line->got - 5, "0\r\n\r\n", 5) == 0;
    if (whole) line->got = 0;
    return whole;
}

static void open_line(Line *line, int port, int poll) {
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(port)};
    int yes = 1;
    inet_pton(AF_INET, "127.0.0.1", &there.sin_addr);
    line->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(line->socket, (struct sockaddr *)&there, sizeof there) != 0) give_up("nobody listens");
    setsockopt(line->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    fcntl(line->socket, F_SETFL, O_NONBLOCK);
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = line};
    epoll_ctl(poll, EPOLL_CTL_ADD, line->socket, &wanted);
}

static void full(int poll, int count, double seconds) {
    struct epoll_event found[64];
    double begun = now(), ends = begun + seconds;
    long answered = 0;
    int waiting = count;
    for (int i = 0; i < count; i++) ask(&lines[i]);
    while (waiting > 0) {
        int ready = epoll_wait(poll, found, 64, 30000);
        if (ready == 0) give_up("no answer for half a minute");
        for (int i = 0; i < ready; i++) {
            Line *line = found[i].data.ptr;
            if (!done(line)) continue;
            answered++;
            if (now() < ends) ask(line);
            else waiting--;
        }
    }
    printf("{\"answered\": %ld, \"seconds\": %.6f}\n", answered, now() - begun);
}

static int ascending(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static void paced(int poll, int count, double seconds, double rate, int even) {
    struct epoll_event found[64];
    Line **free_ones = malloc(count * sizeof *free_ones);
    double *times = malloc((size_t)(2 * rate * seconds + 1000) * sizeof *times);
    long answered = 0;
    int free_count = count, busy = 0;
    for (int i = 0; i < count; i++) free_ones[i] = &lines[i];
    srand48(7);
    double begun = now(), ends = begun + seconds, due = begun;
    while (busy > 0 || due < ends) {
        double at = now();
        while (free_count > 0 && due <= at && due < ends) {
            Line *line = free_ones[--free_count];
            line->due = due;
            ask(line);
            busy++;
            due += even ? 1 / rate : -log(1 - drand48()) / rate;
        }
        double wait = free_count > 0 && due < ends ? due - now() : 30;
        if (wait < 0) wait = 0;
        struct timespec pause = {(time_t)wait, (long)((wait - (time_t)wait) * 1e9)};
        int ready = epoll_pwait2(poll, found, 64, &pause, NULL);
        for (int i = 0; i < ready; i++) {
            Line *line = found[i].data.ptr;
            if (!done(line)) continue;
            times[answered++] = now() - line->due;
            free_ones[free_count++] = line;
            busy--;
        }
    }
    qsort(times, answered, sizeof *times, ascending);
    printf("{\"answered\": %ld, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", answered, now() - begun,
           times[answered / 2] * 1e6, times[answered * 99 / 100] * 1e6);
}

int main(int count, char **words) {
    if (count < 6) give_up("MODE PORT PATH CONNECTIONS SECONDS [RATE]");
    int port = atoi(words[2]), connections = atoi(words[4]), poll = epoll_create1(0);
    double seconds = atof(words[5]);
    const char *credentials = getenv("AUTHORIZATION");
    length = snprintf(request, sizeof request,
                      "GET %s HTTP/1.1\r\nHost: localhost:%d\r\n%s%s%sAccept: application/json\r\nUser-Agent: bench\r\n\r\n",
                      words[3], port, credentials ? "Authorization: " : "", credentials ? credentials : "",
                      credentials ? "\r\n" : "");
    if (length >= sizeof request) give_up("the request is too long");
    prctl(PR_SET_TIMERSLACK, 1);
    lines = calloc(connections, sizeof *lines);
    for (int i = 0; i < connections; i++) open_line(&lines[i], port, poll);
    if (strcmp(words[1], "full") == 0) full(poll, connections, seconds);
    else if (count > 6) paced(poll, connections, seconds, atof(words[6]), strcmp(words[1], "even") == 0);
    else give_up("a rate is needed");
    return 0;
}
