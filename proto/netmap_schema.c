/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Types of what the netmap passes through: a known field of a wrong type
 * fails the message, as it does in the reference; unknown ones go.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "netmap.h"
#include "netmap_int.h"

/*
 * Types: s string, b bool, i integer, n number, t time, x base64, u port,
 * A address, S strings, I integers, P prefixes, E endpoints,
 * D addresses, o object, a array of objects, r map of objects (null is
 * fine) with integers as keys, l map of arrays of objects, N map of
 * numbers, Q map of strings, C map of arrays.
 */
struct field {
	const char		*name;
	char			 type;
	const struct field	*sub;
};

#define MAX_FIELDS	48

static const struct field	 netinfo[] = {
	{ "MappingVariesByDestIP", 'b', NULL }, { "WorkingIPv6", 'b', NULL },
	{ "OSHasIPv6", 'b', NULL }, { "WorkingUDP", 'b', NULL },
	{ "WorkingICMPv4", 'b', NULL }, { "HavePortMap", 'b', NULL },
	{ "UPnP", 'b', NULL }, { "PMP", 'b', NULL }, { "PCP", 'b', NULL },
	{ "PreferredDERP", 'i', NULL }, { "LinkType", 's', NULL },
	{ "DERPLatency", 'N', NULL }, { "FirewallMode", 's', NULL },
	{ NULL, 0, NULL }
};
static const struct field	 service[] = {
	{ "Proto", 's', NULL }, { "Port", 'u', NULL },
	{ "Description", 's', NULL }, { NULL, 0, NULL }
};
static const struct field	 location[] = {
	{ "Country", 's', NULL }, { "CountryCode", 's', NULL },
	{ "City", 's', NULL }, { "CityCode", 's', NULL },
	{ "Latitude", 'n', NULL }, { "Longitude", 'n', NULL },
	{ "Priority", 'i', NULL }, { NULL, 0, NULL }
};
static const struct field	 tpm[] = {
	{ "Manufacturer", 's', NULL }, { "Vendor", 's', NULL },
	{ "Model", 'i', NULL }, { "FirmwareVersion", 'i', NULL },
	{ "SpecRevision", 'i', NULL }, { "FamilyIndicator", 's', NULL },
	{ NULL, 0, NULL }
};
static const struct field	 hostinfo[] = {
	{ "IPNVersion", 's', NULL }, { "FrontendLogID", 's', NULL },
	{ "BackendLogID", 's', NULL }, { "OS", 's', NULL },
	{ "OSVersion", 's', NULL }, { "Container", 'b', NULL },
	{ "Env", 's', NULL }, { "Distro", 's', NULL },
	{ "DistroVersion", 's', NULL }, { "DistroCodeName", 's', NULL },
	{ "App", 's', NULL }, { "Desktop", 'b', NULL },
	{ "Package", 's', NULL }, { "DeviceModel", 's', NULL },
	{ "PushDeviceToken", 's', NULL }, { "Hostname", 's', NULL },
	{ "ShieldsUp", 'b', NULL }, { "ShareeNode", 'b', NULL },
	{ "NoLogsNoSupport", 'b', NULL }, { "RemoteConfig", 'b', NULL },
	{ "WireIngress", 'b', NULL }, { "IngressEnabled", 'b', NULL },
	{ "AllowsUpdate", 'b', NULL }, { "Machine", 's', NULL },
	{ "GoArch", 's', NULL }, { "GoArchVar", 's', NULL },
	{ "GoVersion", 's', NULL }, { "RoutableIPs", 'P', NULL },
	{ "RequestTags", 'S', NULL }, { "WoLMACs", 'S', NULL },
	{ "Services", 'a', service }, { "NetInfo", 'o', netinfo },
	{ "sshHostKeys", 'S', NULL }, { "Cloud", 's', NULL },
	{ "Userspace", 'b', NULL }, { "UserspaceRouter", 'b', NULL },
	{ "AppConnector", 'b', NULL }, { "ServicesHash", 's', NULL },
	{ "PeerRelay", 'b', NULL }, { "ExitNodeID", 's', NULL },
	{ "Location", 'o', location }, { "TPM", 'o', tpm },
	{ "StateEncrypted", 'b', NULL }, { NULL, 0, NULL }
};
static const struct field	 derpnode[] = {
	{ "Name", 's', NULL }, { "RegionID", 'i', NULL },
	{ "HostName", 's', NULL }, { "CertName", 's', NULL },
	{ "IPv4", 's', NULL }, { "IPv6", 's', NULL },
	{ "STUNPort", 'i', NULL }, { "STUNOnly", 'b', NULL },
	{ "DERPPort", 'i', NULL }, { "InsecureForTests", 'b', NULL },
	{ "STUNTestIP", 's', NULL }, { "CanPort80", 'b', NULL },
	{ NULL, 0, NULL }
};
static const struct field	 derpregion[] = {
	{ "RegionID", 'i', NULL }, { "RegionCode", 's', NULL },
	{ "RegionName", 's', NULL }, { "Latitude", 'n', NULL },
	{ "Longitude", 'n', NULL }, { "Avoid", 'b', NULL },
	{ "NoMeasureNoHome", 'b', NULL }, { "Nodes", 'a', derpnode },
	{ NULL, 0, NULL }
};
static const struct field	 homeparams[] = {
	{ "RegionScore", 'N', NULL }, { NULL, 0, NULL }
};
static const struct field	 derpmap[] = {
	{ "HomeParams", 'o', homeparams }, { "Regions", 'r', derpregion },
	{ "omitDefaultRegions", 'b', NULL }, { NULL, 0, NULL }
};
static const struct field	 resolver[] = {
	{ "Addr", 's', NULL }, { "BootstrapResolution", 'D', NULL },
	{ "UseWithExitNode", 'b', NULL }, { NULL, 0, NULL }
};
static const struct field	 record[] = {
	{ "Name", 's', NULL }, { "Type", 's', NULL }, { "Value", 's', NULL },
	{ NULL, 0, NULL }
};
static const struct field	 dns[] = {
	{ "Resolvers", 'a', resolver }, { "Routes", 'l', resolver },
	{ "FallbackResolvers", 'a', resolver }, { "Domains", 'S', NULL },
	{ "Proxied", 'b', NULL }, { "Nameservers", 'D', NULL },
	{ "CertDomains", 'S', NULL }, { "ExtraRecords", 'a', record },
	{ "ExitNodeFilteredSet", 'S', NULL }, { NULL, 0, NULL }
};
static const struct field	 sshfail[] = {
	{ "RejectSessionWithMessage", 's', NULL },
	{ "TerminateSessionWithMessage", 's', NULL },
	{ "NotifyURL", 's', NULL }, { NULL, 0, NULL }
};
static const struct field	 sshaction[] = {
	{ "message", 's', NULL }, { "reject", 'b', NULL },
	{ "accept", 'b', NULL }, { "sessionDuration", 'i', NULL },
	{ "allowAgentForwarding", 'b', NULL },
	{ "holdAndDelegate", 's', NULL },
	{ "allowLocalPortForwarding", 'b', NULL },
	{ "allowRemotePortForwarding", 'b', NULL },
	{ "recorders", 'E', NULL }, { "onRecordingFailure", 'o', sshfail },
	{ NULL, 0, NULL }
};
static const struct field	 sshprincipal[] = {
	{ "node", 's', NULL }, { "nodeIP", 's', NULL },
	{ "userLogin", 's', NULL }, { "any", 'b', NULL }, { NULL, 0, NULL }
};
static const struct field	 sshrule[] = {
	{ "ruleExpires", 't', NULL }, { "principals", 'a', sshprincipal },
	{ "sshUsers", 'Q', NULL }, { "action", 'o', sshaction },
	{ "acceptEnv", 'S', NULL }, { NULL, 0, NULL }
};
static const struct field	 ssh[] = {
	{ "rules", 'a', sshrule }, { NULL, 0, NULL }
};
static const struct field	 ping[] = {
	{ "URL", 's', NULL }, { "URLIsNoise", 'b', NULL },
	{ "Log", 'b', NULL }, { "Types", 's', NULL }, { "IP", 'A', NULL },
	{ "Payload", 'x', NULL }, { NULL, 0, NULL }
};
static const struct field	 candidate[] = {
	{ "IP", 'A', NULL }, { "ACEHost", 's', NULL },
	{ "DialStartDelaySec", 'n', NULL }, { "DialTimeoutSec", 'n', NULL },
	{ "Priority", 'i', NULL }, { NULL, 0, NULL }
};
static const struct field	 dial[] = {
	{ "Candidates", 'a', candidate }, { NULL, 0, NULL }
};
static const struct field	 version[] = {
	{ "RunningLatest", 'b', NULL }, { "LatestVersion", 's', NULL },
	{ "UrgentSecurityUpdate", 'b', NULL }, { "Notify", 'b', NULL },
	{ "NotifyURL", 's', NULL }, { "NotifyText", 's', NULL },
	{ NULL, 0, NULL }
};
static const struct field	 msgaction[] = {
	{ "URL", 's', NULL }, { "Label", 's', NULL }, { NULL, 0, NULL }
};
static const struct field	 message[] = {
	{ "Title", 's', NULL }, { "Text", 's', NULL },
	{ "Severity", 's', NULL }, { "ImpactsConnectivity", 'b', NULL },
	{ "PrimaryAction", 'o', msgaction }, { NULL, 0, NULL }
};
static const struct field	 ports[] = {
	{ "First", 'u', NULL }, { "Last", 'u', NULL }, { NULL, 0, NULL }
};
static const struct field	 dstport[] = {
	{ "IP", 's', NULL }, { "Bits", 'i', NULL }, { "Ports", 'o', ports },
	{ NULL, 0, NULL }
};
static const struct field	 capgrant[] = {
	{ "Dsts", 'P', NULL }, { "Caps", 'S', NULL },
	{ "CapMap", 'C', NULL }, { NULL, 0, NULL }
};
static const struct field	 rule[] = {
	{ "SrcIPs", 'S', NULL }, { "SrcBits", 'I', NULL },
	{ "DstPorts", 'a', dstport }, { "IPProto", 'I', NULL },
	{ "CapGrant", 'a', capgrant }, { NULL, 0, NULL }
};
static const struct field	 tka[] = {
	{ "Head", 's', NULL }, { "Disabled", 'b', NULL }, { NULL, 0, NULL }
};

static const struct field	*const schemas[] = {
	[NM_SCHEMA_HOSTINFO] = hostinfo,
	[NM_SCHEMA_DERPMAP] = derpmap,
	[NM_SCHEMA_DNS] = dns,
	[NM_SCHEMA_SSH] = ssh,
	[NM_SCHEMA_PING] = ping,
	[NM_SCHEMA_DIAL] = dial,
	[NM_SCHEMA_VERSION] = version,
	[NM_SCHEMA_MESSAGE] = message,
	[NM_SCHEMA_RESOLVER] = resolver,
	[NM_SCHEMA_RULE] = rule,
	[NM_SCHEMA_TKA] = tka
};

static int	 obj_ok(const struct field *, json_t *);

/* A text that the reference reads into an address type; "" is none. */
static int
text_ok(char type, json_t *j)
{
	struct nm_addr		 a;
	struct nm_endpoint	 e;
	struct nm_prefix	 p;
	const char		*s;

	if (json_is_null(j))
		return 1;
	if (!json_is_string(j) || json_string_length(j) > NM_ADDRTEXT)
		return 0;
	s = json_string_value(j);
	if (*s == '\0' || strchr(s, '%') != NULL)
		return 1;
	switch (type) {
	case 'P':
		return nm_prefix_parse(s, &p) == 0;
	case 'E':
		return nm_endpoint_parse(s, &e) == 0;
	default:
		return nm_addr_parse(s, &a) == 0;
	}
}

static int
base64_ok(json_t *j)
{
	uint8_t	*p;
	size_t	 len;

	p = NULL;
	if (ju_bytes(j, 16 * 1024 * 1024, &p, &len) == -1)
		return 0;
	free(p);
	return 1;
}

static int
scalar_ok(char type, json_t *j)
{
	struct ju_time	 t;
	double		 d;
	int64_t		 i;

	switch (type) {
	case 's':
		return ju_is_str(j);
	case 'b':
		return ju_is_bool(j);
	case 'i':
		return ju_int(j, INT64_MIN, INT64_MAX, &i) == 0;
	case 'u':
		return ju_int(j, 0, 65535, &i) == 0;
	case 'n':
		return ju_real(j, &d) == 0;
	case 't':
		return ju_time(j, &t) == 0;
	case 'x':
		return base64_ok(j);
	case 'A':
		return text_ok(type, j);
	default:
		return 0;
	}
}

static int
array_ok(char type, const struct field *sub, json_t *j)
{
	json_t	*e;
	size_t	 i;
	int	 ok;

	if (!json_is_array(j))
		return 0;
	json_array_foreach(j, i, e) {
		switch (type) {
		case 'S':
			ok = ju_is_str(e);
			break;
		case 'I':
			ok = scalar_ok('i', e);
			break;
		case 'a':
			ok = obj_ok(sub, e);
			break;
		default:
			ok = text_ok(type, e);
			break;
		}
		if (!ok)
			return 0;
	}
	return 1;
}

/* Go reads integer keys of a map with ParseInt. */
static int
intkey_ok(const char *s)
{
	if (*s == '-' || *s == '+')
		s++;
	return *s != '\0' && strlen(s) < 19 &&
	    strspn(s, "0123456789") == strlen(s);
}

static int
map_ok(char type, const struct field *sub, json_t *j)
{
	const char	*key;
	json_t		*v;
	int		 ok;

	if (!json_is_object(j))
		return 0;
	json_object_foreach(j, key, v) {
		switch (type) {
		case 'N':
			ok = scalar_ok('n', v);
			break;
		case 'Q':
			ok = ju_is_str(v);
			break;
		case 'C':
			ok = json_is_null(v) || json_is_array(v);
			break;
		case 'l':
			ok = json_is_null(v) || array_ok('a', sub, v);
			break;
		default:
			ok = intkey_ok(key) && obj_ok(sub, v);
			break;
		}
		if (!ok)
			return 0;
	}
	return 1;
}

/* The depth of this recursion is that of the tables above. */
static int
obj_ok(const struct field *f, json_t *j)
{
	const char	*names[MAX_FIELDS];
	json_t		*v[MAX_FIELDS];
	size_t		 i, n;
	int		 ok;

	memset(names, 0, sizeof(names));
	for (n = 0; n < MAX_FIELDS && f[n].name != NULL; n++)
		names[n] = f[n].name;
	if (ju_fields(j, names, n, v) == -1)
		return 0;
	for (i = 0; i < n; i++) {
		if (v[i] == NULL)
			continue;
		if (f[i].type == 'o')
			ok = obj_ok(f[i].sub, v[i]);
		else if (strchr("SIPEDa", f[i].type) != NULL)
			ok = array_ok(f[i].type, f[i].sub, v[i]);
		else if (strchr("NQClr", f[i].type) != NULL)
			ok = map_ok(f[i].type, f[i].sub, v[i]);
		else
			ok = scalar_ok(f[i].type, v[i]);
		if (!ok)
			return 0;
	}
	return 1;
}

int
nm_schema_ok(enum nm_schema which, json_t *j)
{
	return obj_ok(schemas[which], j);
}

static json_t	*obj_copy(const struct field *, json_t *);

static json_t *
array_copy(const struct field *sub, json_t *j)
{
	json_t	*e, *to;
	size_t	 i;

	if ((to = json_array()) == NULL)
		return NULL;
	json_array_foreach(j, i, e)
		if (json_array_append_new(to, obj_copy(sub, e)) == -1) {
			json_decref(to);
			return NULL;
		}
	return to;
}

static json_t *
map_copy(char type, const struct field *sub, json_t *j)
{
	const char	*key;
	json_t		*to, *v;

	if ((to = json_object()) == NULL)
		return NULL;
	json_object_foreach(j, key, v) {
		if (json_is_null(v))
			v = json_null();
		else if (type == 'l')
			v = array_copy(sub, v);
		else
			v = obj_copy(sub, v);
		if (json_object_set_new(to, key, v) == -1) {
			json_decref(to);
			return NULL;
		}
	}
	return to;
}

/* The known fields of an object that is of its schema, by their names. */
static json_t *
obj_copy(const struct field *f, json_t *j)
{
	const char	*names[MAX_FIELDS];
	json_t		*c, *to, *v[MAX_FIELDS];
	size_t		 i, n;

	if (json_is_null(j))
		return json_null();
	memset(names, 0, sizeof(names));
	for (n = 0; n < MAX_FIELDS && f[n].name != NULL; n++)
		names[n] = f[n].name;
	if ((to = json_object()) == NULL)
		return NULL;
	(void)ju_fields(j, names, n, v);
	for (i = 0; i < n; i++) {
		if (v[i] == NULL)
			continue;
		if (f[i].type == 'o')
			c = obj_copy(f[i].sub, v[i]);
		else if (f[i].type == 'a')
			c = array_copy(f[i].sub, v[i]);
		else if (f[i].type == 'l' || f[i].type == 'r')
			c = map_copy(f[i].type, f[i].sub, v[i]);
		else
			c = json_incref(v[i]);
		if (json_object_set_new(to, f[i].name, c) == -1) {
			json_decref(to);
			return NULL;
		}
	}
	return to;
}

json_t *
nm_schema_copy(enum nm_schema which, json_t *j)
{
	return obj_copy(schemas[which], j);
}

json_t *
nm_schema_copies(enum nm_schema which, json_t *j)
{
	return array_copy(schemas[which], j);
}
