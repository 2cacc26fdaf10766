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

static int
hostname_load(const char *value)
{
	if (value[0] != '\0' && conf_check_hostname(value) != NULL)
		return -1;
	return strlcpy(hostname, value, sizeof(hostname)) >=
	    sizeof(hostname) ? -1 : 0;
}

int
prefs_load(const char *name, const char *value)
{
	if (strcmp(name, "want_running") == 0)
		return bool_parse(value, &want_running);
	if (strcmp(name, "shields_up") == 0)
		return bool_parse(value, &shields);
	if (strcmp(name, "hostname") == 0)
		return hostname_load(value);
	return -1;
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
	if (prefs_load(name, value) == -1)
		return "no such setting, or not a value of it";
	memset(&mp, 0, sizeof(mp));
	if (strlcpy(mp.name, name, sizeof(mp.name)) >= sizeof(mp.name) ||
	    strlcpy(mp.value, value, sizeof(mp.value)) >= sizeof(mp.value))
		return "value is too long";
	child_send(PROC_CRYPTOD, IMSG_STATE_SET, &mp, sizeof(mp));
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
