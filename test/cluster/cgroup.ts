import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const root = '/sys/fs/cgroup'

/**
 * Makes the cluster's group in every cgroup v1 hierarchy: the kubelet wants its
 * `cgroupRoot` to exist. A cpuset takes no process until its processors and
 * memory nodes are named (cpuset(7)).
 */
export const createCgroup = async (name: string): Promise<void> => {
  for (const hierarchy of await readdir(root)) await mkdir(join(root, hierarchy, name), { recursive: true })
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    await writeFile(join(root, 'cpuset', name, file), await readFile(join(root, 'cpuset', file), 'utf8'))
  }
}
