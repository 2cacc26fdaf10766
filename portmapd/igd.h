/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * One mapping by UPnP, as a row of HTTP requests: pure, without sockets.
 */

#ifndef PORTMAPD_IGD_H
#define PORTMAPD_IGD_H

#include <stddef.h>
#include <stdint.h>

#include "upnp.h"

#define IGD_ERR_CONFLICT	718	/* UPnP: that port is taken */

enum igd_step {
	IGD_DESCRIPTION,
	IGD_STATUS,			/* of each service, if several */
	IGD_LOOK,			/* its external address */
	IGD_ADD,
	IGD_ADD_FOREVER,		/* it has no leases that end */
	IGD_EXTERNAL,
	IGD_DELETE
};

enum igd_result {
	IGD_MORE,			/* send igd_request() */
	IGD_DONE,
	IGD_FAILED
};

struct igd {
	struct upnp_url		 url;	/* of the description */
	struct upnp_device	 dev;
	struct {
		int		 up;
		int		 has_ip;
	}			 seen[UPNP_SERVICES];
	struct soap_args	 args;	/* external, lease: as asked for */
	enum igd_step		 step;
	size_t			 at;	/* service that is asked */
	int			 chosen;	/* dev and at hold */
	int			 error;	/* UPnP's, of the last failure */
	uint8_t			 gw[4];
	/* The outcome. */
	uint8_t			 ip[4];
	uint16_t		 port;
};

/*
 * Begin: (job, location of the description, gateway, what to map). The
 * description is fetched from the gateway whatever address it names.
 * args->external is the wanted port, 1024 or more; args->lease in seconds.
 * 0, or -1 if the location is none.
 */
int	 igd_start(struct igd *, const char *, const uint8_t *,
	    const struct soap_args *);
/* Once more, by the service that was chosen. -1: there is none. */
int	 igd_again(struct igd *, const struct soap_args *);
/* Take the mapping of igd.port away. -1: there is none. */
int	 igd_delete(struct igd *);

#define IGD_REQUEST_MAX	(SOAP_MAX + 1024)

/*
 * The request to send next, head and body: (job, port of the gateway, buffer
 * of IGD_REQUEST_MAX). Its length, or 0 if it cannot be made.
 */
size_t	 igd_request(const struct igd *, uint16_t *, char *);
/* Its answer: status (0: there was none), body. */
enum igd_result igd_answer(struct igd *, int, const char *, size_t);

#endif /* PORTMAPD_IGD_H */
