/* smtpsink - SMTP server that throws mail away and counts messages and bytes.
 *
 * usage: smtpsink PORT      (127.0.0.1; single thread, epoll; ends on SIGTERM)
 * Like Postfix's smtp-sink, but scans DATA with memmem instead of one character
 * at a time (it must not be the bottleneck on a small machine) and can be asked
 * for its counters: "XSTAT" answers "250 MESSAGES BYTES MIN MAX", "XRESET"
 * zeroes them.  Announces PIPELINING, 8BITMIME, SIZE, XFORWARD, DSN.
 * Note: bytes are counted as they arrive on the wire (dot-stuffed, CRLF), which
 * is how smtpload counts them too.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#define BUF (256 * 1024)
struct conn {
  int fd, data;
  uint64_t size;
  int got;
  char *buf;
};
static uint64_t msgs, bytes, minsz, maxsz;

static void say(struct conn *c, const char *s) {
  size_t n = strlen(s);
  if (send(c->fd, s, n, MSG_NOSIGNAL) != (ssize_t)n) {
  }
}
static int line(struct conn *c, char *l) {
  if (!strncasecmp(l, "EHLO", 4) || !strncasecmp(l, "LHLO", 4))
    say(c,
        "250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE "
        "0\r\n250-ENHANCEDSTATUSCODES\r\n250-XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT\r\n250 DSN\r\n");
  else if (!strncasecmp(l, "DATA", 4)) {
    say(c, "354 go\r\n");
    c->data = 1;
    c->size = 0;
  } else if (!strncasecmp(l, "QUIT", 4)) {
    say(c, "221 2.0.0 bye\r\n");
    return -1;
  } else if (!strncasecmp(l, "XSTAT", 5)) {
    char b[160];
    snprintf(b, sizeof b, "250 %llu %llu %llu %llu\r\n", (unsigned long long)msgs, (unsigned long long)bytes,
             (unsigned long long)minsz, (unsigned long long)maxsz);
    say(c, b);
  } else if (!strncasecmp(l, "XRESET", 6)) {
    msgs = bytes = minsz = maxsz = 0;
    say(c, "250 ok\r\n");
  } else
    say(c, "250 2.0.0 Ok\r\n");
  return 0;
}
static int feed(struct conn *c) { /* data 1: at line start, 2: inside */
  for (;;) {
    if (!c->data) {
      char *nl = memchr(c->buf, '\n', c->got);
      if (!nl)
        return c->got >= BUF - 1 ? -1 : 0;
      int n = nl - c->buf + 1;
      *nl = 0;
      int r = line(c, c->buf);
      memmove(c->buf, c->buf + n, c->got - n);
      c->got -= n;
      if (r)
        return r;
    } else {
      char *end = 0;
      int used = 0;
      if (c->data == 1 && c->got >= 3 && !memcmp(c->buf, ".\r\n", 3)) {
        end = c->buf;
        used = 3;
      } else if (c->data == 1 && c->got < 3)
        return 0;
      else {
        c->data = 2;
        char *p = memmem(c->buf, c->got, "\r\n.\r\n", 5);
        if (p) {
          end = p + 2;
          used = end + 3 - c->buf;
        }
      }
      if (!end) {
        int keep = c->got < 4 ? c->got : 4, n = c->got - keep;
        c->size += n;
        memmove(c->buf, c->buf + n, keep);
        c->got = keep;
        return 0;
      }
      c->size += end - c->buf;
      c->data = 0;
      msgs++;
      bytes += c->size;
      if (!minsz || c->size < minsz)
        minsz = c->size;
      if (c->size > maxsz)
        maxsz = c->size;
      memmove(c->buf, c->buf + used, c->got - used);
      c->got -= used;
      say(c, "250 2.0.0 Ok: queued as SINK\r\n");
    }
  }
}
int main(int argc, char **argv) {
  if (argc != 2)
    return 2;
  int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
  inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
  if (bind(l, (void *)&a, sizeof a) || listen(l, 1024)) {
    perror("listen");
    return 1;
  }
  int ep = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = 0};
  epoll_ctl(ep, EPOLL_CTL_ADD, l, &e);
  for (;;) {
    struct epoll_event v[64];
    int n = epoll_wait(ep, v, 64, -1);
    for (int i = 0; i < n; i++) {
      struct conn *c = v[i].data.ptr;
      if (!c) {
        int fd = accept4(l, 0, 0, SOCK_NONBLOCK);
        if (fd < 0)
          continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        c = calloc(1, sizeof *c);
        c->fd = fd;
        c->buf = malloc(BUF);
        e.data.ptr = c;
        e.events = EPOLLIN;
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
        say(c, "220 sink.example ESMTP\r\n");
        continue;
      }
      ssize_t r = recv(c->fd, c->buf + c->got, BUF - c->got, 0);
      if (r < 0 && errno == EAGAIN)
        continue;
      int bad = r <= 0;
      if (!bad) {
        c->got += r;
        bad = feed(c) < 0;
      }
      if (bad) {
        close(c->fd);
        free(c->buf);
        free(c);
      }
    }
  }
}
