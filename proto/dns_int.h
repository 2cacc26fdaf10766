/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Between the files of the DNS code.
 */

#ifndef SHOAL_DNS_INT_H
#define SHOAL_DNS_INT_H

#include "dns.h"

/* A message under construction; w_bad once something did not fit. */
struct dns_writer {
	uint8_t		*w_buf;
	size_t		 w_len;
	size_t		 w_max;
	int		 w_bad;
};

void	 dns_put16(struct dns_writer *, uint16_t);
void	 dns_put32(struct dns_writer *, uint32_t);
void	 dns_put_bytes(struct dns_writer *, const void *, size_t);
void	 dns_put_name(struct dns_writer *, const struct dns_name *);
/* Length that dns_put_name would take. */
size_t	 dns_name_wire_len(const struct dns_name *);
/* Header and question of an answer; answers and authority records follow. */
void	 dns_put_reply(struct dns_writer *, const struct dns_query *,
	    uint16_t, unsigned int, unsigned int);

uint16_t dns_get16(const uint8_t *);
uint32_t dns_get32(const uint8_t *);
/* Read a name at *off, compressed or not; moves *off behind it. 0 or -1. */
int	 dns_get_name(const uint8_t *, size_t, size_t *, struct dns_name *);
void	 dns_name_lower(struct dns_name *, const struct dns_name *);
int	 dns_name_equal(const struct dns_name *, const struct dns_name *);
/* Is it the suffix, or below it? Both lower case. */
int	 dns_name_within(const struct dns_name *, const struct dns_name *);

/* Special forms of names, lower case. 0 and the address, or -1. */
int	 dns_via_parse(const struct dns_name *, struct dns_ip *);
int	 dns_reverse_parse(const struct dns_name *, struct dns_ip *);
int	 dns_bonjour(const struct dns_name *);

#endif /* SHOAL_DNS_INT_H */
