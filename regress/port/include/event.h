/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The subset of event.h that both libevent 1.4 and 2.1 have, and no more:
 * what compiles with this compiles with either.
 */

#ifndef REGRESS_EVENT_H
#define REGRESS_EVENT_H

#include <sys/types.h>
#include <sys/time.h>

#define EV_TIMEOUT	0x01
#define EV_READ		0x02
#define EV_WRITE	0x04
#define EV_SIGNAL	0x08
#define EV_PERSIST	0x10

struct event {
	void	*opaque[24];
};

struct event_base *event_init(void);
int	 event_dispatch(void);
int	 event_loopbreak(void);
void	 event_set(struct event *, int, short,
	    void (*)(int, short, void *), void *);
int	 event_add(struct event *, const struct timeval *);
int	 event_del(struct event *);
void	 event_active(struct event *, int, short);
int	 event_pending(struct event *, short, struct timeval *);

int	 event_initialized(const struct event *);

#define evtimer_initialized(ev)		event_initialized(ev)
#define evtimer_set(ev, cb, arg)	event_set(ev, -1, 0, cb, arg)
#define evtimer_add(ev, tv)		event_add(ev, tv)
#define evtimer_del(ev)			event_del(ev)
#define evtimer_pending(ev, tv)		event_pending(ev, EV_TIMEOUT, tv)
#define signal_set(ev, x, cb, arg)	\
	event_set(ev, x, EV_SIGNAL | EV_PERSIST, cb, arg)
#define signal_add(ev, tv)		event_add(ev, tv)
#define signal_del(ev)			event_del(ev)

#endif /* REGRESS_EVENT_H */
