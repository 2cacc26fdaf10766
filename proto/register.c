/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Registration of a node: request, response, and the server key answer.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "register.h"

enum response_field {
	RR_USER, RR_LOGIN, RR_EXPIRED, RR_AUTHORIZED, RR_URL, RR_KEYSIG,
	RR_ERROR, RR_MAX
};
static const char *const	 response_fields[RR_MAX] = {
	"User", "Login", "NodeKeyExpired", "MachineAuthorized", "AuthURL",
	"NodeKeySignature", "Error"
};

enum user_field { UF_ID, UF_DISPLAY, UF_LOGIN, UF_PICTURE, UF_CREATED,
	UF_PROVIDER, UF_MAX };
static const char *const	 user_fields[UF_MAX] = {
	"ID", "DisplayName", "LoginName", "ProfilePicURL", "Created",
	"Provider"
};

enum key_field { KF_LEGACY, KF_PUBLIC, KF_MAX };
static const char *const	 key_fields[KF_MAX] = {
	"legacyPublicKey", "publicKey"
};

static void
set_str(json_t *o, const char *name, const char *s, int *bad)
{
	ju_set(o, name, json_string(s == NULL ? "" : s), bad);
}

static void
set_auth(json_t *o, const char *authkey, int *bad)
{
	json_t	*auth;

	if (authkey == NULL || *authkey == '\0')
		return;
	if ((auth = json_object()) != NULL)
		ju_set(auth, "AuthKey", json_string(authkey), bad);
	ju_set(o, "Auth", auth, bad);
}

/* Only what enterprises with device certificates send. */
static void
set_signature(json_t *o, const struct register_request *rq, int *bad)
{
	if (rq->rq_sigtype == NULL || *rq->rq_sigtype == '\0')
		return;
	set_str(o, "SignatureType", rq->rq_sigtype, bad);
	if (rq->rq_timestamp.jt_set)
		ju_set_time(o, "Timestamp", &rq->rq_timestamp, bad);
	if (rq->rq_devcertlen > 0)
		ju_set_bytes(o, "DeviceCert", rq->rq_devcert, rq->rq_devcertlen,
		    bad);
	if (rq->rq_signaturelen > 0)
		ju_set_bytes(o, "Signature", rq->rq_signature,
		    rq->rq_signaturelen, bad);
}

char *
register_build(const struct register_request *rq)
{
	char	*text;
	json_t	*o;
	int	 bad;

	if ((o = json_object()) == NULL)
		return NULL;
	bad = 0;
	ju_set(o, "Version", json_integer(rq->rq_version), &bad);
	ju_set_key(o, "NodeKey", "nodekey:", rq->rq_nodekey, &bad);
	ju_set_key(o, "OldNodeKey", "nodekey:", rq->rq_oldkey, &bad);
	ju_set_key(o, "NLKey", "nlpub:", rq->rq_nlkey, &bad);
	set_auth(o, rq->rq_authkey, &bad);
	ju_set_time(o, "Expiry", &rq->rq_expiry, &bad);
	set_str(o, "Followup", rq->rq_followup, &bad);
	ju_set(o, "Hostinfo", rq->rq_hostinfo == NULL ? json_null() :
	    json_incref(rq->rq_hostinfo), &bad);
	if (rq->rq_ephemeral)
		ju_set(o, "Ephemeral", json_true(), &bad);
	ju_set_bytes(o, "NodeKeySignature", rq->rq_keysig, rq->rq_keysiglen,
	    &bad);
	set_signature(o, rq, &bad);
	ju_opt_str(o, "Tailnet", rq->rq_tailnet, &bad);
	text = bad ? NULL : json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
}

void
register_response_free(struct register_response *rr)
{
	free(rr->rr_error);
	free(rr->rr_authurl);
	free(rr->rr_login);
	free(rr->rr_logindisplay);
	free(rr->rr_userdisplay);
	free(rr->rr_keysig);
	memset(rr, 0, sizeof(*rr));
}

/* User or Login: the same shape but for fields that are only checked. */
static int
user_parse(json_t *j, int64_t *id, char **display, char **login)
{
	struct ju_time	 created;
	json_t		*v[UF_MAX];

	if (ju_fields(j, user_fields, UF_MAX, v) == -1 ||
	    ju_int(v[UF_ID], INT64_MIN, INT64_MAX, id) == -1 ||
	    ju_str(v[UF_DISPLAY], REGISTER_MAX_TEXT, display) == -1 ||
	    !ju_is_str(v[UF_PICTURE]))
		return -1;
	if (login == NULL)
		return ju_time(v[UF_CREATED], &created);
	if (!ju_is_str(v[UF_PROVIDER]))
		return -1;
	return ju_str(v[UF_LOGIN], REGISTER_MAX_TEXT, login);
}

static int
response_read(json_t *j, struct register_response *rr)
{
	json_t	*v[RR_MAX];

	if (ju_fields(j, response_fields, RR_MAX, v) == -1 ||
	    user_parse(v[RR_USER], &rr->rr_userid, &rr->rr_userdisplay,
	    NULL) == -1 ||
	    user_parse(v[RR_LOGIN], &rr->rr_loginid, &rr->rr_logindisplay,
	    &rr->rr_login) == -1 ||
	    ju_bool(v[RR_EXPIRED], &rr->rr_expired) == -1 ||
	    ju_bool(v[RR_AUTHORIZED], &rr->rr_authorized) == -1 ||
	    ju_str(v[RR_URL], REGISTER_MAX_TEXT, &rr->rr_authurl) == -1 ||
	    ju_str(v[RR_ERROR], REGISTER_MAX_TEXT, &rr->rr_error) == -1 ||
	    ju_bytes(v[RR_KEYSIG], 65536, &rr->rr_keysig,
	    &rr->rr_keysiglen) == -1)
		return -1;
	return 0;
}

/* Readers of the response never have to look for NULL. */
static int
fill_str(char **s)
{
	if (*s == NULL && (*s = strdup("")) == NULL)
		return -1;
	return 0;
}

int
register_parse(const void *body, size_t len, struct register_response *rr)
{
	json_t	*j;

	memset(rr, 0, sizeof(*rr));
	if (len > REGISTER_MAX_BODY) {
		errno = E2BIG;
		return -1;
	}
	if ((j = ju_load(body, len)) == NULL)
		return -1;
	errno = EINVAL;
	if (response_read(j, rr) == -1 || fill_str(&rr->rr_error) == -1 ||
	    fill_str(&rr->rr_authurl) == -1 ||
	    fill_str(&rr->rr_login) == -1 ||
	    fill_str(&rr->rr_logindisplay) == -1 ||
	    fill_str(&rr->rr_userdisplay) == -1) {
		register_response_free(rr);
		json_decref(j);
		return -1;
	}
	json_decref(j);
	return 0;
}

int
serverkey_parse(const void *body, size_t len, uint8_t key[32])
{
	static const uint8_t	 zero[32];
	uint8_t			 legacy[32];
	json_t			*j, *v[KF_MAX];
	int			 ret;

	memset(key, 0, 32);
	/* Before JSON the answer was a bare key, of the older protocol. */
	if (len == 64 && memchr(body, '{', len) == NULL) {
		errno = ENOTSUP;
		return -1;
	}
	if ((j = ju_load(body, len)) == NULL)
		return -1;
	errno = EINVAL;
	ret = -1;
	if (!json_is_object(j) || ju_fields(j, key_fields, KF_MAX, v) == -1 ||
	    ju_key(v[KF_LEGACY], "mkey:", legacy) == -1 ||
	    ju_key(v[KF_PUBLIC], "mkey:", key) == -1)
		goto done;
	if (memcmp(key, zero, 32) == 0) {
		errno = ENOTSUP;
		goto done;
	}
	ret = 0;
done:
	json_decref(j);
	return ret;
}
