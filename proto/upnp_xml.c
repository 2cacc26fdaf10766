/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The XML of UPnP, read with expat. A document with a document type is
 * refused, so there are no entities but the five of XML; names count without
 * their prefix, as devices differ in theirs.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <arpa/inet.h>

#include <stdlib.h>
#include <string.h>

#include <expat.h>

#include "upnp.h"
#include "upnp_int.h"

#define DEPTH_MAX	32
#define NODES_MAX	4096		/* elements of a document */

enum element {
	EL_OTHER,
	EL_SERVICE,
	EL_TYPE,
	EL_CONTROL,
	EL_BASE,
	EL_ENVELOPE,
	EL_FAULT,
	EL_ERROR,
	EL_IP,
	EL_RESERVED,
	EL_CONNECTION
};

static const struct {
	const char	*name;
	enum element	 el;
} elements[] = {
	{ "service",			EL_SERVICE },
	{ "serviceType",		EL_TYPE },
	{ "controlURL",			EL_CONTROL },
	{ "URLBase",			EL_BASE },
	{ "Envelope",			EL_ENVELOPE },
	{ "Fault",			EL_FAULT },
	{ "errorCode",			EL_ERROR },
	{ "NewExternalIPAddress",	EL_IP },
	{ "NewReservedPort",		EL_RESERVED },
	{ "NewConnectionStatus",	EL_CONNECTION }
};

struct reader {
	XML_Parser		 parser;
	struct upnp_device	*dev;		/* one of the two */
	struct soap_answer	*soap;
	char			 text[256];	/* of the innermost element */
	size_t			 len;
	int			 toolong;
	char			 type[256];	/* of this service */
	char			 control[256];
	unsigned int		 depth;
	unsigned int		 nodes;
	int			 root;		/* enum element, of the first */
};

static enum element
element(const char *name)
{
	const char	*colon;
	size_t		 i;

	if ((colon = strrchr(name, ':')) != NULL)
		name = colon + 1;
	for (i = 0; i < sizeof(elements) / sizeof(elements[0]); i++)
		if (strcmp(name, elements[i].name) == 0)
			return elements[i].el;
	return EL_OTHER;
}

static void XMLCALL
doctype_cb(void *arg, const XML_Char *name, const XML_Char *sysid,
    const XML_Char *pubid, int subset)
{
	struct reader	*r = arg;

	(void)XML_StopParser(r->parser, XML_FALSE);
}

static void XMLCALL
start_cb(void *arg, const XML_Char *name, const XML_Char **attrs)
{
	struct reader	*r = arg;
	enum element	 el;

	if (++r->depth > DEPTH_MAX || ++r->nodes > NODES_MAX) {
		(void)XML_StopParser(r->parser, XML_FALSE);
		return;
	}
	el = element(name);
	if (r->depth == 1)
		r->root = el;
	if (el == EL_SERVICE)
		r->type[0] = r->control[0] = '\0';
	else if (el == EL_FAULT && r->soap != NULL)
		r->soap->fault = 1;
	r->len = 0;
	r->toolong = 0;
}

static void XMLCALL
text_cb(void *arg, const XML_Char *s, int len)
{
	struct reader	*r = arg;

	if ((size_t)len >= sizeof(r->text) - r->len) {
		r->toolong = 1;
		return;
	}
	memcpy(r->text + r->len, s, len);
	r->len += len;
}

/* The text of the element that ends, without the blanks around it. */
static const char *
text_trim(struct reader *r)
{
	char	*s = r->text;

	if (r->toolong)
		return "";
	r->text[r->len] = '\0';
	while (r->len > 0 && strchr(" \t\r\n", r->text[r->len - 1]) != NULL)
		r->text[--r->len] = '\0';
	return s + strspn(s, " \t\r\n");
}

/* Keep the list in the order of preference, and the document's within. */
static void
service_add(struct upnp_device *dev, const char *type, const char *control)
{
	struct upnp_service	*s;
	size_t			 i, k;

	for (i = 0; i < UPNP_TYPES; i++)
		if (strcmp(type, upnp_urn[i]) == 0)
			break;
	if (i == UPNP_TYPES || control[0] == '\0' ||
	    dev->n == UPNP_SERVICES)
		return;
	for (k = dev->n; k > 0 && dev->service[k - 1].type >
	    (enum upnp_type)i; k--)
		dev->service[k] = dev->service[k - 1];
	dev->n++;
	s = &dev->service[k];
	memset(s, 0, sizeof(*s));
	s->type = i;
	(void)strlcpy(s->control, control, sizeof(s->control));
}

static void
device_end(struct reader *r, enum element el)
{
	switch (el) {
	case EL_TYPE:
		(void)strlcpy(r->type, text_trim(r), sizeof(r->type));
		break;
	case EL_CONTROL:
		(void)strlcpy(r->control, text_trim(r), sizeof(r->control));
		break;
	case EL_BASE:
		(void)strlcpy(r->dev->base, text_trim(r),
		    sizeof(r->dev->base));
		break;
	case EL_SERVICE:
		service_add(r->dev, r->type, r->control);
		break;
	default:
		break;
	}
}

/* Up to 5 digits, or 0. */
static int
number(const char *s)
{
	int	 v = 0, i;

	for (i = 0; s[i] >= '0' && s[i] <= '9' && i < 5; i++)
		v = v * 10 + (s[i] - '0');
	return s[i] == '\0' && v <= UINT16_MAX ? v : 0;
}

static void
soap_end(struct reader *r, enum element el)
{
	struct soap_answer	*a = r->soap;
	const char		*s;

	switch (el) {
	case EL_ERROR:
		a->error = number(text_trim(r));
		break;
	case EL_IP:
		a->has_ip = inet_pton(AF_INET, text_trim(r), a->ip) == 1;
		break;
	case EL_RESERVED:
		a->reserved = number(text_trim(r));
		break;
	case EL_CONNECTION:
		s = text_trim(r);
		a->connected = strcmp(s, "Connected") == 0 ||
		    strcmp(s, "Up") == 0;
		break;
	default:
		break;
	}
}

static void XMLCALL
end_cb(void *arg, const XML_Char *name)
{
	struct reader	*r = arg;

	r->depth--;
	if (r->dev != NULL)
		device_end(r, element(name));
	else
		soap_end(r, element(name));
	r->len = 0;
	r->toolong = 0;
}

/* 0, or -1. */
static int
xml_read(struct reader *r, const char *xml, size_t len)
{
	int	 ret;

	if (len == 0 || len > UPNP_XML_MAX ||
	    (r->parser = XML_ParserCreate(NULL)) == NULL)
		return -1;
	XML_SetUserData(r->parser, r);
	XML_SetStartDoctypeDeclHandler(r->parser, doctype_cb);
	XML_SetElementHandler(r->parser, start_cb, end_cb);
	XML_SetCharacterDataHandler(r->parser, text_cb);
	ret = XML_Parse(r->parser, xml, len, 1) == XML_STATUS_OK ? 0 : -1;
	XML_ParserFree(r->parser);
	return ret;
}

int
upnp_device_parse(struct upnp_device *dev, const char *xml, size_t len)
{
	struct reader	 r;

	memset(dev, 0, sizeof(*dev));
	memset(&r, 0, sizeof(r));
	r.dev = dev;
	return xml_read(&r, xml, len);
}

int
soap_parse(struct soap_answer *a, const char *xml, size_t len)
{
	struct reader	 r;

	memset(a, 0, sizeof(*a));
	memset(&r, 0, sizeof(r));
	r.soap = a;
	if (xml_read(&r, xml, len) == -1)
		return -1;
	return r.root == EL_ENVELOPE ? 0 : -1;
}
