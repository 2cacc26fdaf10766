/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What differs between operating systems. os_<system>.c: clock, privilege
 * drop, sandbox, secret memory, what every process links.
 * os_<system>_net.c: the rest, linked by the parents alone.
 */

#ifndef SHOAL_OS_H
#define SHOAL_OS_H

#include <sys/types.h>

#include <pwd.h>
#include <stddef.h>
#include <stdint.h>

#include "messages.h"

/* --- every process ------------------------------------------------------- */

/*
 * Nanoseconds on a clock that never steps and runs on during sleep
 * (CLOCK_BOOTTIME), and the date in nanoseconds since 1970. In a REGRESS
 * build os_clock_step() sets what is added, to simulate sleep and clock steps:
 * first argument to os_now, second to os_date; totals, not increments.
 */
int64_t	 os_now(void);
int64_t	 os_date(void);
void	 os_clock_step(int64_t, int64_t);

/*
 * Do nothing for so many nanoseconds and little more: some tens of us. Where
 * the shortest sleep is a tick of the clock, it returns at once.
 */
void	 os_nap(int64_t);

/*
 * Ask for turns on a processor of this many nanoseconds, for all threads that
 * this one starts: they come sooner, and sched_yield(2) gives away less. The
 * share of the processor stays. Without effect where the system decides alone
 * (Linux before 6.12, the BSDs), or does not let us.
 */
void	 os_turns(int64_t);

/* Path of our own executable; -1 errno if the system cannot tell. */
int	 os_exe_path(char *, size_t);

/*
 * Certificates (PEM) of the authorities to trust: that file, or NULL or "":
 * the first of the system's places where there is one (shoald.conf(5) lists
 * them). The descriptor, or -1 with errno.
 */
int	 os_ca_open(const char *);

/* Do once, before the sandbox closes, what libraries do on first use. */
void	 os_warmup(void);

/*
 * Memory. thrifty: from here on, what is large (64 KB) goes back to the
 * system when it is freed; it costs who allocates it often. release: give
 * back what was freed before, after work that took much of it.
 */
void	 os_mem_thrifty(void);
void	 os_mem_release(void);

/*
 * Chroot to the directory, drop all rights to the user, check that there is
 * no way back. Fatal on error. os_privdrop is skipped (logged) only if not
 * started as root in a REGRESS build.
 */
void	 os_privdrop(const struct passwd *, const char *);

/*
 * The part of it for who needs the files of the system: real, effective and
 * saved ids and all groups become the user's, who must not be root nor in
 * root's group; they are read back, and the way back is tried. Fatal on
 * error. The caller is root.
 */
void	 os_ids_drop(const struct passwd *);

/*
 * Close the sandbox of this process for a stage; fatal on error. STARTUP
 * before the first byte of input is read; RUN after IMSG_STARTUP, when
 * threads run. os_sandbox_status: OS_SANDBOX_* bits of what is on.
 */
#define SANDBOX_STARTUP	1
#define SANDBOX_RUN	2
void	 os_sandbox(enum proc, int);
uint32_t os_sandbox_status(void);
#define OS_SANDBOX_CHROOT	0x01
#define OS_SANDBOX_SECCOMP	0x02
#define OS_SANDBOX_LANDLOCK	0x04
#define OS_SANDBOX_PLEDGE	0x08
#define OS_SANDBOX_CAPSICUM	0x10

/*
 * This ABI of Landlock at least is required by the configuration (0: none):
 * fatal if the kernel lacks it. Before or after the sandbox closes.
 */
void	 os_sandbox_require(int);

/*
 * REGRESS builds, child's -T name: try one forbidden thing after the sandbox
 * closed; exits 0 if it worked, 77 if refused (or dies by SIGSYS). "list"
 * prints the names.
 */
void	 os_sandbox_try(const char *);

/*
 * Memory for secrets: locked, not dumped, guard pages around, never shared
 * with a fork. Zeroed. len is rounded up to pages. NULL on error (errno).
 * Freed with os_secret_free, which wipes it.
 */
void	*os_secret_alloc(size_t);
void	 os_secret_free(void *, size_t);

/* Equal? 0 yes, else no; time does not depend on the contents. */
int	 os_timingsafe_bcmp(const void *, const void *, size_t);

/* --- the parents --------------------------------------------------------- */

#define TUN_VNET	0x01		/* virtio_net_hdr before each packet */
#define TUN_TSO		0x02		/* TSO4, TSO6 and checksum offload */
#define TUN_USO		0x04		/* USO4, USO6 */
#define TUN_AFHDR	0x08		/* address family, 4 bytes, before each
					 * packet: big-endian AF_*; BSDs */
#define TUN_MAXQUEUE	8

struct os_tun {
	char		 t_name[16];
	int		 t_fd[TUN_MAXQUEUE];
	int		 t_nfd;
	int		 t_ifindex;
	uint32_t	 t_caps;
	uint32_t	 t_mtu;
};

/*
 * Make the tunnel device: name wanted, MTU, queues wanted, caps allowed
 * (TUN_*: what is left out is not tried). Up, without addresses. -1 errno.
 */
int	 os_tun_open(struct os_tun *, const char *, uint32_t, int, uint32_t);
void	 os_tun_close(struct os_tun *);

/*
 * Add (1) or remove (0) an address of the tunnel device. OS_ADDR_DEPRECATED
 * adds it so that the kernel does not choose it as a source. -1 errno.
 */
#define OS_ADDR_DEPRECATED	2
int	 os_addr_set(const struct os_tun *, const struct msg_prefix *, int);

/*
 * Add or remove a route over the tunnel device in our own table; src: the
 * node's own address of that family, preferred as source. -1 errno.
 */
int	 os_route_set(const struct os_tun *, const struct msg_prefix *,
	    const struct msg_ip *, int);

/* Rules that send traffic to our table and let marked sockets bypass it. */
int	 os_rules_set(int);

/* A descriptor that tells of links, addresses and default routes. */
int	 os_link_open(void);
/* Read what there is: 1 something changed, 0 nothing, -1 errno. */
int	 os_link_read(int);
/* All addresses of the host, tunnel left out; caller frees. -1 errno. */
int	 os_addrs_get(const struct os_tun *, struct msg_localaddr **, size_t *);

/*
 * The IPv4 gateway of the default route (the one that counts, if there are
 * several) and the index of its interface. 0, or -1 with errno; ENOENT: there
 * is none.
 */
int	 os_gateway_get(struct msg_ip *, uint32_t *);

/* Our own sockets must not enter the tunnel. -1 errno. */
int	 os_sock_escape(int);
/* Large buffers for a UDP socket, as far as allowed. */
void	 os_sock_buffers(int);
/*
 * May datagrams of this socket (AF_WIRE_*) be cut? On their way: by routers in
 * IPv4, by this host if it knows that it must. Never: with DF, and what this
 * host has learned of the path does not count. -1 errno.
 */
enum os_frag {
	OS_FRAG_ON_WAY,
	OS_FRAG_NEVER
};
int	 os_sock_frag(int, int, enum os_frag);
/*
 * The path to there carries IPv6 packets of 1280 bytes only, as a probe has
 * shown, or larger ones again: datagrams of this socket to it are cut by this
 * host, or not. Longer than 600 s only if told again. For a parent. -1 errno.
 */
struct msg_endpoint;
int	 os_path_narrow(int, const struct msg_endpoint *, int);
/*
 * Memory of what a UDP socket has sent and its interface has not taken yet;
 * 0 where the system does not tell.
 */
size_t	 os_sock_queued(int);
/*
 * How long, in ns, what is written to a TCP socket now will wait if so many
 * bytes go before it that it has not taken yet: for them and what it has not
 * sent, and as much longer as its round trips take than the shortest did. 0
 * where nothing is under way, or the system does not tell.
 */
int64_t	 os_tcp_waits(int, size_t);
/*
 * Marks of congestion. recvmsg tells the traffic class of each datagram of
 * this socket (AF_WIRE_*): -1 errno. Does this system do that, and send with
 * one? Fill a control message with room for an int, of whose header the
 * length is there: (family, class). The class that one tells, or -1.
 */
int	 os_sock_recvtos(int, int);
int	 os_has_ecn(int);
struct cmsghdr;
void	 os_cmsg_tos(struct cmsghdr *, int, int);
int	 os_cmsg_get_tos(struct cmsghdr *);
/* recvmsg tells the local address of each datagram (AF_WIRE_*). -1 errno. */
int	 os_sock_pktinfo(int, int);

/* What the host is, in words. */
struct os_host {
	char	 oh_os[32];		/* "linux", "openbsd" */
	char	 oh_version[64];	/* of the kernel */
	char	 oh_distro[64];		/* "debian"; "": none */
	char	 oh_distrover[64];	/* "12" */
	char	 oh_codename[32];	/* "bookworm" */
	char	 oh_machine[32];	/* "x86_64" */
	char	 oh_arch[32];		/* as Go names it: "amd64" */
	int	 oh_container;		/* 1 yes, 0 no, -1 unknown */
};
void	 os_describe(struct os_host *);

/*
 * Confine the parent itself: directories it may read, write and execute
 * from; NULL-terminated lists. Logs and goes on where the system cannot.
 */
struct os_confine {
	const char	**oc_read;
	const char	**oc_write;
	const char	**oc_exec;
	uint32_t	 oc_flags;
};
#define OS_CONFINE_STORE	0x01	/* a child's root is its user's own */
void	 os_confine_parent(const struct os_confine *);

#endif /* SHOAL_OS_H */
