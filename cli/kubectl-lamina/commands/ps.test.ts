import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { condition, genInstance } from '../../../test/gen/objects.ts'
import { connect } from '../connection.ts'
import { type Answers, apiServer, eventsOf, failure, listOf } from '../testing/api-server.ts'
import { silentContext } from '../testing/context.ts'
import { ps } from './ps.ts'

const instances = '/apis/lamina.dev/v1alpha1/namespaces/team/instances'

const instance = (name: string, resourceVersion: string, message = '') =>
  genInstance(name, {
    metadata: { resourceVersion },
    status: {
      observedGeneration: 1,
      conditions: [{ ...condition('Ready', 'True', 'Stopped'), message }, condition('Running', 'False', 'Stopped')],
    },
  })
const unreadable = { metadata: { name: 'newer', namespace: 'team', resourceVersion: '1' }, spec: { imageRef: 7 } }

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lamina-ps-'))
})
afterEach(() => rm(dir, { recursive: true }))

/** What is printed and said, until `enough` has been printed, or it ends by itself. */
const told = async (answers: Answers, options: Parameters<typeof ps>[1], enough?: string) => {
  const server = await apiServer(answers)
  const kubeconfig = join(dir, 'kubeconfig')
  await server.writeKubeconfig(kubeconfig)
  const stop = new AbortController()
  const said: string[] = []
  let printed = ''
  const context = {
    ...silentContext,
    print: (text: string) => {
      printed += text
      if (enough !== undefined && printed.includes(enough)) stop.abort(new Error('enough'))
    },
    interrupts: { ...silentContext.interrupts, signal: stop.signal },
    connect: async () => connect({ kubeconfig }, (words) => said.push(words)),
  }
  await ps(context, options)
    .catch((error: unknown) => {
      if (!stop.signal.aborted) throw error
    })
    .finally(server.close)
  return { printed, said, asked: server.asked }
}

test('a watch that has begun anew tells only what is new, and marks what is gone', async () => {
  const { printed } = await told(
    {
      [instances]: [
        listOf(instance('dev', '1'), instance('old', '1')),
        listOf(instance('dev', '1'), instance('new-one', '3')),
      ],
      [`WATCH ${instances}`]: eventsOf({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '2' } } }),
    },
    { watch: true },
    'Deleted',
  )
  expect(printed.split('\n').map((line) => line.split(/ +/).slice(0, 3))).toEqual([
    ['NAME', 'IMAGE', 'STATE'],
    ['dev', 'debian', 'Stopped'],
    ['old', 'debian', 'Stopped'],
    ['new-one', 'debian', 'Stopped'],
    ['old', 'debian', 'Deleted'],
    [''],
  ])
})

test('an API server that is away for a moment is no end of a watch', async () => {
  const away = failure(500, 'InternalError', 'etcd is away')
  const answers = {
    [instances]: [listOf(instance('dev', '1')), away, listOf(instance('dev', '1'), instance('back', '2'))],
    [`WATCH ${instances}`]: eventsOf(),
  }
  const { printed } = await told(answers, { watch: true }, 'back')
  expect(printed.match(/^\w+/gm)).toEqual(['NAME', 'dev', 'back'])
})

test('as JSON a watch tells events, of which a deletion is one', async () => {
  const answers = {
    [instances]: listOf(instance('dev', '1')),
    [`WATCH ${instances}`]: eventsOf({ type: 'DELETED', object: instance('dev', '2') }),
  }
  const { printed } = await told(answers, { watch: true, output: 'json' }, 'DELETED')
  const events = JSON.parse(`[${printed.replaceAll('}\n{', '},{')}]`)
  expect(events).toMatchObject([
    { type: 'ADDED', object: { metadata: { name: 'dev', resourceVersion: '1' } } },
    { type: 'DELETED', object: { metadata: { name: 'dev', resourceVersion: '2' } } },
  ])
})

test('an object that this version cannot read is named, and hides no other', async () => {
  const { printed, said } = await told({ [instances]: listOf(unreadable, instance('dev', '1')) }, {})
  expect(printed).toContain('dev')
  expect(said).toHaveLength(1)
  expect(said[0]).toMatch(
    /^left out: Instance team\/newer is not as this version of Lamina knows it: .*spec\.imageRef/s,
  )
})

test('a message of others stays in its cell', async () => {
  const answers = { [instances]: listOf(instance('dev', '1', '\x1b[2Jno such\nimage')) }
  const { printed } = await told(answers, { output: 'wide' })
  expect(printed).toMatch(/no such image\n$/)
  expect(printed).not.toContain('\x1b')
})
