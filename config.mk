# What every Makefile of the tree shares; GNU make and bmake both read it.
# ROOT is set by who includes it: the way to the top of the tree.

OS !=		uname -s | tr 'A-Z' 'a-z'

PREFIX ?=	/usr/local
SBINDIR ?=	${PREFIX}/sbin
BINDIR ?=	${PREFIX}/bin
LIBEXECDIR ?=	${PREFIX}/libexec
MANDIR ?=	${PREFIX}/share/man
EMPTYDIR ?=	/var/empty

YACC =		byacc
OPT ?=		-O2 -g
WARN =		-Wall -Wextra -Wshadow -Wstrict-prototypes \
		-Wmissing-prototypes -Wpointer-arith -Wcast-qual \
		-Wsign-compare -Wvla -Wno-unused-parameter
# WERROR=-Werror in CI; SAN, VARIANT_DEFS: sanitizers and REGRESS builds.
WERROR ?=
SAN ?=
VARIANT_DEFS ?=
HARDEN ?=	-fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
OSFLAGS =	-D_GNU_SOURCE -DLIBBSD_OVERLAY -isystem /usr/include/bsd
OSLIBS =	-lbsd -lseccomp

ALL_CFLAGS =	-std=c11 ${OPT} ${HARDEN} ${WARN} ${WERROR} ${SAN} \
		${OSFLAGS} -DEMPTY_DIR=\"${EMPTYDIR}\" ${VARIANT_DEFS} \
		-I${ROOT}/imsg -I${ROOT}/proto -I${ROOT}/compat ${CFLAGS}
ALL_LDFLAGS =	-pie -Wl,-z,relro -Wl,-z,now -Wl,--as-needed \
		${SAN} ${LDFLAGS}

# The static libraries of the tree, in link order.
TREELIBS =	${ROOT}/imsg/libimsg.a ${ROOT}/proto/libproto.a \
		${ROOT}/compat/libcompat.a

# Every object depends on every shared header: coarse, and never stale.
HDRS !=		ls ${ROOT}/imsg/*.h ${ROOT}/proto/*.h ${ROOT}/compat/*.h \
		*.h 2>/dev/null || true

.SUFFIXES:
.SUFFIXES: .c .o

.c.o:
	${CC} ${ALL_CFLAGS} -c -o $@ $<
