import { execa } from 'execa'
import type { Cluster } from '../../cluster/cluster.ts'
import type { Outcome } from './kubectl.ts'

/** helm as a user would call it; returns whatever happened. */
export type Helm = (args: string[], options?: { input?: string }) => Promise<Outcome>

/** @param namespace of the releases */
export const createHelm = (cluster: Cluster, namespace: string): Helm => {
  const [program, ...leading] = cluster.kube('helm', '-n', namespace)
  return async (args, { input } = {}) => {
    const result = await execa(program, [...leading, ...args], {
      reject: false,
      timeout: 170_000,
      ...(input === undefined ? { stdin: 'ignore' } : { input }),
    })
    return { exitCode: result.exitCode ?? 255, stdout: result.stdout, stderr: result.stderr }
  }
}
