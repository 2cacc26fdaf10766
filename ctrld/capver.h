/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What a capability version promises, and how it is kept.
 */

#ifndef CTRLD_CAPVER_H
#define CTRLD_CAPVER_H

#include <stddef.h>

/*
 * Servers choose by this number what they send, and peers, what they expect
 * of a node. It is the last before the first promise that is not kept.
 * Source: control.md 7.
 */
#define CTRLD_CAPVER	137

/* Servers of today take no client below this, Headscale for one. */
#define CAPVER_FLOOR	113

enum capver_how {
	CAPVER_KEPT,		/* done */
	CAPVER_MOOT,		/* about what this node does not have: another
				 * system, SSH, exit nodes chosen by the
				 * server, updates of itself */
	CAPVER_CONF,		/* an attribute that would overrule what the
				 * operator has configured: it does not */
	CAPVER_NOT		/* not kept */
};

struct capver {
	int		 cv_version;
	enum capver_how	 cv_how;
	const char	*cv_what;
};

/* In rising order from 68 on; the count goes to the argument. */
const struct capver
	*capver_table(size_t *);

#endif /* CTRLD_CAPVER_H */
