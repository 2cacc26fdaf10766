/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * shoalctl netcheck: what the network around the node is like, in the words
 * of tailscale's report.
 */

#include <sys/types.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"
#include "shoalctl.h"

#define SECOND	1000000000LL
#define MICRO	1000LL

static void	 net_cb(struct imsg *, void *);
static void	*grow(void *, size_t, size_t);
static int	 region_cmp(const void *, const void *);
static char	*date_text(int64_t, char *, size_t);
static char	*mapping_text(const struct msg_ctl_netreport *, char *,
		    size_t);
static void	 show_address6(const struct msg_ctl_netreport *);
static void	 show_regions(const struct netreport *, int);
static const char
		*tri_text(int8_t);
static int	 pause_ms(int64_t);

static void *
grow(void *p, size_t n, size_t size)
{
	if ((p = reallocarray(p, n + 1, size)) == NULL)
		err(1, NULL);
	return p;
}

static void
net_cb(struct imsg *imsg, void *arg)
{
	struct netreport		*nr = arg;
	struct msg_ctl_netregion	*r;
	struct msg_ctl_netseen		*s;

	switch (imsg_get_type(imsg)) {
	case IMSG_CTL_NETREPORT:
		conn_data(imsg, &nr->nr_report, sizeof(nr->nr_report));
		break;
	case IMSG_CTL_NETREGION:
		nr->nr_regions = grow(nr->nr_regions, nr->nr_nregions,
		    sizeof(*nr->nr_regions));
		r = &nr->nr_regions[nr->nr_nregions++];
		conn_data(imsg, r, sizeof(*r));
		clean_text(r->code, sizeof(r->code));
		clean_text(r->name, sizeof(r->name));
		break;
	case IMSG_CTL_NETSEEN:
		nr->nr_seen = grow(nr->nr_seen, nr->nr_nseen,
		    sizeof(*nr->nr_seen));
		s = &nr->nr_seen[nr->nr_nseen++];
		conn_data(imsg, s, sizeof(*s));
		break;
	default:
		break;
	}
}

/* By latency; those without one last; then by number. */
static int
region_cmp(const void *a, const void *b)
{
	const struct msg_ctl_netregion	*x = a, *y = b;

	if ((x->latency == 0) != (y->latency == 0))
		return x->latency == 0 ? 1 : -1;
	if (x->latency != y->latency)
		return x->latency < y->latency ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* Digits behind the point, without the zeros at their end. */
static void
fraction(char *buf, size_t len, long long v, int digits)
{
	size_t	 n;

	if (v == 0) {
		buf[0] = '\0';
		return;
	}
	(void)snprintf(buf, len, ".%0*lld", digits, v);
	for (n = strlen(buf); buf[n - 1] == '0'; n--)
		buf[n - 1] = '\0';
}

/* As Go prints a time.Duration that was rounded to 0.1 ms. */
char *
latency_text(int64_t ns, char *buf, size_t len)
{
	long long	 us = (ns + 50 * MICRO) / (100 * MICRO) * 100;
	char		 frac[16];

	if (us == 0)
		(void)strlcpy(buf, "0s", len);
	else if (us < 1000)
		(void)snprintf(buf, len, "%lld\302\265s", us);
	else if (us < 1000000) {
		fraction(frac, sizeof(frac), us % 1000, 3);
		(void)snprintf(buf, len, "%lld%sms", us / 1000, frac);
	} else {
		fraction(frac, sizeof(frac), us % 1000000, 6);
		(void)snprintf(buf, len, "%lld%ss", us / 1000000, frac);
	}
	return buf;
}

/* "2006-01-02 15:04:05.999999999Z07:00", local. */
static char *
date_text(int64_t ns, char *buf, size_t len)
{
	struct tm	 tm;
	time_t		 t = (time_t)(ns / SECOND);
	char		 date[32], frac[16], zone[8];

	if (localtime_r(&t, &tm) == NULL ||
	    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm) == 0 ||
	    strftime(zone, sizeof(zone), "%z", &tm) != 5)
		return strlcpy(buf, "?", len) < len ? buf : NULL;
	fraction(frac, sizeof(frac), ns % SECOND, 9);
	if (strcmp(zone, "+0000") == 0)
		(void)snprintf(buf, len, "%s%sZ", date, frac);
	else
		(void)snprintf(buf, len, "%s%s%.3s:%s", date, frac, zone,
		    zone + 3);
	return buf;
}

static const char *
tri_text(int8_t v)
{
	return v == -1 ? "" : v ? "true" : "false";
}

static char *
mapping_text(const struct msg_ctl_netreport *r, char *buf, size_t len)
{
	if (r->upnp == -1 && r->pmp == -1 && r->pcp == -1) {
		(void)strlcpy(buf, "not checked", len);
		return buf;
	}
	(void)snprintf(buf, len, "%s%s%s%s%s", r->upnp == 1 ? "UPnP" : "",
	    r->upnp == 1 && r->pmp == 1 ? ", " : "",
	    r->pmp == 1 ? "NAT-PMP" : "",
	    (r->upnp == 1 || r->pmp == 1) && r->pcp == 1 ? ", " : "",
	    r->pcp == 1 ? "PCP" : "");
	return buf;
}

static void
show_address6(const struct msg_ctl_netreport *r)
{
	char	 addr[ADDR_LEN + 8];

	if (r->global6.af != 0)
		printf("\t* IPv6: yes, %s\n", endpoint_text(&r->global6,
		    addr, sizeof(addr)));
	else if (r->ipv6)
		printf("\t* IPv6: (no addr found)\n");
	else if (r->os6)
		printf("\t* IPv6: no, but OS has support\n");
	else
		printf("\t* IPv6: no, unavailable in OS\n");
}

static void
show_regions(const struct netreport *nr, int verbose)
{
	const struct msg_ctl_netregion	*r, *near = NULL;
	char				 lat[32], num[24] = "";
	size_t				 i;
	int				 pad;

	for (i = 0; i < nr->nr_nregions; i++)
		if (nr->nr_regions[i].id == nr->nr_report.preferred)
			near = &nr->nr_regions[i];
	if (nr->nr_nregions == 0 || nr->nr_regions[0].latency == 0) {
		printf("\t* Nearest DERP: unknown (no response to latency "
		    "probes)\n");
		return;
	}
	if (nr->nr_report.preferred == 0)
		printf("\t* Nearest DERP: [none]\n");
	else if (near == NULL)
		printf("\t* Nearest DERP: %u (region not found in map)\n",
		    nr->nr_report.preferred);
	else
		printf("\t* Nearest DERP: %s\n", near->name);
	printf("\t* DERP latency:\n");
	for (i = 0; i < nr->nr_nregions; i++) {
		r = &nr->nr_regions[i];
		lat[0] = '\0';
		if (r->latency != 0)
			(void)latency_text(r->latency, lat, sizeof(lat));
		/* The micro sign is two bytes, and one place. */
		pad = strchr(lat, '\302') != NULL ? 8 : 7;
		if (verbose)
			(void)snprintf(num, sizeof(num), "derp%u, ", r->id);
		printf("\t\t- %3s: %-*s (%s%s)\n", r->code, pad, lat, num,
		    r->name);
	}
}

int
text_netcheck(const struct netreport *nr, const struct args *a)
{
	const struct msg_ctl_netreport	*r = &nr->nr_report;
	char				 text[ADDR_LEN + 8];

	printf("\nReport:\n\t* Time: %s\n", date_text(r->date, text,
	    sizeof(text)));
	printf("\t* UDP: %s\n", r->udp ? "true" : "false");
	if (r->global4.af != 0)
		printf("\t* IPv4: yes, %s\n", endpoint_text(&r->global4,
		    text, sizeof(text)));
	else
		printf("\t* IPv4: (no addr found)\n");
	show_address6(r);
	printf("\t* MappingVariesByDestIP: %s\n", tri_text(r->varies));
	printf("\t* PortMapping: %s\n", mapping_text(r, text, sizeof(text)));
	if (r->captive != -1)
		printf("\t* CaptivePortal: %s\n", tri_text(r->captive));
	show_regions(nr, a->a_verbose);
	return 0;
}

int
netreport_get(struct netreport *nr, uint32_t flags)
{
	struct msg_ctl_netcheck	 m;
	int			 r;

	memset(nr, 0, sizeof(*nr));
	memset(&m, 0, sizeof(m));
	m.flags = flags;
	r = conn_ask(IMSG_CTL_NETCHECK, &m, sizeof(m), net_cb, nr);
	if (nr->nr_nregions > 1)
		qsort(nr->nr_regions, nr->nr_nregions,
		    sizeof(*nr->nr_regions), region_cmp);
	return r;
}

void
netreport_free(struct netreport *nr)
{
	free(nr->nr_regions);
	free(nr->nr_seen);
	memset(nr, 0, sizeof(*nr));
}

static int
pause_ms(int64_t ms)
{
	struct timespec	 ts;

	ts.tv_sec = ms / 1000;
	ts.tv_nsec = ms % 1000 * 1000000;
	return fflush(stdout) == EOF ? -1 : nanosleep(&ts, NULL);
}

int
cmd_netcheck(const struct args *a)
{
	struct netreport	 nr;
	uint32_t		 flags = NETCHECK_FULL;
	int			 r, json;

	json = a->a_json || (a->a_format != NULL &&
	    strncmp(a->a_format, "json", 4) == 0);
	if (a->a_format != NULL && strcmp(a->a_format, "json") != 0 &&
	    strcmp(a->a_format, "json-line") != 0) {
		warnx("unknown output format \"%s\"", a->a_format);
		return 2;
	}
	if (a->a_verbose)
		flags |= NETCHECK_VERBOSE;
	conn_open(socket_path, 0);
	for (;;) {
		if ((r = netreport_get(&nr, flags)) != 0)
			break;
		if (a->a_verbose)
			fprintf(stderr, "netcheck: the report took %lld ms\n",
			    (long long)(nr.nr_report.took / 1000000));
		r = (json ? &output_json : &output_text)->o_netcheck(&nr, a);
		netreport_free(&nr);
		/* Further ones are of the fastest regions alone. */
		flags &= ~(uint32_t)NETCHECK_FULL;
		if (r != 0 || a->a_every_ms == 0 ||
		    pause_ms(a->a_every_ms) == -1)
			break;
	}
	netreport_free(&nr);
	return r;
}
