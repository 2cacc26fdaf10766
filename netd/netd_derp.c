/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Packets by relays: which connections there are, and who is behind them.
 */

#include <sys/types.h>

#include <errno.h>
#include <string.h>

#include "derp.h"
#include "netd.h"

static uint16_t	 home;

static void	 home_choose(void);
static void	 home_tell(void);

int
derp_send(uint16_t region, const uint8_t *key, const void *pkt, size_t len)
{
	if (len > DERP_PACKET_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	errno = derpmap_region(region) == NULL ? ENOENT : ENOBUFS;
	return -1;
}

void
derp_set_home(uint16_t region)
{
	home = region;
}

uint16_t
derp_home(void)
{
	return home;
}

int
derp_connected(uint16_t region)
{
	return 0;
}

uint16_t
derp_route(const uint8_t *key, uint16_t region)
{
	return region;
}

int64_t
derp_last_frame(uint16_t region)
{
	return 0;
}

unsigned int
derp_count(void)
{
	return 0;
}

/*
 * Before anything was measured: the same one for this node each time, and
 * the nodes of a tailnet spread (dataplane.md 3.7).
 */
static void
home_choose(void)
{
	const struct derp_map	*m = derpmap_now();
	uint32_t		 i, n = 0, pick;

	for (i = 0; i < m->dm_nregions; i++)
		n += derpmap_may_home(&m->dm_region[i]);
	if (n == 0)
		return;
	memcpy(&pick, nd.n_key, sizeof(pick));
	pick %= n;
	for (i = 0; i < m->dm_nregions; i++)
		if (derpmap_may_home(&m->dm_region[i]) && pick-- == 0)
			break;
	derp_set_home(m->dm_region[i].dr.id);
	home_tell();
}

static void
home_tell(void)
{
	struct msg_netinfo	 m;

	memset(&m, 0, sizeof(m));
	m.varies = m.ipv6 = m.os_ipv6 = m.udp = m.icmp4 = -1;
	m.upnp = m.pmp = m.pcp = -1;
	m.preferred_derp = home;
	(void)chan_compose(&nd.n_ctrld, IMSG_NETINFO, 0, -1, &m, sizeof(m));
}

void
derp_map_changed(void)
{
	if (home != 0 && derpmap_region(home) == NULL)
		derp_set_home(0);
	if (home == 0)
		home_choose();
}

void
derp_input(uint16_t region, const uint8_t *key, uint8_t *pkt, size_t len,
    int64_t now)
{
	rx_relayed(nd.n_rx, region, key, pkt, len, now);
}

void
derp_input_done(void)
{
	rx_flush(nd.n_rx);
}

void
derp_peer_gone(uint16_t region, const uint8_t *key, uint8_t reason)
{
	log_debug("%s: a peer is gone, reason %u", derpmap_name(region),
	    reason);
}
