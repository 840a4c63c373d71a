import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadKubeconfig } from './kubeconfig.ts'

let dir: string
const path = (name: string): string => join(dir, name)

const write = (name: string, contexts: { name: string; server: string; namespace?: string }[], current = ''): void =>
  writeFileSync(
    path(name),
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: contexts.map((each) => ({ name: each.name, cluster: { server: each.server } })),
      users: contexts.map((each) => ({ name: each.name, user: { token: 'x' } })),
      contexts: contexts.map(({ name: each, namespace }) => ({
        name: each,
        context: { cluster: each, user: each, namespace },
      })),
      'current-context': current,
    }),
  )

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-kubeconfig-'))
  write('one', [{ name: 'a', server: 'https://one', namespace: 'team' }], 'a')
  write('two', [
    { name: 'a', server: 'https://two' },
    { name: 'b', server: 'https://b' },
  ])
})
afterAll(() => rmSync(dir, { recursive: true }))

const load = (flags: Parameters<typeof loadKubeconfig>[0], ...listed: string[]) => {
  const env = listed.length > 0 ? { KUBECONFIG: listed.map(path).join(delimiter) } : {}
  const { config, namespace } = loadKubeconfig(flags, { env, home: dir })
  return { server: config.getCurrentCluster()?.server, namespace }
}

test('the current context says which cluster and namespace', () => {
  expect(load({}, 'one')).toEqual({ server: 'https://one', namespace: 'team' })
})

test('of several files the first to say something holds, and those that are not there are passed over', () => {
  expect(load({}, 'none', 'one', 'two').server).toBe('https://one')
  expect(load({ context: 'b' }, 'one', 'two')).toEqual({ server: 'https://b', namespace: 'default' })
})

test('flags come first', () => {
  expect(load({ namespace: 'other' }, 'one').namespace).toBe('other')
  expect(load({ kubeconfig: path('two'), context: 'a' }, 'one').server).toBe('https://two')
})

test('without any file there is no way', () => {
  expect(() => load({})).toThrow('there is no ~/.kube/config')
})

test('a context that names what is not there is told', () => {
  writeFileSync(
    path('torn'),
    JSON.stringify({
      clusters: [],
      users: [],
      contexts: [{ name: 'a', context: { cluster: 'gone', user: 'u' } }],
      'current-context': 'a',
    }),
  )
  expect(() => load({}, 'torn')).toThrow('names the cluster "gone", which is not in it')
})

test('a server that is no URL is told', () => {
  write('noUrl', [{ name: 'a', server: '10.0.0.1:6443' }], 'a')
  expect(() => load({}, 'noUrl')).toThrow('cluster "a" of the kubeconfig has the server "10.0.0.1:6443": give https://')
})

test('the proxy of the environment is taken where the cluster names none', () => {
  write('proxied', [{ name: 'a', server: 'https://one' }], 'a')
  const env = { KUBECONFIG: path('proxied'), HTTPS_PROXY: 'proxy:3128' }
  expect(loadKubeconfig({}, { env, home: dir }).config.getCurrentCluster()?.proxyUrl).toBe('http://proxy:3128')
  const config = JSON.parse(readFileSync(path('proxied'), 'utf8'))
  config.clusters[0].cluster['proxy-url'] = 'socks5://its-own'
  writeFileSync(path('proxied'), JSON.stringify(config))
  expect(loadKubeconfig({}, { env, home: dir }).config.getCurrentCluster()?.proxyUrl).toBe('socks5://its-own')
})
