/* SPDX-License-Identifier: MIT */
/*
 * What the endpoints themselves say they have. One fetch for each provider at a
 * time; all who wait share it. A failed fetch keeps what was known before.
 */
#include "models.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static uint32_t	generation;

struct catalogue *
catalogue_get(const char *provider)
{
	uint32_t	i;

	for (i = 0; i < models.n_cat; i++) {
		if (strcasecmp(models.cat[i].provider, provider) == 0)
			return (&models.cat[i]);
	}
	return (NULL);
}

static struct catalogue *
catalogue_make(const char *provider)
{
	struct catalogue	*cat = catalogue_get(provider);

	if (cat != NULL)
		return (cat);
	if (models.n_cat == PROVIDERS_MAX || strlen(provider) > PROVIDER_ID_MAX)
		return (NULL);
	cat = &models.cat[models.n_cat++];
	memset(cat, 0, sizeof *cat);
	(void)snprintf(cat->provider, sizeof cat->provider, "%s", provider);
	return (cat);
}

void
catalogue_clear(void)
{
	uint32_t	i;

	for (i = 0; i < models.n_cat; i++)
		json_object_put(models.cat[i].models);
	models.n_cat = 0;
}

/* Keeps id and name of the first CATALOGUE_MODELS_MAX; gives an array. */
static struct json_object *
catalogue_copy(struct json_object *list)
{
	struct json_object	*out = json_object_new_array(), *in, *row;
	const char		*id, *name;
	size_t			 i, n;

	if (out == NULL || !json_object_is_type(list, json_type_array))
		return (out);
	n = json_object_array_length(list);
	for (i = 0; i < n && i < CATALOGUE_MODELS_MAX; i++) {
		in = json_object_array_get_idx(list, i);
		id = get_text(in, "id");
		if (id == NULL || strlen(id) >= 256)
			continue;
		row = json_object_new_object();
		(void)json_object_object_add(row, "id",
		    json_object_new_string(id));
		name = get_text(in, "name");
		if (name != NULL)
			(void)json_object_object_add(row, "name",
			    json_object_new_string(name));
		(void)json_object_array_add(out, row);
	}
	return (out);
}

static uint32_t
catalogue_in_flight(void)
{
	uint32_t	i, n = 0;

	for (i = 0; i < models.n_cat; i++)
		n += models.cat[i].fetching != 0;
	return (n);
}

/*
 * arg is the number of the fetch, not a pointer: the table may have been
 * cleared since, and a driver may be gone before it answers.
 */
static void
catalogue_done(int r, struct json_object *list, void *arg)
{
	struct catalogue	*cat = NULL;
	uint32_t		 i;

	for (i = 0; i < models.n_cat; i++) {
		if (models.cat[i].fetching &&
		    models.cat[i].generation == (uintptr_t)arg)
			cat = &models.cat[i];
	}
	if (cat != NULL) {
		cat->fetching = 0;
		cat->last = r < 0 ? r : 0;
		cat->auth_failed = r == -EACCES || r == -EPERM;
		if (r >= 0) {
			json_object_put(cat->models);
			cat->models = catalogue_copy(list);
			cat->at_us = models.host->now_us();
		}
	}
	if (catalogue_in_flight() == 0)
		models_list_ready();
}

static int
catalogue_due(const struct catalogue *cat, uint64_t now)
{
	if (cat->tried_us == 0)
		return (1);
	if (cat->last < 0)
		return (now - cat->tried_us >= CATALOGUE_RETRY_US);
	return (now - cat->at_us >= CATALOGUE_TTL_US);
}

static void
catalogue_fetch(const struct provider *p, int force)
{
	const struct chela_model_1	*drv = provider_driver(p);
	struct catalogue		*cat;
	struct json_object		*conf;
	uint64_t			 now = models.host->now_us();
	int				 r;

	if (drv == NULL || drv->list == NULL)
		return;
	if (provider_needs_key(p) && !provider_has_key(p))
		return;
	cat = catalogue_make(p->id);
	if (cat == NULL || cat->fetching ||
	    (!force && !catalogue_due(cat, now)))
		return;
	conf = provider_conf_resolved(p);
	if (conf == NULL)
		return;
	cat->generation = ++generation;
	cat->tried_us = now == 0 ? 1 : now;
	cat->fetching = 1;
	r = drv->list(p->id, conf, catalogue_done,
	    (void *)(uintptr_t)cat->generation);
	json_object_put(conf);
	if (r < 0) {
		cat->fetching = 0;
		cat->last = r;
	}
}

uint32_t
catalogue_refresh(int force)
{
	struct provider	 all[PROVIDERS_MAX];
	uint32_t	 i, n = providers_get(all, PROVIDERS_MAX);

	for (i = 0; i < n; i++)
		catalogue_fetch(&all[i], force);
	return (catalogue_in_flight());
}
