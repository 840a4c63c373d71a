import { createHash } from 'node:crypto'
import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import * as z from 'zod'
import { packageForKrew } from './krew.ts'
import { packagePlugin } from './package.ts'

const root = join(import.meta.dirname, '../../..')
let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lamina-packaging-'))
  await packagePlugin(root, join(dir, 'package'))
  await packageForKrew(join(dir, 'package'), dir, 'https://releases.example/v1/')
}, 60_000)
afterAll(() => rm(dir, { recursive: true, force: true }))

describe('the npm package', () => {
  test('npm installs it with both programs, and they run', { timeout: 60_000 }, async () => {
    const { stdout } = await execa('npm', ['pack', '--silent', '--pack-destination', dir], {
      cwd: join(dir, 'package'),
    })
    const prefix = join(dir, 'prefix')
    await execa('npm', ['install', '--global', '--prefix', prefix, '--offline', '--no-audit', join(dir, stdout.trim())])
    const help = await execa(join(prefix, 'bin/kubectl-lamina'), ['--help'])
    expect(help.stdout).toContain('Persistent overlays for containers, on a cluster')
    const completed = await execa(join(prefix, 'bin/kubectl_complete-lamina'), ['overlay', 're'])
    expect(completed.stdout).toBe('resize\tmake an overlay larger\n:4')
  })

  test('its page stands alone: what it links to is on the web', async () => {
    const page = await readFile(join(dir, 'package/README.md'), 'utf8')
    expect(page).toContain('kubectl lamina run')
    const links = [...page.matchAll(/\]\(([^)]*)\)/g)].map(([, target]) => target)
    expect(links.filter((target) => !/^(?:https?:|#)/.test(target ?? ''))).toEqual([])
  })

  test('help is there without the parts that talk to a cluster', async () => {
    // Into files: of what is on its way through a pipe, some is lost when the program ends.
    const loadedBy = async (words: string[]): Promise<string[]> => {
      const trace = join(dir, `${words.join(' ')}.trace`)
      const env = { NODE_DEBUG: 'esm', KUBECONFIG: '/none', TRACE: trace }
      const program = join(dir, 'package/kubectl-lamina')
      await execa('sh', ['-c', 'exec "$0" "$@" 2>"$TRACE"', program, ...words], { env, reject: false })
      return (await readFile(trace, 'utf8')).match(/[\w-]+(?=-\w+\.mjs)/g) ?? []
    }
    expect(await loadedBy(['ps'])).toContain('ps')
    const forHelp = await loadedBy(['run', '--help'])
    expect(forHelp).toContain('chunk')
    expect(forHelp).not.toContain('run')
    expect(forHelp).not.toContain('connection')
  })
})

/** What Krew's own validation asks: https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/ */
const manifestSchema = z.strictObject({
  apiVersion: z.literal('krew.googlecontainertools.github.com/v1alpha2'),
  kind: z.literal('Plugin'),
  metadata: z.strictObject({ name: z.string().regex(/^[\w-]+$/) }),
  spec: z.strictObject({
    version: z.string().regex(/^v\d+\.\d+\.\d+$/),
    shortDescription: z.string().min(1).max(50),
    description: z.string().min(1),
    caveats: z.string(),
    platforms: z
      .array(
        z.strictObject({
          selector: z.strictObject({
            matchExpressions: z.array(
              z.strictObject({
                key: z.enum(['os', 'arch']),
                operator: z.enum(['In', 'NotIn']),
                values: z.array(z.enum(['linux', 'darwin', 'windows', 'amd64', 'arm64'])),
              }),
            ),
          }),
          uri: z.url({ protocol: /^https$/ }),
          sha256: z.string().regex(/^[a-f0-9]{64}$/),
          bin: z.string().regex(/^[^/.][^/]*(\.mjs)?$/),
          files: z.array(z.strictObject({ from: z.string(), to: z.string() })),
        }),
      )
      .min(1),
  }),
})

describe('the Krew manifest', () => {
  test('is as Krew takes it, of the archive that it names, which holds the program', async () => {
    const manifest = manifestSchema.parse(parse(await readFile(join(dir, 'lamina.krew.yaml'), 'utf8')))
    const [platform] = manifest.spec.platforms
    expect(platform?.uri).toMatch(/^https:\/\/releases\.example\/v1\/kubectl-lamina-\d+\.\d+\.\d+\.tar\.gz$/)
    const archive = join(dir, platform?.uri.split('/').at(-1) ?? '')
    expect(
      createHash('sha256')
        .update(await readFile(archive))
        .digest('hex'),
    ).toBe(platform?.sha256)
    const { stdout } = await execa('tar', ['--list', '--file', archive])
    expect(stdout.split('\n')).toEqual(expect.arrayContaining([platform?.bin, 'package.json', 'LICENSE']))
  })

  test('what it unpacks runs by a link elsewhere, as Krew makes it', async () => {
    const store = await realpath(await mkdtemp(join(dir, 'store-')))
    const archive = join(dir, (await execa('sh', ['-c', 'ls *.tar.gz'], { cwd: dir })).stdout)
    await execa('tar', ['--extract', '--file', archive, '--directory', store])
    await execa('ln', ['-s', join(store, 'kubectl-lamina.mjs'), join(dir, 'kubectl-lamina')])
    expect((await execa(join(dir, 'kubectl-lamina'), ['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+$/)
  })

  test('the same files make the same archive', async () => {
    const again = await mkdtemp(join(dir, 'again-'))
    await packageForKrew(join(dir, 'package'), again, 'https://releases.example/v1')
    expect(await readFile(join(again, 'lamina.krew.yaml'))).toEqual(await readFile(join(dir, 'lamina.krew.yaml')))
  })
})
