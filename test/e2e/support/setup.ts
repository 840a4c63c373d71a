import type { TestProject } from 'vitest/node'
import { type Cluster, down, up } from '../../cluster/cluster.ts'
import { installOperator } from '../../cluster/operator.ts'
import { ensureDebian } from '../../cluster/operator-image.ts'
import { testClusterName } from './cluster.ts'
import { explain } from './explain.ts'

/** With KEEP_CLUSTER=1 the cluster of an earlier run is used again, and stays up for a look. */
const keepCluster = process.env.KEEP_CLUSTER === '1'

const report = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

const furnish = async (cluster: Cluster): Promise<void> => {
  await ensureDebian(cluster, report)
  await installOperator(cluster, report)
}

const end = async (): Promise<void> => {
  if (!keepCluster) await down(testClusterName, report)
}

/** Once for all files: the cluster, Debian in its registry, the operator by its chart. Returns the teardown. */
export const setup = async ({ vitest }: TestProject): Promise<() => Promise<void>> => {
  if (!keepCluster) await down(testClusterName, report)
  const cluster = await up(testClusterName, report)
  try {
    await furnish(cluster)
  } catch (error) {
    report(await explain(cluster))
    await end()
    throw error
  }
  return async () => {
    if (vitest.state.getFailedFilepaths().length > 0) report(await explain(cluster))
    await end()
  }
}
