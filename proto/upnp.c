/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * UPnP without its XML: SSDP, URLs, the HTTP answer, SOAP requests.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "upnp.h"
#include "upnp_int.h"

#define CHUNKS_MAX	UPNP_XML_MAX

const char *const upnp_urn[UPNP_TYPES] = {
	[UPNP_IP2] = "urn:schemas-upnp-org:service:WANIPConnection:2",
	[UPNP_IP1] = "urn:schemas-upnp-org:service:WANIPConnection:1",
	[UPNP_PPP1] = "urn:schemas-upnp-org:service:WANPPPConnection:1",
	[UPNP_LEGACY_PPP1] = "urn:dslforum-org:service:WANPPPConnection:1",
	[UPNP_LEGACY_IP1] = "urn:dslforum-org:service:WANIPConnection:1",
};

static const char *const actions[] = {
	[SOAP_ADD] = "AddPortMapping",
	[SOAP_ADD_ANY] = "AddAnyPortMapping",
	[SOAP_DELETE] = "DeletePortMapping",
	[SOAP_EXTERNAL] = "GetExternalIPAddress",
	[SOAP_STATUS] = "GetStatusInfo",
};

/* --- heads of HTTP messages --- */

/* A line of a head: its text without the end of line; NULL: not complete. */
static const char *
head_line(const char **p, const char *end, size_t *len)
{
	const char	*line = *p, *nl;

	if ((nl = memchr(line, '\n', end - line)) == NULL)
		return NULL;
	*p = nl + 1;
	*len = nl - line;
	if (*len > 0 && line[*len - 1] == '\r')
		(*len)--;
	return line;
}

/* "HTTP/1.1 200 OK": its number, or -1. */
static int
status_line(const char *s, size_t len)
{
	size_t	 i;

	if (len < 12 || memcmp(s, "HTTP/1.", 7) != 0 || s[8] != ' ' ||
	    (len > 12 && s[12] != ' '))
		return -1;
	if (s[7] != '0' && s[7] != '1')
		return -1;
	for (i = 9; i < 12; i++)
		if (s[i] < '0' || s[i] > '9')
			return -1;
	return (s[9] - '0') * 100 + (s[10] - '0') * 10 + (s[11] - '0');
}

/* Is this the header of that name? Its value, trimmed. */
static const char *
header_is(const char *line, size_t len, const char *name, size_t *vlen)
{
	size_t	 n = strlen(name);

	if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
		return NULL;
	line += n + 1;
	len -= n + 1;
	while (len > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	*vlen = len;
	return line;
}

/* The first one counts; what is too long or not text does not. */
static void
header_copy(char *dst, size_t size, const char *line, size_t len,
    const char *name)
{
	const char	*v;
	size_t		 i, n;

	if (dst[0] != '\0' || (v = header_is(line, len, name, &n)) == NULL ||
	    n >= size)
		return;
	for (i = 0; i < n; i++)
		if ((unsigned char)v[i] < ' ' || (unsigned char)v[i] > '~')
			return;
	memcpy(dst, v, n);
	dst[n] = '\0';
}

/* --- SSDP --- */

const char *
ssdp_search(int gateways, size_t *len)
{
#define SEARCH(st)	"M-SEARCH * HTTP/1.1\r\n"			\
			"HOST: 239.255.255.250:1900\r\n"		\
			"ST: " st "\r\n"				\
			"MAN: \"ssdp:discover\"\r\n"			\
			"MX: 2\r\n\r\n"
	static const char	 all[] = SEARCH("ssdp:all");
	static const char	 igd[] = SEARCH("urn:schemas-upnp-org:"
				    "device:InternetGatewayDevice:1");

	*len = (gateways ? sizeof(igd) : sizeof(all)) - 1;
	return gateways ? igd : all;
}

int
ssdp_is_gateway(const uint8_t *p, size_t len)
{
	static const char	 word[] = ":InternetGatewayDevice:";

	return memmem(p, len, word, sizeof(word) - 1) != NULL;
}

int
ssdp_parse(struct ssdp_reply *r, const uint8_t *data, size_t len)
{
	const char	*p = (const char *)data, *end, *line;
	size_t		 n;

	memset(r, 0, sizeof(*r));
	if (len == 0 || len > SSDP_MAX)
		return -1;
	end = p + len;
	if ((line = head_line(&p, end, &n)) == NULL ||
	    status_line(line, n) == -1)
		return -1;
	while ((line = head_line(&p, end, &n)) != NULL) {
		if (n == 0)
			return 0;
		header_copy(r->location, sizeof(r->location), line, n,
		    "Location");
		header_copy(r->server, sizeof(r->server), line, n, "Server");
		header_copy(r->usn, sizeof(r->usn), line, n, "USN");
	}
	return -1;
}

static int
ssdp_cmp(const void *va, const void *vb)
{
	const struct ssdp_reply	*a = va, *b = vb;
	int			 c;

	if ((c = strcmp(b->usn, a->usn)) != 0)
		return c;
	if ((c = strcmp(a->location, b->location)) != 0)
		return c;
	return strcmp(a->server, b->server);
}

static int
ssdp_known(const struct ssdp_reply *r, size_t n, const struct ssdp_reply *x)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		if (strcmp(r[i].location, x->location) == 0 &&
		    strcmp(r[i].server, x->server) == 0)
			return 1;
	return 0;
}

size_t
ssdp_sort(struct ssdp_reply *r, size_t n)
{
	size_t	 i, k = 0;

	if (n < 2)
		return n;
	qsort(r, n, sizeof(*r), ssdp_cmp);
	for (i = 0; i < n; i++)
		if (!ssdp_known(r, k, &r[i]) && k++ != i)
			r[k - 1] = r[i];
	return k;
}

/* --- URLs --- */

/* It goes into a request: nothing in it may end the line. */
static int
path_copy(struct upnp_url *u, const char *s)
{
	size_t	 i, n;

	n = strcspn(s, "#");
	if (n >= sizeof(u->path))
		return -1;
	for (i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return -1;
	memcpy(u->path, s, n);
	u->path[n] = '\0';
	return 0;
}

static int
port_parse(const char *s, size_t len, uint16_t *port)
{
	uint32_t	 v = 0;
	size_t		 i;

	if (len == 0 || len > 5)
		return -1;
	for (i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + (s[i] - '0');
	}
	if (v == 0 || v > UINT16_MAX)
		return -1;
	*port = v;
	return 0;
}

int
upnp_url_parse(struct upnp_url *u, const char *s, int port)
{
	char	 ip[16];
	size_t	 host, n;

	memset(u, 0, sizeof(*u));
	if (strncasecmp(s, "http://", 7) != 0)
		return -1;
	s += 7;
	host = strcspn(s, "/?#");
	n = strcspn(s, ":/?#");
	if (n >= sizeof(ip))
		return -1;
	memcpy(ip, s, n);
	ip[n] = '\0';
	if (inet_pton(AF_INET, ip, u->ip) != 1)
		return -1;
	u->port = 80;
	if (n < host ? port_parse(s + n + 1, host - n - 1, &u->port) == -1 :
	    port)
		return -1;
	s += host;
	if (*s == '/')
		return path_copy(u, s);
	u->path[0] = '/';		/* "http://192.0.2.1:80" */
	u->path[1] = '\0';
	return *s == '\0' ? 0 : -1;
}

int
upnp_url_join(struct upnp_url *u, const struct upnp_url *base,
    const char *ref)
{
	char	*slash, path[sizeof(base->path)];
	int	 n;

	if (strncasecmp(ref, "http://", 7) == 0)
		return upnp_url_parse(u, ref, 0);
	if (strstr(ref, "://") != NULL || strncmp(ref, "//", 2) == 0)
		return -1;
	*u = *base;
	if (ref[0] == '/')
		return path_copy(u, ref);
	(void)strlcpy(path, base->path, sizeof(path));
	path[strcspn(path, "?")] = '\0';
	if ((slash = strrchr(path, '/')) == NULL)
		return -1;
	slash[1] = '\0';
	n = snprintf(u->path, sizeof(u->path), "%s%s", path, ref);
	if (n < 0 || (size_t)n >= sizeof(u->path))
		return -1;
	(void)strlcpy(path, u->path, sizeof(path));
	return path_copy(u, path);
}

/* --- HTTP --- */

static int
length_parse(const char *s, size_t len, int64_t *out)
{
	int64_t	 v = 0;
	size_t	 i;

	if (len == 0 || len > 9)
		return -1;
	for (i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + (s[i] - '0');
	}
	*out = v;
	return 0;
}

static int
answer_header(struct http_answer *a, const char *line, size_t n)
{
	const char	*v;
	size_t		 len;
	int64_t		 was = a->length;

	if ((v = header_is(line, n, "Content-Length", &len)) != NULL) {
		if (length_parse(v, len, &a->length) == -1 ||
		    (was != -1 && was != a->length))
			return -1;
	} else if ((v = header_is(line, n, "Transfer-Encoding", &len)) !=
	    NULL) {
		if (len != 7 || strncasecmp(v, "chunked", 7) != 0)
			return -1;
		a->chunked = 1;
	}
	return 0;
}

int
http_answer_parse(struct http_answer *a, const char *buf, size_t len)
{
	const char	*p = buf, *end, *line;
	size_t		 n;

	memset(a, 0, sizeof(*a));
	a->length = -1;
	end = buf + (len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX);
	if ((line = head_line(&p, end, &n)) == NULL)
		return len < HTTP_HEAD_MAX ? 0 : -1;
	if ((a->status = status_line(line, n)) == -1)
		return -1;
	while ((line = head_line(&p, end, &n)) != NULL) {
		if (n == 0) {
			a->head = p - buf;
			return 1;
		}
		if (answer_header(a, line, n) == -1)
			return -1;
	}
	return len < HTTP_HEAD_MAX ? 0 : -1;
}

/* "1f;x=y": the size of a chunk, or -1. */
static int64_t
chunk_size(const char *s, size_t len)
{
	int64_t	 v = 0;
	size_t	 i;
	int	 d;

	for (i = 0; i < len && s[i] != ';' && s[i] != ' '; i++) {
		if (s[i] >= '0' && s[i] <= '9')
			d = s[i] - '0';
		else if ((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'f')
			d = (s[i] | 0x20) - 'a' + 10;
		else
			return -1;
		if ((v = v * 16 + d) > CHUNKS_MAX)
			return -1;
	}
	return i > 0 ? v : -1;
}

/* One pass: with a place to move to, or only to see if all is there. */
static int
chunks(const char *buf, size_t len, char *dst, size_t *out)
{
	const char	*p = buf, *end = buf + len, *line;
	size_t		 n, total = 0;
	int64_t		 size;

	while ((line = head_line(&p, end, &n)) != NULL) {
		if ((size = chunk_size(line, n)) == -1)
			return -1;
		if (size == 0) {
			*out = total;
			return 1;	/* trailers do not matter */
		}
		if (end - p < size)
			return 0;
		if (dst != NULL)
			memmove(dst + total, p, size);
		total += size;
		p += size;
		if (head_line(&p, end, &n) == NULL)
			return 0;
		if (n != 0)
			return -1;
	}
	return 0;
}

int
http_dechunk(char *buf, size_t len, size_t *out)
{
	int	 ret;

	if ((ret = chunks(buf, len, NULL, out)) == 1)
		(void)chunks(buf, len, buf, out);
	return ret;
}

/* --- SOAP --- */

size_t
soap_header(char *buf, size_t size, enum upnp_type type,
    enum soap_action action)
{
	return snprintf(buf, size, "%s#%s", upnp_urn[type], actions[action]);
}

static void
add_args(char *buf, size_t size, const struct soap_args *a)
{
	(void)snprintf(buf, size,
	    "<NewRemoteHost></NewRemoteHost>"
	    "<NewExternalPort>%u</NewExternalPort>"
	    "<NewProtocol>UDP</NewProtocol>"
	    "<NewInternalPort>%u</NewInternalPort>"
	    "<NewInternalClient>%u.%u.%u.%u</NewInternalClient>"
	    "<NewEnabled>1</NewEnabled>"
	    "<NewPortMappingDescription>tailscale-portmap"
	    "</NewPortMappingDescription>"
	    "<NewLeaseDuration>%u</NewLeaseDuration>",
	    a->external, a->internal, a->client[0], a->client[1],
	    a->client[2], a->client[3], a->lease);
}

size_t
soap_build(char *buf, enum upnp_type type, enum soap_action action,
    const struct soap_args *a)
{
	char	 args[768];

	args[0] = '\0';
	if (action == SOAP_ADD || action == SOAP_ADD_ANY)
		add_args(args, sizeof(args), a);
	else if (action == SOAP_DELETE)
		(void)snprintf(args, sizeof(args),
		    "<NewRemoteHost></NewRemoteHost>"
		    "<NewExternalPort>%u</NewExternalPort>"
		    "<NewProtocol>UDP</NewProtocol>", a->external);
	return snprintf(buf, SOAP_MAX,
	    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	    "<s:Envelope "
	    "xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "
	    "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\">"
	    "<s:Body><u:%s xmlns:u=\"%s\">%s</u:%s></s:Body></s:Envelope>",
	    actions[action], upnp_urn[type], args, actions[action]);
}
