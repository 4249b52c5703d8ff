/* policyload - load generator for the Postfix policy delegation protocol.
 *
 * usage: policyload HOST PORT CONNECTIONS REQUESTS MODE [SEED]
 *   MODE  new   every request is a triplet never seen before
 *         hot   requests repeat over 1,000 triplets
 *         mix   60 % hot, 40 % new (a busy MX: most of it junk seen once)
 *         cold  as new, and no two senders share a domain, so that nothing of them is in DNS caches
 *         silent  as cold, with domains below silent.example
 * Run new twice with one seed, the second time past the greylisting delay, to measure retries that pass. Each seed
 * has networks and domains of its own, each with few triplets: else clients would earn being spared, run by run, and
 * new ones would not be new any more.
 * Each connection keeps one request in flight, as Postfix's smtpd does.
 * Prints one JSON object: requests/s, latency percentiles, a count per action.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct conn {
  int fd;
  char buf[4096];
  int got;
  uint64_t sent_at;
};
static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec;
}
static int cmp(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}
static uint64_t rng = 88172645463325252ull;
static uint32_t rnd(void) {
  rng ^= rng << 13;
  rng ^= rng >> 7;
  rng ^= rng << 17;
  return (uint32_t)(rng >> 32);
}
static long seq = 0, turn = 0;
static uint32_t seed;
static const char *mode;

/* A number in letters: digits of a local part are taken for what changes from mail to mail of one sender. */
static const char *letters(char *to, unsigned long number) {
  char *p = to;
  do
    *p++ = (char)('a' + number % 26);
  while (number /= 26);
  *p = 0;
  return to;
}
static int build(char *b) {
  long id;
  int hot;
  char who[32], run[32];
  if (!strcmp(mode, "hot"))
    hot = 1;
  else if (strcmp(mode, "mix"))
    hot = 0;
  else
    hot = (rnd() % 100) < 60;
  if (hot)
    id = rnd() % 1000;
  else
    id = 1000 + (++seq);
  uint32_t h = (uint32_t)(id * 2654435761u) ^ (hot ? 0 : seed * 40503u);
  int silent = !strcmp(mode, "silent");
  /* The domain: few that come again, one for some requests, or one for each. */
  uint32_t d = hot ? h % 5000 : (seed + 1) * 20000u + h % 20000;
  if (silent || !strcmp(mode, "cold"))
    d = seed * 1000000u + (uint32_t)id;
  unsigned network = hot ? 10 : 11 + seed % 100;
  const char *top = silent ? "silent.example" : "example";
  return sprintf(
      b,
      "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
      "client_address=%u.%u.%u.%u\nclient_name=mail%ld.sender%u.%s\nreverse_client_name=mail%ld.sender%"
      "u.%s\n"
      "helo_name=mail%ld.sender%u.%s\nsender=user.%s.%s@sender%u.%s\nrecipient=rcpt%u@local."
      "example\n"
      "recipient_count=0\nqueue_id=\ninstance=%x.%lx.%x.0\nsize=12345\netrn_domain=\nstress=\n"
      "sasl_method=\nsasl_username=\nsasl_sender=\nccert_subject=\nccert_issuer=\nccert_fingerprint=\nccert_"
      "pubkey_fingerprint=\n"
      "encryption_protocol=TLSv1.3\nencryption_cipher=TLS_AES_256_GCM_SHA384\nencryption_keysize=256\n"
      "policy_context=\nserver_address=10.0.0.1\nserver_port=25\nclient_port=4%03ld\ncompatibility_level=3."
      "6\nmail_version=3.7.11\n\n",
      network, (h >> 16) & 255, (h >> 8) & 255, h & 255, id % 100, d, top, id % 100, d, top, id % 100, d, top,
      letters(who, (unsigned long)id), letters(run, hot ? 0 : seed), d, top, h % 500, (unsigned)getpid(), ++turn,
      h, id % 1000);
}
static void put(struct conn *c) {
  char b[4096];
  int n = build(b);
  c->got = 0;
  c->sent_at = now_ns();
  if (write(c->fd, b, n) != n) {
    perror("write");
    exit(2);
  }
}

int main(int ac, char **av) {
  if (ac < 6) {
    fprintf(stderr, "usage: policyload HOST PORT CONNECTIONS REQUESTS new|hot|mix|cold|silent [SEED]\n");
    return 2;
  }
  int n = atoi(av[3]);
  long total = atol(av[4]);
  mode = av[5];
  seed = ac > 6 ? (uint32_t)atol(av[6]) : (uint32_t)getpid();
  rng ^= seed;
  struct conn *cs = calloc(n, sizeof *cs);
  uint32_t *lat = malloc(total * sizeof *lat);
  int ep = epoll_create1(0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(av[2]))};
  inet_pton(AF_INET, av[1], &a.sin_addr);
  for (int i = 0; i < n; i++) {
    cs[i].fd = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;
    if (connect(cs[i].fd, (void *)&a, sizeof a)) {
      perror("connect");
      return 2;
    }
    setsockopt(cs[i].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = &cs[i]};
    epoll_ctl(ep, EPOLL_CTL_ADD, cs[i].fd, &e);
  }
  char names[64][160];
  long counts[64];
  int nn = 0;
  uint64_t t0 = now_ns();
  long started = 0, done = 0, closed = 0;
  for (int i = 0; i < n && started < total; i++) {
    put(&cs[i]);
    started++;
  }
  struct epoll_event ev[256];
  while (done < total) {
    int k = epoll_wait(ep, ev, 256, 10000);
    if (k == 0) {
      fprintf(stderr, "no answer for 10 s; done %ld of %ld\n", done, total);
      break;
    }
    for (int j = 0; j < k; j++) {
      struct conn *c = ev[j].data.ptr;
      int r = read(c->fd, c->buf + c->got, sizeof c->buf - 1 - c->got);
      if (r <= 0) {
        closed++;
        fprintf(stderr, "connection closed by server\n");
        epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, 0);
        if (closed == n)
          goto out;
        continue;
      }
      c->got += r;
      c->buf[c->got] = 0;
      if (!strstr(c->buf, "\n\n"))
        continue;
      lat[done++] = (uint32_t)((now_ns() - c->sent_at) / 1000);
      char *x = strncmp(c->buf, "action=", 7) ? c->buf : c->buf + 7;
      char key[160];
      int z = 0;
      while (x[z] && x[z] != '\n' && x[z] != ' ' && z < 150) {
        key[z] = x[z];
        z++;
      }
      key[z] = 0;
      int q;
      for (q = 0; q < nn; q++)
        if (!strcmp(names[q], key))
          break;
      if (q == nn && nn < 64) {
        strcpy(names[nn], key);
        counts[nn++] = 0;
      }
      if (q < 64)
        counts[q]++;
      if (started < total) {
        put(c);
        started++;
      }
    }
  }
out:;
  double s = (now_ns() - t0) / 1e9;
  if (!done) {
    printf("{\"per_s\":0,\"requests\":0}\n");
    return 1;
  }
  qsort(lat, done, sizeof *lat, cmp);
  printf("{\"per_s\":%.1f,\"requests\":%ld,\"connections\":%d,\"mode\":\"%s\",\"p50_ms\":%.3f,\"p99_ms\":%."
         "3f,\"p999_ms\":%.3f,\"max_ms\":%.3f,\"actions\":{",
         done / s, done, n, mode, lat[done / 2] / 1e3, lat[(long)(done * .99)] / 1e3,
         lat[(long)(done * .999)] / 1e3, lat[done - 1] / 1e3);
  for (int q = 0; q < nn; q++)
    printf("%s\"%s\":%ld", q ? "," : "", names[q], counts[q]);
  printf("}}\n");
  return done == total ? 0 : 1;
}
