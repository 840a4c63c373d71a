#!/bin/sh
# The OCI runtime that containerd calls. Node is started only where there is
# work for it: `create`, `delete` of a container that we mounted, `exec` into one
# whose user we resolved. Everything else is runc's at once.
state=${LAMINA_STATE_DIR:-/run/lamina}
runtime=${LAMINA_RUNTIME:-runc}
subcommand=
skip=
for word; do
  if [ -n "$skip" ]; then
    skip=
    continue
  fi
  case $word in
    --root | --log | --log-format | --criu | --rootless) skip=1 ;;
    -*) ;;
    *)
      subcommand=$word
      break
      ;;
  esac
done
# The container's id is the last word of these commands.
for id; do :; done
case $subcommand in
  create) ;;
  delete) [ -e "$state/containers/$id/mount.json" ] || exec "$runtime" "$@" ;;
  exec) [ -e "$state/containers/$id/user.json" ] || exec "$runtime" "$@" ;;
  *) exec "$runtime" "$@" ;;
esac
install=${0%/bin/*}
LAMINA_NOFILE=$(ulimit -n)
export LAMINA_NOFILE
exec "$install/bin/node" "$install/lib/lamina-runtime.cjs" "$@"
