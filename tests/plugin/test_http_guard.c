/* SPDX-License-Identifier: MIT */
/* Which addresses plugin http lets a call go to (AB-075). */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/base.h"
#include "plugins/http/guard.h"
#include "tests/unit/cu.h"

static void
the_table_of_addresses(void)
{
	static const struct {
		const char	*text;
		int		 open, trusted;
	} table[] = {
		{ "8.8.8.8", 0, 0 }, { "1.1.1.1", 0, 0 },
		{ "172.15.255.255", 0, 0 }, { "172.32.0.0", 0, 0 },
		{ "100.63.255.255", 0, 0 }, { "100.128.0.0", 0, 0 },
		{ "223.255.255.255", 0, 0 },
		{ "127.0.0.1", -EPERM, 0 }, { "127.255.255.254", -EPERM, 0 },
		{ "10.1.2.3", -EPERM, 0 }, { "172.16.0.1", -EPERM, 0 },
		{ "172.31.255.255", -EPERM, 0 }, { "192.168.1.1", -EPERM, 0 },
		{ "100.64.0.1", -EPERM, 0 }, { "0.0.0.0", -EPERM, 0 },
		{ "0.0.0.1", -EPERM, -EPERM },
		{ "169.254.169.254", -EPERM, -EPERM },
		{ "169.254.1.1", -EPERM, -EPERM },
		{ "100.100.100.200", -EPERM, -EPERM },
		{ "168.63.129.16", -EPERM, -EPERM },
		{ "224.0.0.1", -EPERM, -EPERM },
		{ "239.255.255.255", -EPERM, -EPERM },
		{ "255.255.255.255", -EPERM, -EPERM },
		{ "240.0.0.1", -EPERM, -EPERM },
		{ "203.0.113.9", -EPERM, -EPERM },
		{ "2606:4700::1111", 0, 0 },
		{ "::1", -EPERM, 0 }, { "::", -EPERM, 0 },
		{ "fd12::1", -EPERM, 0 }, { "fc00::1", -EPERM, 0 },
		{ "fd00:ec2::254", -EPERM, -EPERM },
		{ "fe80::1", -EPERM, -EPERM }, { "fec0::1", -EPERM, -EPERM },
		{ "ff02::1", -EPERM, -EPERM },
		{ "2001:db8::1", -EPERM, -EPERM },
		{ "2001::1", -EPERM, -EPERM },
		{ "4000::1", -EPERM, -EPERM },
		{ "::ffff:127.0.0.1", -EPERM, 0 },
		{ "::ffff:8.8.8.8", 0, 0 },
		{ "::ffff:169.254.169.254", -EPERM, -EPERM },
		{ "::ffff:0:10.0.0.1", -EPERM, 0 },
		{ "::10.0.0.1", -EPERM, 0 },
		{ "64:ff9b::8.8.8.8", 0, 0 },
		{ "64:ff9b::a9fe:a9fe", -EPERM, -EPERM },
		{ "64:ff9b:1::8.8.8.8", -EPERM, -EPERM },
		{ "2002:a00:1::", -EPERM, 0 },
		{ "2002:a9fe:a9fe::1", -EPERM, -EPERM },
		{ "2620:0:1::5efe:10.0.0.1", -EPERM, 0 },
		{ "2620:0:1:0:200:5efe:a9fe:a9fe", -EPERM, -EPERM },
	};
	struct sockaddr_in	 in4 = { .sin_family = AF_INET };
	struct sockaddr_in6	 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr		 unix_sa = { .sa_family = AF_UNIX };
	struct sockaddr		*sa;
	size_t			 i;

	for (i = 0; i < ARRAY_LEN(table); i++) {
		sa = (struct sockaddr *)&in4;
		if (inet_pton(AF_INET, table[i].text, &in4.sin_addr) != 1) {
			sa = (struct sockaddr *)&in6;
			CU_ASSERT_EQUAL_FATAL(inet_pton(AF_INET6,
			    table[i].text, &in6.sin6_addr), 1);
		}
		if (guard_check(sa, 0) != table[i].open ||
		    guard_check(sa, 1) != table[i].trusted)
			(void)printf("%s\n", table[i].text);
		CU_ASSERT_EQUAL(guard_check(sa, 0), table[i].open);
		CU_ASSERT_EQUAL(guard_check(sa, 1), table[i].trusted);
	}
	CU_ASSERT_EQUAL(guard_check(&unix_sa, 1), -EPERM);
}

static const struct cu_case cases[] = {
	CU_CASE(the_table_of_addresses),
	CU_END
};

CU_MAIN("http_guard", cases)
