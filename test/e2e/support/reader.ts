import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { execa } from 'execa'
import type { Page } from '../../../scripts/docs/page.ts'
import { isAsShown, type Step } from '../../../scripts/docs/steps.ts'
import type { TestCluster } from './cluster.ts'
import { imageReference } from './cluster.ts'
import { apptainerFile } from './files.ts'
import { createFixture, type Fixture } from './fixture.ts'
import { containerImage } from './objects.ts'
import { registrySecret, registrySecretName } from './registry.ts'

const root = join(import.meta.dirname, '../../..')

/** Folders of the clone that pages name files in. */
const foldersOfClone = ['charts', 'examples', 'gitops']

/** Somebody who follows a page in a shell: a directory, a kubeconfig, and variables that last from block to block. */
export interface Reader {
  fixture: Fixture
  /** @throws with the place in the page, the commands and what they printed */
  follow(step: Step): Promise<void>
  /** Takes the directory away; the namespace is the fixture's. */
  leave(): Promise<void>
}

/** What a page says that its reader has already. */
const furnish = async (page: Page, dir: string): Promise<void> => {
  for (const folder of foldersOfClone) await symlink(join(root, folder), join(dir, folder))
  if (page.path === 'docs/how-to/migrate.md')
    await execa('zstd', ['-q', '-d', apptainerFile('apptainer-overlay.img.zst'), '-o', join(dir, 'my-overlay.img')])
}

/** A namespace with the image `debian`, as docs/how-to/README.md has it. */
const createNamespace = async ({ cluster, kubectl }: TestCluster): Promise<Fixture> => {
  const fixture = await createFixture(kubectl, 'docs')
  const debian = containerImage('debian', 'docker.io/library/debian:12', { pullSecrets: [registrySecretName] })
  await fixture.apply(registrySecret(cluster), debian)
  return fixture
}

export const createReader = async (testCluster: TestCluster, page: Page): Promise<Reader> => {
  const { cluster } = testCluster
  const fixture = await createNamespace(testCluster)
  const dir = await mkdtemp(join(tmpdir(), 'lamina-reader-'))
  await furnish(page, dir)
  const kubeconfig = join(dir, 'kubeconfig')
  await writeFile(kubeconfig, await readFile(cluster.kubeconfig), { mode: 0o600 })
  const { host, user, password } = cluster.registry
  const plugin = join(root, 'dist-cli/kubectl-lamina')
  const env = {
    KUBECONFIG: kubeconfig,
    PATH: [cluster.bin, plugin, dirname(process.execPath), process.env.PATH].join(delimiter),
    // What docs/how-to/private-registry.md has its reader set.
    ...{ REGISTRY: host, IMAGE: imageReference(cluster, 'library/debian:12') },
    ...{ REGISTRY_USER: user, REGISTRY_PASSWORD: password },
  }
  const variables = join(dir, '.variables')
  const run = (script: string) =>
    execa(
      'bash',
      ['-euo', 'pipefail', '-c', `! [ -e ${variables} ] || . ${variables}\n${script}\ndeclare -px > ${variables}`],
      {
        ...{ cwd: dir, env, all: true, reject: false, stdin: 'ignore', timeout: 120_000, stripFinalNewline: false },
      },
    )
  await run(`kubectl config set-context --current --namespace=${fixture.namespace}`)

  return {
    fixture,
    follow: async (step) => {
      if (step.kind === 'notRun') return
      if (step.kind === 'file') return writeFile(join(dir, step.name), step.text)
      const { exitCode, all } = await run(step.script)
      const told = `${page.path}:${step.line}, exit code ${exitCode}:\n${step.script}\nprinted:\n${all}`
      if ((exitCode !== 0) !== step.fails) throw new Error(told)
      if (step.output !== undefined && !isAsShown(all, step.output))
        throw new Error(`${told}\nand not, as the page shows:\n${step.output}`)
    },
    leave: () => rm(dir, { recursive: true, force: true }),
  }
}
