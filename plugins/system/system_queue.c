/* SPDX-License-Identifier: MIT */
/* Texts that wait for the next turn of a session. In memory only. */
#include "system.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Few sessions have texts at a time: a list is searched, newest use first. */
struct queue {
	struct queue	*next;
	struct {
		char		*text;
		uint64_t	 ts;
	}		 events[QUEUE_EVENTS_MAX];
	size_t		 n;
	char		 key[];
};

static struct queue	*queues;
static size_t		 n_queues;

static void
queue_free(struct queue *q)
{
	size_t	 i;

	for (i = 0; i < q->n; i++)
		free(q->events[i].text);
	free(q);
}

void
queue_clear(void)
{
	struct queue	*q;

	while ((q = queues) != NULL) {
		queues = q->next;
		queue_free(q);
	}
	n_queues = 0;
}

/* The link that points to a key's queue, or to the end. */
static struct queue **
queue_find(const char *key)
{
	struct queue	**link;

	for (link = &queues; *link != NULL; link = &(*link)->next) {
		if (strcmp((*link)->key, key) == 0)
			break;
	}
	return (link);
}

bool
queue_is_empty(const char *key)
{
	return (*queue_find(key) == NULL);
}

static struct queue *
queue_new(const char *key)
{
	size_t		 len = strlen(key);
	struct queue	*q;

	q = calloc(1, sizeof *q + len + 1);
	if (q == NULL)
		return (NULL);
	memcpy(q->key, key, len + 1);
	q->next = queues;
	queues = q;
	n_queues++;
	return (q);
}

/* At most QUEUE_TEXT_MAX bytes, no character cut; gives. */
static char *
text_copy(const char *text)
{
	size_t	 len = strlen(text);

	if (len > QUEUE_TEXT_MAX) {
		len = QUEUE_TEXT_MAX;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	return (strndup(text, len));
}

int
queue_add(const char *key, const char *text)
{
	struct queue	*q = *queue_find(key);
	char		*copy;

	if (q == NULL && n_queues == QUEUE_SESSIONS_MAX)
		return (-ENOSPC);
	copy = text_copy(text);
	if (copy == NULL)
		return (-ENOMEM);
	if (q == NULL)
		q = queue_new(key);
	if (q == NULL) {
		free(copy);
		return (-ENOMEM);
	}
	if (q->n > 0 && strcmp(q->events[q->n - 1].text, copy) == 0) {
		free(copy);
		return (1);
	}
	if (q->n == QUEUE_EVENTS_MAX) {
		free(q->events[0].text);
		q->n--;
		memmove(&q->events[0], &q->events[1],
		    q->n * sizeof q->events[0]);
	}
	q->events[q->n].text = copy;
	q->events[q->n++].ts = sys.host->wall_ms();
	return (0);
}

static int
queue_list(const struct queue *q, bool has_key, struct json_object *list)
{
	struct json_object	*o;
	size_t			 i;

	for (i = 0; i < q->n; i++) {
		o = json_object_new_object();
		if (o == NULL)
			return (-ENOMEM);
		if ((has_key && json_add(o, "sessionKey",
		    json_object_new_string(q->key)) < 0) ||
		    json_add(o, "ts", json_object_new_int64(
		    (int64_t)q->events[i].ts)) < 0 ||
		    json_add(o, "text", json_object_new_string(
		    q->events[i].text)) < 0 ||
		    json_object_array_add(list, o) < 0) {
			json_object_put(o);
			return (-ENOMEM);
		}
	}
	return (0);
}

struct json_object *
queue_all(void)
{
	struct json_object	*list = json_object_new_array();
	struct queue		*q;

	for (q = queues; list != NULL && q != NULL; q = q->next) {
		if (queue_list(q, true, list) < 0) {
			json_object_put(list);
			return (NULL);
		}
	}
	return (list);
}

static int
system_events(const char *session_key, bool takes,
    struct json_object **ret_events)
{
	char			 key[SYSTEM_KEY_MAX];
	struct json_object	*list;
	struct queue		**link, *q;
	int			 r;

	r = sys_key(session_key, NULL, key);
	if (r < 0)
		return (r);
	list = json_object_new_array();
	if (list == NULL)
		return (-ENOMEM);
	link = queue_find(key);
	q = *link;
	if (q != NULL) {
		r = queue_list(q, false, list);
		if (r < 0) {
			json_object_put(list);
			return (r);
		}
		if (takes) {
			*link = q->next;
			n_queues--;
			queue_free(q);
		}
	}
	*ret_events = list;
	return (0);
}

static int
take_events(const char *session_key, struct json_object **ret_events)
{
	return (system_events(session_key, true, ret_events));
}

static int
peek_events(const char *session_key, struct json_object **ret_events)
{
	return (system_events(session_key, false, ret_events));
}

static int
add_event(const char *session_key, const char *text)
{
	char	 key[SYSTEM_KEY_MAX];
	int	 r;

	if (text[strspn(text, " \t\r\n")] == '\0')
		return (-EINVAL);
	r = sys_key(session_key, NULL, key);
	return (r < 0 ? r : queue_add(key, text));
}

static int
request_turn(const char *session_key)
{
	char	 key[SYSTEM_KEY_MAX];
	int	 r;

	r = sys_key(session_key, NULL, key);
	if (r < 0)
		return (r);
	beat_request(key);
	return (0);
}

const struct chela_system_1 system_service = {
	.struct_size = sizeof system_service,
	.take_events = take_events,
	.add_event = add_event,
	.peek_events = peek_events,
	.all_events = queue_all,
	.request_turn = request_turn,
};
