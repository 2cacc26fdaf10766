/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What is wrong with TLS to the control server, in words.
 */

#include <sys/types.h>

#include <stdio.h>
#include <string.h>

#include <openssl/x509_vfy.h>

#include "ctrld.h"
#include "tlsclient.h"

/*
 * A certificate for the right name by an issuer that nobody here knows is
 * the mark of a box that reads along.
 */
static const char *
complaint(int error)
{
	switch (error) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
		if (!tlsclient_ca_here())
			return "no CA certificates: install ca-certificates "
			    "or set `ca file'";
		return "something between here and there intercepts TLS, or "
		    "the server has a CA of its own: if it is to be trusted, "
		    "name that CA's certificate with `ca file'";
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return "this is another server, or a captive portal: check "
		    "the URL and what the name resolves to";
	case X509_V_ERR_CERT_NOT_YET_VALID:
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "check the date of this host; if it is right, the "
		    "server's certificate must be renewed";
	default:
		return "it is refused";
	}
}

int
tls_complaint(const struct tlsclient *tc, char *buf, size_t len)
{
	if (tc->tc_error == X509_V_OK)
		return 0;
	(void)snprintf(buf, len, "certificate of %s: %s: issued to \"%s\" "
	    "by \"%s\": %s", tc->tc_host,
	    X509_verify_cert_error_string(tc->tc_error), tc->tc_subject,
	    tc->tc_issuer, complaint(tc->tc_error));
	return 1;
}

void
tls_error(struct ssl_st *ssl, int ret, struct tlsclient *tc, char *buf,
    size_t len)
{
	const char	*why;

	why = tlsclient_error(ssl, ret, tc);
	if (!tls_complaint(tc, buf, len))
		(void)snprintf(buf, len, "%s: %s", tc->tc_host, why);
}
