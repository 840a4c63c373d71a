import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { apiServer, failure, kubeconfigFor } from '../cli/kubectl-lamina/testing/api-server.ts'
import { isAddressInfo } from '../kube/server.ts'
import { agrees, findOtherCluster, offer } from './other-cluster.ts'

let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'lamina-other-'))
})
afterAll(() => rm(home, { recursive: true }))

const look = (KUBECONFIG: string, timeoutMs?: number) => findOtherCluster({ env: { KUBECONFIG }, home }, timeoutMs)
const kubeconfig = async (server: string): Promise<string> => {
  const path = join(home, 'kubeconfig')
  await writeFile(path, kubeconfigFor(server))
  return path
}
const saying = async (answers: Parameters<typeof apiServer>[0]) => {
  const server = await apiServer(answers)
  try {
    return { found: await look(await kubeconfig(server.url)), url: server.url, credentials: server.credentials }
  } finally {
    await server.close()
  }
}

describe("the user's own cluster", () => {
  test.each([
    ['says its version', { '/version': { status: 200, body: { gitVersion: 'v1.36.0' } } }],
    ['speaks with nobody it does not know', { '/version': failure(401, 'Unauthorized', 'Unauthorized') }],
  ])('is found where it %s, and is given no credentials', async (_what, answers) => {
    const { found, url, credentials } = await saying(answers)
    expect(found).toEqual({ context: 'test', server: url })
    expect(credentials).toEqual([''])
  })

  test('is none where something else answers', async () => {
    expect((await saying({ '/version': { status: 200, body: { hello: 'world' } } })).found).toBeUndefined()
  })

  test('is none without a kubeconfig, with a broken one, and where nothing listens', async () => {
    expect(await look(join(home, 'none'))).toBeUndefined()
    await writeFile(join(home, 'broken'), 'clusters: [{')
    expect(await look(join(home, 'broken'))).toBeUndefined()
    expect(await look(await kubeconfig('https://127.0.0.1:9'))).toBeUndefined()
  })

  test('is not waited for where nothing answers', async () => {
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const address = silent.address()
    const port = isAddressInfo(address) ? address.port : 0
    const since = performance.now()
    expect(await look(await kubeconfig(`https://127.0.0.1:${port}`), 300)).toBeUndefined()
    expect(performance.now() - since).toBeLessThan(2_000)
    silent.close()
  })
})

describe('the offer', () => {
  const told = async (asked?: (question: string) => Promise<boolean>) => {
    const said: string[] = []
    const narrator = { report: (line: string) => void said.push(line), say: (line = '') => void said.push(line) }
    const goesOn = await offer({ context: 'prod', server: 'https://prod.example' }, narrator, asked)
    return { goesOn, said: said.join('\n') }
  }

  test('where nobody can answer is a line, and the quickstart goes on', async () => {
    const { goesOn, said } = await told()
    expect(goesOn).toBe(true)
    expect(said).toMatch(/^your kubeconfig's cluster "prod" \(https:\/\/prod.example\) answers, and is left alone.*$/)
  })

  test('ends with the way to use the cluster for who does not want another', async () => {
    expect((await told(async () => true)).goesOn).toBe(true)
    const { goesOn, said } = await told(async () => false)
    expect(goesOn).toBe(false)
    expect(said).toContain("helm --kube-context 'prod' install lamina charts/lamina")
  })

  test.each([
    ['\n', true],
    ['y\n', true],
    ['n\n', false],
    ['No\n', false],
    ['', true],
  ])('is answered by %j: %s', async (typed, goesOn) => {
    const [input, output] = [new PassThrough(), new PassThrough()]
    const agreed = agrees('Go on?', { input, output })
    input.end(typed)
    expect(await agreed).toBe(goesOn)
    expect(String(output.read())).toBe('Go on? [Y/n] ')
  })
})
