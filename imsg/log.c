/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The one log of all processes: stderr, syslog, or datagrams to the parent.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "log.h"

#define LOG_LINE	1024
#define RELAY_LINES	16		/* of one datagram */
#define NSEC_PER_SEC	1000000000LL

static enum {
	TO_STDERR,
	TO_SYSLOG,
	TO_PARENT
} log_dest;
static const char	*log_name = "shoal";
static int		 log_verbose;

void
log_init(int debug, const char *name)
{
	log_name = name;
	log_dest = debug ? TO_STDERR : TO_SYSLOG;
	if (!debug)
		openlog(name, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void
log_init_child(const char *name)
{
	log_name = name;
	log_dest = TO_PARENT;
}

void
log_setverbose(int verbose)
{
	log_verbose = verbose;
}

int
log_getverbose(void)
{
	return log_verbose;
}

/* Terminals and log readers see no control characters of strangers. */
static void
log_clean(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
}

/* To fd 2 in one piece, without waiting for a reader. */
static void
log_write(const char *head, const char *sep, const char *text,
    const char *end)
{
	const char	*part[4] = { head, sep, text, end };
	char		 line[LOG_LINE + 128];
	struct iovec	 iov;
	struct msghdr	 msg;
	size_t		 i;

	line[0] = '\0';
	for (i = 0; i < 4; i++)
		(void)strlcat(line, part[i], sizeof(line));
	memset(&msg, 0, sizeof(msg));
	iov.iov_base = line;
	iov.iov_len = strlen(line);
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	if (log_dest == TO_PARENT && (sendmsg(STDERR_FILENO, &msg,
	    MSG_DONTWAIT | MSG_NOSIGNAL) != -1 || errno != ENOTSOCK))
		return;
	(void)!write(STDERR_FILENO, line, iov.iov_len);
}

/* A line of this process, or of the child called name. */
static void
log_line(int level, const char *name, char *text)
{
	char	 head[2] = { '0' + level, '\0' };

	log_clean(text);
	switch (log_dest) {
	case TO_PARENT:
		log_write(head, "", text, "\n");
		break;
	case TO_SYSLOG:
		if (name == log_name)
			syslog(level, "%s", text);
		else
			syslog(level, "%s: %s", name, text);
		break;
	default:
		log_write(name, ": ", text, "\n");
		break;
	}
}

void
log_relay(const char *name, char *data, size_t len)
{
	char	 line[LOG_LINE], *nl;
	size_t	 n;
	int	 i, level;

	for (i = 0; i < RELAY_LINES && len > 0; i++) {
		nl = memchr(data, '\n', len);
		n = nl != NULL ? (size_t)(nl - data) : len;
		level = LOG_ERR;		/* raw words of a library */
		if (n > 0 && *data >= '0' + LOG_CRIT &&
		    *data <= '0' + LOG_DEBUG) {
			level = *data++ - '0';
			len--;
			n--;
		}
		(void)snprintf(line, sizeof(line), "%.*s",
		    (int)(n < sizeof(line) ? n : sizeof(line) - 1), data);
		if (n > 0 && (level < LOG_INFO || log_verbose > 0))
			log_line(level, name, line);
		if (nl == NULL)
			break;
		data += n + 1;
		len -= n + 1;
	}
}

static void
vlog(int level, int error, const char *fmt, va_list ap)
{
	char	 text[LOG_LINE];
	size_t	 len;

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	if (error != 0) {
		len = strlen(text);
		(void)snprintf(text + len, sizeof(text) - len, ": %s",
		    strerror(error));
	}
	log_line(level, log_name, text);
}

void
log_warn(const char *fmt, ...)
{
	va_list	 ap;
	int	 saved = errno;

	va_start(ap, fmt);
	vlog(LOG_ERR, saved, fmt, ap);
	va_end(ap);
	errno = saved;
}

void
log_warnx(const char *fmt, ...)
{
	va_list	 ap;
	int	 saved = errno;

	va_start(ap, fmt);
	vlog(LOG_ERR, 0, fmt, ap);
	va_end(ap);
	errno = saved;
}

void
log_info(const char *fmt, ...)
{
	va_list	 ap;
	int	 saved = errno;

	if (log_verbose < 1)
		return;
	va_start(ap, fmt);
	vlog(LOG_INFO, 0, fmt, ap);
	va_end(ap);
	errno = saved;
}

void
log_debug(const char *fmt, ...)
{
	va_list	 ap;
	int	 saved = errno;

	if (log_verbose < 2)
		return;
	va_start(ap, fmt);
	vlog(LOG_DEBUG, 0, fmt, ap);
	va_end(ap);
	errno = saved;
}

int
log_limit(struct log_limit *ll, int64_t now, unsigned int max,
    unsigned int period)
{
	if (now < ll->ll_start ||
	    now - ll->ll_start >= (int64_t)period * NSEC_PER_SEC) {
		if (ll->ll_held > 0)
			log_warnx("%u similar lines held back", ll->ll_held);
		ll->ll_start = now;
		ll->ll_count = ll->ll_held = 0;
	}
	if (ll->ll_count >= max) {
		ll->ll_held++;
		return 0;
	}
	ll->ll_count++;
	return 1;
}

static void
vfatal(int error, const char *fmt, va_list ap)
{
	char	 text[LOG_LINE] = "fatal: ";
	size_t	 len = strlen(text);

	(void)vsnprintf(text + len, sizeof(text) - len, fmt, ap);
	len = strlen(text);
	if (error != 0)
		(void)snprintf(text + len, sizeof(text) - len, ": %s",
		    strerror(error));
	log_line(LOG_CRIT, log_name, text);
}

void
fatal(const char *fmt, ...)
{
	va_list	 ap;
	int	 saved = errno;

	if (fmt == NULL)
		fatalx("%s", strerror(saved != 0 ? saved : ENOMEM));
	va_start(ap, fmt);
	vfatal(saved, fmt, ap);
	va_end(ap);
	exit(1);
}

void
fatalx(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	vfatal(0, fmt, ap);
	va_end(ap);
	exit(1);
}
