/* nulldns - a DNS server for load tests: answers every question at once, or after a delay, out of nothing.
 *
 * usage: nulldns PORT DELAY_MS
 * UDP on 127.0.0.1. Whatever the name: A and PTR exist, AAAA does not, MX is mail.NAME, TXT is an SPF record that
 * passes 10.0.0.0/8. Below a label "dnsbl" nothing is listed but the test points of RFC 5782 (2.0.0.127, test).
 * Below a label "silent" nothing is ever answered. TTL 300 s.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

enum { WAITING = 1 << 16, PACKET = 512, A = 1, PTR = 12, MX = 15, TXT = 16 };
struct waiting {
  uint64_t due;
  struct sockaddr_in to;
  int size;
  unsigned char packet[PACKET];
};
static struct waiting *ring;
static unsigned head, tail;

static uint64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Whether the name at p has the label; sets its end. */
static int has_label(const unsigned char *p, const unsigned char *end, const char *label,
                     const unsigned char **after) {
  int found = 0, size = (int)strlen(label);
  while (p < end && *p) {
    if (*p == size && p + 1 + size <= end && !strncasecmp((const char *)p + 1, label, size))
      found = 1;
    p += 1 + *p;
  }
  *after = p + 1;
  return found;
}

static unsigned char *record(unsigned char *p, int type, int size) {
  *p++ = 0xc0, *p++ = 12, *p++ = 0, *p++ = type, *p++ = 0, *p++ = 1;
  *p++ = 0, *p++ = 0, *p++ = 300 >> 8, *p++ = 300 & 255, *p++ = 0, *p++ = size;
  return p;
}

/* A no that holds: the SOA of the root, with its TTL as the last field. */
static unsigned char *negative(unsigned char *b, unsigned char *p) {
  static const unsigned char soa[] = {0, 0, 6, 0, 1, 0, 0, 1, 44, 0, 22, 0, 0, 0, 0, 0, 1,
                                      0, 0, 1, 44, 0, 0, 1, 44, 0, 0, 1, 44, 0, 0, 1, 44};
  memcpy(p, soa, sizeof soa);
  b[9] = 1;
  return p + sizeof soa;
}

/* Turns a question into its answer; returns the size, 0 for none. */
static int answer(unsigned char *b, int n) {
  const unsigned char *after;
  if (n < 17 || has_label(b + 12, b + n, "silent", &after))
    return 0;
  int end = (int)(after - b) + 4;
  if (end > n)
    return 0;
  int type = after[0] << 8 | after[1];
  const unsigned char *unused;
  int list = has_label(b + 12, b + n, "dnsbl", &unused);
  int listed = list && (!memcmp(b + 12, "\0012\0010\0010\003127", 10) || !strncasecmp((char *)b + 12, "\4test", 5));
  b[2] = 0x81, b[3] = 0x80, b[6] = 0, b[7] = 0, b[8] = b[9] = b[10] = b[11] = 0;
  unsigned char *p = b + end;
  if (list && !listed) {
    b[3] = 0x83;
    return (int)(negative(b, p) - b);
  }
  if (type == A) {
    p = record(p, A, 4);
    uint32_t h = 2166136261u;
    for (int i = 12; i < end; i++)
      h = (h ^ b[i]) * 16777619u;
    *p++ = list ? 127 : 198, *p++ = list ? 0 : 18, *p++ = list ? 0 : h >> 8, *p++ = list ? 2 : h;
  } else if (type == MX) {
    p = record(p, MX, 9);
    *p++ = 0, *p++ = 10;
    memcpy(p, "\4mail\xc0\x0c", 7), p += 7;
  } else if (type == PTR) {
    p = record(p, PTR, 7);
    memcpy(p, "\4host\xc0\x0c", 7), p += 7;
  } else if (type == TXT) {
    static const char text[] = "v=spf1 ip4:10.0.0.0/8 -all";
    int size = sizeof text - 1;
    p = record(p, TXT, size + 1);
    *p++ = size;
    memcpy(p, text, size), p += size;
  } else {
    return (int)(negative(b, p) - b);
  }
  b[7] = 1;
  return (int)(p - b);
}

int main(int ac, char **av) {
  if (ac != 3) {
    fprintf(stderr, "usage: nulldns PORT DELAY_MS\n");
    return 2;
  }
  uint64_t delay = (uint64_t)atol(av[2]) * 1000;
  int s = socket(AF_INET, SOCK_DGRAM, 0), room = 8 << 20;
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(av[1]))};
  inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
  setsockopt(s, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  ring = calloc(WAITING, sizeof *ring);
  if (!ring || bind(s, (void *)&a, sizeof a)) {
    perror("nulldns");
    return 1;
  }
  struct pollfd p = {.fd = s, .events = POLLIN};
  for (;;) {
    int wait = -1;
    if (head != tail) {
      uint64_t now = now_us(), due = ring[tail % WAITING].due;
      wait = due > now ? (int)((due - now + 999) / 1000) : 0;
    }
    poll(&p, 1, wait);
    for (uint64_t now = now_us(); head != tail && ring[tail % WAITING].due <= now; tail++) {
      struct waiting *w = &ring[tail % WAITING];
      sendto(s, w->packet, w->size, 0, (void *)&w->to, sizeof w->to);
    }
    while (head - tail < WAITING) {
      struct waiting *w = &ring[head % WAITING];
      socklen_t size = sizeof w->to;
      /* Room for the answer behind the question. */
      int n = recvfrom(s, w->packet, PACKET - 64, MSG_DONTWAIT, (void *)&w->to, &size);
      if (n <= 0)
        break;
      w->size = answer(w->packet, n);
      if (!w->size)
        continue;
      w->due = now_us() + delay;
      if (delay)
        head++;
      else
        sendto(s, w->packet, w->size, 0, (void *)&w->to, size);
    }
  }
}
