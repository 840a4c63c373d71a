import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import * as z from 'zod'
import { kinds } from '../crds/generate.ts'
import { isNodeReason } from '../kube/node-reasons.ts'
import { generated, scriptOf } from './generate.ts'
import { runHealth } from './testing/run-health.ts'

const root = join(import.meta.dirname, 'argocd')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

const testFile = z.object({
  tests: z.array(
    z.object({ healthStatus: z.object({ status: z.string(), message: z.string() }), inputPath: z.string() }),
  ),
})

describe.each(kinds)('the health of $kind in Argo CD, as its health_test.yaml has it', ({ kind }) => {
  const { tests } = testFile.parse(parse(read(`lamina.dev/${kind}/health_test.yaml`)))
  test.each(tests)('$inputPath', async ({ healthStatus, inputPath }) => {
    const object: unknown = parse(read(`lamina.dev/${kind}/${inputPath}`))
    expect(await runHealth(scriptOf(kind), object)).toEqual(healthStatus)
  })
})

test('test cases and the ConfigMap are those that gitops/generate.ts makes, and no others', () => {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) =>
    /^(lamina\.dev\/.*|argocd-cm)\.yaml$/.test(path),
  )
  const written = new Map(files.map((path) => [path, read(path)]))
  expect(written, 'stale: run npm run generate').toEqual(generated())
})

test('every reason of ours that a script names is one that the controller gives', () => {
  const controller = join(import.meta.dirname, '..', 'controller')
  const sources = readdirSync(controller, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
    .map((path) => readFileSync(join(controller, path), 'utf8'))
    .concat(readFileSync(join(import.meta.dirname, '..', 'kube', 'names.ts'), 'utf8'))
  const ofKubelet = /^(CrashLoopBackOff|(Create|Run)Container(Config)?Error)$/
  const named = kinds.flatMap(({ kind }) =>
    [...readFileSync(scriptOf(kind), 'utf8').matchAll(/^ {2}(\w+) = true,$/gm)].map(([, reason = '']) => reason),
  )
  const unknown = named.filter(
    (reason) =>
      !ofKubelet.test(reason) && !isNodeReason(reason) && !sources.some((text) => text.includes(`'${reason}'`)),
  )
  expect(named.length).toBeGreaterThan(10)
  expect(unknown).toEqual([])
})

describe('a script runs as in Argo CD, which does not give it', () => {
  let dir: string
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'lamina-health-'))
  })
  afterAll(() => rmSync(dir, { recursive: true }))

  test.each([
    ['the string library', 'return { status = string.upper(obj.kind) }'],
    ['methods of strings', 'return { status = obj.kind:upper() }'],
    ['files', 'return { status = io.open("/etc/passwd"):read() }'],
    ['other programs', 'return { status = os.execute("true") }'],
    ['later Lua', 'local whole <const> = 7 // 2\nreturn { status = "Healthy" }'],
  ])('%s', async (_, text) => {
    const script = join(dir, 'health.lua')
    writeFileSync(script, text)
    await expect(runHealth(script, { kind: 'Instance' })).rejects.toThrow(/attempt to|expected/)
  })
})
