/* nullproxy PORT TARGET_PORT - forwards TCP on 127.0.0.1 and nothing else: what a filter costs that does
 * not look at the mail. One thread for each direction of each connection. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct pair {
  int client, server, users;
  pthread_mutex_t lock;
};
struct half {
  struct pair *pair;
  int from, to;
};

static void *pump(void *argument) {
  struct half *half = argument;
  struct pair *pair = half->pair;
  static __thread char buffer[256 * 1024];
  ssize_t got;
  while ((got = read(half->from, buffer, sizeof buffer)) > 0) {
    ssize_t sent = 0, n;
    while (sent < got && (n = send(half->to, buffer + sent, got - sent, MSG_NOSIGNAL)) > 0)
      sent += n;
    if (sent < got)
      break;
  }
  shutdown(half->to, SHUT_WR);
  pthread_mutex_lock(&pair->lock);
  int last = --pair->users == 0;
  pthread_mutex_unlock(&pair->lock);
  if (last) {
    close(pair->client);
    close(pair->server);
    free(pair);
  }
  free(half);
  return 0;
}

static void start(struct pair *pair, int from, int to, pthread_attr_t *attributes) {
  struct half *half = malloc(sizeof *half);
  *half = (struct half){pair, from, to};
  pthread_t thread;
  if (pthread_create(&thread, attributes, pump, half)) {
    perror("pthread_create");
    exit(1);
  }
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: nullproxy PORT TARGET_PORT\n");
    return 2;
  }
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
  struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
  here.sin_addr.s_addr = there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (void *)&here, sizeof here) || listen(listener, 1024)) {
    perror("listen");
    return 1;
  }
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  for (;;) {
    int client = accept(listener, 0, 0);
    if (client < 0)
      continue;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(server, (void *)&there, sizeof there)) {
      close(client);
      close(server);
      continue;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct pair *pair = malloc(sizeof *pair);
    *pair = (struct pair){client, server, 2, PTHREAD_MUTEX_INITIALIZER};
    start(pair, client, server, &attributes);
    start(pair, server, client, &attributes);
  }
}
