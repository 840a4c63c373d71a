import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Where control groups are mounted, and how: one hierarchy for each controller (v1), or one for all (v2). */
export type CgroupTree = { root: string } & (
  | { version: 1; hierarchies: readonly string[]; cpuset: { cpus: string; mems: string } }
  /** `cgroup.controllers` of the root group. */
  | { version: 2; controllers: readonly string[] }
)

/** Folders to make, then files to write. */
export interface CgroupPlan {
  directories: string[]
  writes: { file: string; content: string }[]
}

/** What the kubelet demands of its root group on v2, as far as the kernel has it. */
const demanded = ['cpu', 'cpuset', 'memory', 'pids', 'hugetlb']

/** The folders of the group of that name, whether they exist or not. */
export const cgroupDirectories = (name: string, tree: CgroupTree): string[] =>
  tree.version === 2 ? [join(tree.root, name)] : tree.hierarchies.map((hierarchy) => join(tree.root, hierarchy, name))

/**
 * A group on v2 has the controllers that its parent hands down
 * (cgroups(7), cgroup.subtree_control). A cpuset on v1 takes no process until
 * its processors and memory nodes are named (cpuset(7)).
 */
export const cgroupPlan = (name: string, tree: CgroupTree): CgroupPlan => {
  const directories = cgroupDirectories(name, tree)
  if (tree.version === 2) {
    const content = demanded
      .filter((controller) => tree.controllers.includes(controller))
      .map((controller) => `+${controller}`)
      .join(' ')
    return { directories, writes: [{ file: join(tree.root, 'cgroup.subtree_control'), content }] }
  }
  const inCpuset = (file: string) => join(tree.root, 'cpuset', name, file)
  return {
    directories,
    writes: [
      { file: inCpuset('cpuset.cpus'), content: tree.cpuset.cpus },
      { file: inCpuset('cpuset.mems'), content: tree.cpuset.mems },
    ],
  }
}

/** How this machine has its control groups. */
export const observeCgroups = async (root = '/sys/fs/cgroup'): Promise<CgroupTree> => {
  const read = async (...path: string[]) => (await readFile(join(root, ...path), 'utf8')).trim()
  const unified = await stat(join(root, 'cgroup.controllers')).catch(() => undefined)
  if (unified) return { root, version: 2, controllers: (await read('cgroup.controllers')).split(' ') }
  return {
    root,
    version: 1,
    hierarchies: await readdir(root),
    cpuset: { cpus: await read('cpuset', 'cpuset.cpus'), mems: await read('cpuset', 'cpuset.mems') },
  }
}

/** Makes the cluster's group: the kubelet wants its `cgroupRoot` to exist. */
export const createCgroup = async (name: string): Promise<void> => {
  const { directories, writes } = cgroupPlan(name, await observeCgroups())
  for (const directory of directories) await mkdir(directory, { recursive: true })
  for (const { file, content } of writes) await writeFile(file, content)
}
