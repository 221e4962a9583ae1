/* SPDX-License-Identifier: MIT */
/* The envelope around text from outside. No host is needed. */
#ifndef HOOKS_WRAP_H
#define HOOKS_WRAP_H

#define WRAP_ID_LEN	16	/* hexadecimal digits of an envelope's id */

/*
 * The text between two marks that carry the id, which the sender cannot know,
 * with a notice for the model in front. Marks that are in the text already, and
 * the control words of models, are made harmless. task is one line of the head,
 * or NULL. Gives; NULL: no memory.
 */
char	*wrap_external(const char *text, const char *source, const char *task,
	    const char *id);

#endif
