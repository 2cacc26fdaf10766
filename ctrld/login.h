/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Registration: logging in and out. Used by control.c alone.
 */

#ifndef CTRLD_LOGIN_H
#define CTRLD_LOGIN_H

struct session;

void	 login_init(void);

/*
 * Bring registration forward over a session that is up. Returns 1 while it
 * stands in the way of everything else, 0 if the node is registered (a
 * login for a new key may go on at the same time).
 */
int	 login_step(struct session *);

void	 login_session(void);	/* a new session is up */
void	 login_drop(void);	/* the session is being closed */
void	 login_keys(void);	/* cryptod reported keys */
void	 login_wanted(void);	/* `up' */
void	 login_start(int);	/* `login'; 1: with a new key */
void	 login_end(void);	/* `logout' */
void	 login_again(void);	/* the server does not know the node */
void	 login_expired(int);	/* own key has expired, or is good again */
void	 login_forget(void);	/* another server from here on */

int	 login_quiet(void);	/* logged out: wait for a person */
int	 login_ending(void);	/* a logout is to be told to the server */
int	 login_failed(void);	/* the last attempt did not succeed */
int	 login_refused(void);	/* the server will not have this node */
int	 login_denied(void);	/* the last request was: REFUSED_* */
int	 login_settled(void);	/* registered, and nothing more is asked */
int	 login_needs_person(void);	/* no auth key */
const char
	*login_url(void);	/* to visit, or "" */
const char
	*login_error(void);

#endif /* CTRLD_LOGIN_H */
