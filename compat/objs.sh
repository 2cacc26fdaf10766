#!/bin/sh
# Names of the objects for a system: objs.sh system [net].
case $1 in
openbsd)	common="os_bsd*.c" missing= ;;
freebsd)	common="os_bsd*.c" missing="freezero.c recallocarray.c" ;;
*)		common= missing= ;;
esac
if [ "${2:-}" = net ]; then
	# shellcheck disable=SC2086
	ls $common "os_$1_net.c" | grep _net
else
	# shellcheck disable=SC2086
	ls os_ca.c os_ids.c $common "os_$1"*.c $missing | grep -v _net
fi | sed 's/[.]c$/.o/'
