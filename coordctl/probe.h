/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Probing relays: what a relay is asked, and what came of it.
 */

#ifndef COORDCTL_PROBE_H
#define COORDCTL_PROBE_H

#include <sys/types.h>

#include <stdint.h>

#include "messages.h"

/* A relay as the DERP map has it. */
struct probe {
	char		 pr_host[MSG_NAME_LEN];
	char		 pr_ip4[64];		/* "": by the name; "none" */
	char		 pr_ip6[64];
	char		 pr_cert[MSG_NAME_LEN];	/* as tlsclient.h has it */
	uint16_t	 pr_port;
	uint16_t	 pr_stun;		/* 0: it does no STUN */
	int		 pr_stunonly;
	int		 pr_insecure;
};

/* Microseconds; 0: not measured, -1: it failed. */
struct probe_result {
	int64_t		 re_derp;		/* of a request inside TLS */
	int64_t		 re_stun4;
	int64_t		 re_stun6;
	char		 re_why[MSG_TEXT_LEN];	/* "": all is well */
};

/* probe_run.c */

/*
 * In a process of its own, with the file of CA certificates (NULL: the
 * system's): resolve and connect, without root's rights; then close the
 * sandbox, and only then read what the relay says. Ends within 20 seconds.
 */
void	 probe_run(const struct probe *, const char *, struct probe_result *);

#endif /* COORDCTL_PROBE_H */
