# shoal: one entry point, for GNU make and bmake.
#
#	make			build every program
#	make install		PREFIX=/usr/local DESTDIR=
#	make deps		install the Debian packages that are missing
#	make demo		a tailnet of two nodes in network namespaces (root)
#	make regress		all tests; make regress-vectors: those on test data
#	make natlab		every pair of kinds of NAT (root): a table;
#				natlab-hard: ten tries to get through a hard one
#	make soak		ten minutes over a bad link (root)
#	make bench		measure, beside the peers found; make bench-chart
#				keeps the chart in regress/bench/bench.svg
#	make bench-relay	the relay alone

ROOT =		.
LIBS =		compat imsg proto
DAEMONS =	parent cryptod netd ctrld dnsd portmapd shoalctl \
		coordd coordd/frontd coordd/stored coordd/cryptod coordctl \
		derpd derpd/relay derpd/cryptod

all: programs

include ${ROOT}/config.mk

programs: libs
	@for d in ${DAEMONS}; do \
		(cd $$d && ${MAKE} all) || exit 1; \
	done

libs:
	@for d in ${LIBS}; do \
		(cd $$d && ${MAKE} all) || exit 1; \
	done

clean:
	@for d in ${LIBS} ${DAEMONS} regress/unit regress/fuzz; do \
		(cd $$d && ${MAKE} clean) || exit 1; \
	done
	rm -rf regress/out variants

deps:
	sh etc/deps.sh

users:
	sh etc/users.sh ${EMPTYDIR}

install: all
	PREFIX=${PREFIX} DESTDIR=${DESTDIR} SBINDIR=${SBINDIR} \
	    BINDIR=${BINDIR} LIBEXECDIR=${LIBEXECDIR} MANDIR=${MANDIR} \
	    EMPTYDIR=${EMPTYDIR} sh etc/install.sh

demo: all
	sh etc/demo.sh

regress: all
	sh regress/run.sh

regress-vectors: libs
	cd regress/unit && ${MAKE} vectors

natlab: all
	mkdir -p regress/out
	NATLAB=all NATLAB_JOBS=4 NATLAB_JSON=regress/out/natlab.json \
	    sh regress/e2e/natpairs.sh

natlab-hard: all
	NATLAB="sym-port port-sym sym-port port-sym sym-cgn cgn-sym \
	    sym-port port-sym sym-cgn cgn-sym" NATLAB_JOBS=2 \
	    sh regress/e2e/natpairs.sh

soak: all
	sh regress/variant.sh regress
	SOAK=600 sh regress/e2e/t_soak.sh

bench: all
	@missed=0; \
	sh regress/bench/bench.sh || missed=1; \
	sh regress/bench/relay.sh || missed=1; \
	exit $$missed

# What the last run drew, to be committed.
bench-chart:
	cp regress/out/bench.svg regress/bench/bench.svg

bench-relay: all
	sh regress/bench/relay.sh

portcheck:
	sh regress/port/portcheck.sh

.PHONY: all programs libs clean deps users install demo regress \
	regress-vectors bench bench-chart bench-relay \
	natlab natlab-hard portcheck soak
