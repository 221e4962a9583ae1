/* SPDX-License-Identifier: MIT */
/*
 * Calls one method of a gateway and prints its result:
 *
 *	cc ask.c $(pkg-config --cflags --libs libchela)
 *	CHELA_TOKEN=... ./a.out ws://127.0.0.1:18789 sessions.list
 */
#include <stdio.h>
#include <stdlib.h>

#include <json-c/json.h>

#include <chela/client.h>

static void
on_event(struct chela_client *client, const struct chela_client_event *event,
    void *arg)
{
	(void)client;
	(void)arg;
	(void)fprintf(stderr, "event %s\n", event->name);
}

int
main(int argc, char **argv)
{
	static const char *const	 scopes[] = { "read", NULL };
	struct chela_client_options	 options = { 0 };
	struct chela_client		*client;
	struct json_object		*result;
	int				 r;

	if (argc != 3) {
		(void)fprintf(stderr, "usage: %s URL METHOD\n", argv[0]);
		return (64);
	}
	options.size = sizeof options;
	options.url = argv[1];
	options.token = getenv("CHELA_TOKEN");
	options.scopes = scopes;
	options.flags = CHELA_CLIENT_ONCE;
	options.on_event = on_event;
	r = chela_client_new(&options, &client);
	if (r < 0) {
		(void)fprintf(stderr, "%s is no address of a gateway\n",
		    argv[1]);
		return (64);
	}

	r = chela_client_ready_wait(client, 10000);
	if (r == 0)
		r = chela_client_call_wait(client, argv[2], NULL, 0, 0,
		    &result);
	if (r == 0) {
		(void)printf("%s\n", json_object_to_json_string(result));
		(void)json_object_put(result);
	} else {
		(void)fprintf(stderr, "%s\n",
		    chela_client_last_error(client)->sentence);
	}
	(void)chela_client_free(client);
	return (r == 0 ? 0 : 1);
}
