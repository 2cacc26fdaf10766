/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What every process needs of Linux: clocks, memory for secrets. The
 * confinement is in os_linux_box.c.
 */

#include <sys/types.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <netinet/in.h>

#include <linux/sock_diag.h>
#include <linux/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "os.h"

#define NSEC_PER_SEC	1000000000LL
#define MMAP_THRESHOLD	(64 * 1024)

#ifdef REGRESS
static int64_t	 now_offset, date_offset;
#endif

/* sched_attr of the system, which headers of the C library begin to have. */
struct turns {
	uint32_t	 t_size;
	uint32_t	 t_policy;
	uint64_t	 t_flags;
	int32_t		 t_nice;
	uint32_t	 t_priority;
	uint64_t	 t_runtime;		/* ns of a turn */
	uint64_t	 t_deadline;
	uint64_t	 t_period;
};

static int64_t
clock_read(clockid_t id)
{
	struct timespec	 ts;

	(void)clock_gettime(id, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

size_t
os_sock_queued(int fd)
{
	uint32_t	 mem[SK_MEMINFO_VARS] = { 0 };
	socklen_t	 len = sizeof(mem);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, mem, &len) == -1)
		return 0;
	return mem[SK_MEMINFO_WMEM_ALLOC];
}

/* The rate counts for something only if there was enough to send. */
int64_t
os_tcp_waits(int fd, size_t before)
{
	struct tcp_info	 ti;
	socklen_t	 len = sizeof(ti);
	int64_t		 ns = 0;

	memset(&ti, 0, sizeof(ti));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &len) == -1 ||
	    ti.tcpi_unacked == 0)
		return 0;
	if (ti.tcpi_rtt > ti.tcpi_min_rtt)
		ns = (ti.tcpi_rtt - ti.tcpi_min_rtt) * 1000LL;
	if (ti.tcpi_delivery_rate != 0 && !ti.tcpi_delivery_rate_app_limited)
		ns += (before + ti.tcpi_notsent_bytes) * NSEC_PER_SEC /
		    ti.tcpi_delivery_rate;
	return ns;
}

int64_t
os_now(void)
{
#ifdef REGRESS
	return clock_read(CLOCK_BOOTTIME) + now_offset;
#else
	return clock_read(CLOCK_BOOTTIME);
#endif
}

void
os_nap(int64_t ns)
{
	struct timespec	 ts = { 0, ns };

	(void)nanosleep(&ts, NULL);
}

void
os_turns(int64_t ns)
{
	struct turns	 t;

	if (syscall(SYS_sched_getattr, 0, &t, sizeof(t), 0) == -1 ||
	    (t.t_policy != SCHED_OTHER && t.t_policy != SCHED_BATCH))
		return;
	t.t_runtime = ns;
	(void)syscall(SYS_sched_setattr, 0, &t, 0);
}

int64_t
os_date(void)
{
#ifdef REGRESS
	return clock_read(CLOCK_REALTIME) + date_offset;
#else
	return clock_read(CLOCK_REALTIME);
#endif
}

void
os_clock_step(int64_t now, int64_t date)
{
#ifdef REGRESS
	now_offset = now;
	date_offset = date;
#endif
}

int
os_exe_path(char *path, size_t len)
{
	ssize_t	 n;

	if ((n = readlink("/proc/self/exe", path, len - 1)) == -1)
		return -1;
	path[n] = '\0';
	return 0;
}

/*
 * libc sets itself up on first use: the heap, the random generator, the
 * vdso's clock.
 */
void
os_warmup(void)
{
	uint8_t	 buf[8];

	arc4random_buf(buf, sizeof(buf));
	free(malloc(1024));
	(void)os_now();
	(void)os_date();
	tzset();
}

/* Left to itself, libc moves this border up with what is freed. */
void
os_mem_thrifty(void)
{
#ifdef __GLIBC__
	(void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
#endif
}

void
os_mem_release(void)
{
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
}

int
os_timingsafe_bcmp(const void *a, const void *b, size_t len)
{
	const volatile uint8_t	*p = a, *q = b;
	size_t			 i;
	uint8_t			 diff = 0;

	for (i = 0; i < len; i++)
		diff |= p[i] ^ q[i];
	return diff != 0;
}

static size_t
page_round(size_t len)
{
	size_t	 page = sysconf(_SC_PAGESIZE);

	return (len + page - 1) / page * page;
}

/*
 * Pages that the kernel itself does not map; where it has none, locked ones.
 * at: where a PROT_NONE reservation of that length stands.
 */
static int
secret_map(void *at, size_t len)
{
	int	 fd = -1;

#ifdef SYS_memfd_secret
	fd = syscall(SYS_memfd_secret, O_CLOEXEC);
#endif
	if (fd != -1) {
		if (ftruncate(fd, len) == 0 && mmap(at, len,
		    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
		    at) {
			(void)close(fd);
			return 0;
		}
		(void)close(fd);
	}
	if (mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
	    MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at || mlock(at, len) == -1)
		return -1;
	(void)madvise(at, len, MADV_WIPEONFORK);
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
	/* The reservation's first and last page stay as guards. */
	base = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE |
	    MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	if (secret_map(base + page, size) == -1) {
		saved = errno;
		(void)munmap(base, size + 2 * page);
		errno = saved;
		return NULL;
	}
	(void)madvise(base + page, size, MADV_DONTDUMP);
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
