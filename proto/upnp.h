/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * UPnP Internet gateways as far as a port mapping needs them: SSDP, the HTTP
 * answer, the description of the device, SOAP calls; dataplane.md 5. All
 * that is read here comes from whoever sits on the local network.
 */

#ifndef SHOAL_UPNP_H
#define SHOAL_UPNP_H

#include <stddef.h>
#include <stdint.h>

/* --- SSDP --- */

#define SSDP_PORT	1900
#define SSDP_MAX	1500		/* of a datagram; longer is refused */

struct ssdp_reply {
	char		 location[256];
	char		 server[128];
	char		 usn[256];
};

/*
 * A search: for anything (0), or for gateways (1). Static text; *len bytes.
 */
const char *ssdp_search(int, size_t *);
/* Does it name a gateway at all? */
int	 ssdp_is_gateway(const uint8_t *, size_t);
/* 0, or -1 if it is no HTTP answer with a complete head. */
int	 ssdp_parse(struct ssdp_reply *, const uint8_t *, size_t);
/*
 * Sort by USN, the last first, so that a device of version 2 comes before one
 * of version 1; drop those with the location and server of one before.
 * Returns how many are left.
 */
size_t	 ssdp_sort(struct ssdp_reply *, size_t);

/* --- URLs --- */

struct upnp_url {
	uint8_t		 ip[4];
	uint16_t	 port;
	char		 path[256];	/* with query, begins with "/" */
};

/*
 * "http://192.0.2.1:5000/desc.xml": the host must be an IPv4 address and,
 * if `port` is 1, be followed by its port. 0 or -1. The path has no blanks,
 * controls or bytes beyond ASCII.
 */
int	 upnp_url_parse(struct upnp_url *, const char *, int);
/* Relative to the first one: (result, base, reference). 0 or -1. */
int	 upnp_url_join(struct upnp_url *, const struct upnp_url *,
	    const char *);

/* --- HTTP --- */

#define HTTP_HEAD_MAX	4096

struct http_answer {
	int		 status;
	int		 chunked;
	int64_t		 length;	/* -1: not told */
	size_t		 head;		/* bytes, blank line included */
};

/* 1: head is complete; 0: more is needed; -1: it is none, or too long. */
int	 http_answer_parse(struct http_answer *, const char *, size_t);
/*
 * Put the body of a chunked answer together in place: (bytes, length, *out).
 * 1: complete, *out bytes; 0: more is needed (nothing was moved); -1: bad.
 */
int	 http_dechunk(char *, size_t, size_t *);

/* --- the device's description --- */

#define UPNP_XML_MAX	(128 * 1024)
#define UPNP_SERVICES	16		/* more are not looked at */

/* In the order of preference. */
enum upnp_type {
	UPNP_IP2,
	UPNP_IP1,
	UPNP_PPP1,
	UPNP_LEGACY_PPP1,
	UPNP_LEGACY_IP1,
	UPNP_TYPES
};

struct upnp_service {
	enum upnp_type	 type;
	char		 control[256];	/* controlURL as it stands there */
};

struct upnp_device {
	struct upnp_service service[UPNP_SERVICES];	/* best first */
	size_t		 n;
	char		 base[256];	/* URLBase, or "" */
};

/*
 * Read a description. 0, or -1: malformed, with a document type (so that no
 * entity can be declared), too deep, too large. What is no service that maps
 * ports is left out.
 */
int	 upnp_device_parse(struct upnp_device *, const char *, size_t);

/* --- SOAP --- */

enum soap_action {
	SOAP_ADD,
	SOAP_ADD_ANY,
	SOAP_DELETE,
	SOAP_EXTERNAL,
	SOAP_STATUS
};

/* What the arguments are made of; only those of its action count. */
struct soap_args {
	uint8_t		 client[4];	/* own address */
	uint16_t	 internal;
	uint16_t	 external;
	uint32_t	 lease;		/* seconds; 0: for ever */
};

#define SOAP_MAX	2048

/* The body of a request, NUL-terminated: (buffer of SOAP_MAX). Its length. */
size_t	 soap_build(char *, enum upnp_type, enum soap_action,
	    const struct soap_args *);
/* "urn:...:WANIPConnection:1#AddPortMapping", for the header. */
size_t	 soap_header(char *, size_t, enum upnp_type, enum soap_action);

struct soap_answer {
	int		 fault;
	int		 error;		/* UPnP errorCode; 0: none told */
	int		 has_ip;
	uint8_t		 ip[4];		/* NewExternalIPAddress */
	uint16_t	 reserved;	/* NewReservedPort, 0: none */
	int		 connected;	/* NewConnectionStatus */
};

/* 0, or -1 as for upnp_device_parse, or if it is no SOAP envelope. */
int	 soap_parse(struct soap_answer *, const char *, size_t);

#endif /* SHOAL_UPNP_H */
