#!/bin/sh
# The OCI runtime that containerd or CRI-O calls. Node is started only where
# there is work for it: `create` of an instance's container, `delete` of one
# that we mounted, `exec` into one whose user we resolved. Everything else is
# the underlying runtime's at once: that of $LAMINA_RUNTIME, else of the
# installer's file, else runc.
state=${LAMINA_STATE_DIR:-/run/lamina}
install=${0%/bin/*}
runtime=${LAMINA_RUNTIME:-}
[ -n "$runtime" ] || [ ! -r "$install/etc/runtime" ] || read -r runtime <"$install/etc/runtime"
runtime=${runtime:-runc}
subcommand=
bundle=.
previous=
for word; do
  before=$previous
  case $previous in
    --bundle | -b) bundle=$word ;;
    --root | --log | --log-format | --criu | --rootless | --cgroup-manager) ;;
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
    # The container's name as containerd and as CRI-O have it. A pod can write
    # such a line itself; Node looks closer. Exit code 1 is "no match"; trouble
    # with the file is for Node to tell.
    "$install/bin/grep" -qE '"io\.kubernetes\.(cri\.container-name|container\.name)": *"(main|prepare)"' "$bundle/config.json"
    [ $? -ne 1 ] || exec "$runtime" "$@"
    ;;
  delete) [ -e "$state/containers/$id/mount.json" ] || exec "$runtime" "$@" ;;
  kill)
    # `kill ID SIGNAL`. The container runtime knows the placeholder's image, and
    # asks with SIGTERM; the image's own stop signal takes its place.
    case $word in 15 | TERM | SIGTERM) ;; *) exec "$runtime" "$@" ;; esac
    [ -r "$state/containers/$before/stop-signal" ] || exec "$runtime" "$@"
    read -r signal <"$state/containers/$before/stop-signal"
    left=$#
    for word; do
      shift
      left=$((left - 1))
      [ "$left" -gt 0 ] || word=$signal
      set -- "$@" "$word"
    done
    exec "$runtime" "$@"
    ;;
  exec) [ -e "$state/containers/$id/user.json" ] || exec "$runtime" "$@" ;;
  *) exec "$runtime" "$@" ;;
esac
LAMINA_NOFILE=$(ulimit -n)
LAMINA_UNDERLYING=$runtime
# The first `delete` leaves the compiled program there for all that come after.
NODE_COMPILE_CACHE=$state/compiled
export LAMINA_NOFILE LAMINA_UNDERLYING NODE_COMPILE_CACHE
# Room for all that a start allocates: without a garbage collection, which costs
# more than the whole of our own work. With the libraries that this Node was
# built for; the host's may be older, or missing.
exec "$install/lib/ld.so" --library-path "$install/lib" \
  "$install/bin/node" --min-semi-space-size=16 "$install/lib/lamina-runtime.cjs" "$@"
