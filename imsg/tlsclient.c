/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * TLS to servers, verified by authorities, for another name, or by a pin.
 * Source: dataplane.md 3.1.
 */

#include <sys/types.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <arpa/inet.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "log.h"
#include "tlsclient.h"

#define CA_MAX		(4 * 1024 * 1024)
#define META_PREFIX	"derpkey"
#define HEX_KEY		(2 * MSG_KEY_LEN)

/* What is fast where the processor helps, and what is fast where not. */
#define SUITES	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:" \
		"TLS_CHACHA20_POLY1305_SHA256"

/* Certificates of authorities, as PEM. */
struct ca_text {
	char		*ca_pem;
	size_t		 ca_len;
	int		 ca_mapped;
};

static SSL_CTX	*ctx;
static struct ca_text	 ca, ca_next;
static int	 ssl_index = -1;

static int	 verify_cb(X509_STORE_CTX *, void *);

static void
ctx_init(void)
{
	if ((ctx = SSL_CTX_new(TLS_client_method())) == NULL ||
	    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, SUITES) != 1)
		fatalx("OpenSSL does not start");
	ssl_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	if (ssl_index == -1)
		fatalx("SSL_get_ex_new_index");
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, verify_cb, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
	    SSL_OP_NO_RENEGOTIATION);
}

void
tlsclient_warmup(void)
{
	SSL	*ssl;
	uint8_t	 b;

	if (RAND_bytes(&b, 1) != 1)
		fatalx("OpenSSL does not start");
	ctx_init();
	if ((ssl = SSL_new(ctx)) == NULL)
		fatalx("OpenSSL does not start");
	SSL_free(ssl);
}

static void
ca_free(struct ca_text *t)
{
	if (t->ca_mapped)
		(void)munmap(t->ca_pem, t->ca_len);
	else
		free(t->ca_pem);
	memset(t, 0, sizeof(*t));
}

void
tlsclient_ca(char *pem, size_t len)
{
	ca_free(&ca_next);
	ca_next.ca_pem = pem;
	ca_next.ca_len = len;
}

void
tlsclient_ca_commit(void)
{
	if (ca_next.ca_pem == NULL)
		return;
	ca_free(&ca);
	ca = ca_next;
	memset(&ca_next, 0, sizeof(ca_next));
}

/* Not a file that can be mapped: its text. NULL (logged). */
static char *
ca_read(int fd, size_t *len)
{
	char	*buf;
	ssize_t	 n;

	if ((buf = malloc(CA_MAX)) == NULL)
		fatal(NULL);
	*len = 0;
	do {
		n = read(fd, buf + *len, CA_MAX - *len);
		if (n > 0)
			*len += n;
		else if (n == -1 && errno != EINTR)
			log_warn("CA file");
	} while (n > 0 || (n == -1 && errno == EINTR));
	if (n == 0)
		return buf;
	free(buf);
	return NULL;
}

/* Mapped, it takes memory only while it is looked at. */
int
tlsclient_ca_fd(int fd)
{
	struct stat	 st;
	char		*pem = NULL;
	size_t		 len;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
		if (st.st_size > CA_MAX) {
			log_warnx("CA file is too long");
			close(fd);
			return -1;
		}
		len = st.st_size;
		pem = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
		close(fd);
		if (pem == MAP_FAILED) {
			log_warn("CA file");
			return -1;
		}
		tlsclient_ca(pem, len);
		ca_next.ca_mapped = 1;
		return 0;
	}
	if ((pem = ca_read(fd, &len)) != NULL)
		tlsclient_ca(pem, len);
	close(fd);
	return pem != NULL ? 0 : -1;
}

int
tlsclient_ca_here(void)
{
	return ca.ca_len > 0;
}

/* --- what came in the chain --- */

static int
is_address(const char *host)
{
	uint8_t	 buf[16];

	return inet_pton(AF_INET, host, buf) == 1 ||
	    inet_pton(AF_INET6, host, buf) == 1;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
hex_key(const char *s, uint8_t *key)
{
	int	 hi, i, lo;

	for (i = 0; i < MSG_KEY_LEN; i++) {
		if ((hi = hex_digit(s[2 * i])) == -1 ||
		    (lo = hex_digit(s[2 * i + 1])) == -1)
			return -1;
		key[i] = hi << 4 | lo;
	}
	return 0;
}

/*
 * The certificate that tells a relay's key instead of proving anything. Its
 * serial number is the version of the protocol.
 */
static int
is_meta(X509 *x, struct tlsclient *tc)
{
	char	 name[128];
	int64_t	 version;

	if (X509_NAME_get_text_by_NID(X509_get_subject_name(x),
	    NID_commonName, name, sizeof(name)) == -1 ||
	    strncmp(name, META_PREFIX, strlen(META_PREFIX)) != 0)
		return 0;
	if (strlen(name) == strlen(META_PREFIX) + HEX_KEY &&
	    hex_key(name + strlen(META_PREFIX), tc->tc_derpkey) == 0 &&
	    ASN1_INTEGER_get_int64(&version,
	    X509_get0_serialNumber(x)) == 1 && version > 0 && version < 256)
		tc->tc_derpversion = version;
	return 1;
}

/* The names of a certificate, for a person; at least its common name. */
static void
names_of(X509 *x, char *buf, size_t len)
{
	GENERAL_NAMES	*names;
	GENERAL_NAME	*gn;
	int		 i;

	(void)X509_NAME_get_text_by_NID(X509_get_subject_name(x),
	    NID_commonName, buf, len);
	names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	for (i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		gn = sk_GENERAL_NAME_value(names, i);
		if (gn->type != GEN_DNS)
			continue;
		(void)snprintf(buf, len, "%.*s",
		    ASN1_STRING_length(gn->d.dNSName),
		    (const char *)ASN1_STRING_get0_data(gn->d.dNSName));
		break;
	}
	GENERAL_NAMES_free(names);
	for (; *buf != '\0'; buf++)
		if (*buf <= ' ' || *buf >= 0x7f)
			*buf = '?';
}

/* Organization and common name, for a person. */
static void
name_text(const X509_NAME *name, char *buf, size_t len)
{
	char	 cn[TLSCLIENT_NAME_LEN];

	if (X509_NAME_get_text_by_NID(name, NID_organizationName, buf,
	    len) <= 0)
		buf[0] = '\0';
	if (X509_NAME_get_text_by_NID(name, NID_commonName, cn,
	    sizeof(cn)) > 0) {
		if (buf[0] != '\0')
			(void)strlcat(buf, ", ", len);
		(void)strlcat(buf, cn, len);
	}
	for (; *buf != '\0'; buf++)
		if (*buf < ' ' || *buf >= 0x7f)
			*buf = '?';
}

static int
name_matches(X509 *x, const char *name)
{
	return is_address(name) ? X509_check_ip_asc(x, name, 0) == 1 :
	    X509_check_host(x, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
	    NULL) == 1;
}

/* --- by pin --- */

static int
pin_check(X509 *x, const uint8_t *pin, struct tlsclient *tc)
{
	char		 hex[HEX_KEY + 1];
	unsigned char	*der = NULL;
	uint8_t		 hash[SHA256_DIGEST_LENGTH];
	int		 i, len;

	if ((len = i2d_X509(x, &der)) < 0)
		return 0;
	(void)SHA256(der, len, hash);
	OPENSSL_free(der);
	if (CRYPTO_memcmp(hash, pin, sizeof(hash)) != 0) {
		for (i = 0; i < MSG_KEY_LEN; i++)
			(void)snprintf(hex + 2 * i, 3, "%02x", hash[i]);
		(void)snprintf(tc->tc_why, sizeof(tc->tc_why),
		    "its certificate is not the pinned one: it is "
		    TLSCLIENT_PIN "%s", hex);
		return 0;
	}
	if (X509_cmp_current_time(X509_get0_notAfter(x)) <= 0 ||
	    X509_cmp_current_time(X509_get0_notBefore(x)) >= 0) {
		(void)strlcpy(tc->tc_why, "its pinned certificate is not "
		    "valid at this date", sizeof(tc->tc_why));
		return 0;
	}
	if (!is_address(tc->tc_host) && !name_matches(x, tc->tc_host)) {
		(void)snprintf(tc->tc_why, sizeof(tc->tc_why),
		    "its pinned certificate is not for %.200s", tc->tc_host);
		return 0;
	}
	return 1;
}

/* Exactly one certificate besides the meta one, and it is the pinned. */
static int
verify_pin(STACK_OF(X509) *chain, struct tlsclient *tc)
{
	const char	*hex = tc->tc_cert + strlen(TLSCLIENT_PIN);
	X509		*x;
	uint8_t		 pin[MSG_KEY_LEN];
	int		 good = 0, i;

	if (strlen(hex) != HEX_KEY || hex_key(hex, pin) == -1) {
		(void)strlcpy(tc->tc_why, "its pin is malformed",
		    sizeof(tc->tc_why));
		return 0;
	}
	for (i = 0; i < sk_X509_num(chain); i++) {
		x = sk_X509_value(chain, i);
		if (is_meta(x, tc))
			continue;
		if (good) {
			(void)strlcpy(tc->tc_why, "it has a pin, but shows "
			    "several certificates", sizeof(tc->tc_why));
			return 0;
		}
		if (!pin_check(x, pin, tc))
			return 0;
		good = 1;
	}
	return good;
}

/* --- by authorities --- */

static int
issues_one_of(X509 *x, STACK_OF(X509) *chain)
{
	int	 i;

	for (i = 0; i < sk_X509_num(chain); i++)
		if (X509_NAME_cmp(X509_get_subject_name(x),
		    X509_get_issuer_name(sk_X509_value(chain, i))) == 0)
			return 1;
	return 0;
}

/* Those of the authorities that the chain may lead to. */
static X509_STORE *
store_for(STACK_OF(X509) *chain)
{
	X509_STORE	*store;
	X509		*x;
	BIO		*bio;

	if ((store = X509_STORE_new()) == NULL)
		fatal(NULL);
	if (ca.ca_len == 0)
		return store;
	if ((bio = BIO_new_mem_buf(ca.ca_pem, ca.ca_len)) == NULL)
		fatal(NULL);
	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		if (issues_one_of(x, chain))
			(void)X509_STORE_add_cert(store, x);
		X509_free(x);
	}
	ERR_clear_error();
	BIO_free(bio);
	if (ca.ca_mapped)
		(void)madvise(ca.ca_pem, ca.ca_len, MADV_DONTNEED);
	return store;
}

static void
explain(X509 *leaf, int error, const char *name, struct tlsclient *tc)
{
	char	 has[200] = "";

	tc->tc_error = error;
	name_text(X509_get_subject_name(leaf), tc->tc_subject,
	    sizeof(tc->tc_subject));
	name_text(X509_get_issuer_name(leaf), tc->tc_issuer,
	    sizeof(tc->tc_issuer));
	switch (error) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		names_of(leaf, has, sizeof(has));
		(void)snprintf(tc->tc_why, sizeof(tc->tc_why),
		    "its certificate is for %s, not for %.200s", has, name);
		break;
	default:
		(void)snprintf(tc->tc_why, sizeof(tc->tc_why),
		    "its certificate: %s%s",
		    X509_verify_cert_error_string(error), ca.ca_len == 0 ?
		    " (and no CA certificates are installed)" : "");
		break;
	}
}

static int
verify_chain(X509 *leaf, STACK_OF(X509) *chain, const char *name,
    struct tlsclient *tc)
{
	X509_STORE_CTX		*sc;
	X509_STORE		*store;
	X509_VERIFY_PARAM	*param;
	int			 good;

	store = store_for(chain);
	if ((sc = X509_STORE_CTX_new()) == NULL ||
	    X509_STORE_CTX_init(sc, store, leaf, chain) != 1 ||
	    X509_STORE_CTX_set_default(sc, "ssl_server") != 1)
		fatal(NULL);
	param = X509_STORE_CTX_get0_param(sc);
	/* Whatever stands in the file is trusted, a root or not. */
	(void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
	X509_VERIFY_PARAM_set_hostflags(param,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if ((is_address(name) ? X509_VERIFY_PARAM_set1_ip_asc(param, name) :
	    X509_VERIFY_PARAM_set1_host(param, name, 0)) != 1)
		fatal(NULL);
	good = X509_verify_cert(sc) == 1;
	if (!good)
		explain(leaf, X509_STORE_CTX_get_error(sc), name, tc);
	X509_STORE_CTX_free(sc);
	X509_STORE_free(store);
	return good;
}

static int
verify_cb(X509_STORE_CTX *sc, void *arg)
{
	STACK_OF(X509)	 *chain = X509_STORE_CTX_get0_untrusted(sc);
	struct tlsclient *tc;
	X509		 *leaf = X509_STORE_CTX_get0_cert(sc);
	SSL		 *ssl;
	int		  good, i;

	ssl = X509_STORE_CTX_get_ex_data(sc,
	    SSL_get_ex_data_X509_STORE_CTX_idx());
	tc = SSL_get_ex_data(ssl, ssl_index);
	for (i = 0; i < sk_X509_num(chain); i++)
		(void)is_meta(sk_X509_value(chain, i), tc);
	if (tc->tc_insecure)
		good = 1;
	else if (strncmp(tc->tc_cert, TLSCLIENT_PIN,
	    strlen(TLSCLIENT_PIN)) == 0)
		good = verify_pin(chain, tc);
	else
		good = verify_chain(leaf, chain, *tc->tc_cert != '\0' ?
		    tc->tc_cert : tc->tc_host, tc) || tc->tc_lax;
	X509_STORE_CTX_set_error(sc, good ? X509_V_OK :
	    X509_V_ERR_APPLICATION_VERIFICATION);
	return good;
}

/* --- sessions --- */

static int
in_memory(SSL *ssl)
{
	BIO	*in, *out;

	in = BIO_new(BIO_s_mem());
	out = BIO_new(BIO_s_mem());
	if (in == NULL || out == NULL)
		return 0;
	SSL_set_bio(ssl, in, out);
	return 1;
}

SSL *
tlsclient_new(int fd, struct tlsclient *tc)
{
	SSL	*ssl;

	if (ctx == NULL)
		ctx_init();
	tc->tc_why[0] = '\0';
	tc->tc_error = X509_V_OK;
	tc->tc_derpversion = 0;
	if ((ssl = SSL_new(ctx)) == NULL ||
	    (fd == -1 ? in_memory(ssl) : SSL_set_fd(ssl, fd)) != 1 ||
	    SSL_set_ex_data(ssl, ssl_index, tc) != 1)
		fatal(NULL);
	SSL_set_connect_state(ssl);
	if (!is_address(tc->tc_host) &&
	    SSL_set_tlsext_host_name(ssl, tc->tc_host) != 1) {
		(void)strlcpy(tc->tc_why, "its name cannot be asked for",
		    sizeof(tc->tc_why));
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}

const char *
tlsclient_error(SSL *ssl, int ret, struct tlsclient *tc)
{
	const char	*reason;
	int		 save = errno;

	if (tc->tc_why[0] != '\0') {
		ERR_clear_error();
		return tc->tc_why;
	}
	reason = ERR_reason_error_string(ERR_peek_error());
	if (reason == NULL)
		reason = SSL_get_error(ssl, ret) == SSL_ERROR_SYSCALL &&
		    save != 0 ? strerror(save) : "closed by the other end";
	(void)snprintf(tc->tc_why, sizeof(tc->tc_why), "TLS: %s", reason);
	ERR_clear_error();
	return tc->tc_why;
}
