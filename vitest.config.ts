import { basename } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** The story comes first; last the file that looks for what all others have left behind. */
const rank = ({ moduleId }: TestSpecification): number =>
  new Map([
    ['story.e2e.ts', 0],
    ['leftovers.e2e.ts', 2],
  ]).get(basename(moduleId)) ?? 1

class StoryFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files.toSorted((a, b) => rank(a) - rank(b) || a.moduleId.localeCompare(b.moduleId))
  }
}

export default defineConfig({
  test: {
    teardownTimeout: 120_000,
    sequence: { sequencer: StoryFirst },
    projects: [
      { test: { name: 'unit', include: ['**/*.test.ts'], globalSetup: ['test/node/run-folder.ts'] } },
      // Real container runtimes, one at a time: each start takes seconds.
      {
        test: { name: 'nodes', include: ['**/*.nodes.ts'], maxWorkers: 1, testTimeout: 120_000, hookTimeout: 120_000 },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.e2e.ts'],
          globalSetup: ['test/e2e/support/setup.ts'],
          // Each file has a namespace of its own; some restart the node's agent under the others' feet.
          maxWorkers: Number(process.env.E2E_FILES_AT_ONCE ?? 1),
          testTimeout: 180_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
})
