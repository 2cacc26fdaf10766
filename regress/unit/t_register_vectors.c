/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Vector test: bodies of the registration exchange, register.json.
 */

#include <sys/types.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "register.h"

static const char	*label;

static json_t *
get(json_t *j, const char *name)
{
	return json_object_get(j, name);
}

static const char *
str(json_t *j, const char *name)
{
	const char	*s;

	s = json_string_value(get(j, name));
	return s == NULL ? "" : s;
}

static void
want_key(json_t *fields, const char *name, const char *prefix, uint8_t *key)
{
	if (get(fields, name) != NULL &&
	    ju_key(get(fields, name), prefix, key) == -1)
		errx(1, "%s: %s of the vector", label, name);
}

/*
 * Build a request from the fields of the vector; what the fields do not
 * tell (Hostinfo, signatures) is read from the vector's own body.
 */
static void
do_request(json_t *c)
{
	struct register_request	 rq;
	json_t			*body, *f, *got;
	char			*text;
	uint8_t			*cert, *keysig, *sig;

	memset(&rq, 0, sizeof(rq));
	cert = keysig = sig = NULL;
	f = get(c, "fields");
	body = ju_load(str(c, "json"), strlen(str(c, "json")));
	if (body == NULL)
		errx(1, "%s: body of the vector", label);
	rq.rq_version = json_integer_value(get(f, "version"));
	rq.rq_ephemeral = json_is_true(get(f, "ephemeral"));
	want_key(f, "node_key", "nodekey:", rq.rq_nodekey);
	want_key(f, "old_node_key", "nodekey:", rq.rq_oldkey);
	want_key(body, "NLKey", "nlpub:", rq.rq_nlkey);
	if (ju_time(get(f, "expiry"), &rq.rq_expiry) == -1 ||
	    ju_time(get(body, "Timestamp"), &rq.rq_timestamp) == -1 ||
	    ju_bytes(get(body, "NodeKeySignature"), 4096, &keysig,
	    &rq.rq_keysiglen) == -1 ||
	    ju_bytes(get(body, "DeviceCert"), 4096, &cert,
	    &rq.rq_devcertlen) == -1 ||
	    ju_bytes(get(body, "Signature"), 4096, &sig,
	    &rq.rq_signaturelen) == -1)
		errx(1, "%s: fields of the vector", label);
	rq.rq_keysig = keysig;
	rq.rq_devcert = cert;
	rq.rq_signature = sig;
	rq.rq_authkey = str(f, "auth_key");
	rq.rq_followup = str(f, "followup");
	rq.rq_tailnet = str(f, "tailnet");
	rq.rq_sigtype = str(body, "SignatureType");
	rq.rq_hostinfo = get(body, "Hostinfo");
	if (json_is_null(rq.rq_hostinfo))
		rq.rq_hostinfo = NULL;
	if ((text = register_build(&rq)) == NULL)
		errx(1, "%s: register_build", label);
	got = ju_load(text, strlen(text));
	if (!json_equal(got, body))
		errx(1, "%s: want %s\ngot %s", label, str(c, "json"), text);
	free(text);
	free(cert);
	free(keysig);
	free(sig);
	json_decref(got);
	json_decref(body);
}

static void
check_str(json_t *f, const char *name, const char *got)
{
	if (strcmp(str(f, name), got) != 0)
		errx(1, "%s: %s is \"%s\"", label, name, got);
}

static void
check_int(json_t *f, const char *name, int64_t got)
{
	json_t	*j;
	int64_t	 want;

	j = get(f, name);
	want = json_is_boolean(j) ? json_is_true(j) : json_integer_value(j);
	if (want != got)
		errx(1, "%s: %s is %lld", label, name, (long long)got);
}

static void
do_response(json_t *c)
{
	struct register_response	 rr;
	char				*hex;
	json_t				*f;
	size_t				 i;
	int				 r;

	r = register_parse(str(c, "json"), strlen(str(c, "json")), &rr);
	if ((r == 0) != json_is_true(get(c, "parse_ok")))
		errx(1, "%s: register_parse: %d", label, r);
	if (r == -1)
		return;
	f = get(c, "fields");
	check_str(f, "auth_url", rr.rr_authurl);
	check_str(f, "error", rr.rr_error);
	check_str(f, "login_name", rr.rr_login);
	check_str(f, "login_display_name", rr.rr_logindisplay);
	check_str(f, "user_display_name", rr.rr_userdisplay);
	check_int(f, "login_id", rr.rr_loginid);
	check_int(f, "user_id", rr.rr_userid);
	check_int(f, "machine_authorized", rr.rr_authorized);
	check_int(f, "node_key_expired", rr.rr_expired);
	if ((hex = calloc(2, rr.rr_keysiglen + 1)) == NULL)
		err(1, NULL);
	for (i = 0; i < rr.rr_keysiglen; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", rr.rr_keysig[i]);
	check_str(f, "node_key_signature", hex);
	free(hex);
	register_response_free(&rr);
}

static void
do_server_key(json_t *c)
{
	uint8_t	 got[32], want[32];
	int	 r;

	r = serverkey_parse(str(c, "json"), strlen(str(c, "json")), got);
	if (get(c, "fields") == NULL) {
		if (r == 0)
			errx(1, "%s: must be refused", label);
		return;
	}
	memset(want, 0, sizeof(want));
	want_key(get(c, "fields"), "public_key", "mkey:", want);
	if (r == -1 || memcmp(got, want, sizeof(want)) != 0)
		errx(1, "%s: server key", label);
}

int
main(void)
{
	json_error_t	 je;
	const char	*kind, *vectors;
	char		*path;
	json_t		*c, *root;
	size_t		 i, n, skipped;

	if ((vectors = getenv("VECTORS")) == NULL)
		vectors = "../vectors";
	if (asprintf(&path, "%s/register.json", vectors) == -1)
		err(1, NULL);
	if ((root = json_load_file(path, 0, &je)) == NULL)
		errx(1, "%s: %s", path, je.text);
	n = skipped = 0;
	json_array_foreach(get(root, "cases"), i, c) {
		label = str(c, "name");
		kind = str(c, "kind");
		n++;
		if (strcmp(kind, "request") == 0)
			do_request(c);
		else if (strcmp(kind, "response") == 0)
			do_response(c);
		else if (strcmp(kind, "server_key") == 0)
			do_server_key(c);
		else {
			n--;
			skipped++;
		}
	}
	json_decref(root);
	free(path);
	if (n == 0)
		errx(1, "no cases");
	printf("register_vectors: %zu cases", n);
	if (skipped > 0)
		printf(", %zu left out (unknown kind)", skipped);
	printf("\n");
	return 0;
}
