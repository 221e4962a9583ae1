/* SPDX-License-Identifier: MIT */
#include "guard.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

enum verdict {
	PUBLIC,
	PRIVATE,		/* for the trusted */
	NEVER,
};

struct prefix4 {
	uint32_t	 addr;
	unsigned	 bits;
	enum verdict	 verdict;
};

struct prefix6 {
	uint8_t		 addr[16];
	unsigned	 bits;
	enum verdict	 verdict;
};

#define IP4(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

/* First match. IANA special-purpose registry, RFC 6890 and its updates. */
static const struct prefix4 table4[] = {
	{ IP4(169, 254, 0, 0), 16, NEVER },	/* link-local, metadata */
	{ IP4(100, 100, 100, 200), 32, NEVER },	/* a cloud's metadata */
	{ IP4(168, 63, 129, 16), 32, NEVER },	/* a cloud's host agent */
	{ IP4(192, 0, 0, 192), 32, NEVER },	/* a cloud's metadata */
	{ IP4(224, 0, 0, 0), 4, NEVER },	/* multicast */
	{ IP4(255, 255, 255, 255), 32, NEVER },	/* broadcast */
	{ IP4(0, 0, 0, 0), 32, PRIVATE },	/* means this host */
	{ IP4(0, 0, 0, 0), 8, NEVER },
	{ IP4(10, 0, 0, 0), 8, PRIVATE },
	{ IP4(100, 64, 0, 0), 10, PRIVATE },	/* shared, RFC 6598 */
	{ IP4(127, 0, 0, 0), 8, PRIVATE },	/* loopback */
	{ IP4(172, 16, 0, 0), 12, PRIVATE },
	{ IP4(192, 168, 0, 0), 16, PRIVATE },
	{ IP4(198, 18, 0, 0), 15, PRIVATE },	/* benchmarks */
	{ IP4(192, 0, 0, 0), 24, NEVER },	/* protocol assignments */
	{ IP4(192, 0, 2, 0), 24, NEVER },	/* documentation */
	{ IP4(198, 51, 100, 0), 24, NEVER },
	{ IP4(203, 0, 113, 0), 24, NEVER },
	{ IP4(192, 88, 99, 0), 24, NEVER },	/* 6to4 relays */
	{ IP4(240, 0, 0, 0), 4, NEVER },	/* reserved */
};

static const struct prefix6 table6[] = {
	{ { 0xfd, 0x00, 0x0e, 0xc2 }, 32, NEVER },	/* a cloud's metadata */
	{ { 0xfe, 0x80 }, 10, NEVER },			/* link-local */
	{ { 0xff }, 8, NEVER },				/* multicast */
	{ { 0xfe, 0xc0 }, 10, NEVER },			/* site-local */
	{ { 0 }, 128, PRIVATE },			/* means this host */
	{ { [15] = 1 }, 128, PRIVATE },			/* loopback */
	{ { 0xfc }, 7, PRIVATE },			/* unique local */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, NEVER },	/* documentation */
	{ { 0x3f, 0xff }, 20, NEVER },			/* documentation */
	{ { 0x20, 0x01, 0, 0 }, 32, NEVER },		/* Teredo */
	{ { 0x20, 0x01, 0, 0x10 }, 28, NEVER },		/* ORCHID */
	{ { 0x20, 0x01, 0, 0x20 }, 28, NEVER },		/* ORCHIDv2 */
	{ { 0x01 }, 64, NEVER },			/* discard */
	{ { 0, 0x64, 0xff, 0x9b, 0, 1 }, 48, NEVER },	/* local NAT64 */
	{ { 0x5f }, 16, NEVER },			/* segment routing */
};

/* Where an IPv4 address sits inside an IPv6 one: the prefix, then its place. */
static const struct {
	uint8_t		 addr[16];
	unsigned	 bits;
	unsigned	 at;
} embedded[] = {
	{ { [10] = 0xff, [11] = 0xff }, 96, 12 },	/* mapped */
	{ { [8] = 0xff, [9] = 0xff }, 96, 12 },		/* translated */
	{ { 0, 0x64, 0xff, 0x9b }, 96, 12 },		/* NAT64 */
	{ { 0x20, 0x02 }, 16, 2 },			/* 6to4 */
	{ { 0 }, 96, 12 },				/* compatible */
};

static int
has_prefix(const uint8_t *addr, const uint8_t *prefix, unsigned bits)
{
	unsigned	 rest = bits % 8;

	if (memcmp(addr, prefix, bits / 8) != 0)
		return (0);
	return (rest == 0 || ((addr[bits / 8] ^ prefix[bits / 8]) >>
	    (8 - rest)) == 0);
}

static enum verdict
check4(uint32_t addr)
{
	size_t	 i;

	for (i = 0; i < sizeof table4 / sizeof table4[0]; i++) {
		if ((addr ^ table4[i].addr) >> (32 - table4[i].bits) == 0)
			return (table4[i].verdict);
	}
	return (PUBLIC);
}

static enum verdict
check6(const uint8_t *a)
{
	static const uint8_t	 isatap[4] = { 0, 0, 0x5e, 0xfe };
	const uint8_t		*p = NULL;
	size_t			 i;

	for (i = 0; i < sizeof table6 / sizeof table6[0]; i++) {
		if (has_prefix(a, table6[i].addr, table6[i].bits))
			return (table6[i].verdict);
	}
	for (i = 0; p == NULL && i < sizeof embedded / sizeof embedded[0]; i++) {
		if (has_prefix(a, embedded[i].addr, embedded[i].bits))
			p = a + embedded[i].at;
	}
	if (p == NULL && (a[8] & 0xfd) == 0 && memcmp(a + 9, isatap + 1, 3) == 0)
		p = a + 12;
	if (p != NULL)
		return (check4(IP4(p[0], p[1], p[2], p[3])));
	/* All global unicast is in 2000::/3 (RFC 4291 section 2.4). */
	return ((a[0] & 0xe0) == 0x20 ? PUBLIC : NEVER);
}

int
guard_check(const struct sockaddr *sa, int trusted)
{
	struct sockaddr_in	 in4;
	struct sockaddr_in6	 in6;
	enum verdict		 v = NEVER;

	/* Copies: what curl and the resolver lend need not be aligned. */
	if (sa->sa_family == AF_INET) {
		memcpy(&in4, sa, sizeof in4);
		v = check4(ntohl(in4.sin_addr.s_addr));
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof in6);
		v = check6(in6.sin6_addr.s6_addr);
	}
	if (v == PUBLIC || (v == PRIVATE && trusted))
		return (0);
	return (-EPERM);
}
