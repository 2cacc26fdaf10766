/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What tests of ctrld's parts put in place of ctrld.c.
 */

#ifndef REGRESS_STUB_CTRLD_H
#define REGRESS_STUB_CTRLD_H

/* What ctrld_conf() gives out. */
extern struct ctrld_conf	 stub_conf;

/*
 * A message as it would have come over a channel, with that id and, if it
 * is not -1, that descriptor. Ends the test if it is refused.
 */
void	 stub_deliver(int (*)(struct imsg *), uint32_t, int, const void *,
	    size_t);

#endif
