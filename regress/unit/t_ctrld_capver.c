/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The capability version that is announced is one that is kept.
 */
/* link: ../../ctrld/capver.c */

#include <err.h>

#include "../../ctrld/capver.h"

int
main(void)
{
	const struct capver	*t;
	size_t			 i, n;

	t = capver_table(&n);
	if (n == 0 || t[0].cv_version != 68)
		errx(1, "the table does not begin where it should");
	for (i = 0; i < n; i++) {
		if (t[i].cv_version != 68 + (int)i)
			errx(1, "%d: out of order", t[i].cv_version);
		if (t[i].cv_version <= CTRLD_CAPVER &&
		    t[i].cv_how == CAPVER_NOT)
			errx(1, "%d is announced, and %d not kept: %s",
			    CTRLD_CAPVER, t[i].cv_version, t[i].cv_what);
	}
	/* As high as it can be. */
	if (t[n - 1].cv_version != CTRLD_CAPVER + 1 ||
	    t[n - 1].cv_how != CAPVER_NOT)
		errx(1, "%d could be announced", t[n - 1].cv_version);
	if (CTRLD_CAPVER < CAPVER_FLOOR)
		errx(1, "%d is refused by servers", CTRLD_CAPVER);
	return 0;
}
