/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Counters for Prometheus, by the names that the real derper gives them.
 */

#include <sys/types.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "relay.h"

static struct relay_stats	 counters;

struct relay_stats *
relay_stats(void)
{
	return &counters;
}

struct text {
	char	*t_buf;
	size_t	 t_len;
	size_t	 t_size;
};

__attribute__((__format__ (printf, 2, 3))) static void
add(struct text *t, const char *fmt, ...)
{
	va_list	 ap;
	int	 n;

	va_start(ap, fmt);
	n = vsnprintf(t->t_buf + t->t_len, t->t_size - t->t_len, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < t->t_size - t->t_len)
		t->t_len += n;
}

static void
one(struct text *t, const char *type, const char *name, uint64_t v)
{
	add(t, "# TYPE %s %s\n%s %" PRIu64 "\n", name, type, name, v);
}

static void
print_derp(struct text *t)
{
	const struct core_stats	*s = core_stats();

	one(t, "counter", "derp_accepts", counters.rs_accepts);
	one(t, "counter", "derp_bytes_received", s->cs_bytes);
	one(t, "counter", "derp_bytes_sent", s->cs_sent_bytes);
	one(t, "counter", "derp_packets_received", s->cs_packets);
	one(t, "counter", "derp_packets_sent", s->cs_sent);
	add(t, "# TYPE derp_packets_dropped counter\n"
	    "derp_packets_dropped{reason=\"unknown_dest\"} %" PRIu64 "\n"
	    "derp_packets_dropped{reason=\"queue_head\"} %" PRIu64 "\n",
	    s->cs_unknown, s->cs_dropped);
	one(t, "counter", "derp_packets_forwarded_out", s->cs_forwarded);
	one(t, "counter", "derp_packets_forwarded_in", s->cs_forwards);
	one(t, "counter", "derp_peer_gone_not_here_frames", s->cs_gone);
	one(t, "counter", "derp_home_moves_in", s->cs_home_moves);
	one(t, "counter", "derp_got_ping", s->cs_pings);
	one(t, "gauge", "derp_current_connections", conn_count_all());
	one(t, "gauge", "derp_current_home_connections", s->cs_home);
	one(t, "gauge", "derp_clients_total", s->cs_keys + s->cs_remote);
	one(t, "gauge", "derp_clients_local", s->cs_keys);
	one(t, "gauge", "derp_clients_remote", s->cs_remote);
	one(t, "gauge", "derp_current_dup_client_conns",
	    s->cs_clients - s->cs_keys);
	one(t, "gauge", "derp_watchers", s->cs_watchers);
	one(t, "counter", "derp_refused_admission", counters.rs_refused);
	one(t, "counter", "derp_refused_connections", counters.rs_full);
}

static void
print_stun(struct text *t)
{
	add(t, "# TYPE stun_requests counter\n"
	    "stun_requests{disposition=\"success\"} %" PRIu64 "\n"
	    "stun_requests{disposition=\"not_stun\"} %" PRIu64 "\n"
	    "stun_requests{disposition=\"rate_limited\"} %" PRIu64 "\n",
	    counters.rs_stun4 + counters.rs_stun6, counters.rs_stun_bad,
	    counters.rs_stun_rate);
	add(t, "# TYPE stun_addrfamily counter\n"
	    "stun_addrfamily{family=\"ipv4\"} %" PRIu64 "\n"
	    "stun_addrfamily{family=\"ipv6\"} %" PRIu64 "\n",
	    counters.rs_stun4, counters.rs_stun6);
}

size_t
metrics_print(char *buf, size_t size)
{
	struct text	 t = { buf, 0, size };

	print_derp(&t);
	print_stun(&t);
	return t.t_len;
}
