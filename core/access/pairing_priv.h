/* SPDX-License-Identifier: MIT */
#ifndef ACCESS_PAIRING_PRIV_H
#define ACCESS_PAIRING_PRIV_H

#include "core/access/pairing.h"
#include "core/base/map.h"

#define DEVICE_PREFIX	"device/"
#define SETUP_PREFIX	"setup/"

/* A record that is to be written again. */
struct redo {
	struct list	 link;
	char		 id[DEVICE_ID_SIZE];
};

struct pairing {
	struct loop		*loop;
	struct store		*store;		/* NULL once closed */
	struct map		*devices;	/* by id */
	struct list		 order;		/* the newest approval last */
	uint64_t		 generation;
	struct map		*pendings;	/* by request id */
	struct map		*by_device;	/* pending by device id */
	struct list		 waiting;	/* by last sight */
	struct budget		*asked;		/* new requests by source */
	struct list		 setups;
	size_t			 n_setups;
	struct list		 redos;		/* ids to write again */
	struct loop_timer	*timer;		/* expiry, redo, last seen */
	pairing_event_fn	*on_event;
	void			*event_arg;
};

/* pairing_json.c */
int	 device_write(struct buf *out, const struct device *d);
/* Fills a zeroed record; -EBADMSG and why for what makes no sense. */
int	 device_read(struct device *d, const char *id, const char *text,
	    size_t len, struct buf *why);
int	 setup_write(struct buf *out, const struct setup *s);
int	 setup_read(struct setup *s, const char *id, const char *text,
	    size_t len);

/* pairing_device.c */
void	 device_fini(struct device *d);
int	 about_copy(struct device_about *to, const struct device_about *from);
void	 about_free(struct device_about *a);
int	 pairing_load_devices(struct pairing *p);
void	 pairing_write_again(struct pairing *p);
void	 pairing_write_seen(struct pairing *p);
void	 pairing_emit(struct pairing *p, unsigned what, const char *device_id,
	    struct json_object *data);		/* takes data */

/* pairing_pending.c */
void	 pending_drop(struct pairing *p, struct pending *q);
void	 pairing_expire(struct pairing *p);

/* pairing_setup.c */
int	 pairing_load_setups(struct pairing *p);
void	 setup_expire(struct pairing *p);
void	 setup_drop(struct pairing *p, struct setup *s);
void	 setup_drop_device(struct pairing *p, const char *device_id);

#endif
