/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Requests that the server sends to the node, the pure part.
 */

#ifndef CTRLD_C2N_H
#define CTRLD_C2N_H

#include <stddef.h>

enum c2n_doc { C2N_PREFS, C2N_HEALTH, C2N_NETMAP, C2N_METRICS };

/*
 * Answer a raw HTTP/1.x request with a raw response (malloc; *len). The
 * function writes one of the documents (malloc; NULL: it cannot now).
 * NULL: no memory. Source: control.md 5.3.
 */
char	*c2n_answer(const char *, size_t, char *(*)(enum c2n_doc), size_t *);

#endif /* CTRLD_C2N_H */
