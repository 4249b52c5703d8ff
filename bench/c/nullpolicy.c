/* nullpolicy PORT - answers every policy request DUNNO: the ceiling that one
 * event loop on this machine can reach. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int ac, char **av) {
  if (ac != 2)
    return 2;
  int s = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(av[1]))};
  inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
  if (bind(s, (void *)&a, sizeof a) || listen(s, 1024)) {
    perror("bind");
    return 1;
  }
  int ep = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN, .data.fd = s};
  epoll_ctl(ep, EPOLL_CTL_ADD, s, &e);
  struct epoll_event ev[256];
  char b[65536];
  for (;;) {
    int k = epoll_wait(ep, ev, 256, -1);
    for (int j = 0; j < k; j++) {
      int f = ev[j].data.fd;
      if (f == s) {
        int c = accept(s, 0, 0);
        setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event q = {.events = EPOLLIN, .data.fd = c};
        epoll_ctl(ep, EPOLL_CTL_ADD, c, &q);
        continue;
      }
      int r = read(f, b, sizeof b);
      if (r <= 0) {
        close(f);
        continue;
      }
      if (r >= 2 && b[r - 1] == '\n' && b[r - 2] == '\n')
        if (write(f, "action=DUNNO\n\n", 14) < 0)
          close(f);
    }
  }
}
