/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Start of the OpenSSL library.
 */

#include <openssl/crypto.h>

#include "log.h"
#include "ossl.h"

void
ossl_start(void)
{
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		fatalx("OpenSSL does not start");
}
