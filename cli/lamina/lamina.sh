#!/bin/sh
# The command `lamina`: starts Node on the program beside it, and tells it what
# Node is about to change and a command in a container is to find unchanged.
self=$0
while [ -h "$self" ]; do
  link=$(readlink "$self")
  case $link in /*) self=$link ;; *) self=${self%/*}/$link ;; esac
done
lib=${self%/*}
[ "$lib" != "$self" ] || lib=.
LAMINA_NOFILE=$(ulimit -Sn)
LAMINA_FDS=
for fd in "/proc/$$/fd/"*; do
  case ${fd##*/} in [0-2]) continue ;; esac
  [ -e "$fd" ] || continue
  # Close-on-exec, 02000000, are the shell's own. fdinfo says it in octal.
  { read -r _ && read -r _ flags; } <"/proc/$$/fdinfo/${fd##*/}"
  case $flags in *[2367]??????) ;; *) LAMINA_FDS="$LAMINA_FDS ${fd##*/}" ;; esac
done
LAMINA_IGNORED=
while read -r name value; do
  [ "$name" != SigIgn: ] || { LAMINA_IGNORED=$value && break; }
done <"/proc/$$/status"
# The first container leaves the compiled program there for all that come after.
# What root executes lies where nobody else writes.
if [ -O /run ]; then
  LAMINA_CODE=/run/lamina/local/code
else
  LAMINA_CODE=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/lamina/code
fi
export LAMINA_NOFILE LAMINA_FDS LAMINA_IGNORED LAMINA_CODE
node=${LAMINA_NODE:-}
[ -n "$node" ] || node=$lib/node
[ -x "$node" ] || node=node
# Room for all that a start allocates: without a garbage collection. Behind `--` Node takes no word for its own: it
# would find `--env-file` anywhere.
exec "$node" --min-semi-space-size=16 -- "$lib/lamina.cjs" "$@"
