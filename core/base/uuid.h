/* SPDX-License-Identifier: MIT */
/* Random UUIDs, version 4 (RFC 9562 section 5.4). */
#ifndef BASE_UUID_H
#define BASE_UUID_H

void	 uuid_make(char ret_text[37]);

#endif
