/* SPDX-License-Identifier: MIT */
/* The hash table: the hash itself, growth, long probes, deletion. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/map.h"
#include "tests/unit/cu.h"

static void
siphash_agrees_with_its_authors(void)
{
	/* SipHash-2-4 of 00 01 02 .. with the key 00 .. 0f, by length. */
	static const struct {
		size_t		 len;
		uint64_t	 hash;
	} all[] = {
		{ 0, UINT64_C(0x726fdb47dd0e0e31) },
		{ 1, UINT64_C(0x74f839c593dc67fd) },
		{ 7, UINT64_C(0xab0200f58b01d137) },
		{ 8, UINT64_C(0x93f5f5799a932462) },
		{ 15, UINT64_C(0xa129ca6149be45e5) },
		{ 63, UINT64_C(0x958a324ceb064572) },
	};
	static const uint64_t key[2] = { UINT64_C(0x0706050403020100),
	    UINT64_C(0x0f0e0d0c0b0a0908) };
	unsigned char	 in[64];
	size_t		 i;

	for (i = 0; i < sizeof in; i++)
		in[i] = (unsigned char)i;
	for (i = 0; i < ARRAY_LEN(all); i++)
		CU_ASSERT_EQUAL(siphash(in, all[i].len, key), all[i].hash);
}

static void
values_are_found_replaced_and_removed(void)
{
	struct map	*m = map_new();
	void		*old = m;
	int		 a, b;

	CU_ASSERT_PTR_NULL(map_getz(m, "k"));
	CU_ASSERT_PTR_NULL(map_delz(m, "k"));
	CU_ASSERT_EQUAL(map_put(m, "k", 1, &a, &old), 0);
	CU_ASSERT_PTR_NULL(old);
	CU_ASSERT_PTR_EQUAL(map_getz(m, "k"), &a);
	CU_ASSERT_EQUAL(map_put(m, "k", 1, &b, &old), 0);
	CU_ASSERT_PTR_EQUAL(old, &a);
	CU_ASSERT_EQUAL(map_len(m), 1);
	CU_ASSERT_PTR_EQUAL(map_delz(m, "k"), &b);
	CU_ASSERT_PTR_NULL(map_delz(m, "k"));
	CU_ASSERT_EQUAL(map_len(m), 0);
	/* Bytes, not strings: empty, and with a NUL inside. */
	CU_ASSERT_EQUAL(map_put(m, "", 0, &a, NULL), 0);
	CU_ASSERT_EQUAL(map_put(m, "x\0y", 3, &b, NULL), 0);
	CU_ASSERT_PTR_EQUAL(map_getz(m, ""), &a);
	CU_ASSERT_PTR_NULL(map_getz(m, "x"));
	CU_ASSERT_PTR_EQUAL(map_get(m, "x\0y", 3), &b);
	CU_ASSERT_PTR_NULL(map_get(m, "x\0z", 3));
	(void)map_free(m);
	CU_ASSERT_PTR_NULL(map_free(NULL));
}

/*
 * Against a plain array, around and across each growth. With 3/4 of the slots
 * in use there are long probes, some of them around the end of the table, so
 * that every case of the shift at deletion is met.
 */
static void
a_long_life_agrees_with_an_array(void)
{
	enum { N = 3000, STEPS = 400000 };
	static char	 values[N];
	static bool	 is_in[N];
	struct map	*m = map_new();
	unsigned	 seed = 4711;
	size_t		 i, j, most, n = 0, wrong = 0, seen, pos;
	const char	*key;
	void		*value;
	char		 name[16];
	int		 len;

	for (i = 0; i < STEPS; i++) {
		seed = seed * 1664525u + 1013904223u;
		/* Waves: small tables are filled and emptied, then large. */
		most = i % 50000 < 25000 ? 12 : N;
		j = (seed >> 8) % most;
		len = snprintf(name, sizeof name, "key%zu", j);
		if ((seed >> 28) % 2 == 0) {
			wrong += map_put(m, name, (size_t)len, &values[j],
			    &value) != 0;
			wrong += (value != NULL) != is_in[j];
			n += !is_in[j];
			is_in[j] = true;
		} else {
			value = map_del(m, name, (size_t)len);
			wrong += value != (is_in[j] ? &values[j] : NULL);
			n -= is_in[j];
			is_in[j] = false;
		}
		wrong += map_len(m) != n;
		if (i % 20000 != 0)
			continue;
		for (j = 0; j < N; j++) {
			(void)snprintf(name, sizeof name, "key%zu", j);
			wrong += map_getz(m, name) !=
			    (is_in[j] ? &values[j] : NULL);
		}
		for (pos = seen = 0; map_next(m, &pos, &key, NULL, &value);
		    seen++)
			wrong += !is_in[(char *)value - values] ||
			    strtoul(key + 3, NULL, 10) !=
			    (unsigned long)((char *)value - values);
		wrong += seen != n;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	(void)map_free(m);
}

static void
two_maps_do_not_share_an_order(void)
{
	struct map	*a = map_new(), *b = map_new();
	const char	*ka, *kb;
	size_t		 i, pa = 0, pb = 0, same = 0;
	char		 name[16];

	for (i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof name, "%zu", i);
		CU_ASSERT_EQUAL(map_putz(a, name, a), 0);
		CU_ASSERT_EQUAL(map_putz(b, name, b), 0);
	}
	while (map_next(a, &pa, &ka, NULL, NULL) &&
	    map_next(b, &pb, &kb, NULL, NULL))
		same += strcmp(ka, kb) == 0;
	/*
	 * With one key for all maps a peer could learn to make names collide.
	 */
	CU_ASSERT_TRUE(same < 100);
	(void)map_free(a);
	(void)map_free(b);
}

static const struct cu_case cases[] = {
	CU_CASE(siphash_agrees_with_its_authors),
	CU_CASE(values_are_found_replaced_and_removed),
	CU_CASE(a_long_life_agrees_with_an_array),
	CU_CASE(two_maps_do_not_share_an_order),
	CU_END
};

CU_MAIN("map", cases)
