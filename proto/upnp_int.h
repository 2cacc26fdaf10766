/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Between the files of UPnP.
 */

#ifndef SHOAL_UPNP_INT_H
#define SHOAL_UPNP_INT_H

extern const char *const upnp_urn[];	/* by enum upnp_type */

#endif /* SHOAL_UPNP_INT_H */
