/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Start of the OpenSSL library, the same in every process that has it.
 */

#ifndef IMSG_OSSL_H
#define IMSG_OSSL_H

/*
 * Before the first use of the library, and before the sandbox closes: no
 * configuration file of the system's is read, which could change what our
 * pages say. Fatal if it does not start.
 */
void	 ossl_start(void);

#endif /* IMSG_OSSL_H */
