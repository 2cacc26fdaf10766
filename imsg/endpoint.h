/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Addresses of messages as text, and as the system wants them.
 */

#ifndef SHOAL_ENDPOINT_H
#define SHOAL_ENDPOINT_H

#include <sys/types.h>
#include <sys/socket.h>

#include <stdint.h>

#include "messages.h"

/* Text to address; 0, or -1. */
int	 ip_parse(struct msg_ip *, const char *);

/* AF_WIRE_* and address to text, "?" if it is none; static buffer. */
const char *ip_print(uint8_t, const uint8_t *);
/* "100.64.0.0/10"; a static buffer of its own. */
const char *prefix_print(const struct msg_prefix *);

/* For bind and connect; the length. What is not IPv4 is taken for IPv6. */
socklen_t endpoint_ss(const struct msg_endpoint *, struct sockaddr_storage *);

#endif /* SHOAL_ENDPOINT_H */
