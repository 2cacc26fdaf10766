/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * TUN devices in other network namespaces, for the test laboratories.
 */

#ifndef TUNNS_H
#define TUNNS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Attach to a TUN device. spec is "namespace:interface"; the interface must
 * be there (ip tuntap add ... mode tun). Returns a non-blocking descriptor
 * that reads and writes bare IP packets; ends the program on any failure.
 */
int	 tun_attach(const char *);

/*
 * The control pipe: makes a FIFO of that path and opens it so that writers
 * come and go. Ends the program on any failure.
 */
int	 ctl_open(const char *);

/*
 * Read what is there and call the function with each whole line.
 */
void	 ctl_read(int, void (*)(char *));

/*
 * Microseconds of the monotonic clock.
 */
uint64_t now_us(void);

#endif
