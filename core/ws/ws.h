/* SPDX-License-Identifier: MIT */
/*
 * RFC 6455 as a state machine: bytes in, events out, heads of frames for what
 * goes out. It knows no socket and sends nothing by itself: the owner answers
 * pings, echoes a close and bounds time. Extensions are never negotiated, so a
 * reserved bit is an error.
 */
#ifndef WS_WS_H
#define WS_WS_H

#include "core/base/base.h"

#define WS_HEAD_MAX		14u	/* section 5.2: 2 + 8 + 4 */
#define WS_CONTROL_MAX		125u	/* section 5.5 */
#define WS_FRAGMENTS_MAX	16384u	/* frames in one message */
#define WS_REASON_MAX		120u	/* bytes of a close reason we send */
#define WS_KEY_LEN		24u	/* base64 of 16 bytes */
#define WS_ACCEPT_SIZE		29u	/* base64 of a SHA-1, and NUL */

enum ws_opcode {
	WS_OP_CONTINUATION = 0x0,
	WS_OP_TEXT = 0x1,
	WS_OP_BINARY = 0x2,
	WS_OP_CLOSE = 0x8,
	WS_OP_PING = 0x9,
	WS_OP_PONG = 0xa,
};

enum ws_code {		/* section 7.4 and the IANA registry */
	WS_CODE_NORMAL = 1000,
	WS_CODE_GOING_AWAY = 1001,
	WS_CODE_PROTOCOL = 1002,
	WS_CODE_NONE = 1005,		/* never on the wire */
	WS_CODE_ABNORMAL = 1006,	/* never on the wire */
	WS_CODE_UTF8 = 1007,
	WS_CODE_POLICY = 1008,
	WS_CODE_TOO_BIG = 1009,
	WS_CODE_INTERNAL = 1011,
	WS_CODE_RESTART = 1012,
	WS_CODE_TRY_LATER = 1013,
};

enum ws_side {
	WS_SERVER,		/* frames that come in must be masked */
	WS_CLIENT,		/* must not be */
};

enum ws_what {
	WS_MORE,		/* all bytes used, nothing whole yet */
	WS_MESSAGE,
	WS_PING,
	WS_PONG,
	WS_CLOSE,		/* nothing is parsed after it */
	WS_FAIL,		/* nor after this; send ev->code and close */
};

struct ws_event {
	enum ws_what	 what;
	bool		 is_binary;	/* MESSAGE */
	/* CLOSE: the peer's, 1005 for none. FAIL: 1002, 1007 or 1009. */
	uint16_t	 code;
	/*
	 * The message, the body of a ping or pong, the reason of a close: valid
	 * UTF-8 but for ping and pong, not terminated. Lent until the next call;
	 * the reader may write to it.
	 */
	char		*data;
	size_t		 len;
};

/*
 * Embedded in the connection and small while idle; memory is owned only while a
 * message or a control frame is in pieces. Members are ws.c's own.
 */
struct ws {
	char		*buf;		/* the message so far */
	char		*control;	/* the control frame so far */
	uint32_t	 len;		/* of buf */
	uint32_t	 cap;
	uint32_t	 max;		/* of a message, inclusive */
	uint32_t	 left;		/* of the frame's payload */
	unsigned char	 head[WS_HEAD_MAX];
	uint8_t		 head_len;
	uint8_t		 state;
	unsigned char	 mask[4];	/* turned so that [0] is next */
	uint16_t	 n_fragments;
	uint8_t		 side;
	uint8_t		 opcode;	/* of the message, 0 outside of one */
	uint8_t		 frame;		/* first byte of the frame */
	uint8_t		 utf8;
	uint8_t		 control_len;
	bool		 is_lent;	/* buf or control went out */
};

_Static_assert(sizeof(struct ws) <= 64, "an idle connection pays for it");

void	 ws_init(struct ws *ws, enum ws_side side, size_t message_max);
void	 ws_fini(struct ws *ws);	/* takes NULL */
/* From the next frame on. */
void	 ws_set_max(struct ws *ws, size_t message_max);

/*
 * Reads bytes up to the next event and says how many that took. Payload is
 * unmasked where it lies; a message that lies whole in bytes is handed out
 * there, others are put together in memory of ws. Call again with the rest until
 * it says WS_MORE, also with none: that call gives the memory back.
 *
 * 0, or -ENOMEM, after which ws takes no more (WS_FAIL semantics, code 1011).
 */
int	 ws_feed(struct ws *ws, char *bytes, size_t len, size_t *ret_used,
	    struct ws_event *ret_ev) must_use;

/*
 * After WS_MESSAGE, before the next call: gives the malloc()ed storage of a
 * message that was put together, so that it need not be copied. False when the
 * message lies in the caller's bytes; *ret_data is untouched then.
 */
bool	 ws_take_message(struct ws *ws, const char *data, char **ret_data)
	    must_use;

/* A message or a frame has begun and is not whole (a deadline applies). */
bool	 ws_is_busy(const struct ws *ws);
/* Bytes of memory that ws holds beyond its own struct. */
size_t	 ws_held(const struct ws *ws);

/*
 * Writes the head of a whole (FIN) frame and returns its length. A client gives
 * the mask, and masks the payload with ws_mask(); a server gives NULL.
 */
size_t	 ws_head(unsigned char out[WS_HEAD_MAX], enum ws_opcode opcode,
	    uint64_t len, const unsigned char *mask);
void	 ws_mask(void *p, size_t len, const unsigned char mask[4]);
/*
 * The body of a close frame: code and the reason, cut between two characters at
 * WS_REASON_MAX. Code 1005 gives the empty body. Reason may be NULL.
 */
size_t	 ws_close_body(unsigned char out[2 + WS_REASON_MAX], uint16_t code,
	    const char *reason);
bool	 ws_code_is_valid(unsigned code);	/* may stand in a close frame */

/* Section 4.2.2: the value of Sec-WebSocket-Accept for a key. */
void	 ws_accept_key(const char *key, size_t len, char out[WS_ACCEPT_SIZE]);
/* RFC 4648 section 4, with padding; out has room for 4 * ceil(len / 3) + 1. */
void	 ws_base64(const void *p, size_t len, char *out);

#endif
