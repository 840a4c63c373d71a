import { join } from 'node:path'

/**
 * Where things lie on a node. The same paths hold in the agent's container and
 * on the host, so records may name them.
 */
export interface NodeLayout {
  /** Runtime state, a tmpfs: gone after a reboot. */
  stateDir: string
  /** Image cache, on disk. */
  cacheDir: string
  /** Installed programs. */
  installDir: string
  /** The kubelet's root directory. */
  kubeletDir: string
}

export const defaultLayout: NodeLayout = {
  stateDir: '/run/lamina',
  cacheDir: '/var/lib/lamina',
  installDir: '/opt/lamina',
  kubeletDir: '/var/lib/kubelet',
}

/** The files by which agent and runtime talk about one pod, under `/run/lamina/pods/<podUID>/`. */
export const podPaths = (layout: NodeLayout, podUID: string) => {
  const dir = join(layout.stateDir, 'pods', podUID)
  return {
    dir,
    /** Agent → runtime: leave to mount ({@link ./ticket.ts}). Absent: no mount. */
    ticket: join(dir, 'ticket.json'),
    /** Agent → runtime: why there is no ticket yet. */
    refusal: join(dir, 'refusal.json'),
    /** Runtime → agent: host paths of the pod's volumes, written when `prepare` is created. */
    volumes: join(dir, 'volumes.json'),
    /** Agent → `prepare`: bound into that container; holds `log` (lines) and `result.json`. */
    progress: join(dir, 'progress'),
    /** Runtime → agent: one `<containerID>.json` a mount. */
    mounts: join(dir, 'mounts'),
    /** Runtime → agent: one `<containerID>.json` a finished release. */
    releases: join(dir, 'releases'),
    /** Runtime → agent: one `<overlayUID>.json` for each overlay that has shown to be damaged when it was mounted. */
    damages: join(dir, 'damages'),
    /** The agent's own: the pod is proved to have nothing mounted, and its records bear witness to nothing any more. */
    released: join(dir, 'released'),
  }
}

/** An image in the cache. Its digest becomes a directory's name: only one that `isDigest` holds for may come here. */
export const imagePaths = ({ cacheDir }: Pick<NodeLayout, 'cacheDir'>, digest: string) => {
  const dir = join(cacheDir, 'images', digest.replace(':', '-'))
  return {
    dir,
    /** The agent's own: what is known of it. */
    meta: join(dir, 'meta.json'),
    /** The root: the squashfs that was made of the layers, or a squashfs, SIF or `.simg` as it came. */
    file: join(dir, 'image'),
  }
}

/** The host's empty directory that a container's `root.path` names; the root itself is mounted there in a private namespace. */
export const rootPath = (layout: NodeLayout, containerID: string): string => join(layout.stateDir, 'roots', containerID)

/** Records of a container by its id alone, which is all that `delete` and `exec` are told. */
export const containerPaths = ({ stateDir }: Pick<NodeLayout, 'stateDir'>, containerID: string) => {
  const dir = join(stateDir, 'containers', containerID)
  return {
    dir,
    /** Symlink to the mount record in the pod's directory; also the launcher's sign that `delete` is ours. */
    mount: join(dir, 'mount.json'),
    /** The user that we resolved; also the launcher's sign that `exec` is ours. */
    user: join(dir, 'user.json'),
    /** The number that the launcher sends where `kill` says SIGTERM. */
    stopSignal: join(dir, 'stop-signal'),
  }
}

/** Locks around finding, attaching and mounting loop devices. */
export const lockDir = ({ stateDir }: Pick<NodeLayout, 'stateDir'>): string => join(stateDir, 'locks')

/** The runtime's own files, as the installer lays them down. */
export const installedPaths = ({ installDir }: Pick<NodeLayout, 'installDir'>) => ({
  node: join(installDir, 'bin', 'node'),
  launcher: join(installDir, 'bin', 'lamina-runtime'),
  lib: join(installDir, 'lib'),
  /** The lowest layer of every root. */
  skeleton: join(installDir, 'lib', 'skeleton.squashfs'),
  /** The pause init that is bound into every instance. */
  init: join(installDir, 'lib', 'catatonit'),
})
