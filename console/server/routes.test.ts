import { describe, expect, test } from 'vitest'
import { execPath, instancePath, listPath, namespacesPath, watchPath, whoAmIPath } from '../paths.ts'
import { routeOf } from './routes.ts'

const get = (target: string) => routeOf({ method: 'GET', target, isWebSocket: false })
const socket = (target: string) => routeOf({ method: 'GET', target, isWebSocket: true })
const patch = (target: string) => routeOf({ method: 'PATCH', target, isWebSocket: false })

describe('goes through, as it came:', () => {
  test.each([
    listPath('team-a', 'instances'),
    listPath('team-a', 'persistentoverlays'),
    listPath('team-a', 'containerimages', 'eyJ2IjoibWV0YS5rOHMuaW8vdjEi=='),
    namespacesPath,
    execPath('team-a', 'dev'),
  ])('GET %s', (path) => {
    expect(get(path)).toEqual({ path })
  })

  test.each([watchPath('team-a', 'instances', '123'), execPath('team-a', 'dev')])('a WebSocket to %s', (path) => {
    expect(socket(path)).toEqual({ path })
  })

  test('the question who somebody is, whatever its body', () => {
    const route = routeOf({ method: 'POST', target: whoAmIPath, isWebSocket: false })
    expect(route?.body?.from({ kind: 'TokenReview' })).toEqual({
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'SelfSubjectReview',
    })
  })
})

describe('goes no further:', () => {
  test.each([
    ['Secrets', '/api/v1/namespaces/team-a/secrets?limit=500'],
    ['another group', '/apis/apps/v1/namespaces/team-a/deployments?limit=500'],
    ['all namespaces', '/apis/lamina.dev/v1alpha1/instances?limit=500'],
    ['one object', '/apis/lamina.dev/v1alpha1/namespaces/team-a/instances/dev'],
    ['a path that leads elsewhere', '/apis/lamina.dev/v1alpha1/namespaces/../instances?limit=500'],
    ['an encoded slash', '/apis/lamina.dev/v1alpha1/namespaces/a%2Fb/instances?limit=500'],
    ['a further parameter', `${listPath('team-a', 'instances')}&fieldSelector=a`],
    ['a watch by an ordinary request, which would hold a connection', watchPath('team-a', 'instances', '1')],
    ['another path before it', `/api/v1/../..${listPath('team-a', 'instances')}`],
    ['another host', `http://elsewhere${listPath('team-a', 'instances')}`],
    ['a line end', `${listPath('team-a', 'instances')}\n`],
  ])('%s', (_what, target) => {
    expect(get(target)).toBeUndefined()
  })

  test.each([
    ['another command', execPath('team-a', 'dev').replace('exec+bash', 'id')],
    ['another container', execPath('team-a', 'dev').replace('main', 'prepare')],
    ['a further command', `${execPath('team-a', 'dev')}&command=id`],
    ['attach', execPath('team-a', 'dev').replace('/exec', '/attach')],
    ['port forwarding', '/api/v1/namespaces/team-a/pods/dev/portforward?ports=80'],
    ['the proxy to a node', '/api/v1/nodes/a/proxy/run/team-a/dev/main'],
  ])('%s by WebSocket', (_what, target) => {
    expect(socket(target)).toBeUndefined()
  })

  test.each(['DELETE', 'PUT', 'POST', 'OPTIONS', 'get'])('%s of an instance', (method) => {
    expect(routeOf({ method, target: instancePath('team-a', 'dev'), isWebSocket: false })).toBeUndefined()
  })

  test('a patch of status, or of another kind', () => {
    expect(patch(`${instancePath('team-a', 'dev')}/status`)).toBeUndefined()
    expect(patch(instancePath('team-a', 'dev').replace('instances', 'persistentoverlays'))).toBeUndefined()
  })
})

describe('of an instance', () => {
  const body = (json: unknown) => () => patch(instancePath('team-a', 'dev'))?.body?.from(json)

  test.each([
    { spec: { state: 'Stopped' } },
    { spec: { state: 'Running' } },
    { metadata: { annotations: { 'lamina.dev/start-requested': '1' } } },
  ])('$spec$metadata may be patched', (json) => {
    expect(body(json)()).toEqual(json)
  })

  test.each([
    [{ spec: { state: 'Stopped', command: ['id'] } }],
    [{ spec: { state: 'Paused' } }],
    [{ spec: { state: 'Stopped' }, metadata: { labels: {} } }],
    [{ metadata: { annotations: { 'lamina.dev/start-requested': '1', other: '1' } } }],
    [{ metadata: { annotations: {} } }],
    [[{ op: 'remove', path: '/spec' }]],
    [undefined],
  ])('not %j', (json) => {
    expect(body(json)).toThrow()
  })
})
