import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { stepsOf } from '../../scripts/docs/steps.ts'
import { pagesToFollow } from '../../scripts/docs/to-follow.ts'
import { testCluster } from './support/cluster.ts'
import { inNamespace } from './support/objects.ts'
import { createReader, type Reader } from './support/reader.ts'
import { registrySecret } from './support/registry.ts'

const shared = await testCluster()
const { cluster, kubectl } = shared
const pages = pagesToFollow(join(import.meta.dirname, '../..'))

/** Namespaces that pages make, or find there. */
const named = ['tutorial', 'quickstart', 'vision']

describe('who follows the page', () => {
  const readers: Reader[] = []
  beforeAll(async () => {
    // What the quickstart leaves.
    await kubectl.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'quickstart' } })
    await kubectl.apply(inNamespace('quickstart', registrySecret(cluster)))
  })
  afterAll(async () => {
    const lines = pages.flatMap((page) =>
      stepsOf(page).flatMap((step) =>
        step.kind === 'notRun' ? [`  ${page.path}:${step.line}: ${step.reason}\n`] : [],
      ),
    )
    process.stdout.write(`blocks of the documentation that were not run:\n${lines.join('')}`)
    await Promise.all([
      ...readers.map(({ fixture }) => fixture.destroy()),
      kubectl.run(['delete', 'namespace', ...named, '--ignore-not-found', '--timeout=120s'], { timeoutSeconds: 130 }),
    ])
  })

  // Side by side: they wait for the most part, each in a namespace of its own.
  test.concurrent.each(pages.map((page) => ({ page, path: page.path })))(
    '$path finds what it says',
    async ({ page }) => {
      const reader = await createReader(shared, page)
      readers.push(reader)
      try {
        for (const step of stepsOf(page)) await reader.follow(step)
      } finally {
        await reader.leave()
      }
    },
  )
})
