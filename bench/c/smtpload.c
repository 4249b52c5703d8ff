/* smtpload - multi-connection SMTP load generator that sends given message files.
 *
 * usage: smtpload [-c CONNS] [-k MSGS_PER_CONN] [-d SECONDS] [-n MAX] [-m MIN]
 *                 [-r RATE] [-T HARD_LIMIT_S] HOST PORT FILE...
 *   -c  parallel connections (10)
 *   -k  messages per connection before QUIT and reconnect (10)
 *   -d  stop starting new messages after this many seconds (6), but not before
 *   -m  MIN messages have been started (default: CONNS); never more than -n MAX
 *   -r  start so many messages a second, evenly; without it as many as go
 *   -T  abort everything after this many seconds (300)
 *   -f  envelope sender (sender@src.example)
 *   -t  recipient (user@dst.example)
 * Files are read once, given CRLF line ends and dot-stuffed.  Every place that
 * holds the 16 characters UNIQ0000UNIQ0000 gets a value never sent before (they
 * are valid base64 too, so attachments differ as well): no verdict cache helps.
 * One SMTP command in flight per connection (no pipelining), TCP_NODELAY.
 * Prints one JSON object.  A message is handled when end-of-data was answered
 * 250 (ok) or 5xx (refused, as a filter does with malware); anything else is an
 * error.  eod_* is from the last byte handed to the kernel to the reply's last
 * line; txn_* from MAIL FROM to that reply.
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MARK "UNIQ0000UNIQ0000"
#define MARKLEN 16
#define MAXSEG 64

struct msg {
  char *buf;
  size_t len;
  int nseg;
  size_t off[MAXSEG], seglen[MAXSEG];
};
enum st { IDLE, CONNECTING, BANNER, EHLO, MAIL, RCPT, DATA, BODY, EOD, QUIT, PAUSE };
struct conn {
  int fd;
  enum st st;
  int sent_here;
  struct msg *m;
  char stamp[MARKLEN + 1];
  int iovn, iovi;
  struct iovec iov[MAXSEG * 2 + 2];
  char in[16384];
  int got;
  const char *out;
  char outbuf[256];
  int outlen, outoff;
  uint64_t t_mail, t_eod;
  uint32_t events;
};

static struct msg *msgs;
static int nmsgs, next_msg;
static long started, okc, refused, handled, errors, maxn = 1000000, minn = -1;
static double secs = 6, hard = 300, rate;
static int nconn = 10, perconn = 10;
static uint64_t t0, bytes_ok, t_last;
static uint32_t *eod_us, *txn_us;
static long cap;
static struct sockaddr_in addr;
static int ep;
static char errtext[4][160];
static int nerrtext;
static uint64_t stampseed, stampseq;
static int active;
static const char *from = "sender@src.example", *to = "user@dst.example";

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}
static int cmp(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}
static void note(const char *where, const char *text) {
  if (nerrtext < 4) {
    snprintf(errtext[nerrtext], 160, "%s: %.120s", where, text);
    for (char *p = errtext[nerrtext]; *p; p++)
      if (*p < 32 || *p == '"' || *p == '\\')
        *p = ' ';
    nerrtext++;
  }
}

static void load(struct msg *m, const char *path) {
  FILE *f = fopen(path, "rb");
  if (!f) {
    perror(path);
    exit(2);
  }
  fseek(f, 0, SEEK_END);
  long n = ftell(f);
  rewind(f);
  char *raw = malloc(n + 1);
  if (fread(raw, 1, n, f) != (size_t)n)
    exit(2);
  fclose(f);
  size_t extra = 16;
  for (long i = 0; i < n; i++)
    if (raw[i] == '\n')
      extra += 2;
  char *b = m->buf = malloc(n + extra);
  size_t o = 0;
  int bol = 1;
  for (long i = 0; i < n; i++) {
    if (bol && raw[i] == '.')
      b[o++] = '.';
    bol = 0;
    if (raw[i] == '\n') {
      if (!o || b[o - 1] != '\r')
        b[o++] = '\r';
      bol = 1;
    }
    b[o++] = raw[i];
  }
  if (!bol) {
    b[o++] = '\r';
    b[o++] = '\n';
  }
  memcpy(b + o, ".\r\n", 3);
  o += 3;
  m->len = o;
  free(raw);
  char *p = b, *e = b + o, *q;
  while (m->nseg < MAXSEG - 1 && (q = memmem(p, e - p, MARK, MARKLEN))) {
    m->off[m->nseg] = p - b;
    m->seglen[m->nseg++] = q - p;
    p = q + MARKLEN;
  }
  m->off[m->nseg] = p - b;
  m->seglen[m->nseg++] = e - p;
}

static void ev(struct conn *c, uint32_t e) {
  if (c->events == e)
    return;
  struct epoll_event x = {.events = e, .data.ptr = c};
  epoll_ctl(ep, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &x);
  c->events = e;
}
static int may_start(void) {
  if (started >= maxn || errors > 200)
    return 0;
  if (started < minn)
    return 1;
  return (now() - t0) / 1e9 < secs;
}
static void open_conn(struct conn *c) {
  c->st = IDLE;
  c->got = 0;
  c->sent_here = 0;
  c->events = 0;
  c->outlen = c->outoff = 0;
  if (!may_start())
    return;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int one = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(c->fd, (void *)&addr, sizeof addr) < 0 && errno != EINPROGRESS) {
    note("connect", strerror(errno));
    errors++;
    close(c->fd);
    return;
  }
  c->st = CONNECTING;
  active++;
  ev(c, EPOLLOUT);
}
static void drop(struct conn *c, int err, const char *why) {
  if (err) {
    errors++;
    note(why, c->got ? c->in : strerror(errno));
  }
  close(c->fd);
  active--;
  c->events = 0;
  open_conn(c);
}
static void flush_out(struct conn *c) {
  while (c->outoff < c->outlen) {
    ssize_t n = send(c->fd, c->out + c->outoff, c->outlen - c->outoff, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EAGAIN) {
        ev(c, EPOLLIN | EPOLLOUT);
        return;
      }
      return;
    }
    c->outoff += n;
  }
  ev(c, EPOLLIN);
}
static void cmd(struct conn *c, enum st st, const char *s) {
  c->st = st;
  c->outlen = snprintf(c->outbuf, sizeof c->outbuf, "%s", s);
  c->outoff = 0;
  c->out = c->outbuf;
  flush_out(c);
}
static void body_start(struct conn *c);
static int due(void) { return rate <= 0 || started < rate * ((now() - t0) / 1e9); }
static void next_mail(struct conn *c) {
  if (c->sent_here >= perconn || !may_start()) {
    cmd(c, QUIT, "QUIT\r\n");
    return;
  }
  if (!due()) {
    c->st = PAUSE;
    return;
  }
  started++;
  c->sent_here++;
  c->m = &msgs[next_msg++ % nmsgs];
  static const char a[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  uint64_t v = ++stampseq, w = stampseed;
  for (int i = 0; i < 8; i++) {
    c->stamp[i] = a[w & 31];
    w >>= 5;
  }
  for (int i = 8; i < 16; i++) {
    c->stamp[i] = a[v & 31];
    v >>= 5;
  }
  c->t_mail = now();
  char line[256];
  snprintf(line, sizeof line, "MAIL FROM:<%s>\r\n", from);
  cmd(c, MAIL, line);
}
static void body(struct conn *c) {
  while (c->iovi < c->iovn) {
    int n = c->iovn - c->iovi;
    if (n > 64)
      n = 64;
    struct msghdr h = {.msg_iov = c->iov + c->iovi, .msg_iovlen = n};
    ssize_t w = sendmsg(c->fd, &h, MSG_NOSIGNAL);
    if (w < 0) {
      if (errno == EAGAIN) {
        ev(c, EPOLLIN | EPOLLOUT);
        return;
      }
      drop(c, 1, "body");
      return;
    }
    while (w > 0) {
      struct iovec *v = &c->iov[c->iovi];
      if ((size_t)w >= v->iov_len) {
        w -= v->iov_len;
        c->iovi++;
      } else {
        v->iov_base = (char *)v->iov_base + w;
        v->iov_len -= w;
        w = 0;
      }
    }
    while (c->iovi < c->iovn && !c->iov[c->iovi].iov_len)
      c->iovi++;
  }
  c->t_eod = now();
  c->st = EOD;
  ev(c, EPOLLIN);
}
static void body_start(struct conn *c) {
  c->iovn = c->iovi = 0;
  for (int i = 0; i < c->m->nseg; i++) {
    if (i)
      c->iov[c->iovn++] = (struct iovec){c->stamp, MARKLEN};
    c->iov[c->iovn++] = (struct iovec){c->m->buf + c->m->off[i], c->m->seglen[i]};
  }
  c->st = BODY;
  body(c);
}
static void account(struct conn *c, int code) {
  uint64_t t = now();
  if ((code != 250 && code / 100 != 5) || handled >= cap) {
    errors++;
    note("eod", c->in);
    return;
  }
  if (code == 250)
    okc++;
  else if (!refused++)
    note("first refusal", c->in);
  eod_us[handled] = (t - c->t_eod) / 1000;
  txn_us[handled] = (t - c->t_mail) / 1000;
  handled++;
  bytes_ok += c->m->len - 3;
  t_last = t;
}
static void reply(struct conn *c, int code) {
  switch (c->st) {
  case BANNER:
    if (code != 220) {
      drop(c, 1, "banner");
      return;
    }
    cmd(c, EHLO, "EHLO load.example\r\n");
    return;
  case EHLO:
    if (code != 250) {
      drop(c, 1, "ehlo");
      return;
    }
    next_mail(c);
    return;
  case MAIL:
    if (code != 250) {
      drop(c, 1, "mail");
      return;
    }
    {
      char line[256];
      snprintf(line, sizeof line, "RCPT TO:<%s>\r\n", to);
      cmd(c, RCPT, line);
      return;
    }
  case RCPT:
    if (code / 10 != 25) {
      drop(c, 1, "rcpt");
      return;
    }
    cmd(c, DATA, "DATA\r\n");
    return;
  case DATA:
    if (code != 354) {
      drop(c, 1, "data");
      return;
    }
    body_start(c);
    return;
  case BODY:
    drop(c, 1, "early reply");
    return;
  case EOD:
    account(c, code);
    next_mail(c);
    return;
  case QUIT:
    drop(c, 0, 0);
    return;
  default:
    drop(c, 1, "state");
  }
}
static void input(struct conn *c) {
  ssize_t n = recv(c->fd, c->in + c->got, sizeof c->in - 1 - c->got, 0);
  if (n < 0 && errno == EAGAIN)
    return;
  if (n <= 0) {
    drop(c, c->st != QUIT, "closed");
    return;
  }
  c->got += n;
  c->in[c->got] = 0;
  for (;;) { /* at most one command is in flight, so one final line at a time */
    char *nl = memchr(c->in, '\n', c->got);
    if (!nl)
      return;
    int len = nl - c->in + 1, final = len >= 4 && c->in[3] != '-', code = atoi(c->in);
    if (final) {
      c->in[len - 1] = 0;
      reply(c, code);
      c->got = 0;
      return;
    }
    memmove(c->in, nl + 1, c->got - len);
    c->got -= len;
  }
}
static double pct(uint32_t *v, long n, double p) {
  if (!n)
    return 0;
  long i = (long)(p * n);
  if (i >= n)
    i = n - 1;
  return v[i] / 1000.0;
}

int main(int argc, char **argv) {
  int o;
  while ((o = getopt(argc, argv, "c:k:d:n:m:r:T:f:t:")) != -1)
    switch (o) {
    case 'c':
      nconn = atoi(optarg);
      break;
    case 'k':
      perconn = atoi(optarg);
      break;
    case 'd':
      secs = atof(optarg);
      break;
    case 'n':
      maxn = atol(optarg);
      break;
    case 'm':
      minn = atol(optarg);
      break;
    case 'r':
      rate = atof(optarg);
      break;
    case 'T':
      hard = atof(optarg);
      break;
    case 'f':
      from = optarg;
      break;
    case 't':
      to = optarg;
      break;
    default:
      return 2;
    }
  if (argc - optind < 3) {
    fprintf(stderr, "usage: smtpload [options] HOST PORT FILE...\n");
    return 2;
  }
  if (minn < 0)
    minn = nconn;
  addr.sin_family = AF_INET;
  addr.sin_port = htons(atoi(argv[optind + 1]));
  inet_pton(AF_INET, argv[optind], &addr.sin_addr);
  nmsgs = argc - optind - 2;
  msgs = calloc(nmsgs, sizeof *msgs);
  for (int i = 0; i < nmsgs; i++)
    load(&msgs[i], argv[optind + 2 + i]);
  cap = maxn;
  eod_us = calloc(cap, 4);
  txn_us = calloc(cap, 4);
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  stampseed = (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + ((uint64_t)getpid() << 28);
  ep = epoll_create1(EPOLL_CLOEXEC);
  struct conn *cs = calloc(nconn, sizeof *cs);
  t0 = t_last = now();
  for (int i = 0; i < nconn; i++)
    open_conn(&cs[i]);
  int aborted = 0;
  while (active > 0) {
    struct epoll_event e[64];
    int n = epoll_wait(ep, e, 64, rate > 0 ? 1 : 1000);
    if ((now() - t0) / 1e9 > hard) {
      aborted = 1;
      break;
    }
    for (int i = 0; i < n; i++) {
      struct conn *c = e[i].data.ptr;
      if (c->st == CONNECTING) {
        int er = 0;
        socklen_t l = sizeof er;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &er, &l);
        if (er) {
          errno = er;
          c->got = 0;
          usleep(1000);
          drop(c, 1, "connect");
          continue;
        }
        c->st = BANNER;
        ev(c, EPOLLIN);
        continue;
      }
      if (e[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        int fd = c->fd;
        enum st s = c->st;
        input(c);
        if (c->fd != fd || c->st != s)
          continue;
      }
      if ((e[i].events & EPOLLOUT) && c->st == BODY)
        body(c);
      else if ((e[i].events & EPOLLOUT) && c->outoff < c->outlen)
        flush_out(c);
    }
    for (int i = 0; rate > 0 && i < nconn; i++)
      if (cs[i].st == PAUSE && (due() || !may_start()))
        next_mail(&cs[i]);
  }
  double el = (t_last - t0) / 1e9;
  struct rusage ru;
  getrusage(RUSAGE_SELF, &ru);
  qsort(eod_us, handled, 4, cmp);
  qsort(txn_us, handled, 4, cmp);
  printf("{\"ok\":%ld,\"refused\":%ld,\"errors\":%ld,\"aborted\":%d,\"elapsed_s\":%.4f,\"bytes\":%llu,\"msgs_"
         "per_s\":%.3f,\"MiB_per_s\":%.3f,"
         "\"eod_ms_p50\":%.3f,\"eod_ms_p90\":%.3f,\"eod_ms_p99\":%.3f,\"eod_ms_max\":%.3f,\"txn_ms_p50\":%."
         "3f,\"txn_ms_p99\":%.3f,\"load_cpu_s\":%.3f,\"notes\":[",
         okc, refused, errors, aborted, el, (unsigned long long)bytes_ok, el > 0 ? handled / el : 0,
         el > 0 ? bytes_ok / 1048576.0 / el : 0, pct(eod_us, handled, .5), pct(eod_us, handled, .9),
         pct(eod_us, handled, .99), handled ? eod_us[handled - 1] / 1000.0 : 0, pct(txn_us, handled, .5),
         pct(txn_us, handled, .99),
         ru.ru_utime.tv_sec + ru.ru_utime.tv_usec / 1e6 + ru.ru_stime.tv_sec + ru.ru_stime.tv_usec / 1e6);
  for (int i = 0; i < nerrtext; i++)
    printf("%s\"%s\"", i ? "," : "", errtext[i]);
  printf("]}\n");
  return aborted || errors ? 1 : 0;
}
