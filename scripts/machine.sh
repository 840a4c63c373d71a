# What the machine must have; sourced by scripts/run.

# Node 26 itself.
node_packages='libatomic1'

# The development cluster, and the programs that the code calls.
cluster_packages='
  apache2-utils buildah busybox-static catatonit conmon containernetworking-plugins crun docker-registry
  e2fsprogs git iproute2 mmdebstrap mount openssl runc skopeo squashfs-tools-ng umoci util-linux xfsprogs zstd
'

# Only for figures: it brings the clients of Ceph and Gluster along.
bench_packages='fio'

# Only for tests: the Lua of Argo CD, of prometheus promtool, which tests the alert rules, and itself
# for pictures, what signs images, and the file systems of an ordinary user's containers.
test_packages='fuse-overlayfs fuse2fs fuse3 gnupg lua5.1 prometheus squashfuse'

# Only for end-to-end tests and pictures: the browser that looks at the console.
browser_packages='chromium'

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

require_linux() {
  [ "$(uname -s)" = Linux ] || fail "npm run $1 needs Linux; this is $(uname -s)."
}

require_root() {
  [ "$(id -u)" -eq 0 ] || fail \
    "npm run $1 needs root: it mounts file systems and starts a Kubernetes node." \
    'Run it as root on a machine that may be used so.'
}

# Prints those of the Debian packages that are not installed.
missing_packages() {
  installed=$(dpkg-query -W -f ' ${Package}=${db:Status-Status} ' "$@" 2>/dev/null || true)
  for package; do
    case $installed in *" $package=installed "*) ;; *) printf ' %s' "$package" ;; esac
  done
}

# Installs packages without starting the services that some bring along: the
# cluster runs its own registry, and of Prometheus only promtool is wanted.
install_packages() (
  policy=/usr/sbin/policy-rc.d
  log=$(mktemp)
  # Without these a shell need not come to its EXIT.
  trap 'exit 130' INT
  trap 'exit 143' TERM
  if [ -e $policy ]; then
    trap 'rm -f "$log"' EXIT
  else
    trap 'rm -f "$log" $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
  fi
  export DEBIAN_FRONTEND=noninteractive
  if ! { apt-get update && apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    fail 'apt-get failed; what it said is above.'
  fi
  for package; do
    # Nor at the next boot.
    case $package in docker-registry | prometheus) update-rc.d "$package" disable >/dev/null 2>&1 || true ;; esac
  done
)

ensure_packages() {
  command -v dpkg-query >/dev/null || fail "This needs Debian or a relative of it, with the packages: $(echo "$@")"
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  [ "$(id -u)" -eq 0 ] || fail 'Debian packages are missing. Install them as root:' "  apt-get install$missing"
  echo "Installing Debian packages:$missing"
  install_packages $missing
}

# npm writes its own record of what it installed after the lock file, never before.
#
# Becomes npm, where it has something to do.
become_npm_ci() {
  record=node_modules/.package-lock.json
  if [ -e $record ] && ! [ package-lock.json -nt $record ]; then return 0; fi
  command -v npm >/dev/null || fail 'npm is needed: install Node 20 or newer.'
  echo 'Installing npm packages'
  # Under npm the project's own Node comes first in PATH; it is what `npm ci` takes away.
  outer_path=$(printf %s "$PATH" | tr : '\n' | grep -v '/node_modules/' | paste -sd :)
  PATH=$outer_path
  export PATH
  exec npm ci --no-update-notifier --ignore-scripts --no-audit --no-fund --loglevel=error
}

# Debian's packages and npm's, side by side: npm runs none of what it installs.
# Where apt-get fails, or somebody breaks off, npm does not go on by itself.
ensure_machine() {
  become_npm_ci &
  npm=$!
  trap 'kill $npm 2>/dev/null || true; wait $npm || true' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  ensure_packages "$@"
  wait $npm
  trap - EXIT INT TERM
}
