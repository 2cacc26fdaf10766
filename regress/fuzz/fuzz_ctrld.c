/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What servers and relays may say to ctrld beside the map: requests over
 * c2n, dial plans, names. The first byte chooses.
 */
/* link: ../../ctrld/bootstrap.c ../../ctrld/c2n.c ../../ctrld/dialplan.c */
/* link: ../../ctrld/url.c */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../ctrld/bootstrap.h"
#include "../../ctrld/c2n.h"
#include "../../ctrld/dial.h"
#include "jsonutil.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static char *
doc(enum c2n_doc what)
{
	return what == C2N_METRICS ? NULL : strdup("{}");
}

static void
request(const uint8_t *p, size_t len)
{
	char	*out;
	size_t	 outlen;

	/* A block of its own: what is read behind it is found. */
	if ((out = malloc(len > 0 ? len : 1)) == NULL)
		abort();
	memcpy(out, p, len);
	free(c2n_answer(out, len, doc, &outlen));
	free(out);
}

/* What was read once reads the same again. */
static void
plan(json_t *j)
{
	struct dial_plan	 a, b;
	struct dial_try		 t[DIAL_TRIES];
	struct url		 u;
	json_t			*again;

	if (dial_plan_parse(j, &a) == -1)
		return;
	again = dial_plan_json(&a);
	if (again == NULL || dial_plan_parse(again, &b) == -1 ||
	    a.dp_n != b.dp_n)
		abort();
	json_decref(again);
	(void)url_parse("https://c.example", &u);
	if (dial_tries(&u, &a, 0, 1000, t) > DIAL_TRIES ||
	    dial_limit(&a) > DIAL_MAX_S * 1000)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct bootstrap	 b[BOOTSTRAP_MAX];
	struct msg_ip		 ip[4];
	json_t			*j;

	if (len == 0)
		return 0;
	if (*p == 'r') {
		request(p + 1, len - 1);
		return 0;
	}
	if (bootstrap_parse((const char *)p + 1, len - 1, "c", ip, 4) > 4)
		abort();
	if ((j = ju_load(p + 1, len - 1)) == NULL)
		return 0;
	if (bootstrap_relays(j, len, b) > BOOTSTRAP_MAX)
		abort();
	plan(j);
	json_decref(j);
	return 0;
}
