/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The answer, for people or as JSON.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordctl.h"

static json_t	*rows;

json_t *
output_rows(void)
{
	return rows;
}

int
output_row(const char *text)
{
	json_t	*j;

	if (rows == NULL)
		rows = json_array();
	j = json_loads(text, 0, NULL);
	if (!json_is_object(j)) {
		json_decref(j);
		return -1;
	}
	return json_array_append_new(rows, j);
}

static void
show_cell(const char *text, size_t width, int last)
{
	if (last)
		printf("%s\n", text);
	else
		printf("%-*s  ", (int)width, text);
}

static void
show_table(const struct column *cols)
{
	const char	*text;
	json_t		*row;
	size_t		 width[COLS_MAX], c, i;

	for (c = 0; cols[c].c_title != NULL; c++) {
		width[c] = strlen(cols[c].c_title);
		json_array_foreach(rows, i, row) {
			text = cols[c].c_text(row);
			if (strlen(text) > width[c])
				width[c] = strlen(text);
		}
	}
	for (c = 0; cols[c].c_title != NULL; c++)
		show_cell(cols[c].c_title, width[c],
		    cols[c + 1].c_title == NULL);
	json_array_foreach(rows, i, row)
		for (c = 0; cols[c].c_title != NULL; c++)
			show_cell(cols[c].c_text(row), width[c],
			    cols[c + 1].c_title == NULL);
}

static void
show_fields(void)
{
	const char	*key;
	json_t		*row, *val;
	char		 buf[4096];
	size_t		 i, width;

	width = 0;
	json_array_foreach(rows, i, row)
		json_object_foreach(row, key, val)
			if (strlen(key) > width)
				width = strlen(key);
	json_array_foreach(rows, i, row)
		json_object_foreach(row, key, val)
			printf("%-*s  %s\n", (int)width, key,
			    column_value(val, buf, sizeof(buf)));
}

static void
show_strings(const char *name)
{
	const char	*s;
	json_t		*row;
	size_t		 i;

	json_array_foreach(rows, i, row)
		if ((s = json_string_value(json_object_get(row, name))) !=
		    NULL)
			fputs(s, stdout);
}

/* stored does not know the file's name: it says "policy:LINE: what". */
static void
show_trouble(const char *file, const char *text)
{
	if (strncmp(text, "policy:", 7) == 0)
		printf("%s%s\n", file, text + 6);
	else
		printf("%s: %s\n", file, text);
}

static void
show_check(const char *file, int good)
{
	const char	*text;
	json_t		*row;
	char		 buf[4096];
	size_t		 i;

	json_array_foreach(rows, i, row) {
		text = column_value(json_object_get(row, "text"), buf,
		    sizeof(buf));
		if (text[0] != '\0')
			show_trouble(file, text);
	}
	if (good)
		printf("%s: good\n", file);
}

static void
show_explain(void)
{
	json_t	*row, *line;
	char	 rule[4096];
	size_t	 i;

	json_array_foreach(rows, i, row) {
		column_value(json_object_get(row, "rule"), rule,
		    sizeof(rule));
		line = json_object_get(row, "line");
		if (!json_is_true(json_object_get(row, "allowed")))
			printf("denied: no rule allows it\n");
		else if (json_integer_value(line) > 0)
			printf("allowed by line %lld%s%s\n",
			    (long long)json_integer_value(line),
			    rule[0] == '\0' ? "" : ": ", rule);
		else
			printf("allowed%s%s\n", rule[0] == '\0' ? "" : ": ",
			    rule);
	}
}

/* The way that it took: the first of these that the node names. */
static void
show_way(json_t *row)
{
	static const struct {
		const char	*key, *text;
	} ways[] = {
		{ "endpoint", "" }, { "relay", "peer relay " },
		{ "derp", "DERP " }
	};
	json_t	*v;
	char	 buf[256];
	size_t	 i;

	for (i = 0; i < nitems(ways); i++)
		if ((v = json_object_get(row, ways[i].key)) != NULL) {
			printf(" via %s%s", ways[i].text, column_value(v, buf,
			    sizeof(buf)));
			return;
		}
}

static void
show_ping(void)
{
	json_t	*row, *target;
	char	 buf[256], name[256], type[64];
	size_t	 i;

	json_array_foreach(rows, i, row) {
		column_value(json_object_get(row, "name"), name, sizeof(name));
		column_value(json_object_get(row, "type"), type, sizeof(type));
		target = json_object_get(row, "target");
		if (target != NULL) {
			printf("%s: pong from %s", name, column_value(target,
			    buf, sizeof(buf)));
			column_value(json_object_get(row, "target_name"), buf,
			    sizeof(buf));
			if (buf[0] != '\0')
				printf(" (%s)", buf);
			show_way(row);
		} else
			printf("pong from %s", name);
		printf(" by %s in %.1f ms\n", type, json_number_value(
		    json_object_get(row, "milliseconds")));
	}
}

/* An array where there may be many, else one object of all rows. */
static void
show_json(const struct command *k)
{
	json_t	*one, *row;
	size_t	 i;

	if (strcmp(k->k_verb, "list") == 0 || k->k_show == SHOW_TEXT ||
	    k->k_show == SHOW_CHECK || k->k_show == SHOW_PROBE) {
		json_dumpf(rows, stdout, JSON_INDENT(2));
		fputc('\n', stdout);
		return;
	}
	if (json_array_size(rows) == 0)
		return;
	one = json_object();
	json_array_foreach(rows, i, row)
		json_object_update(one, row);
	json_dumpf(one, stdout, JSON_INDENT(2));
	fputc('\n', stdout);
	json_decref(one);
}

/* good: the answer ended well. */
void
output_show(const struct command *k, const char *file, int json, int good)
{
	if (rows == NULL)
		rows = json_array();
	if (json) {
		show_json(k);
		return;
	}
	switch (k->k_show) {
	case SHOW_PROBE:
		if (rows != NULL && json_array_size(rows) > 0)
			show_table(k->k_cols);
		break;
	case SHOW_TABLE:
		if (good)
			show_table(k->k_cols);
		break;
	case SHOW_FIELDS:
		show_fields();
		break;
	case SHOW_KEY:
		show_strings("key");
		if (json_array_size(rows) > 0)
			fputc('\n', stdout);
		break;
	case SHOW_TEXT:
		show_strings("text");
		break;
	case SHOW_CHECK:
		show_check(file, good);
		break;
	case SHOW_EXPLAIN:
		show_explain();
		break;
	case SHOW_PING:
		show_ping();
		break;
	case SHOW_NONE:
		break;
	}
}
