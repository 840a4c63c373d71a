#!/bin/sh
# The OCI runtime that containerd calls. Node is started only where there is
# work for it: `create` of an instance's container, `delete` of one that we
# mounted, `exec` into one whose user we resolved. Everything else is runc's at
# once.
state=${LAMINA_STATE_DIR:-/run/lamina}
runtime=${LAMINA_RUNTIME:-runc}
subcommand=
bundle=.
previous=
for word; do
  case $previous in
    --bundle | -b) bundle=$word ;;
    --root | --log | --log-format | --criu | --rootless) ;;
    *)
      case $word in
        --bundle=* | -b=*) bundle=${word#*=} ;;
        -*) ;;
        *) subcommand=${subcommand:-$word} ;;
      esac
      ;;
  esac
  previous=$word
done
# The container's id is the last word of these commands.
id=$word
case $subcommand in
  create)
    # Exit code 1 is "no match"; trouble with the file is for Node to tell.
    grep -qE '"io\.kubernetes\.cri\.container-name": *"(main|prepare)"' "$bundle/config.json"
    [ $? -ne 1 ] || exec "$runtime" "$@"
    ;;
  delete) [ -e "$state/containers/$id/mount.json" ] || exec "$runtime" "$@" ;;
  exec) [ -e "$state/containers/$id/user.json" ] || exec "$runtime" "$@" ;;
  *) exec "$runtime" "$@" ;;
esac
install=${0%/bin/*}
LAMINA_NOFILE=$(ulimit -n)
export LAMINA_NOFILE
# With the libraries that this Node was built for; the host's may be older, or missing.
exec "$install/lib/ld.so" --library-path "$install/lib" "$install/bin/node" "$install/lib/lamina-runtime.cjs" "$@"
