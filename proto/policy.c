/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Policy: the parsed form as an object.
 */

#include <stdlib.h>

#include "policy_int.h"

void
policy_free(struct policy *p)
{
	size_t	 i;

	if (p == NULL)
		return;
	for (i = 0; i < p->p_ngroups; i++)
		free(p->p_groups[i].pg_members.sl_v);
	for (i = 0; i < p->p_ntags; i++)
		alist_free(&p->p_tags[i].pt_owners);
	for (i = 0; i < p->p_nroutes; i++)
		alist_free(&p->p_routes[i].pa_who);
	for (i = 0; i < p->p_nsrclists; i++) {
		alist_free(p->p_srclists[i]);
		free(p->p_srclists[i]);
	}
	for (i = 0; i < p->p_ngrants; i++) {
		alist_free(&p->p_grants[i].gr_dsts);
		alist_free(&p->p_grants[i].gr_via);
		free(p->p_grants[i].gr_ips);
		json_decref(p->p_grants[i].gr_app);
	}
	for (i = 0; i < p->p_nssh; i++) {
		alist_free(&p->p_ssh[i].ps_srcs);
		alist_free(&p->p_ssh[i].ps_dsts);
		free(p->p_ssh[i].ps_users.sl_v);
		free(p->p_ssh[i].ps_env.sl_v);
	}
	for (i = 0; i < p->p_nattrs; i++) {
		alist_free(&p->p_attrs[i].at_targets);
		free(p->p_attrs[i].at_attrs.sl_v);
	}
	for (i = 0; i < p->p_ntests; i++) {
		free(p->p_tests[i].te_accept);
		free(p->p_tests[i].te_deny);
	}
	alist_free(&p->p_exit);
	ptree_free(&p->p_tree);
	free(p->p_groups);
	free(p->p_hosts);
	free(p->p_tags);
	free(p->p_routes);
	free(p->p_srclists);
	free(p->p_grants);
	free(p->p_ssh);
	free(p->p_attrs);
	free(p->p_tests);
	free(p->p_file);
	free(p);
}
