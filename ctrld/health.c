/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What is not as it should be: found here, or said by the server.
 * Source: control.md 4.4, Health and DisplayMessages.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrld.h"
#include "proc.h"

static const struct {
	const char	*id;
	const char	*title;
	const char	*severity;
} kinds[HEALTH_MAX] = {
	[HEALTH_PORTAL] = { "captive-portal-detected", "Captive portal",
	    "high" },
	[HEALTH_TLS] = { "tls-intercepted",
	    "TLS to the control server is not what it should be", "medium" },
	[HEALTH_LOOKUP] = { "control-lookup",
	    "The control server's name cannot be looked up", "low" },
	[HEALTH_EXPIRY] = { "key-expiry",
	    "The key of this node expires soon", "medium" },
	[HEALTH_CLOCK] = { "clock-skew",
	    "The clock of this host differs from the server's", "low" },
	[HEALTH_VERSION] = { "update-available",
	    "The control server recommends another version", "low" },
	[HEALTH_LOCK] = { "tailnet-lock", "Tailnet lock", "medium" },
	[HEALTH_VISIT] = { "visit-url",
	    "The control server has a page for this node", "low" }
};

static char	 texts[HEALTH_MAX][MSG_TEXT_LEN];

void
health_set(enum health what, const char *text)
{
	if (text == NULL)
		text = "";
	if (strncmp(texts[what], text, sizeof(texts[what]) - 1) == 0)
		return;
	(void)strlcpy(texts[what], text, sizeof(texts[what]));
	if (*text != '\0')
		log_warnx("%s", texts[what]);
}

/* What was said of a tailnet that this node has left. */
void
health_forget(void)
{
	health_set(HEALTH_EXPIRY, NULL);
	health_set(HEALTH_CLOCK, NULL);
	health_set(HEALTH_VERSION, NULL);
	health_set(HEALTH_LOCK, NULL);
	health_set(HEALTH_VISIT, NULL);
}

const char *
health_text(enum health what)
{
	return texts[what];
}

json_t *
health_json(void)
{
	json_t	*o, *w;
	size_t	 i;

	w = json_object();
	for (i = 0; i < HEALTH_MAX; i++)
		if (texts[i][0] != '\0')
			(void)json_object_set_new(w, kinds[i].id,
			    json_pack("{s:s,s:s,s:s,s:s}", "WarnableCode",
			    kinds[i].id, "Severity", kinds[i].severity,
			    "Title", kinds[i].title, "Text", texts[i]));
	o = json_pack("{s:o}", "Warnings", w);
	return o;
}

static void
row_send(uint32_t id, struct msg_ctl_health *m)
{
	text_plain(m->id);
	text_plain(m->title);
	text_plain(m->text);
	text_plain(m->severity);
	text_plain(m->url);
	text_plain(m->label);
	(void)chan_compose(proc_parent(), IMSG_CTL_HEALTH, id, -1, m,
	    sizeof(*m));
}

/* What was found here. */
static void
rows_own(uint32_t id)
{
	struct msg_ctl_health	 m;
	size_t			 i;

	for (i = 0; i < HEALTH_MAX; i++) {
		if (texts[i][0] == '\0' ||
		    strcmp(texts[i], control_trouble_now()) == 0)
			continue;
		memset(&m, 0, sizeof(m));
		(void)strlcpy(m.id, kinds[i].id, sizeof(m.id));
		(void)strlcpy(m.title, kinds[i].title, sizeof(m.title));
		(void)strlcpy(m.text, texts[i], sizeof(m.text));
		(void)strlcpy(m.severity, kinds[i].severity,
		    sizeof(m.severity));
		row_send(id, &m);
	}
}

static void
put(char *dst, size_t len, json_t *v)
{
	if (json_is_string(v))
		(void)strlcpy(dst, json_string_value(v), len);
}

static void
row_message(uint32_t id, const char *name, json_t *j)
{
	static const char	*const fields[] = {
		"Title", "Text", "Severity", "ImpactsConnectivity",
		"PrimaryAction"
	};
	static const char	*const actions[] = { "URL", "Label" };
	struct msg_ctl_health	 m;
	json_t			*a[2], *v[5];

	memset(&m, 0, sizeof(m));
	if (ju_fields(j, fields, nitems(fields), v) == -1)
		return;
	(void)strlcpy(m.id, name, sizeof(m.id));
	put(m.title, sizeof(m.title), v[0]);
	put(m.text, sizeof(m.text), v[1]);
	put(m.severity, sizeof(m.severity), v[2]);
	m.connectivity = json_is_true(v[3]);
	if (ju_fields(v[4], actions, nitems(actions), a) == 0) {
		put(m.url, sizeof(m.url), a[0]);
		put(m.label, sizeof(m.label), a[1]);
	}
	row_send(id, &m);
}

/* DisplayMessages, if there are any, stand before the older Health. */
static void
rows_server(uint32_t id, struct netmap *nm)
{
	struct msg_ctl_health	 m;
	const char		*key;
	json_t			*v;
	size_t			 i, n;

	n = 0;
	json_object_foreach(nm->nm_messages, key, v)
		if (n++ < HEALTH_ROWS)
			row_message(id, key, v);
	if (n > 0)
		return;
	json_array_foreach(nm->nm_health, i, v) {
		if (i == HEALTH_ROWS)
			break;
		memset(&m, 0, sizeof(m));
		(void)snprintf(m.id, sizeof(m.id), "control-health-%zu", i);
		put(m.text, sizeof(m.text), v);
		(void)strlcpy(m.severity, "medium", sizeof(m.severity));
		row_send(id, &m);
	}
}

void
health_answer(uint32_t id)
{
	rows_own(id);
	if (map_now() != NULL)
		rows_server(id, map_now());
}
