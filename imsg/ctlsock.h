/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The control socket of a daemon, from the outside.
 */

#ifndef SHOAL_CTLSOCK_H
#define SHOAL_CTLSOCK_H

/*
 * Connect to that path, with these flags of socket(2) besides SOCK_CLOEXEC.
 * The descriptor, or -1 with errno; ENAMETOOLONG: no socket has such a name.
 */
int	 ctlsock_connect(const char *, int);
/*
 * Why that failed, and what to do: (errno, name of the daemon, where another
 * socket is named: "-s"). A static buffer.
 */
const char *ctlsock_why(int, const char *, const char *);

#endif /* SHOAL_CTLSOCK_H */
