/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Where and when the control server is dialled.
 */

#ifndef CTRLD_DIAL_H
#define CTRLD_DIAL_H

#include <sys/types.h>

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "pure.h"

#define DIAL_CANDS	16			/* of a plan */
#define DIAL_TRIES	(2 * DIAL_CANDS)
#define DIAL_MAX_S	60			/* seconds, in all */

/* A candidate of the server's ControlDialPlan. */
struct dial_cand {
	struct msg_ip	 dc_ip;			/* af 0: by its name */
	char		 dc_ace[MSG_NAME_LEN];	/* host to tunnel through */
	uint32_t	 dc_delay;		/* ms */
	uint32_t	 dc_limit;		/* ms from its start */
	int32_t		 dc_priority;		/* higher is better */
};

struct dial_plan {
	struct dial_cand dp_cand[DIAL_CANDS];
	size_t		 dp_n;			/* 0: there is no plan */
};

/* One attempt: what is connected to, and when. */
struct dial_try {
	struct url	 dt_url;		/* port and TLS as tried */
	struct msg_ip	 dt_ip;			/* af 0: look it up */
	char		 dt_ace[MSG_NAME_LEN];	/* "": none */
	uint32_t	 dt_delay;		/* ms from the beginning */
	uint32_t	 dt_limit;		/* ms from its start */
	int		 dt_after;		/* start when this one has
						 * failed; -1: none */
};

/*
 * Read the value of ControlDialPlan. Candidates that cannot be used (no
 * time limit, neither address nor host) are left out, at most DIAL_CANDS
 * are taken, those of higher priority first. Returns 0, or -1 if it is
 * malformed. dial_plan_json() is the way back: new reference.
 * Source: control.md 2.2, 4.4.
 */
int	 dial_plan_parse(json_t *, struct dial_plan *);
json_t	*dial_plan_json(const struct dial_plan *);

/*
 * The ports of a control URL: plain HTTP, and TLS (0: not tried). Source:
 * the table of control.md 2.2.
 */
void	 dial_ports(const struct url *, uint16_t *, uint16_t *);

/*
 * What is to be tried, into an array of DIAL_TRIES: the candidates of the
 * plan; NULL: the host of the URL by its addresses. tls_first: the plain
 * port may have been cut off lately. Returns how many; limit, where a
 * candidate sets none, in ms.
 */
size_t	 dial_tries(const struct url *, const struct dial_plan *, int,
	    uint32_t, struct dial_try *);

/* Time limit of a whole dial, in ms; the plan may be empty. */
uint32_t dial_limit(const struct dial_plan *);

#endif /* CTRLD_DIAL_H */
