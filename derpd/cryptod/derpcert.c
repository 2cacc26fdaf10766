/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Certificates that are made here: the one that tells the DERP key, and one
 * for TLS where there is none of a file.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "derp.h"
#include "derpcrypt.h"
#include "log.h"
#include "tlskey.h"

#define DAY		86400L
#define SELF_DAYS	3650		/* a pin has no way to be renewed */
#define RENEW_DAYS	30
#define META_DAYS	30

/* A certificate's fields. */
struct fields {
	const char	*f_cn;
	const char	*f_san;		/* as x509v3_config(5) has it */
	const char	*f_constraints;
	long		 f_serial;
	int64_t		 f_from;
	int64_t		 f_to;
};

static void
ssl_warn(const char *what)
{
	char	 text[256];

	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	log_warnx("%s: %s", what, text);
	ERR_clear_error();
}

static int
extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION	*e;
	int		 ok;

	if (value == NULL)
		return 1;
	if ((e = X509V3_EXT_conf_nid(NULL, NULL, nid, value)) == NULL)
		return 0;
	ok = X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	return ok;
}

static int
fill(X509 *x, EVP_PKEY *key, const struct fields *f)
{
	X509_NAME	*name = X509_get_subject_name(x);

	return X509_set_version(x, 2) &&
	    ASN1_INTEGER_set(X509_get_serialNumber(x), f->f_serial) &&
	    ASN1_TIME_set(X509_getm_notBefore(x), f->f_from) != NULL &&
	    ASN1_TIME_set(X509_getm_notAfter(x), f->f_to) != NULL &&
	    X509_NAME_add_entry_by_NID(name, NID_commonName,
	    V_ASN1_UTF8STRING,	/* MBSTRING_* would refuse 71 characters */
	    (const unsigned char *)f->f_cn, -1, -1, 0) &&
	    X509_set_issuer_name(x, name) && X509_set_pubkey(x, key) &&
	    extension(x, NID_basic_constraints, f->f_constraints) &&
	    extension(x, NID_subject_alt_name, f->f_san);
}

/* A certificate signed by its own key, DER.  Its length, or -1 (logged). */
static ssize_t
cert_make(EVP_PKEY *key, const EVP_MD *md, const struct fields *f,
    uint8_t *out, size_t size)
{
	X509	*x;
	int	 len = -1;

	if ((x = X509_new()) != NULL && fill(x, key, f) &&
	    X509_sign(x, key, md) && (len = i2d_X509(x, NULL)) > 0 &&
	    (size_t)len <= size)
		len = i2d_X509(x, &out);
	else
		len = -1;
	X509_free(x);
	if (len <= 0)
		ssl_warn("certificate");
	return len <= 0 ? -1 : len;
}

ssize_t
derpcert_meta(const uint8_t key[MSG_KEY_LEN], int64_t date, uint8_t *out,
    size_t size)
{
	struct fields	 f;
	EVP_PKEY	*pkey;
	char		 cn[128] = "derpkey";
	size_t		 i;
	ssize_t		 len;

	for (i = 0; i < MSG_KEY_LEN; i++)
		(void)snprintf(cn + 7 + 2 * i, 3, "%02x", key[i]);
	memset(&f, 0, sizeof(f));
	f.f_cn = cn;
	f.f_constraints = "critical,CA:FALSE";
	f.f_serial = DERP_VERSION;
	f.f_from = date - META_DAYS * DAY;
	f.f_to = date + META_DAYS * DAY;
	if ((pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")) == NULL) {
		ssl_warn("Ed25519");
		return -1;
	}
	len = cert_make(pkey, NULL, &f, out, size);
	EVP_PKEY_free(pkey);
	return len;
}

static int
is_address(const char *host)
{
	uint8_t	 addr[16];

	return inet_pton(AF_INET, host, addr) == 1 ||
	    inet_pton(AF_INET6, host, addr) == 1;
}

/* Is the certificate in the state one for this host, now? */
static int
self_fits(const struct derpstate *ds, const char *host, int64_t date)
{
	const unsigned char	*p = ds->ds_cert;
	X509			*x;
	time_t			 t = date + RENEW_DAYS * DAY;
	int			 fits;

	if (ds->ds_keylen == 0 || ds->ds_certlen == 0 ||
	    (x = d2i_X509(NULL, &p, ds->ds_certlen)) == NULL)
		return 0;
	fits = X509_cmp_time(X509_get0_notAfter(x), &t) > 0 &&
	    (is_address(host) ? X509_check_ip_asc(x, host, 0) :
	    X509_check_host(x, host, 0, 0, NULL)) == 1;
	X509_free(x);
	return fits;
}

static int
self_make(struct derpstate *ds, const char *host, int64_t date)
{
	struct fields	 f;
	EVP_PKEY	*pkey;
	char		 san[MSG_NAME_LEN + 8];
	uint8_t		*p = ds->ds_key;
	ssize_t		 len;
	int		 keylen;

	(void)snprintf(san, sizeof(san), "%s:%s", is_address(host) ? "IP" :
	    "DNS", host);
	memset(&f, 0, sizeof(f));
	f.f_cn = "derpd";
	f.f_san = san;
	f.f_constraints = "critical,CA:FALSE";
	f.f_serial = 1;
	f.f_from = date - DAY;
	f.f_to = date + SELF_DAYS * DAY;
	if ((pkey = EVP_EC_gen("P-256")) == NULL) {
		ssl_warn("P-256");
		return -1;
	}
	len = cert_make(pkey, EVP_sha256(), &f, ds->ds_cert,
	    sizeof(ds->ds_cert));
	keylen = i2d_PrivateKey(pkey, NULL);
	if (len != -1 && keylen > 0 && (size_t)keylen <= sizeof(ds->ds_key))
		(void)i2d_PrivateKey(pkey, &p);
	else
		len = -1;
	EVP_PKEY_free(pkey);
	if (len == -1)
		return -1;
	ds->ds_keylen = keylen;
	ds->ds_certlen = len;
	return 1;
}

int
derpcert_self(struct derpstate *ds, const char *host, int64_t date)
{
	int	 changed = 0;

	if (!self_fits(ds, host, date) &&
	    (changed = self_make(ds, host, date)) == -1)
		return -1;
	if (tlskey_set(ds->ds_key, ds->ds_keylen, ds->ds_cert,
	    ds->ds_certlen) == -1)
		return -1;
	return changed;
}

void
derpcert_hash(const uint8_t *data, size_t len, uint8_t hash[MSG_KEY_LEN])
{
	if (EVP_Digest(data, len, hash, NULL, EVP_sha256(), NULL) != 1)
		fatalx("SHA-256");
}

void
derpcert_warmup(void)
{
	static const uint8_t	 zero[MSG_KEY_LEN];
	struct derpstate	 ds;
	uint8_t			 meta[1024], hash[MSG_KEY_LEN];

	tlskey_warmup();
	memset(&ds, 0, sizeof(ds));
	if (derpcert_meta(zero, META_DAYS * DAY, meta, sizeof(meta)) == -1 ||
	    derpcert_self(&ds, "warmup.invalid", META_DAYS * DAY) == -1)
		fatalx("libcrypto does not make certificates");
	derpcert_hash(meta, sizeof(hash), hash);
	tlskey_end();
	explicit_bzero(&ds, sizeof(ds));
}
