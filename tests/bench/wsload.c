/* SPDX-License-Identifier: MIT */
/*
 * wsload - a small, strict WebSocket load generator.
 *
 * One thread, one epoll set, libc only (Linux, C11).  It speaks request /
 * response protocols carried in WebSocket text frames: a request is a template
 * in which every %d is replaced by a fresh number, and the response is found by
 * looking for that number inside a second template.  Nothing is taken on trust:
 * every response must carry an id that is outstanding on the very connection
 * it arrives on, exactly once, and must contain what --expect says; frames are
 * checked against RFC 6455.  The exit status is 0 only if all of that held.
 *
 * Modes:   rr       request/response rate and latency
 *          connect  connection + handshake rate
 *          idle     memory of a server per idle connection
 *          fanout   one publisher, many subscribers
 *          selftest checks the generator's own parts (no server needed)
 *
 * See README.md beside this file.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_PIDS      64
#define MAX_EXPECT    8
#define MAX_STEPS     4
#define MAX_EVENTS    512
#define ID_BASE       UINT64_C(1000000000) /* ids keep ten digits: constant frame sizes */
#define PER_SOURCE    25000                /* connections per 127.0.0.x source address */
#define READ_CHUNK    (256 * 1024)
#define NS            UINT64_C(1000000000)

static void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("wsload: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(2);
}

static void *xrealloc(void *p, size_t n)
{
    p = realloc(p, n);
    if (!p && n) die("out of memory");
    return p;
}

static void *xcalloc(size_t n, size_t m)
{
    void *p = calloc(n ? n : 1, m);
    if (!p) die("out of memory");
    return p;
}

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS + (uint64_t)ts.tv_nsec;
}

/* ------------------------------------------------------------------ buffer */

struct buf {
    uint8_t *p;
    size_t off, len, cap; /* live bytes are p[off .. len) */
};

static size_t buf_size(const struct buf *b) { return b->len - b->off; }

static void buf_free(struct buf *b)
{
    free(b->p);
    memset(b, 0, sizeof *b);
}

static void buf_reserve(struct buf *b, size_t n)
{
    if (b->off && b->off == b->len) b->off = b->len = 0;
    if (b->cap - b->len >= n) return;
    if (b->off) {
        memmove(b->p, b->p + b->off, b->len - b->off);
        b->len -= b->off;
        b->off = 0;
        if (b->cap - b->len >= n) return;
    }
    size_t cap = b->cap ? b->cap : 512;
    while (cap - b->len < n) cap *= 2;
    b->p = xrealloc(b->p, cap);
    b->cap = cap;
}

static void buf_add(struct buf *b, const void *src, size_t n)
{
    if (!n) return;
    buf_reserve(b, n);
    memcpy(b->p + b->len, src, n);
    b->len += n;
}

/* --------------------------------------------------------------- histogram
 * Log-linear buckets: 64 per power of two, so a quantile is off by at most
 * 1/64 (1.6 %), always upwards.  Values are nanoseconds. */

#define H_BITS 6
#define H_SUB  (1u << H_BITS)

struct hist {
    uint64_t n, max;
    double sum;
    uint64_t b[64 * H_SUB];
};

static unsigned hist_index(uint64_t v)
{
    if (v < H_SUB) return (unsigned)v;
    unsigned e = 63u - (unsigned)__builtin_clzll(v); /* e >= H_BITS */
    return ((e - H_BITS + 1) << H_BITS) + (unsigned)((v >> (e - H_BITS)) & (H_SUB - 1));
}

static uint64_t hist_upper(unsigned i) /* the largest value that falls in bucket i */
{
    if (i < H_SUB) return i;
    unsigned shift = (i >> H_BITS) - 1;
    return (((uint64_t)(H_SUB + (i & (H_SUB - 1))) + 1) << shift) - 1;
}

static void hist_add(struct hist *h, uint64_t v)
{
    h->b[hist_index(v)]++;
    h->n++;
    h->sum += (double)v;
    if (v > h->max) h->max = v;
}

static double hist_us(const struct hist *h, double q)
{
    if (!h->n) return 0;
    uint64_t want = (uint64_t)(q * (double)h->n), seen = 0;
    if ((double)want < q * (double)h->n) want++;
    if (!want) want = 1;
    for (unsigned i = 0; i < 64 * H_SUB; i++) {
        seen += h->b[i];
        if (seen >= want) {
            uint64_t v = hist_upper(i);
            return (double)(v < h->max ? v : h->max) / 1e3;
        }
    }
    return (double)h->max / 1e3;
}

static double hist_mean_us(const struct hist *h) { return h->n ? h->sum / (double)h->n / 1e3 : 0; }

/* ----------------------------------------- SHA-1 + base64, for Sec-WebSocket-Accept */

static uint32_t rol(uint32_t x, unsigned n) { return (x << n) | (x >> (32 - n)); }

static void sha1(const uint8_t *msg, size_t len, uint8_t out[20])
{
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    uint8_t block[64];
    size_t total = ((len + 8) / 64 + 1) * 64; /* padded length */
    for (size_t base = 0; base < total; base += 64) {
        for (size_t i = 0; i < 64; i++) {
            size_t at = base + i;
            block[i] = at < len ? msg[at] : at == len ? 0x80 : 0;
            if (at >= total - 8) block[i] = (uint8_t)((uint64_t)len * 8 >> (8 * (total - 1 - at)));
        }
        uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 16; i++)
            w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
                   (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
        for (int i = 16; i < 80; i++) w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        for (int i = 0; i < 80; i++) {
            uint32_t f, k;
            if (i < 20)      { f = (b & c) | (~b & d);          k = 0x5A827999; }
            else if (i < 40) { f = b ^ c ^ d;                   k = 0x6ED9EBA1; }
            else if (i < 60) { f = (b & c) | (b & d) | (c & d); k = 0x8F1BBCDC; }
            else             { f = b ^ c ^ d;                   k = 0xCA62C1D6; }
            uint32_t t = rol(a, 5) + f + e + k + w[i];
            e = d; d = c; c = rol(b, 30); b = a; a = t;
        }
        h[0] += a; h[1] += b; h[2] += c; h[3] += d; h[4] += e;
    }
    for (int i = 0; i < 20; i++) out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64(const uint8_t *in, size_t n, char *out)
{
    static const char t[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)in[i] << 16 | (i + 1 < n ? (uint32_t)in[i + 1] << 8 : 0) |
                     (i + 2 < n ? in[i + 2] : 0);
        *out++ = t[v >> 18];
        *out++ = t[v >> 12 & 63];
        *out++ = i + 1 < n ? t[v >> 6 & 63] : '=';
        *out++ = i + 2 < n ? t[v & 63] : '=';
    }
    *out = 0;
}

static void ws_accept(const char *key, char out[32])
{
    char s[128];
    uint8_t d[20];
    int n = snprintf(s, sizeof s, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    sha1((const uint8_t *)s, (size_t)n, d);
    base64(d, 20, out);
}

static uint64_t rng_state = UINT64_C(0x9E3779B97F4A7C15);
static uint64_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state;
}

/* --------------------------------------------------------------- templates */

#define TMPL_PARTS 9
struct tmpl { /* literal parts; an id stands between each two of them */
    const char *part[TMPL_PARTS];
    size_t len[TMPL_PARTS];
    unsigned n; /* number of parts; 0: not given */
};

static struct tmpl tmpl_make(const char *s)
{
    struct tmpl t = {.n = 0};
    for (;;) {
        const char *e = strstr(s, "%d");
        if (t.n == TMPL_PARTS) die("more than %d %%d in a template", TMPL_PARTS - 1);
        t.part[t.n] = s;
        t.len[t.n++] = e ? (size_t)(e - s) : strlen(s);
        if (!e) return t;
        s = e + 2;
    }
}

static size_t put_u64(char *p, uint64_t v)
{
    char d[20];
    size_t n = 0;
    do d[n++] = (char)('0' + v % 10); while (v /= 10);
    for (size_t i = 0; i < n; i++) p[i] = d[n - 1 - i];
    return n;
}

static size_t tmpl_max(const struct tmpl *t)
{
    size_t n = 1;
    for (unsigned i = 0; i < t->n; i++) n += t->len[i] + 20;
    return n;
}

static size_t tmpl_fill(const struct tmpl *t, uint64_t id, char *out)
{
    char num[20];
    size_t nn = put_u64(num, id), n = 0;
    for (unsigned i = 0; i < t->n; i++) {
        if (i) { memcpy(out + n, num, nn); n += nn; }
        memcpy(out + n, t->part[i], t->len[i]);
        n += t->len[i];
    }
    return n;
}

/* Finds the next place at or after *off where the template (prefix %d suffix)
 * fits, and gives the number that stands there. */
static bool tmpl_find(const struct tmpl *t, const char *s, size_t n, size_t *off, uint64_t *id)
{
    while (*off <= n) {
        const char *at = t->len[0] ? memmem(s + *off, n - *off, t->part[0], t->len[0]) : s + *off;
        if (!at) return false;
        size_t i = (size_t)(at - s) + t->len[0], start = i;
        uint64_t v = 0;
        while (i < n && s[i] >= '0' && s[i] <= '9' && i - start < 19) v = v * 10 + (uint64_t)(s[i++] - '0');
        *off = (size_t)(at - s) + 1;
        if (i > start && n - i >= t->len[1] && !memcmp(s + i, t->part[1], t->len[1])) {
            *id = v;
            return true;
        }
    }
    return false;
}

static bool has(const char *s, size_t n, const char *needle, size_t m) { return memmem(s, n, needle, m) != NULL; }

/* ------------------------------------------------------------------ options */

struct step { /* one frame of the handshake and what must come back */
    const char *text;
    const char *expect[MAX_EXPECT];
    unsigned nexpect;
};

static struct opts {
    const char *mode, *host, *path, *pub_path, *subprotocol, *headers[8];
    unsigned nheaders;
    int port;
    unsigned conns, inflight, ramp;
    uint64_t requests;
    double duration, warmup, timeout, settle, rate;
    const char *hello_wait;
    struct step hello[MAX_STEPS], pub_hello[MAX_STEPS];
    unsigned nhello, npub_hello;
    const char *request, *match, *exact, *marker;
    const char *expect[MAX_EXPECT];
    unsigned nexpect;
    bool binary, raw, json, pub_noreply, rst, quiet;
    pid_t pids[MAX_PIDS], cpu_pids[MAX_PIDS];
    unsigned npids, ncpu_pids;
    int core;
    const char *label;
} O = {
    .host = "127.0.0.1", .path = "/", .conns = 1, .inflight = 1, .ramp = 64, .warmup = 1,
    .timeout = 10, .settle = 0.5, .match = "\"id\":\"%d\"", .core = -1,
};

static struct tmpl T_request, T_match, T_exact, T_marker, T_expect[MAX_EXPECT];

/* -------------------------------------------------- what the system says of a server */

struct cpu { double total, user, sys; };

static bool pid_stat(pid_t pid, double *user, double *sys)
{
    char path[64], line[2048];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f) return false;
    size_t n = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[n] = 0;
    char *p = strrchr(line, ')'); /* the name may hold anything */
    unsigned long ut, st;
    if (!p || sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &ut, &st) != 2) return false;
    double hz = (double)sysconf(_SC_CLK_TCK);
    *user = (double)ut / hz;
    *sys = (double)st / hz;
    return true;
}

/* user/sys come from /proc/PID/stat (10 ms ticks); the total from the process's
 * CPU-time clock, which counts nanoseconds over all its threads. */
static struct cpu cpu_now(void)
{
    struct cpu c = {0, 0, 0};
    for (unsigned i = 0; i < O.ncpu_pids; i++) {
        double u = 0, s = 0;
        clockid_t clk;
        struct timespec ts;
        if (!pid_stat(O.cpu_pids[i], &u, &s)) die("--cpu-pid %d: no such process", (int)O.cpu_pids[i]);
        c.user += u;
        c.sys += s;
        if (!clock_getcpuclockid(O.cpu_pids[i], &clk) && !clock_gettime(clk, &ts))
            c.total += (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
        else
            c.total += u + s;
    }
    return c;
}

static double self_cpu(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct core { double busy, steal, all; };

static struct core core_now(void)
{
    struct core c = {0, 0, 0};
    FILE *f = fopen("/proc/stat", "r");
    char line[512], name[16];
    if (!f) return c;
    if (O.core >= 0) snprintf(name, sizeof name, "cpu%d ", O.core);
    else snprintf(name, sizeof name, "cpu ");
    while (fgets(line, sizeof line, f)) {
        double v[8] = {0};
        if (strncmp(line, name, strlen(name))) continue;
        if (sscanf(line + strlen(name), "%lf %lf %lf %lf %lf %lf %lf %lf", v, v + 1, v + 2, v + 3, v + 4,
                   v + 5, v + 6, v + 7) == 8) {
            double hz = (double)sysconf(_SC_CLK_TCK);
            for (int i = 0; i < 8; i++) c.all += v[i] / hz;
            c.steal = v[7] / hz;
            c.busy = c.all - (v[3] + v[4] + v[7]) / hz;
        }
        break;
    }
    fclose(f);
    return c;
}

struct mem { double rss, pss; }; /* KiB */

static struct mem mem_now(void)
{
    struct mem m = {0, 0};
    for (unsigned i = 0; i < O.npids; i++) {
        char path[64], line[256];
        double v;
        snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)O.pids[i]);
        FILE *f = fopen(path, "r");
        if (!f) die("--pid %d: no such process", (int)O.pids[i]);
        while (fgets(line, sizeof line, f)) {
            if (sscanf(line, "Rss: %lf", &v) == 1) m.rss += v;
            else if (sscanf(line, "Pss: %lf", &v) == 1) m.pss += v;
        }
        fclose(f);
    }
    return m;
}

/* ------------------------------------------------------------- connections */

enum state { S_NONE, S_CONNECTING, S_UPGRADE, S_CHALLENGE, S_HELLO, S_READY, S_CLOSING };

struct slot { uint64_t id, t; }; /* id 0: free */

struct conn {
    int fd;
    enum state state;
    bool pub, want_out;
    uint8_t msg_op; /* opcode of the message being reassembled, 0: none */
    unsigned step;
    unsigned idx;
    uint64_t t0;         /* connect() began */
    uint64_t hello_id;
    struct buf rx, tx, msg;
    char accept[32];
    struct slot *slots;
    unsigned busy;
    uint64_t seq, last_marker;
};

static struct count {
    uint64_t done, tx, rx, frames, events, pings, fragmented;
    /* anything below makes the run fail */
    uint64_t wrong, lost, proto, disconnects, refused, upgrade, timeouts;
} N;

static char first_trouble[256];

static void trouble(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void trouble(const char *fmt, ...)
{
    if (first_trouble[0]) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(first_trouble, sizeof first_trouble, fmt, ap);
    va_end(ap);
    for (char *p = first_trouble; *p; p++) /* it is printed inside JSON, too */
        if ((unsigned char)*p < 32 || *p == '"' || *p == '\\' || (unsigned char)*p > 126) *p = '\'';
}

static int ep = -1;
static struct conn *conns;
static unsigned nconns, opened, pending, ready, live;
static uint64_t clock_now;        /* the time of the message in hand */
static struct hist H, H2;
static uint8_t *readbuf;

static void on_ready(struct conn *c);
static void on_message(struct conn *c, const char *s, size_t n);
static void on_gone(struct conn *c);

static void conn_interest(struct conn *c)
{
    bool want = c->state == S_CONNECTING || buf_size(&c->tx) > 0;
    if (want == c->want_out) return;
    c->want_out = want;
    struct epoll_event e = {.events = EPOLLIN | (want ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}

static void conn_close(struct conn *c)
{
    if (c->state == S_NONE) return;
    if (c->state == S_READY) { ready--; live--; }
    else if (c->state != S_CLOSING) pending--;
    close(c->fd);
    c->fd = -1;
    c->state = S_NONE;
    buf_free(&c->rx);
    buf_free(&c->tx);
    buf_free(&c->msg);
    c->msg_op = 0;
    on_gone(c);
}

static bool conn_flush(struct conn *c)
{
    while (buf_size(&c->tx)) {
        ssize_t n = send(c->fd, c->tx.p + c->tx.off, buf_size(&c->tx), MSG_NOSIGNAL);
        if (n > 0) {
            c->tx.off += (size_t)n;
            N.tx += (uint64_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
        return false; /* the reading side finds out and reports */
    }
    conn_interest(c);
    return true;
}

static void conn_open(struct conn *c, unsigned idx, bool pub)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)O.port)};
    int one = 1;
    if (inet_pton(AF_INET, O.host, &to.sin_addr) != 1) die("--host wants a numeric IPv4 address");
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket: %s (connection %u)", strerror(errno), idx);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (idx / PER_SOURCE || O.conns > PER_SOURCE) { /* more than one source address is needed */
        struct sockaddr_in from = {.sin_family = AF_INET};
        from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + idx / PER_SOURCE);
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(c->fd, (struct sockaddr *)&from, sizeof from)) die("bind: %s", strerror(errno));
    }
    c->state = S_CONNECTING;
    c->pub = pub;
    c->idx = idx;
    c->step = 0;
    c->t0 = now_ns();
    c->want_out = true;
    pending++;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e)) die("epoll_ctl: %s", strerror(errno));
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) {
        N.refused++;
        trouble("connect: %s", strerror(errno));
        conn_close(c);
    }
}

/* Queues one frame.  Client frames are masked (RFC 6455, 5.3). */
static void ws_send(struct conn *c, unsigned opcode, const char *s, size_t n)
{
    buf_reserve(&c->tx, n + 14);
    uint8_t *p = c->tx.p + c->tx.len;
    size_t h = 2;
    p[0] = (uint8_t)(0x80 | opcode);
    if (n < 126) {
        p[1] = (uint8_t)(0x80 | n);
    } else if (n < 65536) {
        p[1] = 0x80 | 126;
        p[2] = (uint8_t)(n >> 8);
        p[3] = (uint8_t)n;
        h = 4;
    } else {
        p[1] = 0x80 | 127;
        for (int i = 0; i < 8; i++) p[2 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
        h = 10;
    }
    uint32_t key = (uint32_t)rng();
    uint64_t wide = (uint64_t)key << 32 | key, v;
    memcpy(p + h, &key, 4);
    uint8_t *q = p + h + 4;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&v, s + i, 8);
        v ^= wide;
        memcpy(q + i, &v, 8);
    }
    for (; i < n; i++) q[i] = (uint8_t)s[i] ^ ((const uint8_t *)&key)[i & 3];
    c->tx.len += h + 4 + n;
}

static void send_text(struct conn *c, const char *s, size_t n)
{
    if (O.raw) {
        buf_add(&c->tx, s, n);
        buf_add(&c->tx, "\n", 1);
    } else {
        ws_send(c, O.binary ? 2 : 1, s, n);
    }
}

static void fail_conn(struct conn *c, uint64_t *counter, const char *why)
{
    ++*counter;
    trouble("connection %u: %s", c->idx, why);
    conn_close(c);
}

/* --- the handshake: [challenge] then the steps of --hello, each answered --- */

static const struct step *conn_step(struct conn *c)
{
    if (c->pub && O.npub_hello) return c->step < O.npub_hello ? &O.pub_hello[c->step] : NULL;
    return c->step < O.nhello ? &O.hello[c->step] : NULL;
}

static void become_ready(struct conn *c)
{
    c->state = S_READY;
    pending--;
    ready++;
    live++;
    on_ready(c);
}

static void hello_next(struct conn *c)
{
    static uint64_t hello_ids;
    for (;;) {
        const struct step *st = conn_step(c);
        if (!st) { become_ready(c); return; }
        struct tmpl t = tmpl_make(st->text);
        char *s = xrealloc(NULL, tmpl_max(&t));
        c->hello_id = ++hello_ids;
        send_text(c, s, tmpl_fill(&t, c->hello_id, s));
        free(s);
        c->state = S_HELLO;
        if (st->nexpect) return;
        c->step++; /* nothing to wait for */
    }
}

static void hello_message(struct conn *c, const char *s, size_t n)
{
    if (c->state == S_CHALLENGE) {
        if (!has(s, n, O.hello_wait, strlen(O.hello_wait))) { N.events++; return; }
        hello_next(c);
        return;
    }
    const struct step *st = conn_step(c);
    for (unsigned i = 0; i < st->nexpect; i++) {
        char want[512];
        struct tmpl t = tmpl_make(st->expect[i]);
        if (tmpl_max(&t) > sizeof want) die("--hello-expect is too long");
        size_t m = tmpl_fill(&t, c->hello_id, want);
        if (has(s, n, want, m)) continue;
        if (i == 0) { N.events++; return; } /* not our response: something the server says by itself */
        N.wrong++;
        trouble("handshake answered: %.*s", (int)(n > 200 ? 200 : n), s);
        conn_close(c);
        return;
    }
    c->step++;
    hello_next(c);
}

/* --- HTTP upgrade --- */

static void http_send(struct conn *c)
{
    uint8_t nonce[16];
    char key[32], line[1024];
    uint64_t r[2] = {rng(), rng()};
    memcpy(nonce, r, 16);
    base64(nonce, 16, key);
    ws_accept(key, c->accept);
    int n = snprintf(line, sizeof line,
                     "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n",
                     c->pub && O.pub_path ? O.pub_path : O.path, O.host, O.port, key);
    if (n < 0 || (size_t)n >= sizeof line) die("--path is too long");
    buf_add(&c->tx, line, (size_t)n);
    if (O.subprotocol) {
        buf_add(&c->tx, "Sec-WebSocket-Protocol: ", 24);
        buf_add(&c->tx, O.subprotocol, strlen(O.subprotocol));
        buf_add(&c->tx, "\r\n", 2);
    }
    for (unsigned i = 0; i < O.nheaders; i++) {
        buf_add(&c->tx, O.headers[i], strlen(O.headers[i]));
        buf_add(&c->tx, "\r\n", 2);
    }
    buf_add(&c->tx, "\r\n", 2);
    c->state = S_UPGRADE;
}

/* Value of a header inside a response head that ends in an empty line. */
static bool http_header(const char *head, size_t n, const char *name, const char **val, size_t *len)
{
    size_t m = strlen(name);
    for (const char *p = head, *end = head + n; p < end;) {
        const char *e = memchr(p, '\n', (size_t)(end - p));
        if (!e) return false;
        if ((size_t)(e - p) > m && !strncasecmp(p, name, m) && p[m] == ':') {
            p += m + 1;
            while (*p == ' ' || *p == '\t') p++;
            while (e > p && isspace((unsigned char)e[-1])) e--;
            *val = p;
            *len = (size_t)(e - p);
            return true;
        }
        p = e + 1;
    }
    return false;
}

/* Returns the bytes used, 0: more are needed (or the connection is gone). */
static size_t http_feed(struct conn *c, const uint8_t *p, size_t n)
{
    const char *end = memmem(p, n, "\r\n\r\n", 4), *v;
    size_t len;
    if (!end) {
        if (n > 65536) fail_conn(c, &N.upgrade, "endless HTTP response");
        return 0;
    }
    const char *head = (const char *)p;
    size_t hn = (size_t)(end - head) + 4;
    if (hn < 12 || strncmp(head, "HTTP/1.1 101", 12)) {
        char why[128];
        snprintf(why, sizeof why, "upgrade refused: %.*s", (int)(hn > 60 ? 60 : hn), head);
        fail_conn(c, &N.upgrade, why);
        return 0;
    }
    if (!http_header(head, hn, "Sec-WebSocket-Accept", &v, &len) || len != strlen(c->accept) ||
        memcmp(v, c->accept, len)) {
        fail_conn(c, &N.upgrade, "wrong Sec-WebSocket-Accept");
        return 0;
    }
    if (http_header(head, hn, "Sec-WebSocket-Extensions", &v, &len) && len) {
        fail_conn(c, &N.upgrade, "an extension that was not offered");
        return 0;
    }
    if (O.subprotocol && (!http_header(head, hn, "Sec-WebSocket-Protocol", &v, &len) ||
                          len != strlen(O.subprotocol) || memcmp(v, O.subprotocol, len))) {
        fail_conn(c, &N.upgrade, "the subprotocol was not accepted");
        return 0;
    }
    if (O.hello_wait) c->state = S_CHALLENGE;
    else hello_next(c);
    return hn;
}

/* --- frames from the server --- */

static void deliver(struct conn *c, const char *s, size_t n)
{
    if (c->state == S_READY) on_message(c, s, n);
    else if (c->state == S_CHALLENGE || c->state == S_HELLO) hello_message(c, s, n);
}

static void ws_control(struct conn *c, unsigned op, const uint8_t *p, size_t n)
{
    if (op == 9) {
        N.pings++;
        ws_send(c, 10, (const char *)p, n);
    } else if (op == 8) {
        if (c->state != S_CLOSING) {
            char why[192];
            unsigned code = n >= 2 ? (unsigned)(p[0] << 8 | p[1]) : 1005;
            snprintf(why, sizeof why, "closed by the server: %u %.*s", code, n > 2 ? (int)n - 2 : 0,
                     n > 2 ? (const char *)p + 2 : "");
            fail_conn(c, &N.disconnects, why);
        } else {
            conn_close(c);
        }
    }
}

#define MAX_FRAME (UINT64_C(256) << 20)

/* Takes as many whole frames as there are; returns the bytes used. */
static size_t ws_feed(struct conn *c, const uint8_t *p, size_t n)
{
    size_t used = 0;
    while (n - used >= 2) {
        const uint8_t *f = p + used;
        size_t have = n - used, h = 2;
        uint64_t len = f[1] & 0x7f;
        unsigned op = f[0] & 0x0f;
        bool fin = f[0] & 0x80;
        if ((f[0] & 0x70) || (f[1] & 0x80)) { fail_conn(c, &N.proto, "RSV bit or masked server frame"); return n; }
        if (len == 126) {
            if (have < 4) break;
            len = (uint64_t)f[2] << 8 | f[3];
            h = 4;
            if (len < 126) { fail_conn(c, &N.proto, "length not minimal"); return n; }
        } else if (len == 127) {
            if (have < 10) break;
            len = 0;
            for (int i = 0; i < 8; i++) len = len << 8 | f[2 + i];
            h = 10;
            if (len < 65536) { fail_conn(c, &N.proto, "length not minimal"); return n; }
            if (len > MAX_FRAME) { fail_conn(c, &N.proto, "frame too large"); return n; }
        }
        if (op >= 8 && (!fin || len > 125 || op > 10)) { fail_conn(c, &N.proto, "bad control frame"); return n; }
        if (op >= 3 && op < 8) { fail_conn(c, &N.proto, "reserved opcode"); return n; }
        if (have < h + len) break;
        const uint8_t *body = f + h;
        used += h + (size_t)len;
        if (op >= 8) {
            ws_control(c, op, body, (size_t)len);
        } else if ((op == 0) != (c->msg_op != 0)) {
            fail_conn(c, &N.proto, op ? "new message inside a fragmented one" : "continuation of nothing");
        } else if (fin && op) {
            N.frames++;
            clock_now = now_ns();
            deliver(c, (const char *)body, (size_t)len);
        } else {
            if (op) c->msg_op = (uint8_t)op;
            buf_add(&c->msg, body, (size_t)len);
            if (fin) {
                N.frames++;
                N.fragmented++;
                c->msg_op = 0;
                clock_now = now_ns();
                struct buf m = c->msg; /* the handler may close the connection */
                memset(&c->msg, 0, sizeof c->msg);
                deliver(c, (const char *)m.p + m.off, buf_size(&m));
                buf_free(&m);
            }
        }
        if (c->state == S_NONE) return n;
    }
    return used;
}

static size_t raw_feed(struct conn *c, const uint8_t *p, size_t n) /* lines instead of frames */
{
    size_t used = 0;
    const uint8_t *e;
    while (c->state == S_READY && (e = memchr(p + used, '\n', n - used))) {
        N.frames++;
        clock_now = now_ns();
        on_message(c, (const char *)p + used, (size_t)(e - p) - used);
        used = (size_t)(e - p) + 1;
    }
    return used;
}

static void conn_feed(struct conn *c, const uint8_t *p, size_t n)
{
    if (buf_size(&c->rx)) { /* the rest of last time stands before it */
        buf_add(&c->rx, p, n);
        p = c->rx.p + c->rx.off;
        n = buf_size(&c->rx);
    }
    const uint8_t *start = p;
    bool buffered = c->rx.p && p == c->rx.p + c->rx.off;
    while (n) {
        size_t used;
        if (c->state == S_UPGRADE) used = http_feed(c, p, n);
        else if (O.raw) used = raw_feed(c, p, n);
        else used = ws_feed(c, p, n);
        if (c->state == S_NONE) return;
        p += used;
        n -= used;
        if (!used) break;
    }
    if (buffered) {
        c->rx.off += (size_t)(p - start);
        if (!buf_size(&c->rx)) buf_free(&c->rx);
    } else {
        buf_add(&c->rx, p, n);
    }
}

static void conn_read(struct conn *c)
{
    ssize_t n = recv(c->fd, readbuf, READ_CHUNK, 0);
    if (n > 0) {
        N.rx += (uint64_t)n;
        conn_feed(c, readbuf, (size_t)n);
        if (c->state != S_NONE) conn_flush(c);
        return;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (c->state == S_CLOSING) { conn_close(c); return; }
    fail_conn(c, &N.disconnects, n ? strerror(errno) : "closed by the server without a close frame");
}

static void conn_event(struct conn *c, uint32_t ev)
{
    if (c->state == S_CONNECTING) {
        int err = 0;
        socklen_t l = sizeof err;
        if (!(ev & (EPOLLOUT | EPOLLERR | EPOLLHUP))) return;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &l);
        if (err) { fail_conn(c, &N.refused, strerror(err)); return; }
        if (O.raw) { c->state = S_HELLO; become_ready(c); }
        else http_send(c);
        if (c->state != S_NONE) conn_flush(c);
        return;
    }
    if ((ev & EPOLLOUT) && c->state != S_NONE) conn_flush(c);
    if ((ev & (EPOLLIN | EPOLLERR | EPOLLHUP)) && c->state != S_NONE) conn_read(c);
}

/* One turn of the loop; waits at most wait_ns. */
static void loop_once(uint64_t wait_ns)
{
    struct epoll_event ev[MAX_EVENTS];
    struct timespec ts = {(time_t)(wait_ns / NS), (long)(wait_ns % NS)};
    int n = epoll_pwait2(ep, ev, MAX_EVENTS, &ts, NULL);
    if (n < 0 && errno != EINTR) die("epoll_pwait2: %s", strerror(errno));
    for (int i = 0; i < n; i++) conn_event(ev[i].data.ptr, ev[i].events);
    clock_now = now_ns();
}

static void run_for(double seconds)
{
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
    while ((clock_now = now_ns()) < end) loop_once(end - clock_now);
}

/* --- bringing all connections up, at most --ramp of them under way at a time --- */

static void expire(unsigned n) /* gives up on handshakes that take too long */
{
    static uint64_t last;
    if (clock_now - last < NS / 4) return;
    last = clock_now;
    for (unsigned i = 0; i < n; i++) {
        struct conn *c = &conns[i];
        if (c->state == S_NONE || c->state == S_READY) continue;
        if (clock_now - c->t0 <= (uint64_t)(O.timeout * 1e9)) continue;
        if (c->state == S_CLOSING) conn_close(c);
        else fail_conn(c, &N.timeouts, "handshake timed out");
    }
}

static double setup_seconds;

static void setup(unsigned n, bool with_pub)
{
    uint64_t t = now_ns();
    opened = 0;
    clock_now = t;
    while (opened < n || pending) {
        while (opened < n && pending < O.ramp) {
            conn_open(&conns[opened], opened, with_pub && opened == n - 1);
            opened++;
        }
        loop_once(NS / 10);
        expire(opened);
    }
    setup_seconds = (double)(now_ns() - t) / 1e9;
    if (ready != n) {
        fprintf(stderr, "wsload: only %u of %u connections came up: %s\n", ready, n, first_trouble);
        exit(2);
    }
}

/* ---------------------------------------------------------------- requests */

static char *req_buf;
static bool issuing;            /* closed loop: a response is followed by the next request */
static uint64_t issue_left;     /* requests still to be sent, UINT64_MAX: no limit */
static uint64_t outstanding;

static void send_request(struct conn *c, unsigned s, uint64_t t)
{
    uint64_t id = ID_BASE + s + (uint64_t)O.inflight * (c->idx + (uint64_t)nconns * c->seq++);
    c->slots[s].id = id;
    c->slots[s].t = t;
    c->busy++;
    outstanding++;
    if (issue_left != UINT64_MAX) issue_left--;
    send_text(c, req_buf, tmpl_fill(&T_request, id, req_buf));
}

/* Does this text hold all that --expect and --exact ask of the answer to id? */
static bool answer_ok(const char *s, size_t n, uint64_t id)
{
    static char *tmp;
    static size_t cap;
    for (unsigned i = 0; i < O.nexpect + (O.exact ? 1 : 0); i++) {
        const struct tmpl *t = i < O.nexpect ? &T_expect[i] : &T_exact;
        const char *want = t->part[0];
        size_t m = t->len[0];
        if (t->n > 1) {
            if (tmpl_max(t) > cap) tmp = xrealloc(tmp, cap = tmpl_max(t));
            m = tmpl_fill(t, id, tmp);
            want = tmp;
        }
        if (i < O.nexpect ? !has(s, n, want, m) : (m != n || memcmp(s, want, n))) return false;
    }
    return true;
}

static void wrong_answer(struct conn *c, const char *what, const char *s, size_t n)
{
    N.wrong++;
    trouble("connection %u: %s: %.*s", c->idx, what, (int)(n > 160 ? 160 : n), s);
}

/* Finds the request that a message answers.  Returns its slot, -1: an event,
 * -2: looks like a response, but to nothing that this connection asked. */
static int find_slot(struct conn *c, const char *s, size_t n, unsigned slots)
{
    size_t off = 0;
    uint64_t id;
    int r = -1;
    while (tmpl_find(&T_match, s, n, &off, &id)) {
        if (id >= ID_BASE) {
            unsigned k = (unsigned)((id - ID_BASE) % slots);
            if (c->slots[k].id == id) return (int)k;
        }
        r = -2;
    }
    return r;
}

static struct conn **waiting; /* open loop: connections with a free slot, as a ring */
static unsigned wait_head, wait_len;

static void rr_message(struct conn *c, const char *s, size_t n)
{
    int k = find_slot(c, s, n, O.inflight);
    if (k == -1) { N.events++; return; }
    if (k == -2) { wrong_answer(c, "response to nothing outstanding", s, n); return; }
    struct slot *sl = &c->slots[k];
    if (answer_ok(s, n, sl->id)) { /* only right answers count towards rate and latency */
        hist_add(&H, clock_now > sl->t ? clock_now - sl->t : 0);
        N.done++;
    } else {
        wrong_answer(c, "not the expected answer", s, n);
    }
    sl->id = 0;
    c->busy--;
    outstanding--;
    if (O.rate > 0) waiting[(wait_head + wait_len++) % nconns] = c;
    else if (issuing && issue_left) send_request(c, (unsigned)k, clock_now);
}

/* ------------------------------------------------------------- reports */

struct window { /* what is measured between two moments */
    uint64_t t;
    struct cpu cpu;
    struct core core;
    double self;
    struct count n;
};

static struct window window_now(void)
{
    struct window w;
    w.cpu = cpu_now();
    w.core = core_now();
    w.self = self_cpu();
    w.n = N;
    w.t = now_ns();
    return w;
}

static uint64_t failures(void)
{
    return N.wrong + N.lost + N.proto + N.disconnects + N.refused + N.upgrade + N.timeouts;
}

static void json_hist(const char *name, const struct hist *h)
{
    printf(",\"%s\":{\"n\":%llu,\"mean\":%.2f,\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"p999\":%.2f,\"max\":%.2f}",
           name, (unsigned long long)h->n, hist_mean_us(h), hist_us(h, .5), hist_us(h, .9), hist_us(h, .99),
           hist_us(h, .999), (double)h->max / 1e3);
}

static void text_hist(FILE *f, const char *name, const struct hist *h)
{
    fprintf(f, "  %s µs: mean %.1f  p50 %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  max %.1f\n", name, hist_mean_us(h),
           hist_us(h, .5), hist_us(h, .9), hist_us(h, .99), hist_us(h, .999), (double)h->max / 1e3);
}

static int report(const char *what, const struct window *a, const struct window *b, uint64_t ops, uint64_t deliveries)
{
    double sec = (double)(b->t - a->t) / 1e9, per = ops ? 1e6 / (double)ops : 0;
    double cpu = b->cpu.total - a->cpu.total, self = b->self - a->self;
    double all = b->core.all - a->core.all;
    double busy = all > 0 ? (b->core.busy - a->core.busy) / all * 100 : 0;
    double steal = all > 0 ? (b->core.steal - a->core.steal) / all * 100 : 0;
    uint64_t tx = b->n.tx - a->n.tx, rx = b->n.rx - a->n.rx;

    if (!O.json || !O.quiet) {
        FILE *f = O.json ? stderr : stdout; /* with --json, standard output is the JSON line alone */
        fprintf(f, "%s %s:%d conns=%u inflight=%u%s%s: %llu %s in %.2f s = %.0f/s\n", O.mode, O.host, O.port, O.conns,
               O.inflight, O.label ? " " : "", O.label ? O.label : "", (unsigned long long)ops, what, sec,
               (double)ops / sec);
        if (deliveries) fprintf(f, "  deliveries %llu = %.0f/s\n", (unsigned long long)deliveries, (double)deliveries / sec);
        if (H.n) text_hist(f, deliveries ? "latency to each delivery" : "latency", &H);
        if (H2.n) text_hist(f, "latency to the last delivery", &H2);
        if (O.ncpu_pids)
            fprintf(f, "  server CPU: %.3f s (user %.2f, sys %.2f) = %.2f µs/%s, %.0f%% of one core\n", cpu,
                   b->cpu.user - a->cpu.user, b->cpu.sys - a->cpu.sys,
                   deliveries ? cpu * 1e6 / (double)deliveries : cpu * per, deliveries ? "delivery" : what,
                   cpu / sec * 100);
        fprintf(f, "  generator CPU: %.3f s = %.2f µs/%s, %.0f%% of one core%s; %s busy %.0f%%, steal %.1f%%\n", self,
               self * per, what, self / sec * 100,
               self / sec > .95 ? " (the generator is the limit: the rate is a lower bound)" : "",
               O.core >= 0 ? "core" : "machine", busy, steal);
        fprintf(f, "  bytes out %llu, in %llu; events %llu, pings %llu, fragmented %llu; setup %.2f s\n",
               (unsigned long long)tx, (unsigned long long)rx, (unsigned long long)N.events,
               (unsigned long long)N.pings, (unsigned long long)N.fragmented, setup_seconds);
        fprintf(f, "  wrong %llu, lost %llu, protocol errors %llu, disconnects %llu, refused %llu, upgrade %llu, timeouts %llu%s%s\n",
               (unsigned long long)N.wrong, (unsigned long long)N.lost, (unsigned long long)N.proto,
               (unsigned long long)N.disconnects, (unsigned long long)N.refused, (unsigned long long)N.upgrade,
               (unsigned long long)N.timeouts, first_trouble[0] ? "; first: " : "", first_trouble);
    }
    if (O.json) {
        printf("{\"label\":\"%s\",\"mode\":\"%s\",\"conns\":%u,\"inflight\":%u,\"ops\":%llu,\"seconds\":%.4f,\"per_s\":%.1f",
               O.label ? O.label : "", O.mode, O.conns, O.inflight, (unsigned long long)ops, sec, (double)ops / sec);
        if (deliveries)
            printf(",\"deliveries\":%llu,\"deliveries_per_s\":%.1f,\"cpu_us_per_delivery\":%.3f",
                   (unsigned long long)deliveries, (double)deliveries / sec, cpu * 1e6 / (double)deliveries);
        if (H.n) json_hist("latency_us", &H);
        if (H2.n) json_hist("last_us", &H2);
        printf(",\"cpu_s\":%.4f,\"cpu_user_s\":%.2f,\"cpu_sys_s\":%.2f,\"cpu_us_per_op\":%.3f,\"server_pct\":%.1f",
               cpu, b->cpu.user - a->cpu.user, b->cpu.sys - a->cpu.sys, cpu * per, cpu / sec * 100);
        printf(",\"gen_us_per_op\":%.3f,\"gen_pct\":%.1f,\"core_busy_pct\":%.1f,\"steal_pct\":%.2f", self * per,
               self / sec * 100, busy, steal);
        printf(",\"tx\":%llu,\"rx\":%llu,\"events\":%llu,\"pings\":%llu,\"fragmented\":%llu,\"setup_s\":%.3f",
               (unsigned long long)tx, (unsigned long long)rx, (unsigned long long)N.events,
               (unsigned long long)N.pings, (unsigned long long)N.fragmented, setup_seconds);
        printf(",\"wrong_measured\":%llu,\"wrong\":%llu,\"lost\":%llu,\"protocol\":%llu,\"disconnects\":%llu,\"refused\":%llu,\"upgrade\":%llu,"
               "\"timeouts\":%llu,\"first_trouble\":\"%s\"}\n",
               (unsigned long long)(b->n.wrong - a->n.wrong), (unsigned long long)N.wrong, (unsigned long long)N.lost, (unsigned long long)N.proto,
               (unsigned long long)N.disconnects, (unsigned long long)N.refused, (unsigned long long)N.upgrade,
               (unsigned long long)N.timeouts, first_trouble);
    }
    return failures() ? 1 : 0;
}

/* ------------------------------------------------------------------- rr */

/* Open loop: sends what is due by now.  A request that finds no free slot waits,
 * and its latency counts from the moment it was due (no coordinated omission). */
static double rate_t0;
static uint64_t rate_sent;

static uint64_t rate_pump(void)
{
    double now = (double)clock_now;
    for (;;) {
        double due = rate_t0 + (double)rate_sent / O.rate * 1e9;
        if (!issue_left) return NS / 100;
        if (due > now) return (uint64_t)(due - now);
        struct conn *c = NULL;
        while (wait_len && !c) {
            c = waiting[wait_head];
            wait_head = (wait_head + 1) % nconns;
            wait_len--;
            if (c->state != S_READY) c = NULL;
        }
        if (!c) return NS / 1000; /* every slot is taken: a response wakes the loop */
        send_request(c, 0, (uint64_t)due);
        conn_flush(c);
        rate_sent++;
    }
}

static void rr_until(uint64_t end, bool drain)
{
    uint64_t last = clock_now = now_ns(), seen = N.frames;
    while (live && (drain ? outstanding > 0 : issue_left || outstanding)) {
        uint64_t wait = NS / 10;
        if (O.rate > 0 && !drain) {
            uint64_t w = rate_pump();
            if (w < wait) wait = w;
        }
        if (clock_now >= end) break;
        if (end - clock_now < wait) wait = end - clock_now;
        loop_once(wait);
        if (N.frames != seen) { seen = N.frames; last = clock_now; }
        else if (outstanding && clock_now - last > (uint64_t)(O.timeout * 1e9)) {
            trouble("no response for %.0f s", O.timeout);
            N.timeouts++;
            break;
        }
    }
}

static int mode_rr(void)
{
    nconns = O.conns;
    conns = xcalloc(nconns, sizeof *conns);
    if (O.rate > 0) O.inflight = 1; /* one slot a connection: give enough connections */
    for (unsigned i = 0; i < nconns; i++) conns[i].slots = xcalloc(O.inflight, sizeof(struct slot));
    setup(nconns, false);
    run_for(O.settle);

    issuing = true;
    issue_left = UINT64_MAX;
    if (O.requests && O.warmup <= 0) issue_left = O.requests;
    if (O.rate > 0) {
        waiting = xcalloc(nconns, sizeof *waiting);
        for (unsigned i = 0; i < nconns; i++) waiting[wait_len++] = &conns[i];
        rate_t0 = (double)(clock_now = now_ns());
    } else {
        for (unsigned i = 0; i < nconns; i++) {
            if (conns[i].state != S_READY) continue;
            clock_now = now_ns();
            for (unsigned k = 0; k < O.inflight && issue_left; k++) send_request(&conns[i], k, clock_now);
            conn_flush(&conns[i]);
        }
    }
    if (O.warmup > 0) {
        rr_until(now_ns() + (uint64_t)(O.warmup * 1e9), false);
        memset(&H, 0, sizeof H);
        if (O.requests) issue_left = O.requests > outstanding ? O.requests - outstanding : 0;
    }
    struct window a = window_now();
    rr_until(O.requests ? UINT64_MAX : a.t + (uint64_t)(O.duration * 1e9), false);
    struct window b = window_now();
    struct hist keep = H;
    issuing = false;
    rr_until(now_ns() + (uint64_t)(O.timeout * 1e9), true);
    run_for(0.1); /* a second answer to the last requests would come about now */
    H = keep;
    N.lost += outstanding;
    return report("req", &a, &b, b.n.done - a.n.done, 0);
}

/* ---------------------------------------------------------------- connect */

static bool reopening;
static uint64_t connects_left;

static void connect_ready(struct conn *c)
{
    clock_now = now_ns();
    hist_add(&H, clock_now - c->t0);
    N.done++;
    ready--;
    live--;
    c->state = S_CLOSING;
    if (O.rst) {
        struct linger l = {1, 0};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
        conn_close(c);
    } else if (O.raw) {
        shutdown(c->fd, SHUT_WR);
    } else {
        ws_send(c, 8, "\x03\xe8", 2); /* 1000: the server closes first */
        conn_flush(c);
    }
}

static int mode_connect(void)
{
    nconns = O.conns;
    conns = xcalloc(nconns, sizeof *conns);
    connects_left = O.requests ? O.requests : UINT64_MAX;
    reopening = true;
    struct window a = window_now();
    uint64_t end = O.requests ? UINT64_MAX : a.t + (uint64_t)(O.duration * 1e9);
    while ((clock_now = now_ns()) < end) {
        unsigned used = 0;
        for (unsigned i = 0; i < nconns; i++) {
            if (conns[i].state == S_NONE && connects_left && reopening) {
                if (connects_left != UINT64_MAX) connects_left--;
                conn_open(&conns[i], i, false);
            }
            used += conns[i].state != S_NONE;
        }
        if (!used || failures() > 1000) break;
        loop_once(end - clock_now < NS / 10 ? end - clock_now : NS / 10);
        expire(nconns);
    }
    struct window b = window_now();
    return report("connect", &a, &b, b.n.done - a.n.done, 0);
}

/* ------------------------------------------------------------------- idle */

static int mode_idle(void)
{
    nconns = O.conns;
    conns = xcalloc(nconns, sizeof *conns);
    struct mem before = mem_now();
    struct window a = window_now();
    setup(nconns, false);
    run_for(O.settle);
    struct mem up = mem_now();
    struct window h0 = window_now();
    run_for(O.duration);
    struct mem after = mem_now();
    struct window b = window_now();
    double c = (double)nconns;
    if (!O.json || !O.quiet)
        fprintf(O.json ? stderr : stdout,
                "idle memory: RSS %.0f -> %.0f -> %.0f KiB, PSS %.0f -> %.0f -> %.0f KiB (before, all up, after %.0f s): "
                "%.2f KiB RSS, %.2f KiB PSS a connection; idle server CPU %.2f%%\n",
                before.rss, up.rss, after.rss, before.pss, up.pss, after.pss, O.duration,
                (after.rss - before.rss) / c, (after.pss - before.pss) / c,
                O.ncpu_pids ? (b.cpu.total - h0.cpu.total) / ((double)(b.t - h0.t) / 1e9) * 100 : 0);
    if (O.json)
        printf("{\"label\":\"%s\",\"mode\":\"idle\",\"conns\":%u,\"rss_before_kib\":%.0f,\"rss_up_kib\":%.0f,\"rss_after_kib\":%.0f,"
               "\"pss_before_kib\":%.0f,\"pss_after_kib\":%.0f,\"kib_per_conn_rss\":%.3f,\"kib_per_conn_pss\":%.3f,"
               "\"setup_s\":%.3f,\"setup_cpu_us_per_conn\":%.2f,\"wrong\":%llu,\"disconnects\":%llu}\n",
               O.label ? O.label : "", nconns, before.rss, up.rss, after.rss, before.pss, after.pss,
               (after.rss - before.rss) / c, (after.pss - before.pss) / c, setup_seconds,
               (h0.cpu.total - a.cpu.total) * 1e6 / c, (unsigned long long)N.wrong, (unsigned long long)N.disconnects);
    return failures() ? 1 : 0;
}

/* ----------------------------------------------------------------- fanout */

struct round {
    uint64_t id, t;
    unsigned got;
    bool answered;
    uint8_t *seen; /* one bit per subscriber */
};

static struct round *rounds;
static unsigned nsubs;
static uint64_t round_seq, deliveries, reordered;

static void round_start(unsigned k, uint64_t t)
{
    struct conn *p = &conns[nsubs];
    struct round *r = &rounds[k];
    if (!issuing || !issue_left || p->state != S_READY) return;
    if (issue_left != UINT64_MAX) issue_left--;
    r->id = ID_BASE + k + (uint64_t)O.inflight * round_seq++;
    r->t = t;
    r->got = 0;
    r->answered = O.pub_noreply;
    memset(r->seen, 0, nsubs / 8 + 1);
    p->slots[k].id = r->id;
    p->slots[k].t = t;
    outstanding++;
    send_text(p, req_buf, tmpl_fill(&T_request, r->id, req_buf));
    conn_flush(p);
}

static void round_check(struct round *r)
{
    if (!r->id || r->got < nsubs || !r->answered) return;
    r->id = 0;
    outstanding--;
    N.done++;
    round_start((unsigned)(r - rounds), clock_now);
}

static void fanout_message(struct conn *c, const char *s, size_t n)
{
    if (c->pub) {
        int k = find_slot(c, s, n, O.inflight);
        if (k == -1) { N.events++; return; }
        if (k == -2) { wrong_answer(c, "response to nothing outstanding", s, n); return; }
        if (!answer_ok(s, n, c->slots[k].id)) wrong_answer(c, "not the expected answer", s, n);
        c->slots[k].id = 0;
        rounds[k].answered = true;
        round_check(&rounds[k]);
        return;
    }
    struct round *r = NULL;
    if (T_marker.n == 1) { /* a marker without a number: there is but one round at a time */
        if (!has(s, n, T_marker.part[0], T_marker.len[0])) { N.events++; return; }
        r = &rounds[0];
    } else {
        size_t off = 0;
        uint64_t id;
        if (!tmpl_find(&T_marker, s, n, &off, &id) || id < ID_BASE) { N.events++; return; }
        r = &rounds[(id - ID_BASE) % O.inflight];
        if (r->id != id) { wrong_answer(c, "event of no round under way", s, n); return; }
        if (id < c->last_marker) reordered++;
        c->last_marker = id;
    }
    if (!r->id) { wrong_answer(c, "event of no round under way", s, n); return; }
    if (r->seen[c->idx / 8] & (1u << (c->idx % 8))) { wrong_answer(c, "event delivered twice", s, n); return; }
    r->seen[c->idx / 8] |= (uint8_t)(1u << (c->idx % 8));
    uint64_t lat = clock_now > r->t ? clock_now - r->t : 0;
    hist_add(&H, lat);
    deliveries++;
    if (++r->got == nsubs) hist_add(&H2, lat);
    round_check(r);
}

static void fanout_until(uint64_t end)
{
    while (live == nsubs + 1 && (issue_left || outstanding) && (clock_now = now_ns()) < end) {
        loop_once(end - clock_now < NS / 10 ? end - clock_now : NS / 10);
        for (unsigned k = 0; k < O.inflight; k++) {
            struct round *r = &rounds[k];
            if (!r->id || clock_now - r->t <= (uint64_t)(O.timeout * 1e9)) continue;
            trouble("round %llu: %u of %u deliveries, %s", (unsigned long long)r->id, r->got, nsubs,
                    r->answered ? "answered" : "not answered");
            N.lost += nsubs - r->got + !r->answered;
            r->id = 0;
            outstanding--;
            round_start(k, clock_now);
        }
    }
}

static int mode_fanout(void)
{
    nsubs = O.conns;
    nconns = nsubs + 1; /* the last one publishes */
    if (T_marker.n == 1) O.inflight = 1;
    conns = xcalloc(nconns, sizeof *conns);
    conns[nsubs].slots = xcalloc(O.inflight, sizeof(struct slot));
    rounds = xcalloc(O.inflight, sizeof *rounds);
    for (unsigned k = 0; k < O.inflight; k++) rounds[k].seen = xcalloc(nsubs / 8 + 1, 1);
    struct mem before = mem_now();
    setup(nconns, true);
    run_for(O.settle);
    struct mem up = mem_now();

    issuing = true;
    issue_left = O.warmup > 0 ? UINT64_MAX : O.requests ? O.requests : UINT64_MAX;
    clock_now = now_ns();
    for (unsigned k = 0; k < O.inflight; k++) round_start(k, clock_now);
    if (O.warmup > 0) {
        fanout_until(now_ns() + (uint64_t)(O.warmup * 1e9));
        memset(&H, 0, sizeof H);
        memset(&H2, 0, sizeof H2);
        if (O.requests) issue_left = O.requests > outstanding ? O.requests - outstanding : 0;
    }
    struct window a = window_now();
    uint64_t d0 = deliveries;
    fanout_until(O.requests ? UINT64_MAX : a.t + (uint64_t)(O.duration * 1e9));
    struct window b = window_now();
    uint64_t d1 = deliveries;
    struct hist h1 = H, h2 = H2;
    issuing = false;
    fanout_until(now_ns() + (uint64_t)(O.timeout * 1.5 * 1e9)); /* every last one must still arrive */
    run_for(0.1);
    H = h1;
    H2 = h2;
    if (O.npids)
        fprintf(stderr, "fanout memory: RSS %.0f -> %.0f KiB with %u subscribers: %.2f KiB RSS, %.2f KiB PSS each\n",
                before.rss, up.rss, nsubs, (up.rss - before.rss) / nsubs, (up.pss - before.pss) / nsubs);
    if (reordered) fprintf(stderr, "fanout: %llu deliveries out of order\n", (unsigned long long)reordered);
    return report("publish", &a, &b, b.n.done - a.n.done, d1 - d0);
}

/* ------------------------------------------------- what the modes do with events */

static enum { M_RR, M_CONNECT, M_IDLE, M_FANOUT, M_TEST } mode;
static struct { unsigned n; char last[64]; size_t len; } test_seen;

static void on_ready(struct conn *c)
{
    if (mode == M_CONNECT) connect_ready(c);
}

static void on_message(struct conn *c, const char *s, size_t n)
{
    switch (mode) {
    case M_RR: rr_message(c, s, n); break;
    case M_FANOUT: fanout_message(c, s, n); break;
    case M_TEST:
        test_seen.n++;
        test_seen.len = n;
        memcpy(test_seen.last, s, n < sizeof test_seen.last ? n : sizeof test_seen.last);
        break;
    default: N.events++;
    }
}

static void on_gone(struct conn *c)
{
    if (mode == M_RR && c->slots) {
        for (unsigned k = 0; k < O.inflight; k++) {
            if (!c->slots[k].id) continue;
            c->slots[k].id = 0;
            outstanding--;
            N.lost++;
        }
    }
}

/* --------------------------------------------------------------- self-test */

static unsigned test_bad, test_good;
static void check(bool ok, const char *what)
{
    if (ok) { test_good++; return; }
    test_bad++;
    printf("FAILED: %s\n", what);
}

/* Feeds bytes in pieces of `step`; true if the connection survived. */
static bool test_feed(const uint8_t *p, size_t n, size_t step)
{
    struct conn c = {.fd = -1, .state = S_READY};
    memset(&test_seen, 0, sizeof test_seen);
    memset(&N, 0, sizeof N);
    ready = live = 1;
    for (size_t i = 0; i < n && c.state == S_READY; i += step) conn_feed(&c, p + i, n - i < step ? n - i : step);
    bool alive = c.state == S_READY;
    buf_free(&c.rx);
    buf_free(&c.tx);
    buf_free(&c.msg);
    return alive;
}

static int selftest(void)
{
    char s[256];
    uint8_t *big = xcalloc(1, 70010);
    struct tmpl t;
    size_t off = 0;
    uint64_t id = 0;

    mode = M_TEST;
    ws_accept("dGhlIHNhbXBsZSBub25jZQ==", s); /* the example of RFC 6455, 1.3 */
    check(!strcmp(s, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "Sec-WebSocket-Accept");

    for (uint64_t v = 1; v < UINT64_C(1) << 40; v = v * 3 + 1) {
        uint64_t u = hist_upper(hist_index(v));
        check(u >= v && u - v <= v / 64, "histogram bucket");
        check(hist_index(u) == hist_index(v) && hist_index(u + 1) == hist_index(v) + 1, "histogram bucket edge");
    }
    memset(&H, 0, sizeof H);
    for (uint64_t v = 1; v <= 1000; v++) hist_add(&H, v * 1000);
    check(hist_us(&H, .5) >= 500 && hist_us(&H, .5) < 509, "p50");
    check(hist_us(&H, .99) >= 990 && hist_us(&H, .99) <= 1000, "p99");
    check(hist_us(&H, 1) == 1000, "p100");

    t = tmpl_make("{\"id\":\"%d\",\"again\":%d}");
    check(tmpl_fill(&t, 42, s) == 22 && !memcmp(s, "{\"id\":\"42\",\"again\":42}", 22), "template");
    t = tmpl_make("\"id\":\"%d\"");
    const char *msg = "{\"id\":\"x1\",\"id\":\"77\",\"p\":{\"id\":\"78\"}}";
    check(tmpl_find(&t, msg, strlen(msg), &off, &id) && id == 77, "first id");
    check(tmpl_find(&t, msg, strlen(msg), &off, &id) && id == 78, "second id");
    check(!tmpl_find(&t, msg, strlen(msg), &off, &id), "no third id");

    for (size_t step = 1; step < 40; step++) {
        static const uint8_t two[] = {0x81, 2, 'h', 'i', 0x81, 1, 'x'};
        check(test_feed(two, sizeof two, step) && test_seen.n == 2 && test_seen.len == 1, "two frames");
        static const uint8_t frag[] = {0x01, 2, 'a', 'b', 0x89, 1, 'P', 0x00, 1, 'c', 0x80, 2, 'd', 'e', 0x81, 0};
        check(test_feed(frag, 14, step) && test_seen.n == 1 && test_seen.len == 5 &&
                  !memcmp(test_seen.last, "abcde", 5) && N.pings == 1 && N.fragmented == 1, "fragments around a ping");
        check(test_feed(frag, sizeof frag, step) && test_seen.n == 2 && test_seen.len == 0, "empty frame");
        static const uint8_t masked[] = {0x81, 0x81, 1, 2, 3, 4, 'x'};
        check(!test_feed(masked, sizeof masked, step) && N.proto == 1, "masked server frame");
        static const uint8_t rsv[] = {0xC1, 1, 'x'};
        check(!test_feed(rsv, sizeof rsv, step) && N.proto == 1, "RSV bit");
        static const uint8_t cont[] = {0x80, 1, 'x'};
        check(!test_feed(cont, sizeof cont, step) && N.proto == 1, "continuation of nothing");
        static const uint8_t nested[] = {0x01, 1, 'x', 0x81, 1, 'y'};
        check(!test_feed(nested, sizeof nested, step) && N.proto == 1, "message inside a message");
        static const uint8_t longer[] = {0x81, 126, 0, 5, 'a', 'b', 'c', 'd', 'e'};
        check(!test_feed(longer, sizeof longer, step) && N.proto == 1, "length not minimal");
        static const uint8_t ctl[] = {0x09, 0};
        check(!test_feed(ctl, sizeof ctl, step) && N.proto == 1, "fragmented control frame");
        static const uint8_t bye[] = {0x88, 2, 0x03, 0xe8};
        check(!test_feed(bye, sizeof bye, step) && N.disconnects == 1, "close frame");
    }
    for (size_t n = 126; n <= 70000; n = n < 65530 ? n * 23 + 1 : n + 2235) {
        size_t h = n < 65536 ? 4 : 10;
        big[0] = 0x82;
        big[1] = n < 65536 ? 126 : 127;
        for (size_t i = 2; i < h; i++) big[i] = (uint8_t)((uint64_t)n >> (8 * (h - 1 - i)));
        check(test_feed(big, h + n, 1 << 20) && test_seen.n == 1 && test_seen.len == n, "long frame at once");
        check(test_feed(big, h + n, 1009) && test_seen.n == 1 && test_seen.len == n, "long frame in pieces");
        check(test_feed(big, h + n, 3) && test_seen.n == 1 && test_seen.len == n, "long frame in small pieces");
    }
    /* what is sent comes back whole when unmasked */
    for (size_t n = 0; n < 300; n++) {
        struct conn c = {.fd = -1};
        char src[300];
        for (size_t i = 0; i < n; i++) src[i] = (char)(i * 7 + n);
        ws_send(&c, 1, src, n);
        size_t h = n < 126 ? 2 : 4;
        bool ok = buf_size(&c.tx) == h + 4 + n && (c.tx.p[1] & 0x80);
        for (size_t i = 0; ok && i < n; i++) ok = (uint8_t)src[i] == (c.tx.p[h + 4 + i] ^ c.tx.p[h + (i & 3)]);
        check(ok, "masking");
        buf_free(&c.tx);
    }
    free(big);
    printf("%u passed, %u failed\n", test_good, test_bad);
    return test_bad ? 1 : 0;
}

/* -------------------------------------------------------------------- main */

static const char usage_text[] =
"usage: wsload rr|connect|idle|fanout|selftest --port N [options]\n"
"  where     --host 127.0.0.1  --port N  --path /  --subprotocol NAME  --header 'Name: value' (repeat)\n"
"            --raw               no WebSocket at all: lines that end in \\n (for measuring a bare TCP echo)\n"
"  handshake --hello TEXT|@FILE  frame sent after the upgrade; repeat for several steps (%d: a fresh number)\n"
"            --hello-expect TEXT what its response must contain (repeat; the first one tells the response from\n"
"                                events; default: the \"id\":\"...\" of the hello frame)\n"
"            --hello-wait TEXT   wait for a frame with this before the first hello (a challenge)\n"
"  load      --conns C  --inflight P  --requests N | --duration SEC  --warmup SEC (1)  --settle SEC (0.5)\n"
"            --rate R            rr: open loop, R requests/s in all; latency counts from when each was due\n"
"            --request TEXT|@FILE  --match '\"id\":\"%d\"'  --expect TEXT (repeat, may hold %d)  --exact TEXT\n"
"            --binary            send binary frames\n"
"  connect   --conns is how many are under way at once;  --rst: reset instead of a closing handshake\n"
"  fanout    --conns subscribers;  --request is what the publisher sends;  --marker TEXT (with %d) is in the event\n"
"            --pub-path /x  --pub-hello TEXT (with its own --hello-expect)  --pub-noreply\n"
"  server    --pid PID (repeat): memory   --cpu-pid PID (repeat): CPU time   --core N: report that core's load\n"
"  other     --ramp N (64 handshakes at a time)  --timeout SEC (10)  --json  --quiet  --label TEXT\n";

static const char *text_arg(const char *v)
{
    if (v[0] != '@') return v;
    FILE *f = fopen(v + 1, "rb");
    if (!f) die("%s: %s", v + 1, strerror(errno));
    char *s = NULL;
    size_t n = 0, cap = 0, r;
    do {
        if (cap - n < 4096) s = xrealloc(s, cap += 65536);
        r = fread(s + n, 1, cap - n - 1, f);
        n += r;
    } while (r);
    fclose(f);
    while (n && (s[n - 1] == '\n' || s[n - 1] == '\r')) n--;
    s[n] = 0;
    return s;
}

static double num_arg(const char *opt, const char *v)
{
    char *e;
    double d = strtod(v, &e);
    if (e == v || *e || d < 0) die("%s wants a number, not '%s'", opt, v);
    return d;
}

static void default_expect(struct step *st) /* the hello frame's own id */
{
    if (st->nexpect) return;
    if (strstr(st->text, "%d") && strstr(O.match, "%d")) { st->expect[st->nexpect++] = O.match; return; }
    const char *p = strstr(st->text, "\"id\":\""), *e = p ? strchr(p + 6, '"') : NULL;
    if (e) st->expect[st->nexpect++] = strndup(p, (size_t)(e - p) + 1);
}

static void parse(int argc, char **argv)
{
    struct step *cur = NULL;
    if (argc < 2) { fputs(usage_text, stderr); exit(2); }
    O.mode = argv[1];
    for (int i = 2; i < argc; i++) {
        const char *o = argv[i];
        if (!strcmp(o, "--raw")) { O.raw = true; continue; }
        if (!strcmp(o, "--binary")) { O.binary = true; continue; }
        if (!strcmp(o, "--json")) { O.json = true; continue; }
        if (!strcmp(o, "--quiet")) { O.quiet = true; continue; }
        if (!strcmp(o, "--rst")) { O.rst = true; continue; }
        if (!strcmp(o, "--pub-noreply")) { O.pub_noreply = true; continue; }
        if (!strcmp(o, "--help")) { fputs(usage_text, stdout); exit(0); }
        if (++i == argc) die("%s: unknown, or its value is missing", o);
        const char *v = argv[i];
        if (!strcmp(o, "--host")) O.host = v;
        else if (!strcmp(o, "--port")) O.port = (int)num_arg(o, v);
        else if (!strcmp(o, "--path")) O.path = v;
        else if (!strcmp(o, "--pub-path")) O.pub_path = v;
        else if (!strcmp(o, "--subprotocol")) O.subprotocol = v;
        else if (!strcmp(o, "--header")) { if (O.nheaders == 8) die("too many --header"); O.headers[O.nheaders++] = v; }
        else if (!strcmp(o, "--hello")) {
            if (O.nhello == MAX_STEPS) die("too many --hello");
            cur = &O.hello[O.nhello++];
            cur->text = text_arg(v);
        } else if (!strcmp(o, "--pub-hello")) {
            if (O.npub_hello == MAX_STEPS) die("too many --pub-hello");
            cur = &O.pub_hello[O.npub_hello++];
            cur->text = text_arg(v);
        } else if (!strcmp(o, "--hello-expect")) {
            if (!cur) die("--hello-expect goes after its --hello");
            if (cur->nexpect == MAX_EXPECT) die("too many --hello-expect");
            cur->expect[cur->nexpect++] = v;
        } else if (!strcmp(o, "--hello-wait")) O.hello_wait = v;
        else if (!strcmp(o, "--conns")) O.conns = (unsigned)num_arg(o, v);
        else if (!strcmp(o, "--inflight")) O.inflight = (unsigned)num_arg(o, v);
        else if (!strcmp(o, "--ramp")) O.ramp = (unsigned)num_arg(o, v);
        else if (!strcmp(o, "--requests")) O.requests = (uint64_t)num_arg(o, v);
        else if (!strcmp(o, "--duration")) O.duration = num_arg(o, v);
        else if (!strcmp(o, "--warmup")) O.warmup = num_arg(o, v);
        else if (!strcmp(o, "--settle")) O.settle = num_arg(o, v);
        else if (!strcmp(o, "--timeout")) O.timeout = num_arg(o, v);
        else if (!strcmp(o, "--rate")) O.rate = num_arg(o, v);
        else if (!strcmp(o, "--request")) O.request = text_arg(v);
        else if (!strcmp(o, "--match")) O.match = v;
        else if (!strcmp(o, "--exact")) O.exact = text_arg(v);
        else if (!strcmp(o, "--marker")) O.marker = v;
        else if (!strcmp(o, "--expect")) { if (O.nexpect == MAX_EXPECT) die("too many --expect"); O.expect[O.nexpect++] = v; }
        else if (!strcmp(o, "--pid")) { if (O.npids == MAX_PIDS) die("too many --pid"); O.pids[O.npids++] = (pid_t)num_arg(o, v); }
        else if (!strcmp(o, "--cpu-pid")) { if (O.ncpu_pids == MAX_PIDS) die("too many --cpu-pid"); O.cpu_pids[O.ncpu_pids++] = (pid_t)num_arg(o, v); }
        else if (!strcmp(o, "--core")) O.core = (int)num_arg(o, v);
        else if (!strcmp(o, "--label")) O.label = v;
        else die("%s: unknown option", o);
    }
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    if (!strcmp(O.mode, "selftest")) return selftest();
    if (!strcmp(O.mode, "rr")) mode = M_RR;
    else if (!strcmp(O.mode, "connect")) mode = M_CONNECT;
    else if (!strcmp(O.mode, "idle")) mode = M_IDLE;
    else if (!strcmp(O.mode, "fanout")) mode = M_FANOUT;
    else { fputs(usage_text, stderr); return 2; }

    if (O.port <= 0 || O.port > 65535) die("--port is missing");
    if (!O.conns || !O.inflight || !O.ramp) die("--conns, --inflight and --ramp want at least 1");
    if (!O.requests && O.duration <= 0) O.duration = 5;
    if ((mode == M_RR || mode == M_FANOUT) && !O.request) die("--request is missing");
    if (mode == M_FANOUT && !O.marker) die("--marker is missing");
    if (mode == M_FANOUT && !O.pub_noreply && strstr(O.request, "%d") == NULL) die("--request has no %%d (or give --pub-noreply)");
    if (mode == M_RR && strstr(O.request, "%d") == NULL) die("--request has no %%d");
    for (unsigned i = 0; i < O.nhello; i++) default_expect(&O.hello[i]);
    for (unsigned i = 0; i < O.npub_hello; i++) default_expect(&O.pub_hello[i]);
    if (O.request) {
        T_request = tmpl_make(O.request);
        req_buf = xrealloc(NULL, tmpl_max(&T_request));
    }
    T_match = tmpl_make(O.match);
    if (T_match.n != 2 || !T_match.len[0]) die("--match wants exactly one %%d, with something before it");
    if (O.exact) T_exact = tmpl_make(O.exact);
    for (unsigned i = 0; i < O.nexpect; i++) T_expect[i] = tmpl_make(O.expect[i]);
    if (O.marker) {
        T_marker = tmpl_make(O.marker);
        if (T_marker.n > 2 || !T_marker.len[0]) die("--marker wants at most one %%d, with something before it");
    }

    struct rlimit rl;
    rlim_t want = (rlim_t)O.conns + 64;
    getrlimit(RLIMIT_NOFILE, &rl);
    if (rl.rlim_cur < want) {
        rl.rlim_cur = want;
        if (rl.rlim_max < want) rl.rlim_max = want; /* only root may */
        if (setrlimit(RLIMIT_NOFILE, &rl)) die("cannot raise the limit of open files to %lu: %s", (unsigned long)want, strerror(errno));
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0);
    rng_state ^= now_ns() * UINT64_C(0x2545F4914F6CDD1D);
    if (!rng_state) rng_state = 1;
    readbuf = xrealloc(NULL, READ_CHUNK);
    ep = epoll_create1(EPOLL_CLOEXEC);
    if (ep < 0) die("epoll_create1: %s", strerror(errno));

    switch (mode) {
    case M_RR: return mode_rr();
    case M_CONNECT: return mode_connect();
    case M_IDLE: return mode_idle();
    default: return mode_fanout();
    }
}
