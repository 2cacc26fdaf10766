/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What OpenBSD and FreeBSD have in common for every process: clocks, memory
 * for secrets. Each system's own part is in os_<system>.c.
 */

#include <sys/types.h>
#include <sys/mman.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "missing.h"
#include "os.h"

#define NSEC_PER_SEC	1000000000LL

#ifndef MAP_CONCEAL
#define MAP_CONCEAL	0
#endif

#ifdef REGRESS
static int64_t	 now_offset, date_offset;
#else
static const int64_t now_offset = 0, date_offset = 0;
#endif

/* UDP goes into the interface's own short queue, unaccounted. */
size_t
os_sock_queued(int fd)
{
	return 0;
}

int64_t
os_tcp_waits(int fd, size_t before)
{
	return 0;
}

static int64_t
clock_read(clockid_t id)
{
	struct timespec	 ts;

	(void)clock_gettime(id, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

int64_t
os_now(void)
{
	return clock_read(CLOCK_BOOTTIME) + now_offset;
}

/* A sleep here lasts for a tick of the clock, or two: up to 20 ms. */
void
os_nap(int64_t ns)
{
}

int64_t
os_date(void)
{
	return clock_read(CLOCK_REALTIME) + date_offset;
}

void
os_clock_step(int64_t now, int64_t date)
{
#ifdef REGRESS
	now_offset = now;
	date_offset = date;
#endif
}

/* malloc(3) here gives back by itself. */
void
os_mem_thrifty(void)
{
}

void
os_turns(int64_t ns)
{
}

void
os_mem_release(void)
{
}

void
os_warmup(void)
{
	uint8_t	 buf[8];

	arc4random_buf(buf, sizeof(buf));
	free(malloc(1024));
	(void)os_now();
	tzset();
}

int
os_timingsafe_bcmp(const void *a, const void *b, size_t len)
{
	return timingsafe_bcmp(a, b, len);
}

static size_t
page_round(size_t len)
{
	size_t	 page = sysconf(_SC_PAGESIZE);

	return (len + page - 1) / page * page;
}

/* Locked, in no core file, zero in a fork. */
static int
secret_protect(void *p, size_t len)
{
	if (mlock(p, len) == -1)
		return -1;
#ifdef MADV_NOCORE
	(void)madvise(p, len, MADV_NOCORE);
#endif
#if defined(MAP_INHERIT_ZERO)
	(void)minherit(p, len, MAP_INHERIT_ZERO);
#elif defined(INHERIT_ZERO)
	(void)minherit(p, len, INHERIT_ZERO);
#endif
	return 0;
}

void *
os_secret_alloc(size_t len)
{
	size_t	 page = sysconf(_SC_PAGESIZE), size = page_round(len);
	uint8_t	*base;
	int	 saved;

	if (len == 0 || size < len) {
		errno = EINVAL;
		return NULL;
	}
	/* The first and the last page stay as guards. */
	base = mmap(NULL, size + 2 * page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANON | MAP_CONCEAL, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	if (mprotect(base, page, PROT_NONE) == -1 ||
	    mprotect(base + page + size, page, PROT_NONE) == -1 ||
	    secret_protect(base + page, size) == -1) {
		saved = errno;
		(void)munmap(base, size + 2 * page);
		errno = saved;
		return NULL;
	}
	return base + page;
}

void
os_secret_free(void *p, size_t len)
{
	size_t	 page = sysconf(_SC_PAGESIZE), size = page_round(len);

	if (p == NULL)
		return;
	explicit_bzero(p, size);
	(void)munmap((uint8_t *)p - page, size + 2 * page);
}
