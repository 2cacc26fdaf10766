/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Preferences: what the configuration leaves open and shoalctl may change.
 * They are lines of the state, which cryptod keeps.
 */

#include <sys/types.h>

#include <string.h>

#include "shoald.h"

/* Settings whose features are still to come. */
static const char	*later[] = {
	"accept_dns", "accept_routes", "advertise_exit_node",
	"advertise_routes", "exit_node", "exit_node_allow_lan_access",
	"snat_subnet_routes"
};

static int	 want_running = 1;
static int	 shields;
static char	 hostname[64];

/* As they stand in the state; "": they do not. */
static struct pref {
	const char	*name;
	char		 value[64];
} prefs[] = {
	{ "hostname", "" },
	{ "shields_up", "" },
	{ "want_running", "" }
};

static int
bool_parse(const char *s, int *v)
{
	if (strcmp(s, "1") == 0 || strcmp(s, "true") == 0 ||
	    strcmp(s, "yes") == 0)
		*v = 1;
	else if (strcmp(s, "0") == 0 || strcmp(s, "false") == 0 ||
	    strcmp(s, "no") == 0)
		*v = 0;
	else
		return -1;
	return 0;
}

static struct pref *
pref_find(const char *name)
{
	size_t	 i;

	for (i = 0; i < nitems(prefs); i++)
		if (strcmp(name, prefs[i].name) == 0)
			return &prefs[i];
	return NULL;
}

/* Take it over; 0, or -1 if it is no value of this preference. */
static int
pref_apply(struct pref *p, const char *value)
{
	int	*flag, on;

	if (strcmp(p->name, "hostname") == 0) {
		if (value[0] != '\0' && conf_check_hostname(value) != NULL)
			return -1;
		(void)strlcpy(hostname, value, sizeof(hostname));
		(void)strlcpy(p->value, value, sizeof(p->value));
		return 0;
	}
	flag = strcmp(p->name, "shields_up") == 0 ? &shields : &want_running;
	if (bool_parse(value, &on) == -1)
		return -1;
	*flag = on;
	(void)strlcpy(p->value, on ? "1" : "0", sizeof(p->value));
	return 0;
}

int
prefs_load(const char *name, const char *value)
{
	struct pref	*p;

	return (p = pref_find(name)) == NULL ? -1 : pref_apply(p, value);
}

/* The file's word is final. NULL if it leaves this open. */
static const char *
pref_fixed(const struct shoal_conf *c, const char *name)
{
	if (strcmp(name, "shields_up") == 0)
		return c->c_set & SET_SHIELDS ?
		    "shields are set in the configuration file" : NULL;
	if (strcmp(name, "hostname") == 0)
		return c->c_set & SET_HOSTNAME ?
		    "the hostname is set in the configuration file" : NULL;
	return NULL;
}

/* What shoalctl calls accept-dns is accept_dns in the state. */
static void
pref_name(const char *word, char *name, size_t len)
{
	size_t	 i;

	(void)strlcpy(name, word, len);
	for (i = 0; name[i] != '\0'; i++)
		if (name[i] == '-')
			name[i] = '_';
}

const char *
prefs_set(const struct shoal_conf *c, const char *word, const char *value)
{
	struct msg_pref	 mp;
	struct pref	 old, *p;
	const char	*why;
	char		 name[sizeof(mp.name)];
	size_t		 i;

	pref_name(word, name, sizeof(name));
	for (i = 0; i < nitems(later); i++)
		if (strcmp(name, later[i]) == 0)
			return "this is not supported yet";
	if ((why = pref_fixed(c, name)) != NULL)
		return why;
	if (!child_running(PROC_CRYPTOD))
		return "cryptod is being replaced: try again";
	if ((p = pref_find(name)) == NULL)
		return "there is no such setting";
	old = *p;
	if (pref_apply(p, value) == -1)
		return "this is not a value of this setting";
	if (strcmp(old.value, p->value) == 0)
		return NULL;
	memset(&mp, 0, sizeof(mp));
	(void)strlcpy(mp.name, p->name, sizeof(mp.name));
	(void)strlcpy(mp.value, p->value, sizeof(mp.value));
	child_send(PROC_CRYPTOD, IMSG_STATE_SET, &mp, sizeof(mp));
	state_changed();
	return NULL;
}

int
prefs_want_running(void)
{
	return want_running;
}

int
prefs_shields(const struct shoal_conf *c)
{
	return c->c_set & SET_SHIELDS ? c->c_shields : shields;
}

const char *
prefs_hostname(const struct shoal_conf *c)
{
	return c->c_set & SET_HOSTNAME ? c->c_hostname : hostname;
}
