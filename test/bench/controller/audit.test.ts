import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { auditFrom, countRequests, isWrite } from './audit.ts'

let dir = ''
let log = ''

const received = '2026-01-01T00:00:00.500000Z'
const line = (verb: string, resource: string, more: object = {}): string =>
  `${JSON.stringify({ stage: 'ResponseComplete', verb, objectRef: { resource, ...more }, responseStatus: { code: 200 }, requestReceivedTimestamp: received })}\n`

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lamina-audit-'))
  log = join(dir, 'audit.log')
  await writeFile(log, line('create', 'pods'))
})
afterEach(() => rm(dir, { recursive: true }))

test('what came before is not counted', async () => {
  const since = await auditFrom(log)
  expect(await since()).toEqual([])
  await appendFile(log, line('patch', 'instances', { subresource: 'status' }) + line('get', 'pods'))
  expect(countRequests(await since())).toEqual({ 'get pods': 1, 'patch instances/status': 1 })
})

test('a request tells about which object it was, and when', async () => {
  const since = await auditFrom(log)
  await appendFile(log, line('patch', 'instances', { subresource: 'status', name: 'dev' }))
  expect(await since()).toEqual([
    { verb: 'patch', resource: 'instances/status', name: 'dev', code: 200, at: Date.parse(received) },
  ])
})

test('a watch counts when it begins, and not again when it ends', async () => {
  const since = await auditFrom(log)
  const watch = line('watch', 'pods')
  await appendFile(log, watch.replace('ResponseComplete', 'ResponseStarted') + watch)
  expect(countRequests(await since())).toEqual({ 'watch pods': 1 })
})

test('refused requests are told apart', () => {
  const conflict = { verb: 'patch', resource: 'instances/status', code: 409 }
  expect(countRequests([conflict, { ...conflict, code: 200 }])).toEqual({
    'patch instances/status': 1,
    'patch instances/status (409)': 1,
  })
})

test('reads are no writes', () => {
  const verbs = ['get', 'list', 'watch', 'create', 'patch', 'update', 'delete']
  const writes = verbs.filter((verb) => isWrite({ verb }))
  expect(writes).toEqual(['create', 'patch', 'update', 'delete'])
})
